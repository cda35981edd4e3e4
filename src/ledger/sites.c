/* SPDX-License-Identifier: MIT */
#include "ledger/sites.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "ledger/sites_change.h"
#include "ledger/sum.h"

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
	size_t bytes = SITES_CHUNK * sizeof **chunk;
	struct site_record *records = aligned_alloc(CACHE_LINE_BYTES, bytes);
	if (!records)
		return error_no_memory();
	memset(records, 0, bytes);
	/* A site born later was empty at every earlier peak, which epoch 0 and zeroes say. */
	*chunk = records;
	sites->chunks_used++;
	return NULL;
}

struct error *sites_make(struct sites *sites, uint32_t site)
{
	if (site == UINT32_MAX)
		return error_new(ERROR_BAD_INPUT, "site %u is beyond the last possible one", site);
	size_t need = site / SITES_CHUNK + (size_t)1;
	if (!array_reserve(&sites->chunks, &sites->chunk_capacity, need, sizeof *sites->chunks))
		return error_no_memory();
	while (sites->chunk_count < need)
		sites->chunks[sites->chunk_count++] = NULL;
	struct site_record **chunk = &sites->chunks[site / SITES_CHUNK];
	struct error *err = *chunk ? NULL : chunk_allocate(sites, chunk);
	if (err)
		return err;
	if (site >= sites->count)
		sites->count = site + 1;
	return NULL;
}

void sites_ended_in_part(struct sites *sites, uint32_t site, uint64_t size_bytes)
{
	struct site_record *one = sites_record_to_change(sites, site);
	sum_subtract(&one->current_bytes, size_bytes);
	sum_add(&one->ended_bytes, size_bytes);
	struct total_counters *all = &sites->totals;
	sum_subtract(&all->current_bytes, size_bytes);
	sum_add(&all->ended_bytes, size_bytes);
}

void sites_ended(struct sites *sites, uint32_t site, uint64_t size_bytes)
{
	sites_ended_in_part(sites, site, size_bytes);
	sites_record_of(sites, site)->ended_blocks++;
	sites->totals.current_blocks--;
	sites->totals.ended_blocks++;
}

void sites_failed(struct sites *sites, uint32_t site)
{
	sites_record_of(sites, site)->failed_calls++;
	sites->totals.failed_calls++;
}

void sites_reset_peak(struct sites *sites, uint64_t time_ns)
{
	struct total_counters *all = &sites->totals;
	all->peak_bytes = all->current_bytes;
	all->peak_blocks = all->current_blocks;
	all->peak_at_ns = time_ns;
	sites->peak_was_reset = true;
	sites->peak_epoch++;
}

struct site_counters sites_get(const struct sites *sites, uint32_t site)
{
	if (site >= sites->count || !sites->chunks[site / SITES_CHUNK])
		return (struct site_counters){0};
	const struct site_record *record = sites_record_of(sites, site);
	bool saved = record->epoch == sites->peak_epoch;
	return (struct site_counters){
		.current_bytes = record->current_bytes,
		.current_blocks = sites_current_blocks(record),
		.total_bytes = record->total_bytes,
		.total_blocks = record->total_blocks,
		.released_bytes = record->released_bytes,
		.released_blocks = record->released_blocks,
		.ended_bytes = record->ended_bytes,
		.ended_blocks = record->ended_blocks,
		.peak_bytes = saved ? record->peak_bytes : record->current_bytes,
		.peak_blocks = saved ? record->peak_blocks : sites_current_blocks(record),
		.largest_bytes = record->largest_bytes,
		.temporary_blocks = record->temporary_blocks,
		.lifetime_ns = record->lifetime_ns,
		.failed_calls = record->failed_calls,
	};
}

void sites_current(const struct sites *sites, uint32_t site, uint64_t *bytes_ret,
		   uint64_t *blocks_ret)
{
	bool known = site < sites->count && sites->chunks[site / SITES_CHUNK];
	const struct site_record *record = known ? sites_record_of(sites, site) : NULL;
	*bytes_ret = record ? record->current_bytes : 0;
	*blocks_ret = record ? sites_current_blocks(record) : 0;
}

uint64_t sites_memory_bytes(const struct sites *sites)
{
	return sites->chunk_capacity * sizeof *sites->chunks +
	       sites->chunks_used * SITES_CHUNK * sizeof(struct site_record);
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

static struct class_counters sum_of(const struct class_counters *classes, size_t count)
{
	struct class_counters sum = {0};
	for (size_t i = 0; i < count; i++) {
		sum_add(&sum.bytes, classes[i].bytes);
		sum.blocks += classes[i].blocks;
	}
	return sum;
}

static struct error *check_histograms(const struct sites *sites)
{
	const struct total_counters *all = &sites->totals;
	struct class_counters made = sum_of(sites->histograms.sizes, SIZE_POWER_COUNT);
	struct class_counters released = sum_of(sites->histograms.lifetimes, LIFETIME_CLASS_COUNT);
	bool bytes_hold = all->total_bytes == UINT64_MAX ||
			  (made.bytes == all->total_bytes && released.bytes == all->released_bytes);
	if (!bytes_hold || made.blocks != all->total_blocks ||
	    released.blocks != all->released_blocks)
		return error_new(ERROR_BAD_INPUT,
				 "sites: the histograms do not add up to the totals");
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
	struct error *err = check_equal(&sums, all);
	return err ? err : check_histograms(sites);
}
