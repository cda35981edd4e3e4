/* SPDX-License-Identifier: MIT */
/*
 * The stack that was added to a snapshot last. Sites are numbered in the order in which they were
 * met, so that most frames of a stack are in the one before it, too, in the same order: their
 * positions are copied as one run, without looking up each frame.
 *
 * Owns: that stack's frames. Does not: look anything up. Called by: freeze_sites.c, from its
 * thread.
 */
#ifndef SESSION_PREVIOUS_H
#define SESSION_PREVIOUS_H

#include <stdbool.h>

#include "stack/interner.h"

struct previous_frame {
	struct frame frame;
	size_t first; /* its first entry in snapshot.stacks */
	bool blind;   /* it is in an image, and has no line */
};

/* Invariant: items[i].first does not fall with i, and is <= end. All zeroes: no stack yet. */
struct previous {
	struct previous_frame *items; /* innermost first */
	size_t count, capacity;
	size_t end; /* of its entries in snapshot.stacks */
};

/* frames[here .. here + count) are items[there .. there + count); count 0: nothing in common. */
struct previous_run {
	size_t here, there;
	size_t count;
};

void previous_deinit(struct previous *previous);

/*
 * What a stack (innermost frame first) has in common with the previous one: the longest run that is
 * found up to the outermost frame of one of them, in a time that grows as they do. Stacks that are
 * cut at the depth limit have their outermost frames at different places.
 */
struct previous_run previous_match(const struct previous *previous, const struct frame *frames,
				   size_t count);

/* Room for a stack of so many frames; what is there is forgotten. */
struct error *previous_begin(struct previous *previous, size_t count);

/* Where entries of the frames in the run begin and end in snapshot.stacks. */
size_t previous_run_first(const struct previous *previous, const struct previous_run *run);
size_t previous_run_end(const struct previous *previous, const struct previous_run *run);

#endif
