/* SPDX-License-Identifier: MIT */
/*
 * What was in use over time, in a bounded number of points whatever the run's length.
 *
 * Owns: the points. Called by: ledger.c, from the ledger's thread.
 *
 * Point i covers [i << shift, (i + 1) << shift) nanoseconds and holds the highest value within. An
 * event beyond the last possible point doubles the width: neighbours merge into their higher one.
 *
 * Equations: count <= LEDGER_TIMELINE_POINTS, points[i].time_ns = i << shift, end_ns = count <<
 * shift (modulo 2^64), highest_bytes = points[count - 1].current_bytes (0 without points), and the
 * highest of all points is the session's peak, or more where that was reset.
 */
#ifndef LEDGER_TIMELINE_H
#define LEDGER_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

struct timeline_level {
	uint64_t bytes;
	uint64_t blocks;
};

struct timeline {
	struct ledger_point points[LEDGER_TIMELINE_POINTS];
	size_t count;
	unsigned shift;
	uint64_t end_ns;	/* where the last point ends */
	uint64_t highest_bytes; /* the last point's */
};

void timeline_init(struct timeline *timeline);

/*
 * The level went from before to after at time_ns. A time before the last point's (events of several
 * threads are only roughly ordered) counts within the last point.
 */
void timeline_record(struct timeline *timeline, uint64_t time_ns, struct timeline_level before,
		     struct timeline_level after);

/*
 * May a time lie beyond the last point? Where it does not, timeline_raise does the same as
 * timeline_record.
 */
static inline bool timeline_is_beyond(const struct timeline *timeline, uint64_t time_ns)
{
	return time_ns >= timeline->end_ns;
}

/*
 * The level reached this within the last point. By address, so that the blocks, which were stored
 * a moment ago, are loaded only where they are wanted: see live_bucket.h of waiting for stores.
 */
static inline void timeline_raise(struct timeline *timeline, const uint64_t *bytes,
				  const uint64_t *blocks)
{
	if (__builtin_expect(*bytes <= timeline->highest_bytes, 1))
		return;
	struct ledger_point *last = &timeline->points[timeline->count - 1];
	last->current_bytes = timeline->highest_bytes = *bytes;
	last->current_blocks = *blocks;
}

#endif
