/* SPDX-License-Identifier: MIT */
#include "report/json_row.h"

#include "report/json_value.h"

static json_t *number_or_null(uint64_t number, bool known)
{
	return known ? json_value_number(number) : json_null();
}

static const char *text_of(const struct report_source *source, const char *file, uint32_t line)
{
	return source && file && line ? source->line(source->context, file, line) : NULL;
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
	json_value_set_number(object, "unreachable_direct_bytes", c->unreachable.direct_bytes,
			      failed);
	json_value_set_number(object, "unreachable_direct_blocks", c->unreachable.direct_blocks,
			      failed);
	json_value_set_number(object, "unreachable_indirect_bytes", c->unreachable.indirect_bytes,
			      failed);
	json_value_set_number(object, "unreachable_indirect_blocks", c->unreachable.indirect_blocks,
			      failed);
}

static json_t *frame_object(const struct snapshot_frame *frame, const struct report_source *source,
			    bool *failed)
{
	json_t *object = json_object();
	json_value_set_text(object, "function", frame->function, failed);
	json_value_set_text(object, "file", frame->file, failed);
	json_value_set(object, "line", number_or_null(frame->line, frame->line), failed);
	json_value_set_text(object, "module", frame->module, failed);
	json_value_set_number(object, "offset", frame->offset, failed);
	json_value_set(object, "inlined", json_boolean(frame->inlined), failed);
	json_value_set_text(object, "source", text_of(source, frame->file, frame->line), failed);
	return object;
}

/* Innermost first. */
static json_t *frame_array(const struct table_row *row, const struct report_source *source,
			   bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < row->frame_count; i++) {
		const struct snapshot_frame *frame = &row->snapshot->frames[row->stack[i]];
		json_value_append(array, frame_object(frame, source, failed), failed);
	}
	return array;
}

static void set_process(json_t *object, const struct snapshot_process *process, bool *failed)
{
	json_value_set(object, "pid", process ? json_value_number(process->pid) : json_null(),
		       failed);
	json_value_set_text(object, "host", process ? process->host : NULL, failed);
}

static void set_size(json_t *object, const struct size_range *size, bool *failed)
{
	json_value_set_number(object, "low_bytes", size->low_bytes, failed);
	json_value_set_number(object, "high_bytes", size->high_bytes, failed);
}

static void set_thread(json_t *object, const struct snapshot_thread *thread, bool *failed)
{
	json_value_set_text(object, "thread", thread ? thread->name : NULL, failed);
	json_value_set(object, "tid", number_or_null(thread ? thread->tid : 0, thread), failed);
	json_value_set(object, "pid", number_or_null(thread ? thread->pid : 0, thread), failed);
}

static void set_change(json_t *object, const struct table_row *row, bool *failed)
{
	json_value_set_number(object, "old_bytes", row->old_bytes, failed);
	json_value_set_number(object, "old_blocks", row->old_blocks, failed);
	json_value_set(object, "bytes_diff", json_value_difference(row->bytes, row->old_bytes),
		       failed);
	json_value_set(object, "blocks_diff", json_value_difference(row->blocks, row->old_blocks),
		       failed);
}

static json_t *row_object(const struct table *table, const struct table_row *row,
			  const struct report_source *source, bool *failed)
{
	const struct site_counters *c = &row->counters;
	json_t *object = json_object();
	json_value_set_number(object, "rank", row->rank, failed);
	json_value_set_text(object, "label", row->label, failed);
	json_value_set_text(object, "file", row->file, failed);
	json_value_set(object, "line", number_or_null(row->line, row->line), failed);
	json_value_set_text(object, "function", row->function, failed);
	json_value_set_text(object, "module", row->module, failed);
	json_value_set_text(object, "source", text_of(source, row->file, row->line), failed);
	json_value_set(object, "bytes",
		       number_or_null(row->bytes, table->query.show != QUERY_TEMPORARY), failed);
	json_value_set_number(object, "blocks", row->blocks, failed);
	set_row_counters(object, c, failed);
	uint64_t released = c->released_blocks;
	json_value_set(object, "mean_lifetime_ns",
		       number_or_null(released ? c->lifetime_ns / released : 0, released), failed);
	if (table->query.group_by == QUERY_TRACEBACK)
		json_value_set(object, "frames", frame_array(row, source, failed), failed);
	if (table->query.group_by == QUERY_PROCESS)
		set_process(object, row->process, failed);
	if (table->query.group_by == QUERY_SIZE)
		set_size(object, &row->size, failed);
	if (table->query.group_by == QUERY_THREAD)
		set_thread(object, row->thread, failed);
	if (table->old)
		set_change(object, row, failed);
	return object;
}

json_t *json_row_array(const struct table *table, const struct report_source *source, bool *failed)
{
	json_t *array = json_array();
	for (size_t i = 0; i < table->row_count; i++)
		json_value_append(array, row_object(table, &table->rows[i], source, failed),
				  failed);
	return array;
}

json_t *json_row_other(const struct table *table, bool *failed)
{
	json_t *object = json_object();
	json_value_set_number(object, "count", table->other_count, failed);
	json_value_set(object, "bytes",
		       number_or_null(table->other_bytes, table->query.show != QUERY_TEMPORARY),
		       failed);
	json_value_set_number(object, "blocks", table->other_blocks, failed);
	return object;
}
