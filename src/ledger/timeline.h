/* SPDX-License-Identifier: MIT */
/*
 * What was in use over time, in a bounded number of points whatever the run's length.
 *
 * Owns: the points. Called by: ledger.c, from the ledger's thread.
 *
 * Point i covers [i << shift, (i + 1) << shift) nanoseconds and holds the highest value within. An
 * event beyond the last possible point doubles the width: neighbours merge into their higher one.
 *
 * Equations: count <= LEDGER_TIMELINE_POINTS, points[i].time_ns = i << shift, and the highest of
 * all points is the session's peak.
 */
#ifndef LEDGER_TIMELINE_H
#define LEDGER_TIMELINE_H

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
};

void timeline_init(struct timeline *timeline);

/*
 * The level went from before to after at time_ns. A time before the last point's (events of several
 * threads are only roughly ordered) counts within the last point.
 */
void timeline_record(struct timeline *timeline, uint64_t time_ns, struct timeline_level before,
		     struct timeline_level after);

#endif
