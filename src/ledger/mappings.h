/* SPDX-License-Identifier: MIT */
/*
 * Memory that a program maps for itself (mmap(2), brk(2)): ranges of address spaces, and the
 * figures of the sites that mapped them. Kept apart from blocks: a range may be given back in
 * parts, or be mapped over.
 *
 * Owns: the ranges, and books of its own (sites.h). A block of these is one mapping; it is live
 * until its last page has gone. Sizes are whole pages. Does not: know what the calls were, or what
 * was mapped before. Called by: session, from one thread.
 *
 * Equations: those of sites.h; ranges of a space do not overlap; the pieces of a mapping have its
 * live bytes:
 *     totals.current_bytes = sum over all ranges, those being moved included, of their bytes
 */
#ifndef LEDGER_MAPPINGS_H
#define LEDGER_MAPPINGS_H

#include "base/counters.h"
#include "base/error.h"
#include "base/types.h"

struct mappings;

struct error *mappings_create(struct mappings **ret);
void mappings_destroy(struct mappings *mappings);

/*
 * [address, address + size_bytes) was mapped, rounded to whole pages; what is known there is gone.
 * Errors: no memory, bad input for a range that has no bytes or wraps around.
 */
struct error *mappings_add(struct mappings *mappings, space_id space, site_id site,
			   target_addr address, uint64_t size_bytes, uint64_t time_ns);

/* What is known in the range was given back; the rest of a mapping stays. Errors: no memory. */
struct error *mappings_remove(struct mappings *mappings, space_id space, target_addr address,
			      uint64_t size_bytes, uint64_t time_ns);

/*
 * A thread begins to move the range (mremap(2)): others may be given it from here on. A move of the
 * same thread that has no end yet has failed. Errors: no memory.
 */
struct error *mappings_move(struct mappings *mappings, space_id space, uint32_t thread,
			    target_addr address, uint64_t size_bytes, uint64_t time_ns);

/* The thread's move ended: what it had taken is released, or (!done) is there again. */
struct error *mappings_moved(struct mappings *mappings, space_id space, uint32_t thread, bool done,
			     uint64_t time_ns);

/* A call was refused. Errors: no memory. */
struct error *mappings_failed(struct mappings *mappings, site_id site);

/* A space ended or was replaced: its mappings move from current to ended. */
void mappings_space_end(struct mappings *mappings, space_id space);

/* As ledger_reset_peak. */
void mappings_reset_peak(struct mappings *mappings, uint64_t time_ns);

/* As those of the ledger. */
const struct total_counters *mappings_totals(const struct mappings *mappings);
uint32_t mappings_site_count(const struct mappings *mappings);
struct site_counters mappings_site(const struct mappings *mappings, site_id site);

/* Verifies the equations above; NULL when they hold. For tests. */
struct error *mappings_check(const struct mappings *mappings);

#endif
