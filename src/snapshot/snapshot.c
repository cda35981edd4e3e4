/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "snapshot/strings.h"
#include "snapshot/sum.h"

struct error *snapshot_create(struct snapshot **ret)
{
	_cleanup_free_ struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	if (!snapshot)
		return error_no_memory();
	snapshot->strings = calloc(1, sizeof *snapshot->strings);
	if (!snapshot->strings)
		return error_no_memory();
	*ret = take_ptr(snapshot);
	return NULL;
}

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	strings_deinit(snapshot->strings);
	free(snapshot->strings);
	free(snapshot->command);
	free(snapshot->frames);
	free(snapshot->sites);
	free(snapshot->processes);
	free(snapshot->probes);
	free(snapshot->blind_modules);
	free(snapshot->timeline);
	free(snapshot);
}

const char *snapshot_string(struct snapshot *snapshot, const char *string, struct error **err_ret)
{
	if (!string || *err_ret)
		return NULL;
	const char *kept = strings_intern(snapshot->strings, string);
	if (!kept)
		*err_ret = error_no_memory();
	return kept;
}

static struct error *append(void *items_pointer, size_t *count, size_t *capacity, const void *item,
			    size_t item_bytes)
{
	if (!array_reserve(items_pointer, capacity, *count + 1, item_bytes))
		return error_no_memory();
	char *items;
	memcpy(&items, items_pointer, sizeof items);
	memcpy(items + *count * item_bytes, item, item_bytes);
	++*count;
	return NULL;
}

struct error *snapshot_add_frame(struct snapshot *snapshot, const struct snapshot_frame *frame)
{
	return append(&snapshot->frames, &snapshot->frame_count, &snapshot->frame_capacity, frame,
		      sizeof *frame);
}

struct error *snapshot_add_site(struct snapshot *snapshot, const struct snapshot_site *site)
{
	return append(&snapshot->sites, &snapshot->site_count, &snapshot->site_capacity, site,
		      sizeof *site);
}

struct error *snapshot_add_process(struct snapshot *snapshot, const struct snapshot_process *one)
{
	return append(&snapshot->processes, &snapshot->process_count, &snapshot->process_capacity,
		      one, sizeof *one);
}

struct error *snapshot_add_probe(struct snapshot *snapshot, const struct snapshot_probe *probe)
{
	return append(&snapshot->probes, &snapshot->probe_count, &snapshot->probe_capacity, probe,
		      sizeof *probe);
}

struct error *snapshot_add_blind_module(struct snapshot *snapshot,
					const struct snapshot_blind_module *one)
{
	return append(&snapshot->blind_modules, &snapshot->blind_module_count,
		      &snapshot->blind_module_capacity, one, sizeof *one);
}

struct error *snapshot_add_timeline_point(struct snapshot *snapshot,
					  const struct snapshot_timeline_point *point)
{
	return append(&snapshot->timeline, &snapshot->timeline_count, &snapshot->timeline_capacity,
		      point, sizeof *point);
}

static struct error *check_site(const struct snapshot *snapshot, size_t i)
{
	const struct snapshot_site *site = &snapshot->sites[i];
	const struct site_counters *c = &site->counters;
	if (site->frame_count > snapshot->frame_count ||
	    site->first_frame > snapshot->frame_count - site->frame_count)
		return error_new(ERROR_BAD_INPUT, "snapshot: the frames of site %zu are outside",
				 i);
	if (c->total_bytes != UINT64_MAX &&
	    c->total_bytes != c->current_bytes + c->released_bytes + c->ended_bytes)
		return error_new(ERROR_BAD_INPUT, "snapshot: the bytes of site %zu", i);
	if (c->total_blocks != UINT64_MAX &&
	    c->total_blocks != c->current_blocks + c->released_blocks + c->ended_blocks)
		return error_new(ERROR_BAD_INPUT, "snapshot: the blocks of site %zu", i);
	return NULL;
}

/* Sums that have stopped at UINT64_MAX say nothing any more, nor do those below them. */
static bool bytes_agree(const struct site_counters *sums, const struct total_counters *all)
{
	return all->total_bytes == UINT64_MAX ||
	       (sums->current_bytes == all->current_bytes && sums->peak_bytes == all->peak_bytes &&
		sums->total_bytes == all->total_bytes &&
		sums->released_bytes == all->released_bytes &&
		sums->ended_bytes == all->ended_bytes);
}

static bool blocks_agree(const struct site_counters *sums, const struct total_counters *all)
{
	return all->total_blocks == UINT64_MAX ||
	       (sums->current_blocks == all->current_blocks &&
		sums->peak_blocks == all->peak_blocks && sums->total_blocks == all->total_blocks &&
		sums->released_blocks == all->released_blocks &&
		sums->ended_blocks == all->ended_blocks &&
		sums->temporary_blocks == all->temporary_blocks &&
		sums->failed_calls == all->failed_calls);
}

struct error *snapshot_check(const struct snapshot *snapshot)
{
	struct site_counters sums = {0};
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct error *err = check_site(snapshot, i);
		if (err)
			return err;
		sum_site(&sums, &snapshot->sites[i].counters);
	}
	bool bytes_hold = bytes_agree(&sums, &snapshot->totals);
	if (!bytes_hold || !blocks_agree(&sums, &snapshot->totals))
		return error_new(ERROR_BAD_INPUT,
				 "snapshot: the %s of the sites do not add up to the totals",
				 bytes_hold ? "blocks" : "bytes");
	return NULL;
}
