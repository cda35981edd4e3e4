/* SPDX-License-Identifier: MIT */
#include "session/positions.h"

/* A frame as a key, a run as a value that is not NULL. What does not fit is looked up anew. */
enum { ADDRESS_BITS = 44, COUNT_BITS = 16 };

static bool fits(uint64_t value, unsigned bits)
{
	return value >> bits == 0;
}

static bool has_key(const struct frame *frame)
{
	return fits(frame->address, ADDRESS_BITS) && fits(frame->image.v, 64 - ADDRESS_BITS);
}

static uint64_t key_of(const struct frame *frame)
{
	return (uint64_t)frame->image.v << ADDRESS_BITS | frame->address;
}

void positions_deinit(struct positions *positions)
{
	map_deinit(&positions->by_frame);
}

struct positions_run positions_find(const struct positions *positions, const struct frame *frame)
{
	uintptr_t value =
		has_key(frame) ? (uintptr_t)map_get(&positions->by_frame, key_of(frame)) : 0;
	return (struct positions_run){value >> COUNT_BITS, value & ((1 << COUNT_BITS) - 1)};
}

void positions_note(struct positions *positions, const struct frame *frame,
		    struct positions_run run)
{
	if (run.count && has_key(frame) && fits(run.count, COUNT_BITS) &&
	    fits(run.first, 64 - COUNT_BITS))
		map_put(&positions->by_frame, key_of(frame),
			(void *)((uintptr_t)run.first << COUNT_BITS | run.count));
}
