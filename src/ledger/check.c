/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "ledger/state.h"
#include "ledger/sum.h"

/* What the tables and the open resizes hold of one site. */
struct held {
	uint64_t bytes;
	uint64_t blocks;
};

static void hold(struct held *held, const struct live_block *block)
{
	sum_add(&held[block->site].bytes, block->size_bytes);
	held[block->site].blocks++;
}

static void hold_space(struct held *held, const struct space *space)
{
	size_t cursor = 0;
	struct live_block block;
	while (live_table_next(&space->blocks, &cursor, &block))
		hold(held, &block);
	cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&space->threads.by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		for (size_t i = 0; i < thread->open_count; i++)
			if (thread->open[i].block.address)
				hold(held, &thread->open[i].block);
	}
}

static struct error *check_held(const struct ledger *ledger, const struct held *held)
{
	for (uint32_t site = 0; site < ledger->sites.count; site++) {
		struct site_counters one = sites_get(&ledger->sites, site);
		bool bytes_hold =
			one.total_bytes == UINT64_MAX || one.current_bytes == held[site].bytes;
		if (!bytes_hold || one.current_blocks != held[site].blocks)
			return error_new(ERROR_BAD_INPUT,
					 "ledger: the live blocks of site %u do not add up", site);
	}
	return NULL;
}

static struct error *check_timeline(const struct ledger *ledger)
{
	uint64_t highest = 0;
	for (size_t i = 0; i < ledger->timeline.count; i++) {
		const struct ledger_point *point = &ledger->timeline.points[i];
		if (point->time_ns != (uint64_t)i << ledger->timeline.shift)
			return error_new(ERROR_BAD_INPUT, "ledger: point %zu is out of time", i);
		if (point->current_bytes > highest)
			highest = point->current_bytes;
	}
	uint64_t peak = ledger->sites.totals.peak_bytes;
	if (ledger->sites.peak_was_reset ? highest < peak : highest != peak)
		return error_new(ERROR_BAD_INPUT, "ledger: the timeline misses the peak");
	return NULL;
}

struct error *ledger_check(const struct ledger *ledger)
{
	_cleanup_free_ struct held *held = calloc(ledger->sites.count + (size_t)1, sizeof *held);
	if (!held)
		return error_no_memory();
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&ledger->spaces, &cursor))) {
		const struct space *space = entry->value;
		struct error *err = live_table_check(&space->blocks);
		if (!err)
			err = threads_check(&space->threads);
		if (err)
			return err;
		hold_space(held, space);
	}
	struct error *err = sites_check(&ledger->sites);
	if (!err)
		err = check_held(ledger, held);
	if (!err)
		err = details_check(&ledger->details);
	return err ? err : check_timeline(ledger);
}
