/* SPDX-License-Identifier: MIT */
/*
 * The ledger: live blocks and per-site figures of a running session, the exact breakdown at the
 * peak, and the timeline.
 *
 * Owns: address -> block tables, one key space per address space; site_counters per site.
 * Does not: know ptrace, symbols, or what a site is (a dense number).
 * Called by: session, from one thread.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/counters.h"
#include "base/error.h"
#include "base/event.h"

struct ledger;

struct ledger_point {
	uint64_t time_ns;
	uint64_t current_bytes; /* highest within the point's interval */
	uint64_t current_blocks;
};

/* What one site held. */
struct ledger_detail_site {
	uint64_t bytes;
	uint64_t blocks;
	site_id site;
};

/* What was in use at a moment, and by which sites: those that held most, in the order of their ids.
 */
struct ledger_detail {
	uint64_t time_ns;
	uint64_t current_bytes; /* of all sites */
	uint64_t current_blocks;
	struct ledger_detail_site *sites;
	size_t site_count; /* at most LEDGER_DETAIL_SITES; where it is less, no site is left out */
};

struct error *ledger_create(struct ledger **ret);
void ledger_destroy(struct ledger *ledger);

/*
 * Takes one event. O(1) amortized, growth of the table is spread over events. Errors: no memory,
 * bad input for a kind or a site that cannot be (the event is then not counted and the ledger stays
 * consistent; a resize whose end could not be taken has failed).
 *
 * totals.events counts calls: a resize once, at its end. A creation at address 0 is a failed call,
 * a resize of address 0 a creation. A creation where a block is live means that the block's release
 * was not seen: it is released first, as an implied release. A resize of a block never seen is an
 * unknown (or inherited) release and a creation; an end without a begin begins and ends at once. A
 * thread has at most 16 open resizes, the oldest is then cancelled. A block is `temporary` when it
 * is released (by whatever thread) before the thread that created it creates another. Times may run
 * backwards between threads: a lifetime is then 0. Sums stop at UINT64_MAX; a block is taken to
 * have at most 2^48 - 1 bytes, more than any address space holds.
 */
struct error *ledger_record(struct ledger *ledger, const struct event *event);

/*
 * A hint that events of these addresses come next, in this order: fetches the cache lines of the
 * table that they will touch. Changes nothing; any space and addresses may be given, as often as
 * one likes. What is beyond LEDGER_AHEAD of them is passed over.
 */
enum { LEDGER_AHEAD = 16 };
void ledger_prefetch(const struct ledger *ledger, space_id space, const uint64_t *addresses,
		     size_t count);

/*
 * A space was born as a copy of another (fork without exec): releases of addresses it never
 * created are its parent's blocks, counted as inherited_releases, not as unknown.
 */
struct error *ledger_space_inherits(struct ledger *ledger, space_id space);

/*
 * A space ended or was replaced (exit, exec): its live blocks, those of open resizes included, move
 * from current to ended. O(size of that space's table). An id may be used again: it is then new.
 */
struct error *ledger_space_end(struct ledger *ledger, space_id space);

/* A thread ended: begun resizes of it are revived, its "last block" memory is dropped. */
void ledger_thread_end(struct ledger *ledger, space_id space, uint32_t thread);

/*
 * A resize that was begun will never report its end (longjmp, exception, detach): the old block is
 * taken to be alive. old_address as in the begin. Where the address was given out meanwhile, the
 * newer block is believed and the old one counts as an implied release.
 */
void ledger_resize_cancel(struct ledger *ledger, space_id space, uint32_t thread,
			  target_addr old_address);

/*
 * From now on the peak is the highest sum since this moment: at first what is in use now. O(1); the
 * breakdown stays exact. The timeline keeps what was before.
 */
void ledger_reset_peak(struct ledger *ledger, uint64_t time_ns);

/* The totals so far. */
const struct total_counters *ledger_totals(const struct ledger *ledger);

/* Number of sites the ledger has seen (ids are below it). */
uint32_t ledger_site_count(const struct ledger *ledger);

/* The counters of a site, peak_* brought up to date. Zeroes for a site never seen. */
struct site_counters ledger_site(const struct ledger *ledger, site_id site);

/* The block that holds address (exact start), if live. */
bool ledger_block(const struct ledger *ledger, space_id space, target_addr address,
		  uint64_t *size_bytes_ret, site_id *site_ret);

/* Sizes and lifetimes of all blocks by class. */
const struct histogram_counters *ledger_histograms(const struct ledger *ledger);

/* A live block, or one whose resize is open. */
struct ledger_live {
	space_id space;
	site_id site;
	target_addr address;
	uint64_t size_bytes;
	uint64_t born_ns;
};

/* Calls visit for every live block, in no order, until it returns an error, which is passed on. */
struct error *ledger_visit_live(const struct ledger *ledger,
				struct error *(*visit)(void *context,
						       const struct ledger_live *block),
				void *context);

/* What of a live block tells its age. */
struct ledger_aged {
	uint64_t size_bytes;
	uint64_t born_ns;
	site_id site;
};

/*
 * Copies those of all live blocks, in no order, as fast as memory is: others may be waiting. False,
 * with *count_ret undefined: there are more than `capacity`.
 */
bool ledger_copy_ages(const struct ledger *ledger, struct ledger_aged *ages, size_t capacity,
		      size_t *count_ret);

/*
 * The same of one space; blocks of open resizes are at their old addresses. *resizing_ret: there
 * are some, so that not every byte of a block is where it says.
 */
struct error *ledger_visit_space(const struct ledger *ledger, space_id space,
				 struct error *(*visit)(void *context,
							const struct ledger_live *block),
				 void *context, bool *resizing_ret);

/* Whether blocks may be live in a space that the ledger does not know: see ledger_space_inherits.
 */
bool ledger_has_inherited(const struct ledger *ledger, space_id space);

/* A live block as ledger_holder finds it. */
struct ledger_holder {
	target_addr address;
	uint64_t size_bytes;
	site_id site;
	uint64_t born_ns;
	uint32_t thread; /* that created it; 0: it has ended */
};

/*
 * The live block that holds address anywhere (one of no bytes: at its start). Looks through all
 * blocks of the space where none starts there; a block in the middle of a resize is not found.
 */
bool ledger_holder(const struct ledger *ledger, space_id space, target_addr address,
		   struct ledger_holder *ret);

/* The timeline: at most LEDGER_TIMELINE_POINTS points in time order, owned by the ledger. */
enum { LEDGER_TIMELINE_POINTS = 1024 };
const struct ledger_point *ledger_timeline(const struct ledger *ledger, size_t *count_ret);

/*
 * Moments of the timeline with their sites: at most LEDGER_DETAIL_POINTS in time order, owned by
 * the ledger, valid until the next event. A moment of the highest use is among them only by chance;
 * see peak_* of ledger_site for that.
 */
enum { LEDGER_DETAIL_POINTS = 64, LEDGER_DETAIL_SITES = 256 };
const struct ledger_detail *ledger_details(const struct ledger *ledger, size_t *count_ret);

/* Bytes of memory the ledger itself holds. */
uint64_t ledger_memory_bytes(const struct ledger *ledger);

/* Verifies the equations of counters.h and the table's own; NULL when they hold. For tests. */
struct error *ledger_check(const struct ledger *ledger);

#endif
