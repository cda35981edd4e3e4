/* SPDX-License-Identifier: MIT */
/*
 * JSON values made so that nothing from a target can make them fail, and objects filled in order.
 *
 * Called by: the other files of this folder. Every function hands over a new reference; NULL (no
 * memory) may be passed on to the ones that put it somewhere, which then set *failed.
 */
#ifndef REPORT_JSON_VALUE_H
#define REPORT_JSON_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* An integer, INT64_MAX when it is larger. */
json_t *json_value_number(uint64_t number);

/* a - b, at most INT64_MAX away from 0. */
json_t *json_value_difference(uint64_t a, uint64_t b);

/* A string; null for NULL. Bytes that are not UTF-8 make it the escaped text of base/buffer.h. */
json_t *json_value_text(const char *text);

/* Sets object[key], or appends to array, taking the value; without one sets *failed. */
void json_value_set(json_t *object, const char *key, json_t *value, bool *failed);
void json_value_append(json_t *array, json_t *value, bool *failed);

/* Shorthands for the two usual kinds of member. */
void json_value_set_number(json_t *object, const char *key, uint64_t number, bool *failed);
void json_value_set_text(json_t *object, const char *key, const char *text, bool *failed);

/* Writes value as ASCII without control characters, two spaces an indent, and a newline. */
struct error *json_value_write(const json_t *value, struct buffer *out);

/* The same without blanks, for what only programs read. */
struct error *json_value_write_compact(const json_t *value, struct buffer *out);

#endif
