/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "snapshot/frames.h"
#include "snapshot/strings.h"
#include "snapshot/sum.h"
#include "snapshot/timeline.h"

struct error *snapshot_create(struct snapshot **ret)
{
	_cleanup_free_ struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	_cleanup_free_ struct snapshot_strings *strings = calloc(1, sizeof *strings);
	_cleanup_free_ struct snapshot_frame_index *frame_index = calloc(1, sizeof *frame_index);
	if (!snapshot || !strings || !frame_index)
		return error_no_memory();
	snapshot->part_count = 1;
	snapshot->strings = take_ptr(strings);
	snapshot->frame_index = take_ptr(frame_index);
	*ret = take_ptr(snapshot);
	return NULL;
}

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	strings_deinit(snapshot->strings);
	free(snapshot->strings);
	frames_deinit(snapshot->frame_index);
	free(snapshot->frame_index);
	free(snapshot->command);
	free(snapshot->frames);
	free(snapshot->stacks);
	free(snapshot->sites);
	free(snapshot->processes);
	free(snapshot->probes);
	free(snapshot->blind_modules);
	free(snapshot->timeline);
	free(snapshot->detail_points);
	free(snapshot->detail_sites);
	free(snapshot->marks);
	free(snapshot->modules);
	free(snapshot->source_lines);
	kept_deinit(&snapshot->kept);
	snapshot_destroy(snapshot->mappings);
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
	uint32_t index;
	struct error *err = frames_intern(snapshot, frame, &index);
	if (err)
		return err;
	return append(&snapshot->stacks, &snapshot->stack_count, &snapshot->stack_capacity, &index,
		      sizeof index);
}

struct error *snapshot_repeat_frames(struct snapshot *snapshot, size_t first, size_t count)
{
	size_t end = snapshot->stack_count;
	if (!array_reserve(&snapshot->stacks, &snapshot->stack_capacity, end + count,
			   sizeof *snapshot->stacks))
		return error_no_memory();
	if (count)
		memcpy(snapshot->stacks + end, snapshot->stacks + first,
		       count * sizeof *snapshot->stacks);
	snapshot->stack_count = end + count;
	return NULL;
}

struct error *snapshot_add_site(struct snapshot *snapshot, const struct snapshot_site *site)
{
	struct snapshot_site added = *site;
	const struct snapshot_site *last =
		snapshot->site_count ? &snapshot->sites[snapshot->site_count - 1] : NULL;
	added.first_frame = last ? last->first_frame + last->frame_count : 0;
	added.frame_count = snapshot->stack_count - added.first_frame;
	return append(&snapshot->sites, &snapshot->site_count, &snapshot->site_capacity, &added,
		      sizeof added);
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

struct error *snapshot_add_detail_site(struct snapshot *snapshot,
				       const struct snapshot_detail_site *one)
{
	return append(&snapshot->detail_sites, &snapshot->detail_site_count,
		      &snapshot->detail_site_capacity, one, sizeof *one);
}

struct error *snapshot_add_detail_point(struct snapshot *snapshot,
					const struct snapshot_detail_point *point)
{
	struct snapshot_detail_point added = *point;
	const struct snapshot_detail_point *last =
		snapshot->detail_point_count
			? &snapshot->detail_points[snapshot->detail_point_count - 1]
			: NULL;
	added.first_site = last ? last->first_site + last->site_count : 0;
	added.site_count = snapshot->detail_site_count - added.first_site;
	return append(&snapshot->detail_points, &snapshot->detail_point_count,
		      &snapshot->detail_point_capacity, &added, sizeof added);
}

struct error *snapshot_add_mark(struct snapshot *snapshot, const struct snapshot_mark *mark)
{
	return append(&snapshot->marks, &snapshot->mark_count, &snapshot->mark_capacity, mark,
		      sizeof *mark);
}

const struct snapshot_mark *snapshot_last_reset(const struct snapshot *snapshot)
{
	for (size_t i = snapshot->mark_count; i-- > 0;)
		if (snapshot->marks[i].kind == SNAPSHOT_MARK_PEAK_RESET)
			return &snapshot->marks[i];
	return NULL;
}

struct error *snapshot_add_module(struct snapshot *snapshot, const struct snapshot_module *module)
{
	return append(&snapshot->modules, &snapshot->module_count, &snapshot->module_capacity,
		      module, sizeof *module);
}

struct error *snapshot_add_source_line(struct snapshot *snapshot,
				       const struct snapshot_source_line *line)
{
	return append(&snapshot->source_lines, &snapshot->source_line_count,
		      &snapshot->source_line_capacity, line, sizeof *line);
}

/* Sums that have stopped at UINT64_MAX say nothing any more. */
static bool reach_holds(const struct site_counters *c)
{
	unsigned __int128 bytes = c->unreachable.direct_bytes,
			  blocks = c->unreachable.direct_blocks;
	bytes += c->unreachable.indirect_bytes;
	blocks += c->unreachable.indirect_blocks;
	return (c->total_bytes == UINT64_MAX || bytes <= c->current_bytes + c->ended_bytes) &&
	       (c->total_blocks == UINT64_MAX || blocks <= c->current_blocks + c->ended_blocks);
}

static struct error *check_site(const struct snapshot *snapshot, size_t i)
{
	const struct snapshot_site *site = &snapshot->sites[i];
	const struct site_counters *c = &site->counters;
	if (site->frame_count > snapshot->stack_count ||
	    site->first_frame > snapshot->stack_count - site->frame_count)
		return error_new(ERROR_BAD_INPUT, "snapshot: the frames of site %zu are outside",
				 i);
	if (site->process != SNAPSHOT_NO_PROCESS && site->process >= snapshot->process_count)
		return error_new(ERROR_BAD_INPUT, "snapshot: the process of site %zu is unknown",
				 i);
	if (c->total_bytes != UINT64_MAX &&
	    c->total_bytes != c->current_bytes + c->released_bytes + c->ended_bytes)
		return error_new(ERROR_BAD_INPUT, "snapshot: the bytes of site %zu", i);
	if (c->total_blocks != UINT64_MAX &&
	    c->total_blocks != c->current_blocks + c->released_blocks + c->ended_blocks)
		return error_new(ERROR_BAD_INPUT, "snapshot: the blocks of site %zu", i);
	if (!reach_holds(c))
		return error_new(ERROR_BAD_INPUT,
				 "snapshot: more of site %zu is unreachable than was there", i);
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

static struct error *check_references(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->stack_count; i++)
		if (snapshot->stacks[i] >= snapshot->frame_count)
			return error_new(ERROR_BAD_INPUT, "snapshot: a stack names frame %u of %zu",
					 snapshot->stacks[i], snapshot->frame_count);
	for (size_t i = 0; i < snapshot->process_count; i++)
		if (snapshot->processes[i].tree >= snapshot->process_count)
			return error_new(ERROR_BAD_INPUT, "snapshot: the tree of process %zu", i);
	return NULL;
}

struct error *snapshot_check(const struct snapshot *snapshot)
{
	struct site_counters sums = {0};
	struct error *references = check_references(snapshot);
	if (!references)
		references = timeline_check_details(snapshot);
	if (references)
		return references;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct error *err = check_site(snapshot, i);
		if (err)
			return err;
		sum_site(&sums, &snapshot->sites[i].counters);
	}
	bool bytes_hold = bytes_agree(&sums, &snapshot->totals);
	if (memcmp(&sums.unreachable, &snapshot->totals.unreachable, sizeof sums.unreachable) != 0)
		return error_new(ERROR_BAD_INPUT,
				 "snapshot: what is unreachable does not add up to its total");
	if (!bytes_hold || !blocks_agree(&sums, &snapshot->totals))
		return error_new(ERROR_BAD_INPUT,
				 "snapshot: the %s of the sites do not add up to the totals",
				 bytes_hold ? "blocks" : "bytes");
	return kept_check(snapshot);
}
