/* SPDX-License-Identifier: MIT */
/*
 * A line of words as a shell would split it: what TRACEALLOC_OPTIONS holds.
 *
 * Owns: the words and the memory they stand in. Does not: expand anything. Private to cli; any
 * thread.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stddef.h>

#include "base/error.h"

/* items[count] == NULL; items is NULL where nothing was split. */
struct words {
	char **items;
	size_t count;
	char *text; /* the words, one after the other */
};

/*
 * Splits at blanks, tabs and newlines. Within '...' all stands for itself; within "..." too, but
 * for \" and \\; elsewhere a backslash takes the next character as it is. "" is an empty word.
 * Errors: ERROR_USAGE for a quote that is not closed or a backslash at the end, no memory.
 */
struct error *words_split(const char *line, struct words *ret);
void words_deinit(struct words *words);

#endif
