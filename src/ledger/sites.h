/* SPDX-License-Identifier: MIT */
/*
 * The books: the figures of every site and their sums, with the exact breakdown at the peak.
 *
 * Owns: site_counters per site and the total_counters. Does not: know blocks or spaces.
 * Called by: the other files of this folder, from the ledger's thread.
 *
 * The peak costs O(1) an event: a new highest sum only advances peak_epoch. A record's peak_* are
 * its values at the peak of the epoch it carries; when that is not the present one, the record has
 * not changed since the present peak, so its current_* are its values at the peak. Each function
 * that changes current_* therefore saves first.
 *
 * Equations (until a sum stops at UINT64_MAX), over every record and over the totals:
 *     total_x = current_x + released_x + ended_x        for x in bytes, blocks
 *     sum over records of x = totals.x                  for every x they share, peak_x included
 * and those of the histograms, see counters.h.
 */
#ifndef LEDGER_SITES_H
#define LEDGER_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/error.h"

enum { SITES_CHUNK = 512 };

struct site_record;

struct sites {
	struct site_record **chunks; /* NULL where no site of the chunk was seen */
	size_t chunk_count;
	size_t chunk_capacity;
	size_t chunks_used;
	uint32_t count; /* ids seen are below it */
	uint64_t peak_epoch;
	bool peak_was_reset;
	struct total_counters totals;
	struct histogram_counters histograms;
};

void sites_init(struct sites *sites);
void sites_deinit(struct sites *sites);

/* What sites_prepare does where the record is not there yet. */
struct error *sites_make(struct sites *sites, uint32_t site);

/*
 * Makes the record of a site, after which the functions below may name it. Errors: no memory; bad
 * input for UINT32_MAX, which is no dense id.
 */
static inline struct error *sites_prepare(struct sites *sites, uint32_t site)
{
	if (site < sites->count && sites->chunks[site / SITES_CHUNK])
		return NULL;
	return sites_make(sites, site);
}

/* A block's space went: current shrinks, ended grows. */
void sites_ended(struct sites *sites, uint32_t site, uint64_t size_bytes);

/* A part of such a block, whose rest is still to go. */
void sites_ended_in_part(struct sites *sites, uint32_t site, uint64_t size_bytes);

/* A call was refused. */
void sites_failed(struct sites *sites, uint32_t site);

/*
 * The present sums become the peak. A new epoch says so of every record, as no record that has not
 * changed since then need be touched.
 */
void sites_reset_peak(struct sites *sites, uint64_t time_ns);

/* The figures of a site with peak_* brought up to date; zeroes for a site never seen. */
struct site_counters sites_get(const struct sites *sites, uint32_t site);

/* What a site holds now; zeroes for a site never seen. */
void sites_current(const struct sites *sites, uint32_t site, uint64_t *bytes_ret,
		   uint64_t *blocks_ret);

uint64_t sites_memory_bytes(const struct sites *sites);

/* Verifies the equations above. For tests. */
struct error *sites_check(const struct sites *sites);

#endif
