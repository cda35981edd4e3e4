/* SPDX-License-Identifier: MIT */
/*
 * Which sites held what was in use over time: a bounded number of points, each with its largest
 * sites, taken as the run goes.
 *
 * Owns: the points and the memory of their sites, all of it from the beginning, so that taking a
 * point cannot fail. Called by: ledger.c, from the ledger's thread, where the timeline begins a new
 * point (a few hundred times for each doubling of the run's length, not at every event).
 *
 * A detail interval is LEDGER_TIMELINE_POINTS / LEDGER_DETAIL_POINTS points of the timeline, and
 * doubles with them: of the points that then share an interval the higher one stays. A point costs
 * a look at every site; none is taken before as many events have come as there were sites at the
 * last one, so that an event's share of it is the cost of one look.
 *
 * Equations, for each point: site_count <= LEDGER_DETAIL_SITES; site ids rise; sum over its sites
 * of x <= current_x, with equality where it names fewer than LEDGER_DETAIL_SITES (x in bytes,
 * blocks; until a sum stops at UINT64_MAX). Over the points: time_ns >> shift rises.
 */
#ifndef LEDGER_DETAILS_H
#define LEDGER_DETAILS_H

#include "base/error.h"
#include "ledger/ledger.h"
#include "ledger/sites.h"

struct details {
	struct ledger_detail points[LEDGER_DETAIL_POINTS];
	size_t count;
	unsigned shift;
	uint64_t next_events;		  /* total events before which no point is taken */
	struct ledger_detail_site *sites; /* all points' memory */
};

/* Errors: no memory. */
struct error *details_init(struct details *details);
void details_deinit(struct details *details);

/*
 * The timeline, whose points cover 1 << timeline_shift nanoseconds, has begun a new point at
 * time_ns, which is not before any time given earlier. Takes a point if one is due.
 */
void details_record(struct details *details, uint64_t time_ns, unsigned timeline_shift,
		    const struct sites *sites);

uint64_t details_memory_bytes(void);

/* Verifies the equations above. For tests. */
struct error *details_check(const struct details *details);

#endif
