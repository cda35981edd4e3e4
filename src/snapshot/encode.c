/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "snapshot/body.h"
#include "snapshot/encoder.h"

static void encoder_deinit(struct encoder *encoder)
{
	strings_deinit(&encoder->kept);
	map_deinit(&encoder->numbers);
	buffer_deinit(&encoder->strings);
	buffer_deinit(&encoder->rest);
}

uint32_t encoder_number(struct encoder *encoder, const char *string)
{
	const char *kept = strings_intern(&encoder->kept, string);
	uint64_t key = (uintptr_t)kept;
	uintptr_t number = kept ? (uintptr_t)map_get(&encoder->numbers, key) : 0;
	if (kept && !number) {
		number = encoder->numbers.count + 1;
		buffer_append(&encoder->strings, kept, strlen(kept) + 1);
		if (number > UINT32_MAX || !map_put(&encoder->numbers, key, (void *)number))
			number = 0;
	}
	encoder->failed |= !number;
	return (uint32_t)number;
}

static void put_totals(struct encoder *encoder, const struct total_counters *t)
{
	put_u64(encoder, t->current_bytes);
	put_u64(encoder, t->current_blocks);
	put_u64(encoder, t->peak_bytes);
	put_u64(encoder, t->peak_blocks);
	put_u64(encoder, t->peak_at_ns);
	put_u64(encoder, t->total_bytes);
	put_u64(encoder, t->total_blocks);
	put_u64(encoder, t->released_bytes);
	put_u64(encoder, t->released_blocks);
	put_u64(encoder, t->ended_bytes);
	put_u64(encoder, t->ended_blocks);
	put_u64(encoder, t->temporary_blocks);
	put_u64(encoder, t->failed_calls);
	put_u64(encoder, t->unknown_releases);
	put_u64(encoder, t->inherited_releases);
	put_u64(encoder, t->null_releases);
	put_u64(encoder, t->implied_releases);
	put_u64(encoder, t->events);
}

static void put_counters(struct encoder *encoder, const struct site_counters *c)
{
	put_u64(encoder, c->current_bytes);
	put_u64(encoder, c->current_blocks);
	put_u64(encoder, c->total_bytes);
	put_u64(encoder, c->total_blocks);
	put_u64(encoder, c->released_bytes);
	put_u64(encoder, c->released_blocks);
	put_u64(encoder, c->ended_bytes);
	put_u64(encoder, c->ended_blocks);
	put_u64(encoder, c->peak_bytes);
	put_u64(encoder, c->peak_blocks);
	put_u64(encoder, c->largest_bytes);
	put_u64(encoder, c->temporary_blocks);
	put_u64(encoder, c->lifetime_ns);
	put_u64(encoder, c->failed_calls);
}

static void put_session(struct encoder *encoder)
{
	const struct snapshot *s = encoder->snapshot;
	begin_section(&encoder->rest, LAYOUT_SESSION, 1);
	put_u32(encoder, s->origin);
	put_u32(encoder, s->pid);
	put_u32(encoder, s->depth);
	put_u32(encoder, s->part_count);
	put_u64(encoder, (uint64_t)s->started_unix_ns);
	put_u64(encoder, s->duration_ns);
	put_totals(encoder, &s->totals);
	put_u64(encoder, s->lost_events);
	put_u64(encoder, s->truncated_stacks);
	put_u64(encoder, s->incomplete_stacks);
	put_u64(encoder, s->cost.target_stopped_ns);
	put_u64(encoder, s->cost.stops);
	put_u64(encoder, s->cost.install_freeze_ns);
	put_u64(encoder, s->cost.remove_freeze_ns);
	put_u64(encoder, s->cost.tracer_cpu_ns);
	put_u64(encoder, s->cost.tracer_rss_bytes);
	put_string(encoder, s->machine.host);
	put_string(encoder, s->machine.system);
	put_string(encoder, s->machine.architecture);
	put_string(encoder, s->machine.producer);
}

static void put_command(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_COMMAND, encoder->snapshot->command_count);
	for (size_t i = 0; i < encoder->snapshot->command_count; i++)
		put_string(encoder, encoder->snapshot->command[i]);
}

static void put_processes(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_PROCESSES, encoder->snapshot->process_count);
	for (size_t i = 0; i < encoder->snapshot->process_count; i++) {
		const struct snapshot_process *one = &encoder->snapshot->processes[i];
		put_u32(encoder, one->pid);
		put_u32(encoder, one->parent);
		put_u32(encoder, one->tree);
		put_string(encoder, one->command);
		put_string(encoder, one->engine);
		put_u32(encoder, (uint32_t)one->exit_status);
		put_u32(encoder, (uint32_t)one->signal);
		put_u32(encoder, (one->exited ? LAYOUT_PROCESS_EXITED : 0u) |
					 (one->signalled ? LAYOUT_PROCESS_SIGNALLED : 0u));
	}
}

static void put_probes(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_PROBES, encoder->snapshot->probe_count);
	for (size_t i = 0; i < encoder->snapshot->probe_count; i++) {
		const struct snapshot_probe *probe = &encoder->snapshot->probes[i];
		put_u32(encoder, probe->pid);
		put_string(encoder, probe->function);
		put_string(encoder, probe->module);
		put_string(encoder, probe->kind);
		put_string(encoder, probe->reason);
	}
}

static void put_modules(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_MODULES, encoder->snapshot->module_count);
	for (size_t i = 0; i < encoder->snapshot->module_count; i++) {
		put_string(encoder, encoder->snapshot->modules[i].path);
		put_string(encoder, encoder->snapshot->modules[i].build_id);
	}
	begin_section(&encoder->rest, LAYOUT_BLIND_MODULES, encoder->snapshot->blind_module_count);
	for (size_t i = 0; i < encoder->snapshot->blind_module_count; i++) {
		put_string(encoder, encoder->snapshot->blind_modules[i].module);
		put_string(encoder, encoder->snapshot->blind_modules[i].build_id);
		put_u64(encoder, encoder->snapshot->blind_modules[i].sites);
	}
}

static void put_frames(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_FRAMES, encoder->snapshot->frame_count);
	for (size_t i = 0; i < encoder->snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &encoder->snapshot->frames[i];
		put_string(encoder, frame->file);
		put_string(encoder, frame->label);
		put_string(encoder, frame->function);
		put_string(encoder, frame->linkage);
		put_string(encoder, frame->module);
		put_u32(encoder, frame->line);
		put_u64(encoder, frame->offset);
		put_u32(encoder, frame->inlined ? LAYOUT_FRAME_INLINED : 0);
	}
}

static void put_sites(struct encoder *encoder)
{
	const struct snapshot *snapshot = encoder->snapshot;
	begin_section(&encoder->rest, LAYOUT_STACKS, snapshot->stack_count);
	for (size_t i = 0; i < snapshot->stack_count; i++)
		put_u32(encoder, snapshot->stacks[i]);
	begin_section(&encoder->rest, LAYOUT_SITES, snapshot->site_count);
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		put_u32(encoder, (uint32_t)site->frame_count);
		put_u32(encoder, site->process);
		put_u32(encoder, site->truncated ? LAYOUT_SITE_TRUNCATED : 0);
		put_counters(encoder, &site->counters);
	}
}

static void put_timeline(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_TIMELINE, encoder->snapshot->timeline_count);
	for (size_t i = 0; i < encoder->snapshot->timeline_count; i++) {
		put_u64(encoder, encoder->snapshot->timeline[i].time_ns);
		put_u64(encoder, encoder->snapshot->timeline[i].current_bytes);
		put_u64(encoder, encoder->snapshot->timeline[i].current_blocks);
	}
}

static void put_marks(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_MARKS, encoder->snapshot->mark_count);
	for (size_t i = 0; i < encoder->snapshot->mark_count; i++) {
		put_u32(encoder, encoder->snapshot->marks[i].kind);
		put_string(encoder, encoder->snapshot->marks[i].name);
		put_u64(encoder, encoder->snapshot->marks[i].time_ns);
		put_u64(encoder, encoder->snapshot->marks[i].current_bytes);
	}
}

static void put_source(struct encoder *encoder)
{
	begin_section(&encoder->rest, LAYOUT_SOURCE, encoder->snapshot->source_line_count);
	for (size_t i = 0; i < encoder->snapshot->source_line_count; i++) {
		put_string(encoder, encoder->snapshot->source_lines[i].file);
		put_string(encoder, encoder->snapshot->source_lines[i].text);
		put_u32(encoder, encoder->snapshot->source_lines[i].line);
	}
}

static void put_details(struct encoder *encoder)
{
	const struct snapshot *snapshot = encoder->snapshot;
	begin_section(&encoder->rest, LAYOUT_DETAIL_POINTS, snapshot->detail_point_count);
	for (size_t i = 0; i < snapshot->detail_point_count; i++) {
		put_u64(encoder, snapshot->detail_points[i].time_ns);
		put_u64(encoder, snapshot->detail_points[i].current_bytes);
		put_u64(encoder, snapshot->detail_points[i].current_blocks);
		put_u32(encoder, (uint32_t)snapshot->detail_points[i].site_count);
	}
	begin_section(&encoder->rest, LAYOUT_DETAIL_SITES, snapshot->detail_site_count);
	for (size_t i = 0; i < snapshot->detail_site_count; i++) {
		put_u32(encoder, snapshot->detail_sites[i].site);
		put_u64(encoder, snapshot->detail_sites[i].bytes);
		put_u64(encoder, snapshot->detail_sites[i].blocks);
	}
}

static bool is_lost(const struct reach_counters *counters)
{
	return counters->direct_blocks || counters->indirect_blocks;
}

static void put_lost(struct encoder *encoder)
{
	const struct snapshot *snapshot = encoder->snapshot;
	uint64_t count = 0;
	for (size_t i = 0; i < snapshot->site_count; i++)
		count += is_lost(&snapshot->sites[i].counters.unreachable);
	begin_section(&encoder->rest, LAYOUT_UNREACHABLE, count);
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct reach_counters *counters = &snapshot->sites[i].counters.unreachable;
		if (!is_lost(counters))
			continue;
		put_u32(encoder, (uint32_t)i);
		put_u64(encoder, counters->direct_bytes);
		put_u64(encoder, counters->direct_blocks);
		put_u64(encoder, counters->indirect_bytes);
		put_u64(encoder, counters->indirect_blocks);
	}
}

static void put_scan(struct encoder *encoder)
{
	const struct snapshot_scan *scan = &encoder->snapshot->scan;
	if (!snapshot_scan_was_made(scan))
		return;
	begin_section(&encoder->rest, LAYOUT_SCAN, 1);
	put_u32(encoder, scan->looked_at);
	put_u32(encoder, scan->missed);
	put_u64(encoder, scan->blocks);
	put_u64(encoder, scan->frozen_ns);
	put_lost(encoder);
}

static void put_heap(struct encoder *encoder)
{
	const struct snapshot_heap *heap = &encoder->snapshot->heap;
	if (!heap->measured)
		return;
	begin_section(&encoder->rest, LAYOUT_HEAP, 1);
	put_u32(encoder, (heap->before_known ? LAYOUT_HEAP_BEFORE_KNOWN : 0u) |
				 (heap->known ? LAYOUT_HEAP_KNOWN : 0u));
	put_u64(encoder, heap->before_bytes);
	put_u64(encoder, heap->before_blocks);
	put_u64(encoder, heap->before_heap_bytes);
	put_u64(encoder, heap->heap_bytes);
	put_u64(encoder, heap->used_bytes);
	put_u64(encoder, heap->used_blocks);
	put_u64(encoder, heap->free_bytes);
	put_u64(encoder, heap->overhead_bytes);
	put_u64(encoder, heap->resident_bytes);
}

/* One a process, or none at all where no process has one. */
static void put_inner_pids(struct encoder *encoder)
{
	const struct snapshot *snapshot = encoder->snapshot;
	bool any = false;
	for (size_t i = 0; i < snapshot->process_count; i++)
		any |= snapshot->processes[i].inner_pid != 0;
	size_t count = any ? snapshot->process_count : 0;
	begin_section(&encoder->rest, LAYOUT_INNER_PIDS, count);
	for (size_t i = 0; i < count; i++)
		put_u32(encoder, snapshot->processes[i].inner_pid);
}

/* A body within the body. */
static struct error *put_mappings(struct encoder *encoder)
{
	const struct snapshot *mappings = encoder->snapshot->mappings;
	_cleanup_buffer_ struct buffer body = {0};
	struct error *err = mappings ? body_encode(mappings, &body) : NULL;
	if (err || !mappings)
		return err;
	begin_section(&encoder->rest, LAYOUT_MAPPINGS, body.count);
	buffer_append(&encoder->rest, body.bytes, body.count);
	return NULL;
}

struct error *body_encode(const struct snapshot *snapshot, struct buffer *out)
{
	__attribute__((cleanup(encoder_deinit))) struct encoder encoder = {.snapshot = snapshot};
	put_session(&encoder);
	put_command(&encoder);
	put_processes(&encoder);
	put_probes(&encoder);
	put_modules(&encoder);
	put_frames(&encoder);
	put_sites(&encoder);
	put_timeline(&encoder);
	put_source(&encoder);
	put_details(&encoder);
	encode_kept(&encoder);
	put_scan(&encoder);
	put_heap(&encoder);
	put_marks(&encoder);
	put_inner_pids(&encoder);
	struct error *err = put_mappings(&encoder);
	if (err)
		return err;
	begin_section(out, LAYOUT_STRINGS, encoder.strings.count);
	buffer_append(out, encoder.strings.bytes, encoder.strings.count);
	buffer_append(out, encoder.rest.bytes, encoder.rest.count);
	bool failed = encoder.failed || buffer_failed(&encoder.strings) ||
		      buffer_failed(&encoder.rest) || buffer_failed(out);
	return failed ? error_no_memory() : NULL;
}
