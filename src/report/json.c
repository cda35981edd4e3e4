/* SPDX-License-Identifier: MIT */
/* The JSON report. Its keys and their order are a contract; keys may be added, never renamed. */
#include <time.h>

#include "report/json_histogram.h"
#include "report/json_row.h"
#include "report/json_value.h"
#include "report/mappings.h"
#include "report/report.h"

enum { REPORT_VERSION = 1 };

static const char *show_name(enum query_show show)
{
	static const char *const names[] = {
		[QUERY_PEAK] = "peak",
		[QUERY_CURRENT] = "current",
		[QUERY_TOTAL] = "total",
		[QUERY_LEAKED] = "leaked",
		[QUERY_COUNT] = "count",
		[QUERY_TEMPORARY] = "temporary",
		[QUERY_LIFETIME] = "lifetime",
		[QUERY_WASTE] = "waste",
		[QUERY_UNREACHABLE] = "unreachable",
	};
	return names[show];
}

static const char *group_name(enum query_group group)
{
	static const char *const names[] = {
		[QUERY_LINE] = "line",		 [QUERY_FILE] = "file",
		[QUERY_FUNCTION] = "function",	 [QUERY_MODULE] = "module",
		[QUERY_TRACEBACK] = "traceback", [QUERY_PROCESS] = "process",
		[QUERY_SIZE] = "size",		 [QUERY_THREAD] = "thread",
	};
	return names[group];
}

static json_t *command_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->command_count; i++)
		json_value_append(array, json_value_text(snapshot->command[i]), failed);
	return array;
}

/* RFC 3339, in UTC; null for a time that has no such form. */
static json_t *started_text(int64_t unix_ns)
{
	int64_t ns = unix_ns % 1000000000;
	time_t seconds = (time_t)(unix_ns / 1000000000);
	if (ns < 0) {
		ns += 1000000000;
		seconds--;
	}
	struct tm utc;
	char date[32];
	if (!gmtime_r(&seconds, &utc) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc))
		return json_null();
	return json_sprintf("%s.%09lldZ", date, (long long)ns);
}

static json_t *number_or_null(uint64_t number, bool known)
{
	return known ? json_value_number(number) : json_null();
}

static json_t *process_object(const struct snapshot_process *one, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "pid", one->pid, failed);
	json_value_set(object, "inner_pid", number_or_null(one->inner_pid, one->inner_pid), failed);
	json_value_set(object, "parent", number_or_null(one->parent, one->parent), failed);
	json_value_set_text(object, "command", one->command, failed);
	json_value_set(object, "exit_status",
		       one->exited ? json_integer(one->exit_status) : json_null(), failed);
	json_value_set(object, "signal", one->signalled ? json_integer(one->signal) : json_null(),
		       failed);
	json_value_set_text(object, "engine", one->engine, failed);
	return object;
}

static json_t *process_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->process_count; i++)
		json_value_append(array, process_object(&snapshot->processes[i], failed), failed);
	return array;
}

static json_t *probe_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->probe_count; i++) {
		const struct snapshot_probe *probe = &snapshot->probes[i];
		json_t *object = json_object();
		json_value_set_number(object, "pid", probe->pid, failed);
		json_value_set_text(object, "function", probe->function, failed);
		json_value_set_text(object, "module", probe->module, failed);
		json_value_set_text(object, "kind", probe->kind, failed);
		json_value_set_text(object, "reason", probe->reason, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *totals_object(const struct snapshot *snapshot, bool *failed)
{
	const struct total_counters *t = &snapshot->totals;
	json_t *object = json_object();
	json_value_set_number(object, "current_bytes", t->current_bytes, failed);
	json_value_set_number(object, "current_blocks", t->current_blocks, failed);
	json_value_set_number(object, "peak_bytes", t->peak_bytes, failed);
	json_value_set_number(object, "peak_blocks", t->peak_blocks, failed);
	json_value_set(object, "peak_at_ns",
		       number_or_null(t->peak_at_ns, snapshot->part_count == 1), failed);
	json_value_set_number(object, "total_bytes", t->total_bytes, failed);
	json_value_set_number(object, "total_blocks", t->total_blocks, failed);
	json_value_set_number(object, "released_bytes", t->released_bytes, failed);
	json_value_set_number(object, "released_blocks", t->released_blocks, failed);
	json_value_set_number(object, "temporary_blocks", t->temporary_blocks, failed);
	json_value_set_number(object, "failed_calls", t->failed_calls, failed);
	json_value_set_number(object, "unknown_releases", t->unknown_releases, failed);
	json_value_set_number(object, "events", t->events, failed);
	json_value_set_number(object, "lost_events", snapshot->lost_events, failed);
	json_value_set_number(object, "truncated_stacks", snapshot->truncated_stacks, failed);
	json_value_set_number(object, "incomplete_stacks", snapshot->incomplete_stacks, failed);
	json_value_set_number(object, "inherited_releases", t->inherited_releases, failed);
	json_value_set_number(object, "null_releases", t->null_releases, failed);
	json_value_set_number(object, "implied_releases", t->implied_releases, failed);
	json_value_set_number(object, "ended_bytes", t->ended_bytes, failed);
	json_value_set_number(object, "ended_blocks", t->ended_blocks, failed);
	return object;
}

static json_t *heap_object(const struct snapshot_heap *heap, bool *failed)
{
	if (!heap->measured)
		return json_null();
	json_t *object = json_object();
	json_value_set(object, "before_bytes",
		       number_or_null(heap->before_bytes, heap->before_known), failed);
	json_value_set(object, "before_blocks",
		       number_or_null(heap->before_blocks, heap->before_known), failed);
	json_value_set_number(object, "before_heap_bytes", heap->before_heap_bytes, failed);
	json_value_set(object, "heap_bytes", number_or_null(heap->heap_bytes, heap->resident_bytes),
		       failed);
	json_value_set(object, "used_bytes", number_or_null(heap->used_bytes, heap->known), failed);
	json_value_set(object, "used_blocks", number_or_null(heap->used_blocks, heap->known),
		       failed);
	json_value_set(object, "free_bytes", number_or_null(heap->free_bytes, heap->known), failed);
	json_value_set(object, "overhead_bytes", number_or_null(heap->overhead_bytes, heap->known),
		       failed);
	json_value_set(object, "resident_bytes",
		       number_or_null(heap->resident_bytes, heap->resident_bytes), failed);
	return object;
}

/* null: it was not looked for. */
static json_t *unreachable_object(const struct snapshot *snapshot, bool *failed)
{
	const struct reach_counters *c = &snapshot->totals.unreachable;
	const struct snapshot_scan *scan = &snapshot->scan;
	if (!snapshot_scan_was_made(scan))
		return json_null();
	json_t *object = json_object();
	json_value_set_number(object, "direct_bytes", c->direct_bytes, failed);
	json_value_set_number(object, "direct_blocks", c->direct_blocks, failed);
	json_value_set_number(object, "indirect_bytes", c->indirect_bytes, failed);
	json_value_set_number(object, "indirect_blocks", c->indirect_blocks, failed);
	json_value_set_number(object, "processes", scan->looked_at, failed);
	json_value_set_number(object, "missed_processes", scan->missed, failed);
	json_value_set_number(object, "blocks", scan->blocks, failed);
	json_value_set_number(object, "frozen_ns", scan->frozen_ns, failed);
	return object;
}

static json_t *filter_array(const struct query *query, bool *failed)
{
	static const char *const kinds[] = {
		[FILTER_FILE] = "file", [FILTER_FUNCTION] = "function", [FILTER_MODULE] = "module",
		[FILTER_LINE] = "line", [FILTER_THREAD] = "thread",	[FILTER_SIZE] = "size",
		[FILTER_AGE] = "age",
	};
	json_t *array = json_array();
	for (size_t i = 0; i < query->filter_count; i++) {
		const struct query_filter *filter = &query->filters[i];
		json_t *object = json_object();
		json_value_set(object, "inclusive", json_boolean(filter->inclusive), failed);
		json_value_set_text(object, "kind", kinds[filter->kind], failed);
		json_value_set_text(object, "pattern", filter->pattern, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *suppressed_array(const struct table *table, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < table->query.suppression_count; i++) {
		json_t *object = json_object();
		json_value_set_text(object, "pattern", table->query.suppressions[i].pattern,
				    failed);
		json_value_set_text(object, "place", table->query.suppressions[i].place, failed);
		json_value_set_number(object, "bytes", table->suppressed[i].bytes, failed);
		json_value_set_number(object, "blocks", table->suppressed[i].blocks, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *query_object(const struct query *query, bool *failed)
{
	json_t *object = json_object();
	json_t *skip = json_array();
	json_value_set_text(object, "show", show_name(query->show), failed);
	json_value_set_text(object, "group_by", group_name(query->group_by), failed);
	json_value_set(object, "cumulative", json_boolean(query->cumulative), failed);
	json_value_set_number(object, "top", query->top, failed);
	json_value_set(object, "filters", filter_array(query, failed), failed);
	json_value_set_text(object, "charge",
			    query->charge == QUERY_CHARGE_CALLEE ? "callee" : "caller", failed);
	for (size_t i = 0; i < query->skip_count; i++)
		json_value_append(skip, json_value_text(query->skip[i]), failed);
	json_value_set(object, "skip", skip, failed);
	json_value_set(object, "all_frames", json_boolean(query->all_frames), failed);
	json_value_set_number(object, "min_bytes", query->min_bytes, failed);
	return object;
}

static json_t *cost_object(const struct snapshot_cost *cost, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "target_stopped_ns", cost->target_stopped_ns, failed);
	json_value_set_number(object, "stops", cost->stops, failed);
	json_value_set_number(object, "install_freeze_ns", cost->install_freeze_ns, failed);
	json_value_set_number(object, "remove_freeze_ns", cost->remove_freeze_ns, failed);
	json_value_set_number(object, "tracer_cpu_ns", cost->tracer_cpu_ns, failed);
	json_value_set_number(object, "tracer_rss_bytes", cost->tracer_rss_bytes, failed);
	return object;
}

static json_t *blind_module_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->blind_module_count; i++) {
		const struct snapshot_blind_module *blind = &snapshot->blind_modules[i];
		json_t *object = json_object();
		json_value_set_text(object, "module", blind->module, failed);
		json_value_set_text(object, "build_id", blind->build_id, failed);
		json_value_set_number(object, "sites", blind->sites, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *machine_object(const struct snapshot_machine *machine, bool *failed)
{
	json_t *object = json_object();
	json_value_set_text(object, "host", machine->host, failed);
	json_value_set_text(object, "system", machine->system, failed);
	json_value_set_text(object, "architecture", machine->architecture, failed);
	return object;
}

static json_t *module_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->module_count; i++) {
		json_t *object = json_object();
		json_value_set_text(object, "path", snapshot->modules[i].path, failed);
		json_value_set_text(object, "build_id", snapshot->modules[i].build_id, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *timeline_array(const struct snapshot *snapshot, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->timeline_count; i++) {
		const struct snapshot_timeline_point *point = &snapshot->timeline[i];
		json_t *object = json_object();
		json_value_set_number(object, "time_ns", point->time_ns, failed);
		json_value_set_number(object, "current_bytes", point->current_bytes, failed);
		json_value_set_number(object, "current_blocks", point->current_blocks, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

static json_t *mark_array(const struct snapshot *snapshot, bool *failed)
{
	static const char *const kinds[] = {
		[SNAPSHOT_MARK_NAMED] = "mark",
		[SNAPSHOT_MARK_PEAK_RESET] = "reset-peak",
		[SNAPSHOT_MARK_TAKEN] = "snapshot",
	};
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->mark_count; i++) {
		const struct snapshot_mark *mark = &snapshot->marks[i];
		json_t *object = json_object();
		json_value_set_text(object, "kind", kinds[mark->kind], failed);
		json_value_set_text(object, "name", mark->name, failed);
		json_value_set_number(object, "time_ns", mark->time_ns, failed);
		json_value_set_number(object, "current_bytes", mark->current_bytes, failed);
		json_value_append(array, object, failed);
	}
	return array;
}

/* null: they were not followed, or two snapshots are compared. */
static json_t *mappings_object(const struct snapshot *snapshot, const struct table *table,
			       const struct report_source *source, bool *failed)
{
	const struct snapshot *mappings = snapshot->mappings;
	struct table own = {0};
	bool known = false;
	if (!mappings || table->old)
		return json_null();
	struct error *err = mappings_query(mappings, &table->query, &own, &known);
	json_t *object = json_object();
	*failed |= err != NULL;
	error_free(err);
	json_value_set(object, "totals", totals_object(mappings, failed), failed);
	json_value_set(object, "rows", known ? json_row_array(&own, source, failed) : json_null(),
		       failed);
	json_value_set(object, "other", known ? json_row_other(&own, failed) : json_null(), failed);
	json_value_set(object, "shown_bytes", number_or_null(own.shown_bytes, known), failed);
	table_deinit(&own);
	return object;
}

static json_t *report_object(const struct snapshot *snapshot, const struct table *table,
			     const struct report_source *source, bool *failed)
{
	json_t *report = json_object();
	json_value_set_text(report, "format", "tracealloc-report", failed);
	json_value_set_number(report, "version", REPORT_VERSION, failed);
	json_value_set(report, "command", command_array(snapshot, failed), failed);
	json_value_set(report, "started", started_text(snapshot->started_unix_ns), failed);
	json_value_set_number(report, "duration_ns", snapshot->duration_ns, failed);
	json_value_set(report, "processes", process_array(snapshot, failed), failed);
	json_value_set(report, "probes", probe_array(snapshot, failed), failed);
	json_value_set(report, "totals", totals_object(snapshot, failed), failed);
	json_value_set(report, "query", query_object(&table->query, failed), failed);
	json_value_set(report, "rows", json_row_array(table, source, failed), failed);
	json_value_set(report, "other", json_row_other(table, failed), failed);
	json_value_set_number(report, "shown_bytes", table->shown_bytes, failed);
	json_value_set(report, "cost", cost_object(&snapshot->cost, failed), failed);
	json_value_set_number(report, "shown_blocks", table->shown_blocks, failed);
	json_value_set(report, "pid", number_or_null(snapshot->pid, snapshot->part_count == 1),
		       failed);
	json_value_set_text(report, "origin", snapshot->origin == SNAPSHOT_RUN ? "run" : "attach",
			    failed);
	json_value_set_number(report, "lineless_sites", table->lineless_sites, failed);
	json_value_set(report, "blind_modules", blind_module_array(snapshot, failed), failed);
	json_value_set(report, "timeline", timeline_array(snapshot, failed), failed);
	json_value_set(report, "marks", mark_array(snapshot, failed), failed);
	json_value_set(report, "machine", machine_object(&snapshot->machine, failed), failed);
	json_value_set(report, "modules", module_array(snapshot, failed), failed);
	json_value_set_number(report, "snapshots", snapshot->part_count, failed);
	json_value_set(report, "heap", heap_object(&snapshot->heap, failed), failed);
	json_value_set(report, "suppressed", suppressed_array(table, failed), failed);
	json_value_set(report, "unreachable", unreachable_object(snapshot, failed), failed);
	json_value_set(report, "depth", number_or_null(snapshot->depth, snapshot->depth), failed);
	json_value_set(report, "histogram", json_histogram(table, failed), failed);
	json_value_set(report, "mappings", mappings_object(snapshot, table, source, failed),
		       failed);
	return report;
}

/* What the other snapshot was, and how far the sums are apart. */
static void set_comparison(json_t *report, const struct table *table, bool *failed)
{
	const struct snapshot *old = table->old;
	json_t *object = json_object();
	json_value_set(object, "command", command_array(old, failed), failed);
	json_value_set(object, "started", started_text(old->started_unix_ns), failed);
	json_value_set_number(object, "duration_ns", old->duration_ns, failed);
	json_value_set(object, "pid", number_or_null(old->pid, old->part_count == 1), failed);
	json_value_set(object, "totals", totals_object(old, failed), failed);
	json_value_set_number(object, "shown_bytes", table->old_shown_bytes, failed);
	json_value_set_number(object, "shown_blocks", table->old_shown_blocks, failed);
	json_value_set(report, "old", object, failed);
	json_value_set(report, "bytes_diff",
		       json_value_difference(table->shown_bytes, table->old_shown_bytes), failed);
	json_value_set(report, "blocks_diff",
		       json_value_difference(table->shown_blocks, table->old_shown_blocks), failed);
}

struct error *report_json(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out)
{
	(void)options;
	bool failed = false;
	json_t *report = report_object(snapshot, table, source, &failed);
	if (table->old)
		set_comparison(report, table, &failed);
	struct error *err = failed ? error_no_memory() : json_value_write(report, out);
	json_decref(report);
	return err;
}
