/* SPDX-License-Identifier: MIT */
/*
 * The figures kept for one site and for a whole session.
 *
 * Owns: the shapes and their equations. Filled by ledger; read by snapshot and report.
 * All sizes are bytes as asked for, all times nanoseconds since the session's start.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdint.h>

#include "base/size_class.h"
#include "base/time_class.h"

/*
 * Live blocks that nothing points to any more, when that was looked at. Directly: no other such
 * block points there either; indirectly: one does.
 *
 * Equation, for bytes and for blocks: direct + indirect <= current + ended, of a site and of all
 */
struct reach_counters {
	uint64_t direct_bytes;
	uint64_t direct_blocks;
	uint64_t indirect_bytes;
	uint64_t indirect_blocks;
};

/*
 * Equations, for bytes and for blocks:
 *     total = current + released + ended
 *     peak  = the value of current at the moment of the session's highest current_bytes
 */
struct site_counters {
	uint64_t current_bytes;
	uint64_t current_blocks;
	uint64_t total_bytes;
	uint64_t total_blocks;
	uint64_t released_bytes;
	uint64_t released_blocks;
	uint64_t ended_bytes; /* live when their process ended or called exec */
	uint64_t ended_blocks;
	uint64_t peak_bytes;
	uint64_t peak_blocks;
	uint64_t largest_bytes;
	uint64_t temporary_blocks; /* released before their thread's next creation */
	uint64_t lifetime_ns;	   /* sum over released blocks */
	uint64_t failed_calls;
	uint64_t waste_bytes; /* usable beyond what was asked for, of the blocks at the peak: set
				 where a snapshot is asked for it, else 0 */
	struct reach_counters unreachable; /* by session, where it looked for them; else 0 */
};

struct class_counters {
	uint64_t bytes;
	uint64_t blocks;
};

/*
 * Equations: the sums over sizes are total_bytes and total_blocks of the session, those over
 * lifetimes released_bytes and released_blocks.
 */
struct histogram_counters {
	struct class_counters sizes[SIZE_POWER_COUNT];	       /* of all blocks, by power */
	struct class_counters lifetimes[LIFETIME_CLASS_COUNT]; /* of released blocks */
};

/* The same equations hold over the sums of all sites. */
struct total_counters {
	uint64_t current_bytes;
	uint64_t current_blocks;
	uint64_t peak_bytes; /* the highest current_bytes */
	uint64_t peak_blocks;
	uint64_t peak_at_ns;
	uint64_t total_bytes;
	uint64_t total_blocks;
	uint64_t released_bytes;
	uint64_t released_blocks;
	uint64_t ended_bytes;
	uint64_t ended_blocks;
	uint64_t temporary_blocks;
	uint64_t failed_calls;
	uint64_t unknown_releases;   /* of addresses never seen: from before the attach */
	uint64_t inherited_releases; /* the same in a forked child: its parent's blocks */
	uint64_t null_releases;	     /* free(NULL) */
	uint64_t implied_releases;   /* an address was given out again without a release seen */
	uint64_t events;
	struct reach_counters unreachable;
};

#endif
