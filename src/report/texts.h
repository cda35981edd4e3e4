/* SPDX-License-Identifier: MIT */
/*
 * Texts numbered from 0 in the order in which they first appear: the tables of strings that many
 * formats begin with.
 *
 * Owns: copies of the texts. Called by: the other files of this folder.
 *
 * Equation: entries[i]->number == i for i < count; no two entries have the same text.
 */
#ifndef REPORT_TEXTS_H
#define REPORT_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

struct texts_entry;

/* All zeroes: empty. */
struct texts {
	void *tree; /* of tsearch(3), by text */
	struct texts_entry **entries;
	size_t count, capacity;
	bool failed; /* there was no memory; numbers given since mean nothing */
};

void texts_deinit(struct texts *texts);

/* The number of the text, which is kept if it is new; 0 without memory. */
size_t texts_add(struct texts *texts, const char *text);

/* The text of a number below count, as long as the texts live. */
const char *texts_get(const struct texts *texts, size_t number);

#define _cleanup_texts_ __attribute__((__cleanup__(texts_deinit)))

#endif
