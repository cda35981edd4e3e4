/* SPDX-License-Identifier: MIT */
#include "ledger/timeline.h"

/* Points of 1 us at first: a run of milliseconds has a timeline, too. */
enum { FIRST_SHIFT = 10 };

void timeline_init(struct timeline *timeline)
{
	timeline->count = 0;
	timeline->shift = FIRST_SHIFT;
	timeline->end_ns = 0;
	timeline->highest_bytes = 0;
}

static void raise_to(struct ledger_point *point, uint64_t bytes, uint64_t blocks)
{
	if (bytes > point->current_bytes) {
		point->current_bytes = bytes;
		point->current_blocks = blocks;
	}
}

static void halve(struct timeline *timeline)
{
	timeline->shift++;
	size_t count = (timeline->count + 1) / 2;
	for (size_t i = 0; i < count; i++) {
		struct ledger_point merged = timeline->points[2 * i];
		if (2 * i + 1 < timeline->count)
			raise_to(&merged, timeline->points[2 * i + 1].current_bytes,
				 timeline->points[2 * i + 1].current_blocks);
		merged.time_ns = (uint64_t)i << timeline->shift;
		timeline->points[i] = merged;
	}
	timeline->count = count;
}

void timeline_record(struct timeline *timeline, uint64_t time_ns, struct timeline_level before,
		     struct timeline_level after)
{
	while (time_ns >> timeline->shift >= LEDGER_TIMELINE_POINTS)
		halve(timeline);
	size_t index = (size_t)(time_ns >> timeline->shift);
	/* The level before stood through the silent points and at the start of this one. */
	while (timeline->count <= index) {
		timeline->points[timeline->count] = (struct ledger_point){
			.time_ns = (uint64_t)timeline->count << timeline->shift,
			.current_bytes = before.bytes,
			.current_blocks = before.blocks,
		};
		timeline->count++;
	}
	struct ledger_point *last = &timeline->points[timeline->count - 1];
	raise_to(last, after.bytes, after.blocks);
	timeline->end_ns = (uint64_t)timeline->count << timeline->shift;
	timeline->highest_bytes = last->current_bytes;
}
