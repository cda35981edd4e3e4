/* SPDX-License-Identifier: MIT */
/* The JSON report. Its keys and their order are a contract; keys may be added, never renamed. */
#include <time.h>

#include "report/json_value.h"
#include "report/report.h"

enum { REPORT_VERSION = 1 };

static const char *show_name(enum query_show show)
{
	static const char *const names[] = {
		[QUERY_PEAK] = "peak",	   [QUERY_CURRENT] = "current", [QUERY_TOTAL] = "total",
		[QUERY_LEAKED] = "leaked", [QUERY_COUNT] = "count",
	};
	return names[show];
}

static const char *group_name(enum query_group group)
{
	static const char *const names[] = {
		[QUERY_LINE] = "line",
		[QUERY_FILE] = "file",
		[QUERY_FUNCTION] = "function",
		[QUERY_MODULE] = "module",
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
	json_value_set_number(object, "peak_at_ns", t->peak_at_ns, failed);
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

static json_t *query_object(const struct query *query, bool *failed)
{
	json_t *object = json_object();
	json_t *skip = json_array();
	json_value_set_text(object, "show", show_name(query->show), failed);
	json_value_set_text(object, "group_by", group_name(query->group_by), failed);
	json_value_set(object, "cumulative", json_false(), failed);
	json_value_set_number(object, "top", query->top, failed);
	json_value_set(object, "filters", json_array(), failed);
	json_value_set_text(object, "charge",
			    query->charge == QUERY_CHARGE_CALLEE ? "callee" : "caller", failed);
	for (size_t i = 0; i < query->skip_count; i++)
		json_value_append(skip, json_value_text(query->skip[i]), failed);
	json_value_set(object, "skip", skip, failed);
	return object;
}

static void set_row_counters(json_t *object, const struct site_counters *c, bool *failed)
{
	json_value_set_number(object, "current_bytes", c->current_bytes, failed);
	json_value_set_number(object, "current_blocks", c->current_blocks, failed);
	json_value_set_number(object, "peak_bytes", c->peak_bytes, failed);
	json_value_set_number(object, "peak_blocks", c->peak_blocks, failed);
	json_value_set_number(object, "total_bytes", c->total_bytes, failed);
	json_value_set_number(object, "total_blocks", c->total_blocks, failed);
	json_value_set_number(object, "released_bytes", c->released_bytes, failed);
	json_value_set_number(object, "released_blocks", c->released_blocks, failed);
	json_value_set_number(object, "ended_bytes", c->ended_bytes, failed);
	json_value_set_number(object, "ended_blocks", c->ended_blocks, failed);
	json_value_set_number(object, "largest_bytes", c->largest_bytes, failed);
	json_value_set_number(object, "temporary_blocks", c->temporary_blocks, failed);
	json_value_set_number(object, "lifetime_ns", c->lifetime_ns, failed);
	json_value_set_number(object, "failed_calls", c->failed_calls, failed);
}

static json_t *row_object(const struct table_row *row, const struct report_source *source,
			  bool *failed)
{
	const char *text = NULL;
	if (source && row->file && row->line)
		text = source->line(source->context, row->file, row->line);
	json_t *object = json_object();
	json_value_set_number(object, "rank", row->rank, failed);
	json_value_set_text(object, "label", row->label, failed);
	json_value_set_text(object, "file", row->file, failed);
	json_value_set(object, "line", number_or_null(row->line, row->line), failed);
	json_value_set_text(object, "function", row->function, failed);
	json_value_set_text(object, "module", row->module, failed);
	json_value_set_text(object, "source", text, failed);
	json_value_set_number(object, "bytes", row->bytes, failed);
	json_value_set_number(object, "blocks", row->blocks, failed);
	set_row_counters(object, &row->counters, failed);
	return object;
}

static json_t *row_array(const struct table *table, const struct report_source *source,
			 bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < table->row_count; i++)
		json_value_append(array, row_object(&table->rows[i], source, failed), failed);
	return array;
}

static json_t *other_object(const struct table *table, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "count", table->other_count, failed);
	json_value_set_number(object, "bytes", table->other_bytes, failed);
	json_value_set_number(object, "blocks", table->other_blocks, failed);
	return object;
}

static json_t *cost_object(const struct snapshot_cost *cost, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "target_stopped_ns", cost->target_stopped_ns, failed);
	json_value_set_number(object, "stops", cost->stops, failed);
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
	json_value_set(report, "rows", row_array(table, source, failed), failed);
	json_value_set(report, "other", other_object(table, failed), failed);
	json_value_set_number(report, "shown_bytes", table->shown_bytes, failed);
	json_value_set(report, "cost", cost_object(&snapshot->cost, failed), failed);
	json_value_set_number(report, "shown_blocks", table->shown_blocks, failed);
	json_value_set_number(report, "pid", snapshot->pid, failed);
	json_value_set_text(report, "origin", snapshot->origin == SNAPSHOT_RUN ? "run" : "attach",
			    failed);
	json_value_set_number(report, "lineless_sites", table->lineless_sites, failed);
	json_value_set(report, "blind_modules", blind_module_array(snapshot, failed), failed);
	json_value_set(report, "timeline", timeline_array(snapshot, failed), failed);
	return report;
}

struct error *report_json(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out)
{
	(void)options;
	bool failed = false;
	json_t *report = report_object(snapshot, table, source, &failed);
	struct error *err = failed ? error_no_memory() : json_value_write(report, out);
	json_decref(report);
	return err;
}
