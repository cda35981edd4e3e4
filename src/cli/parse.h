/* SPDX-License-Identifier: MIT */
/*
 * Values as people write them on a command line: numbers, durations, one word of a list.
 *
 * Pure: no allocation, no locale, no errno. A text that is not wholly a value is refused and leaves
 * *ret alone; the caller, who knows the option, words the message. Private to cli; any thread.
 */
#ifndef CLI_PARSE_H
#define CLI_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only (no sign, no spaces), from min to max. */
bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/*
 * A length of time above zero: "10s", "500ms", "2m", "1h", "1.5s"; without a unit, seconds. Up to
 * nine digits may follow the point. At most PARSE_DURATION_MAX_NS. The result is in nanoseconds.
 */
#define PARSE_DURATION_MAX_NS ((uint64_t)INT64_MAX)
bool parse_duration(const char *text, uint64_t *ns_ret);

/*
 * A number of bytes: digits, and at their end nothing, B, KiB, MiB, GiB, TiB, or the letter of
 * these alone, in whatever case: "64k".
 */
bool parse_size(const char *text, uint64_t *bytes_ret);

/* Which of the words in "first|second|third" the text is, from 0. */
bool parse_choice(const char *text, const char *words, size_t *index_ret);

#endif
