/* SPDX-License-Identifier: MIT */
/*
 * Interned frames: a hash table over snapshot->frames, so that equal frames are kept once.
 *
 * Two frames are equal when their strings are the same pointers (which interned strings are where
 * they are equal) and their numbers are the same. Called by: the other files of this folder.
 *
 * Equations: slot_count is 0 or 2^n, frame_count <= slot_count * 3/4; a slot is 0 (free) or the
 * index of a frame + 1.
 */
#ifndef SNAPSHOT_FRAMES_H
#define SNAPSHOT_FRAMES_H

#include "snapshot/snapshot.h"

struct snapshot_frame_index {
	uint32_t *slots;
	size_t slot_count;
};

void frames_deinit(struct snapshot_frame_index *index);

/* The index of an equal frame, appended where there was none. Errors: no memory. */
struct error *frames_intern(struct snapshot *snapshot, const struct snapshot_frame *frame,
			    uint32_t *ret);

#endif
