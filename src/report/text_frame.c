/* SPDX-License-Identifier: MIT */
#include "report/text_frame.h"

#include <string.h>

#include "report/text_body.h"
#include "report/text_processes.h"
#include "report/text_unknown.h"
#include "report/units.h"

/* Several sessions have no command in common. */
static void write_parts(struct buffer *out, const struct snapshot *snapshot)
{
	size_t count = snapshot->process_count;
	buffer_printf(out, "%u snapshots of %zu process%s", snapshot->part_count, count,
		      count == 1 ? "" : "es");
}

static uint32_t inner_pid_of(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->process_count; i++)
		if (snapshot->processes[i].pid == snapshot->pid)
			return snapshot->processes[i].inner_pid;
	return 0;
}

static void write_command(struct buffer *out, const struct snapshot *snapshot)
{
	if (snapshot->part_count > 1) {
		write_parts(out, snapshot);
		return;
	}
	for (size_t i = 0; i < snapshot->command_count; i++) {
		if (i)
			buffer_char(out, ' ');
		buffer_escaped(out, snapshot->command[i]);
	}
	if (snapshot->command_count)
		buffer_char(out, ' ');
	buffer_printf(out, "(pid %u", snapshot->pid);
	uint32_t inner_pid = inner_pid_of(snapshot);
	if (inner_pid)
		buffer_printf(out, ", %u in its own namespace", inner_pid);
	if (snapshot->process_count > 1) {
		buffer_string(out, " and ");
		size_t others = snapshot->process_count - 1;
		buffer_printf(out, "%zu more process%s", others, others == 1 ? "" : "es");
	}
	buffer_char(out, ')');
}

static void write_shown(struct buffer *out, const struct snapshot *snapshot, enum query_show show)
{
	bool run = snapshot->origin == SNAPSHOT_RUN, merged = snapshot->part_count > 1;
	switch (show) {
	case QUERY_PEAK:
		if (merged) {
			buffer_string(out, "in use at the peaks, each at its own time");
			return;
		}
		buffer_string(out, "in use at the peak, ");
		units_duration(out, snapshot->totals.peak_at_ns);
		buffer_string(out, run ? " after the start" : " after the attach");
		if (snapshot_last_reset(snapshot))
			buffer_string(out, ", counted from where it was reset last");
		return;
	case QUERY_WASTE:
		buffer_string(out,
			      merged ? "usable beyond what was asked for at the peaks, each at "
				       "its own time"
				     : "usable beyond what was asked for at the peak, ");
		if (merged)
			return;
		units_duration(out, snapshot->totals.peak_at_ns);
		buffer_string(out, run ? " after the start" : " after the attach");
		return;
	case QUERY_CURRENT:
		buffer_string(out, snapshot_is_interim(snapshot) ? "in use"
								 : "in use when tracing ended");
		break;
	case QUERY_TOTAL:
		buffer_string(out, "all memory allocated, released or not");
		break;
	case QUERY_LEAKED:
		buffer_string(out, "allocated and never released");
		break;
	case QUERY_COUNT:
		buffer_string(out, "all blocks allocated, released or not");
		break;
	case QUERY_TEMPORARY:
		buffer_string(out, "blocks released before their thread's next");
		break;
	case QUERY_LIFETIME:
		buffer_string(out, "mean lifetimes of released blocks");
		break;
	case QUERY_UNREACHABLE:
		buffer_string(out, "what nothing pointed to any more");
		break;
	}
	if (merged)
		return;
	buffer_string(out, ", ");
	units_duration(out, snapshot->duration_ns);
	buffer_string(out, run ? " after the start" : " after the attach");
}

static void write_filters(struct buffer *out, const struct query *query)
{
	static const char *const kinds[] = {
		[FILTER_FILE] = "file", [FILTER_FUNCTION] = "function", [FILTER_MODULE] = "module",
		[FILTER_LINE] = "line", [FILTER_THREAD] = "thread",	[FILTER_SIZE] = "size",
		[FILTER_AGE] = "age",
	};
	for (size_t i = 0; i < query->filter_count; i++) {
		const struct query_filter *filter = &query->filters[i];
		buffer_string(out, i ? ", " : "only what passes these filters: ");
		buffer_printf(out, "%s%s=", filter->inclusive ? "" : "not ", kinds[filter->kind]);
		buffer_escaped(out, filter->pattern);
	}
	if (query->filter_count)
		buffer_string(out, query->all_frames ? " (any frame)\n" : "\n");
	if (query->cumulative)
		buffer_string(out, "cumulative: a block counts once in every row that its stack "
				   "goes through\n");
}

/*
 * Jumps write down the time of few calls while a process has one thread (agent/ring.h); others are
 * known to be later than when the rings were looked at last.
 */
static void write_precision(struct buffer *out, const struct snapshot *snapshot,
			    enum query_show show)
{
	if (show != QUERY_LIFETIME)
		return;
	for (size_t i = 0; i < snapshot->process_count; i++) {
		const char *engine = snapshot->processes[i].engine;
		if (!engine || (strcmp(engine, "jump") && strcmp(engine, "mixed")))
			continue;
		buffer_string(out, "inexact: seen by jumps, the times of a process with one thread "
				   "are 5 ms early at most (--engine breakpoint: exact)\n");
		return;
	}
}

/* What was compared: a line for each of the two. */
static void write_compared(struct buffer *out, const char *name, const struct snapshot *snapshot,
			   enum query_show show)
{
	buffer_string(out, name);
	write_command(out, snapshot);
	buffer_string(out, ": ");
	write_shown(out, snapshot, show);
	buffer_char(out, '\n');
}

void text_frame_above(struct buffer *out, const struct snapshot *snapshot,
		      const struct table *table)
{
	if (table->old) {
		write_compared(out, "old: ", table->old, table->query.show);
		write_compared(out, "new: ", snapshot, table->query.show);
	} else {
		write_command(out, snapshot);
		buffer_char(out, '\n');
		write_shown(out, snapshot, table->query.show);
		buffer_string(out, "; ");
		units_count(out, snapshot->totals.events, "event");
		buffer_string(out, " seen\n");
	}
	write_precision(out, snapshot, table->query.show);
	write_filters(out, &table->query);
	buffer_char(out, '\n');
}

static void write_amount(struct buffer *out, const char *name, uint64_t bytes, uint64_t blocks)
{
	buffer_printf(out, "%-10s ", name);
	units_size(out, bytes);
	buffer_string(out, " in ");
	units_count(out, blocks, "block");
}

static void write_sums(struct buffer *out, const struct snapshot *snapshot)
{
	const struct total_counters *t = &snapshot->totals;
	write_amount(out, "current:", t->current_bytes, t->current_blocks);
	if (t->ended_blocks) {
		buffer_string(out, ", and ");
		units_size(out, t->ended_bytes);
		buffer_string(out, " in ");
		units_count(out, t->ended_blocks, "block");
		buffer_string(out, " left by processes that ended");
	}
	buffer_char(out, '\n');
	write_amount(out, "peak:", t->peak_bytes, t->peak_blocks);
	if (snapshot->part_count > 1) {
		buffer_string(out, ", the sum of all peaks\n");
	} else {
		buffer_string(out, ", after ");
		units_duration(out, t->peak_at_ns);
		buffer_char(out, '\n');
	}
	write_amount(out, "allocated:", t->total_bytes, t->total_blocks);
	if (t->temporary_blocks) {
		buffer_printf(out, ", %llu of them released before their thread's next",
			      (unsigned long long)t->temporary_blocks);
	}
	buffer_char(out, '\n');
}

/* What was there already, so that live totals can be held against what the process has. */
static void write_before(struct buffer *out, const struct snapshot_heap *heap)
{
	if (heap->before_known) {
		write_amount(out, "before:", heap->before_bytes, heap->before_blocks);
		buffer_string(out, " allocated before the attach\n");
		return;
	}
	buffer_printf(out, "%-10s ", "before:");
	units_size(out, heap->before_heap_bytes);
	buffer_string(out, " of memory that may be heap from before the attach; its blocks could "
			   "not be counted\n");
}

static void write_heap(struct buffer *out, const struct snapshot *snapshot)
{
	const struct snapshot_heap *heap = &snapshot->heap;
	if (!heap->measured)
		return;
	write_before(out, heap);
	if (!heap->resident_bytes)
		return;
	buffer_printf(out, "%-10s ", "heap:");
	units_size(out, heap->heap_bytes);
	if (heap->known) {
		buffer_string(out, " when tracing ended: ");
		units_size(out, heap->used_bytes);
		buffer_string(out, " in ");
		units_count(out, heap->used_blocks, "block");
		buffer_string(out, ", ");
		units_size(out, heap->free_bytes);
		buffer_string(out, " free, ");
		units_size(out, heap->overhead_bytes);
		buffer_string(out, " the allocator's own");
	} else {
		buffer_string(out, " that may be heap when tracing ended");
	}
	if (snapshot->process_count == 1) {
		buffer_string(out, "; ");
		units_size(out, snapshot->totals.current_bytes);
		buffer_string(out, " of it in blocks that were seen");
	}
	buffer_string(out, "; resident memory ");
	units_size(out, heap->resident_bytes);
	buffer_char(out, '\n');
}

/* What nothing points to, where that was looked for. */
static void write_unreachable(struct buffer *out, const struct snapshot *snapshot)
{
	const struct reach_counters *c = &snapshot->totals.unreachable;
	const struct snapshot_scan *scan = &snapshot->scan;
	if (!snapshot_scan_was_made(scan))
		return;
	buffer_string(out, "unreachable: directly ");
	units_size(out, c->direct_bytes);
	buffer_string(out, " in ");
	units_count(out, c->direct_blocks, "block");
	buffer_string(out, ", indirectly ");
	units_size(out, c->indirect_bytes);
	buffer_string(out, " in ");
	units_count(out, c->indirect_blocks, "block");
	buffer_string(out, "; ");
	units_count(out, scan->blocks, "block");
	buffer_string(out, " looked at in ");
	units_duration(out, scan->frozen_ns);
	buffer_char(out, '\n');
	if (scan->missed)
		buffer_printf(out, "%u process%s ended without being looked at for it\n",
			      scan->missed, scan->missed == 1 ? "" : "es");
}

static void write_marks(struct buffer *out, const struct snapshot *snapshot)
{
	static const char *const kinds[] = {
		[SNAPSHOT_MARK_NAMED] = "mark",
		[SNAPSHOT_MARK_PEAK_RESET] = "peak reset",
		[SNAPSHOT_MARK_TAKEN] = "snapshot",
	};
	for (size_t i = 0; i < snapshot->mark_count; i++) {
		const struct snapshot_mark *mark = &snapshot->marks[i];
		buffer_printf(out, "%s", kinds[mark->kind]);
		if (mark->name) {
			buffer_string(out, " '");
			buffer_escaped(out, mark->name);
			buffer_char(out, '\'');
		}
		buffer_string(out, ": ");
		units_size(out, mark->current_bytes);
		buffer_string(out, " in use, after ");
		units_duration(out, mark->time_ns);
		buffer_char(out, '\n');
	}
}

static void write_cost(struct buffer *out, const struct snapshot_cost *cost)
{
	buffer_string(out, "tracing cost: the target stood still for ");
	units_duration(out, cost->target_stopped_ns);
	buffer_string(out, " in ");
	units_count(out, cost->stops, "stop");
	buffer_string(out, "; the tracer took ");
	units_duration(out, cost->tracer_cpu_ns);
	buffer_string(out, " of CPU time and ");
	units_size(out, cost->tracer_rss_bytes);
	buffer_char(out, '\n');
}

static void write_suppressed(struct buffer *out, const struct table *table)
{
	for (size_t i = 0; i < table->query.suppression_count; i++) {
		const struct table_suppressed *one = &table->suppressed[i];
		if (!one->blocks)
			continue;
		buffer_string(out, "suppressed: ");
		units_size(out, one->bytes);
		buffer_string(out, " in ");
		units_count(out, one->blocks, "block");
		buffer_string(out, " by leak:");
		buffer_escaped(out, table->query.suppressions[i].pattern);
		buffer_string(out, " (");
		buffer_escaped(out, table->query.suppressions[i].place);
		buffer_string(out, ")\n");
	}
}

static void write_difference(struct buffer *out, const struct table *table)
{
	struct table_row sum = {.bytes = table->shown_bytes,
				.blocks = table->shown_blocks,
				.old_bytes = table->old_shown_bytes,
				.old_blocks = table->old_shown_blocks};
	buffer_string(out, "total: ");
	text_diff_figures(out, &sum);
	buffer_char(out, '\n');
	if (table->other_count)
		buffer_printf(out, "%zu other row%s\n", table->other_count,
			      table->other_count == 1 ? "" : "s");
}

void text_frame_below(struct buffer *out, const struct snapshot *snapshot,
		      const struct table *table, bool all_blind_modules)
{
	buffer_char(out, '\n');
	write_suppressed(out, table);
	if (table->old) {
		write_difference(out, table);
		return;
	}
	write_sums(out, snapshot);
	write_unreachable(out, snapshot);
	write_heap(out, snapshot);
	write_marks(out, snapshot);
	text_unknown_write(out, snapshot, table, all_blind_modules);
	if (all_blind_modules)
		text_processes_write(out, snapshot);
	write_cost(out, &snapshot->cost);
}
