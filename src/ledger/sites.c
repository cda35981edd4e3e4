/* SPDX-License-Identifier: MIT */
#include "ledger/sites.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "ledger/sum.h"

enum { CHUNK_SITES = 512, CACHE_LINE_BYTES = 64 };

/* Two cache lines; what every release changes stands in the first. */
struct site_record {
	struct site_counters counters;
	uint64_t epoch; /* of counters.peak_* */
} __attribute__((aligned(CACHE_LINE_BYTES)));

void sites_init(struct sites *sites)
{
	*sites = (struct sites){0};
}

void sites_deinit(struct sites *sites)
{
	for (size_t i = 0; i < sites->chunk_count; i++)
		free(sites->chunks[i]);
	free(sites->chunks);
	*sites = (struct sites){0};
}

static struct error *chunk_allocate(struct sites *sites, struct site_record **chunk)
{
	size_t bytes = CHUNK_SITES * sizeof **chunk;
	struct site_record *records = aligned_alloc(CACHE_LINE_BYTES, bytes);
	if (!records)
		return error_no_memory();
	memset(records, 0, bytes);
	/* A site born later was empty at every earlier peak, which epoch 0 and zeroes say. */
	*chunk = records;
	sites->chunks_used++;
	return NULL;
}

struct error *sites_prepare(struct sites *sites, uint32_t site)
{
	if (site < sites->count && sites->chunks[site / CHUNK_SITES])
		return NULL;
	if (site == UINT32_MAX)
		return error_new(ERROR_BAD_INPUT, "site %u is beyond the last possible one", site);
	size_t need = site / CHUNK_SITES + (size_t)1;
	if (!array_reserve(&sites->chunks, &sites->chunk_capacity, need, sizeof *sites->chunks))
		return error_no_memory();
	while (sites->chunk_count < need)
		sites->chunks[sites->chunk_count++] = NULL;
	struct site_record **chunk = &sites->chunks[site / CHUNK_SITES];
	struct error *err = *chunk ? NULL : chunk_allocate(sites, chunk);
	if (err)
		return err;
	if (site >= sites->count)
		sites->count = site + 1;
	return NULL;
}

static struct site_record *record_of(const struct sites *sites, uint32_t site)
{
	return &sites->chunks[site / CHUNK_SITES][site % CHUNK_SITES];
}

/* The record of a site that is about to change. */
static struct site_counters *counters_to_change(struct sites *sites, uint32_t site)
{
	struct site_record *record = record_of(sites, site);
	if (record->epoch != sites->peak_epoch) {
		record->counters.peak_bytes = record->counters.current_bytes;
		record->counters.peak_blocks = record->counters.current_blocks;
		record->epoch = sites->peak_epoch;
	}
	return &record->counters;
}

void sites_created(struct sites *sites, uint32_t site, uint64_t size_bytes)
{
	struct site_counters *one = counters_to_change(sites, site);
	sum_add(&one->current_bytes, size_bytes);
	sum_add(&one->total_bytes, size_bytes);
	one->current_blocks++;
	one->total_blocks++;
	if (size_bytes > one->largest_bytes)
		one->largest_bytes = size_bytes;
	struct total_counters *all = &sites->totals;
	sum_add(&all->current_bytes, size_bytes);
	sum_add(&all->total_bytes, size_bytes);
	all->current_blocks++;
	all->total_blocks++;
}

void sites_released(struct sites *sites, uint32_t site, uint64_t size_bytes, uint64_t lifetime_ns,
		    bool temporary)
{
	struct site_counters *one = counters_to_change(sites, site);
	sum_subtract(&one->current_bytes, size_bytes);
	sum_add(&one->released_bytes, size_bytes);
	sum_add(&one->lifetime_ns, lifetime_ns);
	one->current_blocks--;
	one->released_blocks++;
	one->temporary_blocks += temporary;
	struct total_counters *all = &sites->totals;
	sum_subtract(&all->current_bytes, size_bytes);
	sum_add(&all->released_bytes, size_bytes);
	all->current_blocks--;
	all->released_blocks++;
	all->temporary_blocks += temporary;
}

void sites_ended(struct sites *sites, uint32_t site, uint64_t size_bytes)
{
	struct site_counters *one = counters_to_change(sites, site);
	sum_subtract(&one->current_bytes, size_bytes);
	sum_add(&one->ended_bytes, size_bytes);
	one->current_blocks--;
	one->ended_blocks++;
	struct total_counters *all = &sites->totals;
	sum_subtract(&all->current_bytes, size_bytes);
	sum_add(&all->ended_bytes, size_bytes);
	all->current_blocks--;
	all->ended_blocks++;
}

void sites_failed(struct sites *sites, uint32_t site)
{
	record_of(sites, site)->counters.failed_calls++;
	sites->totals.failed_calls++;
}

void sites_consider_peak(struct sites *sites, uint64_t time_ns)
{
	struct total_counters *all = &sites->totals;
	if (all->current_bytes <= all->peak_bytes)
		return;
	all->peak_bytes = all->current_bytes;
	all->peak_blocks = all->current_blocks;
	all->peak_at_ns = time_ns;
	sites->peak_epoch++;
}

struct site_counters sites_get(const struct sites *sites, uint32_t site)
{
	if (site >= sites->count || !sites->chunks[site / CHUNK_SITES])
		return (struct site_counters){0};
	const struct site_record *record = record_of(sites, site);
	struct site_counters counters = record->counters;
	if (record->epoch != sites->peak_epoch) {
		counters.peak_bytes = counters.current_bytes;
		counters.peak_blocks = counters.current_blocks;
	}
	return counters;
}

uint64_t sites_memory_bytes(const struct sites *sites)
{
	return sites->chunk_capacity * sizeof *sites->chunks +
	       sites->chunks_used * CHUNK_SITES * sizeof(struct site_record);
}

static void add_site(struct total_counters *sums, const struct site_counters *one)
{
	sum_add(&sums->current_bytes, one->current_bytes);
	sum_add(&sums->current_blocks, one->current_blocks);
	sum_add(&sums->peak_bytes, one->peak_bytes);
	sum_add(&sums->peak_blocks, one->peak_blocks);
	sum_add(&sums->total_bytes, one->total_bytes);
	sum_add(&sums->total_blocks, one->total_blocks);
	sum_add(&sums->released_bytes, one->released_bytes);
	sum_add(&sums->released_blocks, one->released_blocks);
	sum_add(&sums->ended_bytes, one->ended_bytes);
	sum_add(&sums->ended_blocks, one->ended_blocks);
	sum_add(&sums->temporary_blocks, one->temporary_blocks);
	sum_add(&sums->failed_calls, one->failed_calls);
}

/* Bytes are left out once total_bytes has stopped at its end: every other sum is below it. */
static struct error *check_equal(const struct total_counters *sums,
				 const struct total_counters *all)
{
	bool bytes_hold =
		all->total_bytes == UINT64_MAX ||
		(sums->current_bytes == all->current_bytes && sums->peak_bytes == all->peak_bytes &&
		 sums->total_bytes == all->total_bytes &&
		 sums->released_bytes == all->released_bytes &&
		 sums->ended_bytes == all->ended_bytes);
	bool blocks_hold = sums->current_blocks == all->current_blocks &&
			   sums->peak_blocks == all->peak_blocks &&
			   sums->total_blocks == all->total_blocks &&
			   sums->released_blocks == all->released_blocks &&
			   sums->ended_blocks == all->ended_blocks &&
			   sums->temporary_blocks == all->temporary_blocks &&
			   sums->failed_calls == all->failed_calls;
	if (!bytes_hold || !blocks_hold)
		return error_new(ERROR_BAD_INPUT, "sites: their %s do not add up to the totals",
				 bytes_hold ? "blocks" : "bytes");
	return NULL;
}

struct error *sites_check(const struct sites *sites)
{
	const struct total_counters *all = &sites->totals;
	struct total_counters sums = {0};
	for (uint32_t site = 0; site < sites->count; site++) {
		struct site_counters one = sites_get(sites, site);
		add_site(&sums, &one);
		if (one.total_blocks != one.current_blocks + one.released_blocks + one.ended_blocks)
			return error_new(ERROR_BAD_INPUT, "sites: blocks of site %u", site);
		if (one.total_bytes != UINT64_MAX &&
		    one.total_bytes != one.current_bytes + one.released_bytes + one.ended_bytes)
			return error_new(ERROR_BAD_INPUT, "sites: bytes of site %u", site);
	}
	if (all->peak_bytes < all->current_bytes)
		return error_new(ERROR_BAD_INPUT, "sites: the present is above the peak");
	return check_equal(&sums, all);
}
