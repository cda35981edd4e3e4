/* SPDX-License-Identifier: MIT */
/*
 * What an event changes in the books (sites.h), as a part of what is compiled here.
 *
 * Owns: the shape of a site's record. Called by: ledger.c and sites.c, from the ledger's thread.
 */
#ifndef LEDGER_SITES_CHANGE_H
#define LEDGER_SITES_CHANGE_H

#include "ledger/sites.h"
#include "ledger/sum.h"

enum { CACHE_LINE_BYTES = 64 };

/* Two cache lines: what nearly every event changes, and the rest. Named as in site_counters. */
struct site_record {
	uint64_t current_bytes;
	uint64_t total_bytes;
	uint64_t total_blocks;
	uint64_t released_bytes;
	uint64_t released_blocks;
	uint64_t lifetime_ns;
	uint64_t largest_bytes;
	uint64_t epoch; /* of peak_* */

	uint64_t peak_bytes;
	uint64_t peak_blocks;
	uint64_t temporary_blocks;
	uint64_t ended_bytes;
	uint64_t ended_blocks;
	uint64_t failed_calls;
} __attribute__((aligned(CACHE_LINE_BYTES)));

static inline struct site_record *sites_record_of(const struct sites *sites, uint32_t site)
{
	return &sites->chunks[site / SITES_CHUNK][site % SITES_CHUNK];
}

/* Not kept: blocks are counted one by one, so their sums cannot stop and the equation holds. */
static inline uint64_t sites_current_blocks(const struct site_record *record)
{
	return record->total_blocks - record->released_blocks - record->ended_blocks;
}

/* The record of a site that is about to change. */
static inline struct site_record *sites_record_to_change(struct sites *sites, uint32_t site)
{
	struct site_record *record = sites_record_of(sites, site);
	if (record->epoch != sites->peak_epoch) {
		record->peak_bytes = record->current_bytes;
		record->peak_blocks = sites_current_blocks(record);
		record->epoch = sites->peak_epoch;
	}
	return record;
}

/* Bytes and blocks apart, not read from the totals again: see live_bucket.h of waiting for stores.
 */
static inline void sites_consider_peak(struct sites *sites, uint64_t bytes, uint64_t blocks,
				       uint64_t time_ns)
{
	struct total_counters *all = &sites->totals;
	if (bytes <= all->peak_bytes)
		return;
	all->peak_bytes = bytes;
	all->peak_blocks = blocks;
	all->peak_at_ns = time_ns;
	sites->peak_epoch++;
}

static inline void sites_count_in(struct class_counters *one, uint64_t size_bytes)
{
	sum_add(&one->bytes, size_bytes);
	one->blocks++;
}

/*
 * A block came at time_ns: current and total grow, and that may be the highest sum so far (the
 * first of equals counts). What else the same event does to the sums was done before.
 */
static inline void sites_created(struct sites *sites, uint32_t site, uint64_t size_bytes,
				 uint64_t time_ns)
{
	struct site_record *one = sites_record_to_change(sites, site);
	sum_add(&one->current_bytes, size_bytes);
	sum_add(&one->total_bytes, size_bytes);
	one->total_blocks++;
	if (size_bytes > one->largest_bytes)
		one->largest_bytes = size_bytes;
	struct total_counters *all = &sites->totals;
	uint64_t bytes = all->current_bytes;
	sum_add(&bytes, size_bytes);
	sum_add(&all->total_bytes, size_bytes);
	uint64_t blocks = all->current_blocks + 1;
	all->current_bytes = bytes;
	all->current_blocks = blocks;
	all->total_blocks++;
	sites_count_in(&sites->histograms.sizes[size_power_of(size_bytes)], size_bytes);
	sites_consider_peak(sites, bytes, blocks, time_ns);
}

/* A block went after lifetime_ns: current shrinks, released grows. */
static inline void sites_released(struct sites *sites, uint32_t site, uint64_t size_bytes,
				  uint64_t lifetime_ns, bool temporary)
{
	struct site_record *one = sites_record_to_change(sites, site);
	sum_subtract(&one->current_bytes, size_bytes);
	sum_add(&one->released_bytes, size_bytes);
	sum_add(&one->lifetime_ns, lifetime_ns);
	one->released_blocks++;
	struct total_counters *all = &sites->totals;
	sum_subtract(&all->current_bytes, size_bytes);
	sum_add(&all->released_bytes, size_bytes);
	all->current_blocks--;
	all->released_blocks++;
	sites_count_in(&sites->histograms.lifetimes[lifetime_class_of(lifetime_ns)], size_bytes);
	if (temporary) {
		one->temporary_blocks++;
		all->temporary_blocks++;
	}
}

/* A part of a block went, which lives on: bytes as sites_released. */
static inline void sites_shrunk(struct sites *sites, uint32_t site, uint64_t size_bytes,
				uint64_t lifetime_ns)
{
	struct site_record *one = sites_record_to_change(sites, site);
	sum_subtract(&one->current_bytes, size_bytes);
	sum_add(&one->released_bytes, size_bytes);
	struct total_counters *all = &sites->totals;
	sum_subtract(&all->current_bytes, size_bytes);
	sum_add(&all->released_bytes, size_bytes);
	sum_add(&sites->histograms.lifetimes[lifetime_class_of(lifetime_ns)].bytes, size_bytes);
}

#endif
