/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "report/names.h"
#include "report/report.h"

/* The most columns that a table has. */
enum { CELLS_MAX = 40 };

/* A text, or where there is none a number; of what is not known neither is written. */
struct cell {
	const char *heading;
	const char *text;
	uint64_t number;
	bool negative;
	bool known;
};

struct cells {
	struct cell items[CELLS_MAX];
	size_t count;
};

static void add_number(struct cells *cells, const char *heading, uint64_t number, bool known)
{
	cells->items[cells->count++] =
		(struct cell){.heading = heading, .number = number, .known = known};
}

static void add_text(struct cells *cells, const char *heading, const char *text)
{
	cells->items[cells->count++] =
		(struct cell){.heading = heading, .text = text, .known = text != NULL};
}

static void add_change(struct cells *cells, const char *heading, uint64_t new, uint64_t old)
{
	cells->items[cells->count++] = (struct cell){.heading = heading,
						     .number = new < old ? old - new : new - old,
						     .negative = new < old,
						     .known = true};
}

static void add_comparison(struct cells *cells, const struct table_row *row)
{
	add_number(cells, "old_bytes", row->old_bytes, true);
	add_number(cells, "old_blocks", row->old_blocks, true);
	add_change(cells, "bytes_diff", row->bytes, row->old_bytes);
	add_change(cells, "blocks_diff", row->blocks, row->old_blocks);
}

static void add_counters(struct cells *cells, const struct site_counters *c)
{
	uint64_t released = c->released_blocks;
	add_number(cells, "current_bytes", c->current_bytes, true);
	add_number(cells, "current_blocks", c->current_blocks, true);
	add_number(cells, "peak_bytes", c->peak_bytes, true);
	add_number(cells, "peak_blocks", c->peak_blocks, true);
	add_number(cells, "total_bytes", c->total_bytes, true);
	add_number(cells, "total_blocks", c->total_blocks, true);
	add_number(cells, "released_bytes", c->released_bytes, true);
	add_number(cells, "released_blocks", c->released_blocks, true);
	add_number(cells, "ended_bytes", c->ended_bytes, true);
	add_number(cells, "ended_blocks", c->ended_blocks, true);
	add_number(cells, "largest_bytes", c->largest_bytes, true);
	add_number(cells, "temporary_blocks", c->temporary_blocks, true);
	add_number(cells, "mean_lifetime_ns", released ? c->lifetime_ns / released : 0, released);
	add_number(cells, "failed_calls", c->failed_calls, true);
}

static void add_process(struct cells *cells, const struct snapshot_process *process)
{
	add_number(cells, "pid", process ? process->pid : 0, process != NULL);
	add_text(cells, "host", process ? process->host : NULL);
}

static void add_thread(struct cells *cells, const struct snapshot_thread *thread)
{
	add_text(cells, "thread", thread ? thread->name : NULL);
	add_number(cells, "tid", thread ? thread->tid : 0, thread != NULL);
	add_number(cells, "pid", thread ? thread->pid : 0, thread != NULL);
}

/* The columns of a row; frames is its whole stack as one text. */
static void fill(struct cells *cells, const struct table *table, const struct table_row *row,
		 const char *frames)
{
	const struct query *query = &table->query;
	cells->count = 0;
	add_number(cells, "rank", row->rank, true);
	add_text(cells, "label", row->label);
	add_text(cells, "file", row->file);
	add_number(cells, "line", row->line, row->line != 0);
	add_text(cells, "function", row->function);
	add_text(cells, "module", row->module);
	if (query->group_by == QUERY_TRACEBACK)
		add_text(cells, "frames", frames);
	if (query->group_by == QUERY_PROCESS)
		add_process(cells, row->process);
	if (query->group_by == QUERY_SIZE) {
		add_number(cells, "low_bytes", row->size.low_bytes, true);
		add_number(cells, "high_bytes", row->size.high_bytes, true);
	}
	if (query->group_by == QUERY_THREAD)
		add_thread(cells, row->thread);
	add_number(cells, "bytes", row->bytes, query->show != QUERY_TEMPORARY);
	add_number(cells, "blocks", row->blocks, true);
	if (table->old)
		add_comparison(cells, row);
	add_counters(cells, &row->counters);
}

/* Quoted where RFC 4180 wants it; no text becomes a spreadsheet's formula. */
static void write_text(struct buffer *out, const char *text)
{
	_cleanup_buffer_ struct buffer cell = {0};
	if (*text && strchr("=+-@", *text))
		buffer_printf(&cell, "\\x%02x", (unsigned char)*text++);
	buffer_escaped(&cell, text);
	if (buffer_failed(&cell))
		out->failed = true;
	if (!strpbrk(buffer_text(&cell), "\",")) {
		buffer_string(out, buffer_text(&cell));
		return;
	}
	buffer_char(out, '"');
	for (const char *s = buffer_text(&cell); *s; s++) {
		if (*s == '"')
			buffer_char(out, '"');
		buffer_char(out, *s);
	}
	buffer_char(out, '"');
}

static void write_cell(struct buffer *out, const struct cell *cell)
{
	if (cell->text)
		write_text(out, cell->text);
	else if (cell->known)
		buffer_printf(out, "%s%" PRIu64, cell->negative ? "-" : "", cell->number);
}

static void write_headings(struct buffer *out, const struct table *table)
{
	struct cells cells;
	const struct table_row none = {0};
	fill(&cells, table, &none, NULL);
	for (size_t i = 0; i < cells.count; i++)
		buffer_printf(out, "%s%s", i ? "," : "", cells.items[i].heading);
	buffer_string(out, "\r\n");
}

/* The outermost first, as in folded stacks. */
static void name_frames(struct buffer *out, const struct table_row *row)
{
	for (size_t i = row->frame_count; i-- > 0;) {
		names_frame(out, &row->snapshot->frames[row->stack[i]]);
		if (i)
			buffer_char(out, ';');
	}
}

struct error *report_csv(const struct snapshot *snapshot, const struct table *table,
			 const struct report_source *source, const struct report_options *options,
			 struct buffer *out)
{
	(void)snapshot, (void)source, (void)options;
	write_headings(out, table);
	for (size_t i = 0; i < table->row_count; i++) {
		_cleanup_buffer_ struct buffer frames = {0};
		struct cells cells;
		name_frames(&frames, &table->rows[i]);
		if (buffer_failed(&frames))
			return error_no_memory();
		fill(&cells, table, &table->rows[i], buffer_text(&frames));
		for (size_t k = 0; k < cells.count; k++) {
			if (k)
				buffer_char(out, ',');
			write_cell(out, &cells.items[k]);
		}
		buffer_string(out, "\r\n");
	}
	return buffer_failed(out) ? error_no_memory() : NULL;
}
