/* SPDX-License-Identifier: MIT */
/*
 * Frames whose source positions were looked up already, and where those stand in the snapshot's
 * stacks: most frames of a stack are in thousands of others, too.
 *
 * Owns: the map. Does not: look anything up. Called by: freeze.c, from its thread.
 */
#ifndef SESSION_POSITIONS_H
#define SESSION_POSITIONS_H

#include "base/map.h"
#include "stack/interner.h"

struct positions {
	struct map by_frame;
};

/* A run of entries in snapshot.stacks; count 0: not known. */
struct positions_run {
	size_t first;
	size_t count;
};

void positions_deinit(struct positions *positions);

struct positions_run positions_find(const struct positions *positions, const struct frame *frame);

/* Notes where the positions of a frame stand. For want of memory or of bits it is forgotten. */
void positions_note(struct positions *positions, const struct frame *frame,
		    struct positions_run run);

#endif
