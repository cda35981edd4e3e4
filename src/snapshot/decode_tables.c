/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "snapshot/decoder.h"
#include "snapshot/frames.h"
#include "snapshot/sum.h"

static struct error *read_strings(struct decoder *decoder)
{
	const struct section *section = &decoder->sections[LAYOUT_STRINGS];
	const char *next = (const char *)section->records, *end = next + section->count;
	if (section->count && end[-1])
		return decoder_damaged("its strings have no end");
	size_t capacity = 0;
	while (next < end) {
		struct error *err = NULL;
		if (!array_reserve(&decoder->strings, &capacity, decoder->string_count + 1,
				   sizeof *decoder->strings))
			return error_no_memory();
		const char *kept = snapshot_string(decoder->snapshot, next, &err);
		if (err)
			return err;
		decoder->strings[decoder->string_count++] = kept;
		next += strlen(next) + 1;
	}
	return NULL;
}

static void get_totals(struct record *record, struct total_counters *t)
{
	t->current_bytes = get_u64(record);
	t->current_blocks = get_u64(record);
	t->peak_bytes = get_u64(record);
	t->peak_blocks = get_u64(record);
	t->peak_at_ns = get_u64(record);
	t->total_bytes = get_u64(record);
	t->total_blocks = get_u64(record);
	t->released_bytes = get_u64(record);
	t->released_blocks = get_u64(record);
	t->ended_bytes = get_u64(record);
	t->ended_blocks = get_u64(record);
	t->temporary_blocks = get_u64(record);
	t->failed_calls = get_u64(record);
	t->unknown_releases = get_u64(record);
	t->inherited_releases = get_u64(record);
	t->null_releases = get_u64(record);
	t->implied_releases = get_u64(record);
	t->events = get_u64(record);
}

static void get_counters(struct record *record, struct site_counters *c)
{
	c->current_bytes = get_u64(record);
	c->current_blocks = get_u64(record);
	c->total_bytes = get_u64(record);
	c->total_blocks = get_u64(record);
	c->released_bytes = get_u64(record);
	c->released_blocks = get_u64(record);
	c->ended_bytes = get_u64(record);
	c->ended_blocks = get_u64(record);
	c->peak_bytes = get_u64(record);
	c->peak_blocks = get_u64(record);
	c->largest_bytes = get_u64(record);
	c->temporary_blocks = get_u64(record);
	c->lifetime_ns = get_u64(record);
	c->failed_calls = get_u64(record);
}

static struct error *read_session(struct decoder *decoder)
{
	struct snapshot *s = decoder->snapshot;
	struct record record = record_at(decoder, LAYOUT_SESSION, 0);
	uint32_t origin = get_u32(&record);
	s->pid = get_u32(&record);
	s->depth = get_u32(&record);
	s->part_count = get_u32(&record);
	s->started_unix_ns = (int64_t)get_u64(&record);
	s->duration_ns = get_u64(&record);
	get_totals(&record, &s->totals);
	s->lost_events = get_u64(&record);
	s->truncated_stacks = get_u64(&record);
	s->incomplete_stacks = get_u64(&record);
	s->cost.target_stopped_ns = get_u64(&record);
	s->cost.stops = get_u64(&record);
	s->cost.install_freeze_ns = get_u64(&record);
	s->cost.remove_freeze_ns = get_u64(&record);
	s->cost.tracer_cpu_ns = get_u64(&record);
	s->cost.tracer_rss_bytes = get_u64(&record);
	s->machine.host = get_string(&record);
	s->machine.system = get_string(&record);
	s->machine.architecture = get_string(&record);
	s->machine.producer = get_string(&record);
	if (origin > SNAPSHOT_ATTACH || !s->part_count)
		return decoder_damaged("its session");
	s->origin = (enum snapshot_origin)origin;
	return NULL;
}

static struct error *read_command(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	size_t count = records_of(decoder, LAYOUT_COMMAND);
	snapshot->command = calloc(count + 1, sizeof *snapshot->command);
	if (!snapshot->command)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_COMMAND, i);
		snapshot->command[i] = get_string(&record);
		if (!snapshot->command[i])
			return decoder_damaged("its command");
		snapshot->command_count++;
	}
	return NULL;
}

static struct error *read_processes(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_PROCESSES); i++) {
		struct record record = record_at(decoder, LAYOUT_PROCESSES, i);
		struct snapshot_process process = {0};
		process.pid = get_u32(&record);
		process.parent = get_u32(&record);
		process.tree = get_u32(&record);
		process.command = get_string(&record);
		process.engine = get_string(&record);
		process.exit_status = (int32_t)get_u32(&record);
		process.signal = (int32_t)get_u32(&record);
		uint32_t flags = get_u32(&record);
		process.exited = flags & LAYOUT_PROCESS_EXITED;
		process.signalled = flags & LAYOUT_PROCESS_SIGNALLED;
		struct error *err = snapshot_add_process(decoder->snapshot, &process);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_probes(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_PROBES); i++) {
		struct record record = record_at(decoder, LAYOUT_PROBES, i);
		struct snapshot_probe probe = {0};
		probe.pid = get_u32(&record);
		probe.function = get_string(&record);
		probe.module = get_string(&record);
		probe.kind = get_string(&record);
		probe.reason = get_string(&record);
		struct error *err = snapshot_add_probe(decoder->snapshot, &probe);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_modules(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_MODULES); i++) {
		struct record record = record_at(decoder, LAYOUT_MODULES, i);
		struct snapshot_module module = {0};
		module.path = get_string(&record);
		module.build_id = get_string(&record);
		struct error *err = snapshot_add_module(decoder->snapshot, &module);
		if (err)
			return err;
	}
	for (size_t i = 0; i < records_of(decoder, LAYOUT_BLIND_MODULES); i++) {
		struct record record = record_at(decoder, LAYOUT_BLIND_MODULES, i);
		struct snapshot_blind_module blind = {0};
		blind.module = get_string(&record);
		blind.build_id = get_string(&record);
		blind.sites = get_u64(&record);
		struct error *err = snapshot_add_blind_module(decoder->snapshot, &blind);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_frames(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_FRAMES); i++) {
		struct record record = record_at(decoder, LAYOUT_FRAMES, i);
		struct snapshot_frame frame = {0};
		uint32_t index;
		frame.file = get_string(&record);
		frame.label = get_string(&record);
		frame.function = get_string(&record);
		frame.linkage = get_string(&record);
		frame.module = get_string(&record);
		frame.line = get_u32(&record);
		frame.offset = get_u64(&record);
		frame.inlined = get_u32(&record) & LAYOUT_FRAME_INLINED;
		struct error *err = frames_intern(decoder->snapshot, &frame, &index);
		if (err)
			return err;
		if (index != i)
			return decoder_damaged("a frame stands twice");
	}
	return NULL;
}

static struct error *read_stacks(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	size_t count = records_of(decoder, LAYOUT_STACKS);
	if (!array_reserve(&snapshot->stacks, &snapshot->stack_capacity, count,
			   sizeof *snapshot->stacks))
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_STACKS, i);
		snapshot->stacks[i] = get_u32(&record);
	}
	snapshot->stack_count = count;
	return NULL;
}

/* Each site's stack follows that of the site before it; snapshot_check sees what lies outside. */
static struct error *read_sites(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	size_t count = records_of(decoder, LAYOUT_SITES), first = 0;
	if (!array_reserve(&snapshot->sites, &snapshot->site_capacity, count,
			   sizeof *snapshot->sites))
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_SITES, i);
		struct snapshot_site *site = &snapshot->sites[i];
		*site = (struct snapshot_site){.first_frame = first};
		site->frame_count = get_u32(&record);
		site->process = get_u32(&record);
		site->truncated = get_u32(&record) & LAYOUT_SITE_TRUNCATED;
		get_counters(&record, &site->counters);
		first += site->frame_count;
	}
	snapshot->site_count = count;
	return first == snapshot->stack_count ? NULL : decoder_damaged("its stacks");
}

static struct error *read_timeline(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_TIMELINE); i++) {
		struct record record = record_at(decoder, LAYOUT_TIMELINE, i);
		struct snapshot_timeline_point point = {0};
		point.time_ns = get_u64(&record);
		point.current_bytes = get_u64(&record);
		point.current_blocks = get_u64(&record);
		struct error *err = snapshot_add_timeline_point(decoder->snapshot, &point);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_marks(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_MARKS); i++) {
		struct record record = record_at(decoder, LAYOUT_MARKS, i);
		struct snapshot_mark mark = {0};
		uint32_t kind = get_u32(&record);
		mark.name = get_string(&record);
		mark.time_ns = get_u64(&record);
		mark.current_bytes = get_u64(&record);
		if (kind > SNAPSHOT_MARK_TAKEN)
			return decoder_damaged("its marks");
		mark.kind = (enum snapshot_mark_kind)kind;
		struct error *err = snapshot_add_mark(decoder->snapshot, &mark);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_source(struct decoder *decoder)
{
	for (size_t i = 0; i < records_of(decoder, LAYOUT_SOURCE); i++) {
		struct record record = record_at(decoder, LAYOUT_SOURCE, i);
		struct snapshot_source_line line = {0};
		line.file = get_string(&record);
		line.text = get_string(&record);
		line.line = get_u32(&record);
		if (!line.file || !line.text)
			return decoder_damaged("its source text");
		struct error *err = snapshot_add_source_line(decoder->snapshot, &line);
		if (err)
			return err;
	}
	snapshot_sort_source(decoder->snapshot);
	return NULL;
}

static struct error *read_detail_sites(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	size_t count = records_of(decoder, LAYOUT_DETAIL_SITES);
	if (!array_reserve(&snapshot->detail_sites, &snapshot->detail_site_capacity, count,
			   sizeof *snapshot->detail_sites))
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_DETAIL_SITES, i);
		struct snapshot_detail_site *site = &snapshot->detail_sites[i];
		site->site = get_u32(&record);
		site->bytes = get_u64(&record);
		site->blocks = get_u64(&record);
	}
	snapshot->detail_site_count = count;
	return NULL;
}

/* Each point's sites follow those of the point before it; snapshot_check sees what lies outside. */
static struct error *read_details(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	size_t count = records_of(decoder, LAYOUT_DETAIL_POINTS), first = 0;
	if (!array_reserve(&snapshot->detail_points, &snapshot->detail_point_capacity, count,
			   sizeof *snapshot->detail_points))
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_DETAIL_POINTS, i);
		struct snapshot_detail_point *point = &snapshot->detail_points[i];
		point->first_site = first;
		point->time_ns = get_u64(&record);
		point->current_bytes = get_u64(&record);
		point->current_blocks = get_u64(&record);
		point->site_count = get_u32(&record);
		first += point->site_count;
	}
	snapshot->detail_point_count = count;
	if (first != records_of(decoder, LAYOUT_DETAIL_SITES))
		return decoder_damaged("the details of its timeline");
	return read_detail_sites(decoder);
}

static struct error *read_scan(struct decoder *decoder)
{
	struct snapshot_scan *scan = &decoder->snapshot->scan;
	size_t count = records_of(decoder, LAYOUT_SCAN);
	if (count > 1 || (!count && decoder->sections[LAYOUT_SCAN].found))
		return decoder_damaged("its look for unreachable blocks");
	if (!count)
		return NULL;
	struct record record = record_at(decoder, LAYOUT_SCAN, 0);
	scan->looked_at = get_u32(&record);
	scan->missed = get_u32(&record);
	scan->blocks = get_u64(&record);
	scan->frozen_ns = get_u64(&record);
	if (!snapshot_scan_was_made(scan))
		return decoder_damaged("its look for unreachable blocks");
	return NULL;
}

static struct error *read_lost(struct decoder *decoder)
{
	struct snapshot *snapshot = decoder->snapshot;
	uint32_t next = 0;
	if (decoder->sections[LAYOUT_UNREACHABLE].found != decoder->sections[LAYOUT_SCAN].found)
		return decoder_damaged("a section is missing");
	for (size_t i = 0; i < records_of(decoder, LAYOUT_UNREACHABLE); i++) {
		struct record record = record_at(decoder, LAYOUT_UNREACHABLE, i);
		uint32_t site = get_u32(&record);
		if (site < next || site >= snapshot->site_count)
			return decoder_damaged("its unreachable blocks");
		next = site + 1;
		struct reach_counters *counters = &snapshot->sites[site].counters.unreachable;
		counters->direct_bytes = get_u64(&record);
		counters->direct_blocks = get_u64(&record);
		counters->indirect_bytes = get_u64(&record);
		counters->indirect_blocks = get_u64(&record);
		if (!counters->direct_blocks && !counters->indirect_blocks)
			return decoder_damaged("its unreachable blocks");
	}
	for (size_t i = 0; i < snapshot->site_count; i++)
		sum_reach(&snapshot->totals.unreachable, &snapshot->sites[i].counters.unreachable);
	return NULL;
}

static struct error *read_heap(struct decoder *decoder)
{
	struct snapshot_heap *heap = &decoder->snapshot->heap;
	size_t count = records_of(decoder, LAYOUT_HEAP);
	if (count != decoder->sections[LAYOUT_HEAP].found)
		return decoder_damaged("its heap");
	if (!count)
		return NULL;
	struct record record = record_at(decoder, LAYOUT_HEAP, 0);
	uint32_t flags = get_u32(&record);
	*heap = (struct snapshot_heap){.measured = true,
				       .before_known = flags & LAYOUT_HEAP_BEFORE_KNOWN,
				       .known = flags & LAYOUT_HEAP_KNOWN};
	heap->before_bytes = get_u64(&record);
	heap->before_blocks = get_u64(&record);
	heap->before_heap_bytes = get_u64(&record);
	heap->heap_bytes = get_u64(&record);
	heap->used_bytes = get_u64(&record);
	heap->used_blocks = get_u64(&record);
	heap->free_bytes = get_u64(&record);
	heap->overhead_bytes = get_u64(&record);
	heap->resident_bytes = get_u64(&record);
	return NULL;
}

static struct error *read_inner_pids(struct decoder *decoder)
{
	size_t count = records_of(decoder, LAYOUT_INNER_PIDS);
	if (count && count != decoder->snapshot->process_count)
		return decoder_damaged("its pid namespaces");
	for (size_t i = 0; i < count; i++) {
		struct record record = record_at(decoder, LAYOUT_INNER_PIDS, i);
		decoder->snapshot->processes[i].inner_pid = get_u32(&record);
	}
	return NULL;
}

struct error *decoder_read_tables(struct decoder *decoder)
{
	static struct error *(*const readers[])(struct decoder * decoder) = {
		read_strings, read_session, read_command,    read_processes, read_probes,
		read_modules, read_frames,  read_stacks,     read_sites,     read_timeline,
		read_source,  read_details, decode_kept,     read_scan,	     read_lost,
		read_heap,    read_marks,   read_inner_pids,
	};
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
		struct error *err = readers[i](decoder);
		if (err)
			return err;
	}
	return NULL;
}
