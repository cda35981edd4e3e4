/* SPDX-License-Identifier: MIT */
/*
 * JSON that stands in an HTML page: compact, with a table of strings, and without any character
 * that HTML would take for markup.
 *
 * Strings that come from a target are escaped as everywhere (base/buffer.h): no control, no
 * bidirectional override, no invalid UTF-8 comes through.
 * Private to this folder; any thread.
 */
#ifndef REPORT_HTML_JSON_H
#define REPORT_HTML_JSON_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/map.h"

/* strings: the table so far, "null,\"...\",...": the string of number n is its item n, 0 is null.
 */
struct html_json {
	struct buffer *out;
	struct buffer strings;
	struct map numbers;
	bool failed; /* no memory */
};

void html_json_deinit(struct html_json *json);

/* The number of a string in the table. Equal strings must be equal pointers; NULL is 0. */
uint32_t html_json_number_of(struct html_json *json, const char *string);

/* Appends "key": */
void html_json_key(struct html_json *json, const char *key);

/* Appends a string in quotes, or null. Tabs stay tabs. */
void html_json_text(struct buffer *out, const char *text);

/* Appends "key":number and "key":"text". */
void html_json_set_number(struct html_json *json, const char *key, uint64_t number);
void html_json_set_text(struct html_json *json, const char *key, const char *text);

/*
 * Appends "key":[...] with the value of each row. A column of zeroes is the number 0 instead, which
 * the page takes for as many as are needed.
 */
void html_json_column(struct html_json *json, const char *key, size_t count,
		      uint64_t (*value)(const void *context, size_t i), const void *context);

/* Appends "strings":[...]. The last to be called. */
void html_json_strings(struct html_json *json);

#endif
