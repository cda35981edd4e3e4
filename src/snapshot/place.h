/* SPDX-License-Identifier: MIT */
/*
 * The place a frame stands for when rows are grouped: what of a frame tells one row from another,
 * its order and its label.
 *
 * A member is NULL or 0 where the grouping does not look at it. Private to this folder.
 */
#ifndef SNAPSHOT_PLACE_H
#define SNAPSHOT_PLACE_H

#include "base/buffer.h"
#include "snapshot/query.h"

struct place {
	const char *path; /* the label of the file, for label and order */
	const char *file;
	const char *function;
	const char *module;
	uint64_t offset;
	uint32_t line;
};

/*
 * The place of a frame (NULL: not known) under a grouping by frames. Where it is to match that of
 * another build, file is left out and of the module only its last component stays.
 */
struct place place_of(const struct snapshot_frame *frame, enum query_group by, bool portable);

/* Less than, equal to or greater than 0; numbers by value, absent strings first. */
int place_compare(const struct place *a, const struct place *b);

/* Appends the label of a row. */
void place_label(const struct place *place, enum query_group by, struct buffer *out);

/* NULL comes first; pointers that are equal are not looked behind. */
int place_compare_strings(const char *a, const char *b);

#endif
