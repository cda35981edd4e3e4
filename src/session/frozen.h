/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: the figures of a session at one moment, copied under the lock of tap.h.
 *
 * Owns: the copy. What can be had later in the same state (stacks, modules, names) is not in it:
 * freeze.c fetches that when the lock is free again. So the time that anybody has to wait is that
 * of a copy (INTERNALS has a figure).
 *
 * Invariant: blocks_known ? blocks[0 .. block_count) are all live blocks : block_count == 0
 */
#ifndef SESSION_FROZEN_H
#define SESSION_FROZEN_H

#include "ledger/ledger.h"
#include "session/marks.h"

struct session;

enum frozen_kind {
	FROZEN_END,	 /* tracing is over */
	FROZEN_SNAPSHOT, /* it goes on */
	FROZEN_GLANCE,	 /* it goes on, and the ages of blocks will not be asked for */
};

/*
 * With more live blocks than that an interim copy leaves them out: agents bear the lock for a tenth
 * of a second, also on a machine with much to do.
 */
enum { FROZEN_BLOCKS_MAX = 1 << 20 };

/* mappings: of a session that follows them, the same of what was mapped; else NULL. */
struct frozen {
	struct frozen *mappings;
	bool of_mappings;
	struct site_counters *sites; /* by site id */
	size_t site_count, site_capacity;
	struct ledger_aged *blocks;
	size_t block_count, block_capacity;
	bool blocks_known;
	struct histogram_counters histograms;
	struct total_counters totals;
	struct ledger_point timeline[LEDGER_TIMELINE_POINTS];
	size_t timeline_count;
	struct ledger_detail details[LEDGER_DETAIL_POINTS];
	size_t detail_count;
	struct ledger_detail_site *detail_sites; /* memory of the details' sites */
	struct mark *marks;
	size_t mark_count;
	uint64_t time_ns; /* since the session's start */
	uint64_t lost_events;
	uint64_t truncated_stacks;
	uint64_t incomplete_stacks;
	struct snapshot_cost cost; /* but for our own use of CPU and memory */
};

/*
 * Copies the figures as they are at time_ns, after what is in the rings has been taken where the
 * caller saw to that. While tracing goes on the copy ends with a mark that says so, of that name
 * (NULL: none). Any thread. Errors: no memory.
 */
struct error *frozen_take(struct session *session, enum frozen_kind kind, const char *name,
			  struct frozen **ret);
void frozen_destroy(struct frozen *frozen);

#endif
