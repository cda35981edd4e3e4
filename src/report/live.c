/* SPDX-License-Identifier: MIT */
#include "report/live.h"

#include "base/cleanup.h"
#include "report/json_row.h"
#include "report/json_value.h"
#include "report/text_body.h"
#include "report/units.h"

enum { REPORT_LIVE_VERSION = 1 };

/* ---- how it stands */

static void write_amount(struct buffer *out, const char *name, uint64_t bytes, uint64_t blocks)
{
	buffer_printf(out, "%-10s ", name);
	units_size(out, bytes);
	buffer_string(out, " in ");
	units_count(out, blocks, "block");
}

struct error *report_status_text(const struct report_status *status, struct buffer *out)
{
	buffer_escaped(out, status->command);
	buffer_printf(out, "%s(pid %llu", *status->command ? " " : "",
		      (unsigned long long)status->pid);
	if (status->processes > 1)
		buffer_printf(out, ", %llu processes", (unsigned long long)status->processes);
	buffer_string(out, ")\ntraced for ");
	units_duration(out, status->time_ns);
	buffer_string(out, ", calls seen by: ");
	buffer_escaped(out, status->engine);
	buffer_string(out, "\n\n");
	write_amount(out, "current:", status->current_bytes, status->current_blocks);
	buffer_char(out, '\n');
	write_amount(out, "peak:", status->peak_bytes, status->peak_blocks);
	buffer_string(out, ", after ");
	units_duration(out, status->peak_at_ns);
	buffer_char(out, '\n');
	write_amount(out, "allocated:", status->total_bytes, status->total_blocks);
	buffer_printf(out, "\n%-10s %llu, %llu a second",
		      "events:", (unsigned long long)status->events,
		      (unsigned long long)status->events_per_s);
	if (status->lost_events)
		buffer_printf(out, ", %llu lost: every figure here may be off by as many",
			      (unsigned long long)status->lost_events);
	buffer_printf(out, "\n%-10s %llu\n", "stops:", (unsigned long long)status->stops);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

struct error *report_status_json(const struct report_status *status, struct buffer *out)
{
	bool failed = false;
	json_t *object = json_object();
	json_value_set_text(object, "format", "tracealloc-status", &failed);
	json_value_set_number(object, "version", REPORT_LIVE_VERSION, &failed);
	json_value_set_number(object, "pid", status->pid, &failed);
	json_value_set_number(object, "processes", status->processes, &failed);
	json_value_set_text(object, "command", status->command, &failed);
	json_value_set_text(object, "engine", status->engine, &failed);
	json_value_set_text(object, "origin", status->attached ? "attach" : "run", &failed);
	json_value_set_number(object, "time_ns", status->time_ns, &failed);
	json_value_set_number(object, "current_bytes", status->current_bytes, &failed);
	json_value_set_number(object, "current_blocks", status->current_blocks, &failed);
	json_value_set_number(object, "peak_bytes", status->peak_bytes, &failed);
	json_value_set_number(object, "peak_blocks", status->peak_blocks, &failed);
	json_value_set_number(object, "peak_at_ns", status->peak_at_ns, &failed);
	json_value_set_number(object, "total_bytes", status->total_bytes, &failed);
	json_value_set_number(object, "total_blocks", status->total_blocks, &failed);
	json_value_set_number(object, "events", status->events, &failed);
	json_value_set_number(object, "events_per_s", status->events_per_s, &failed);
	json_value_set_number(object, "lost_events", status->lost_events, &failed);
	json_value_set_number(object, "stops", status->stops, &failed);
	struct error *err = failed ? error_no_memory() : json_value_write(object, out);
	json_decref(object);
	return err;
}

/* ---- one block */

static struct error *find_stack(const struct snapshot *snapshot, struct table *ret)
{
	const struct query query = {.show = QUERY_CURRENT,
				    .group_by = QUERY_TRACEBACK,
				    .charge = QUERY_CHARGE_CALLER,
				    .top = 1};
	return query_run(snapshot, &query, ret);
}

static void write_block(struct buffer *out, const struct report_block *block)
{
	buffer_printf(out, "0x%llx lies ", (unsigned long long)block->asked);
	if (block->asked != block->address)
		buffer_printf(out, "%llu bytes into",
			      (unsigned long long)(block->asked - block->address));
	else
		buffer_string(out, "at the start of");
	buffer_printf(out, " the block at 0x%llx\n", (unsigned long long)block->address);
	units_size(out, block->size_bytes);
	buffer_string(out, ", allocated ");
	units_duration(out, block->age_ns);
	buffer_string(out, " ago by ");
	if (block->thread)
		buffer_printf(out, "thread %llu", (unsigned long long)block->thread);
	else
		buffer_string(out, "a thread that has ended");
	buffer_printf(out, " of process %llu\n", (unsigned long long)block->process);
}

struct error *report_block_text(const struct report_block *block, const struct snapshot *snapshot,
				const struct report_source *source, struct buffer *out)
{
	struct table table = {0};
	struct error *err = find_stack(snapshot, &table);
	if (err)
		return err;
	write_block(out, block);
	for (size_t i = 0; !err && i < table.row_count; i++)
		err = text_traceback_write(out, &table.rows[i], source);
	if (!err && (!table.row_count || !table.rows[0].frame_count))
		buffer_string(out, "  <unknown>\n");
	table_deinit(&table);
	return err || !buffer_failed(out) ? err : error_no_memory();
}

static json_t *frames_of(const struct table *table, const struct report_source *source,
			 bool *failed)
{
	json_t *rows = json_row_array(table, source, failed);
	json_t *frames = json_object_get(json_array_get(rows, 0), "frames");
	json_t *kept = frames ? json_incref(frames) : json_array();
	json_decref(rows);
	return kept;
}

struct error *report_block_json(const struct report_block *block, const struct snapshot *snapshot,
				const struct report_source *source, struct buffer *out)
{
	struct table table = {0};
	bool failed = false;
	struct error *err = find_stack(snapshot, &table);
	if (err)
		return err;
	json_t *object = json_object();
	json_value_set_text(object, "format", "tracealloc-block", &failed);
	json_value_set_number(object, "version", REPORT_LIVE_VERSION, &failed);
	json_value_set_number(object, "asked", block->asked, &failed);
	json_value_set_number(object, "address", block->address, &failed);
	json_value_set_number(object, "size_bytes", block->size_bytes, &failed);
	json_value_set_number(object, "age_ns", block->age_ns, &failed);
	json_value_set(object, "thread",
		       block->thread ? json_value_number(block->thread) : json_null(), &failed);
	json_value_set_number(object, "process", block->process, &failed);
	json_value_set(object, "frames", frames_of(&table, source, &failed), &failed);
	err = failed ? error_no_memory() : json_value_write(object, out);
	json_decref(object);
	table_deinit(&table);
	return err;
}
