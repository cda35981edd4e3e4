/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "report/text_body.h"
#include "report/text_source.h"
#include "report/units.h"

static const char *group_noun(enum query_group group_by)
{
	static const char *const nouns[] = {
		[QUERY_LINE] = "lines",		  [QUERY_FILE] = "files",
		[QUERY_FUNCTION] = "functions",	  [QUERY_MODULE] = "modules",
		[QUERY_TRACEBACK] = "tracebacks", [QUERY_PROCESS] = "processes",
		[QUERY_SIZE] = "sizes",		  [QUERY_THREAD] = "threads",
	};
	return nouns[group_by];
}

static void write_figure(struct buffer *out, enum query_show show, uint64_t bytes, uint64_t blocks,
			 uint64_t lifetime_ns)
{
	if (show == QUERY_COUNT || show == QUERY_TEMPORARY)
		units_count(out, blocks, "block");
	else if (show == QUERY_LIFETIME)
		units_mean_duration(out, lifetime_ns, blocks);
	else
		units_kib(out, bytes);
}

static void write_place(struct buffer *out, const struct snapshot_frame *frame)
{
	if (frame->file && frame->line) {
		buffer_string(out, "  File \"");
		buffer_escaped(out, frame->label ? frame->label : frame->file);
		buffer_printf(out, "\", line %u\n", frame->line);
		return;
	}
	const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;
	const char *module = slash ? slash + 1 : frame->module ? frame->module : "<unknown>";
	buffer_string(out, "  Module \"");
	buffer_escaped(out, module);
	if (frame->function) {
		buffer_string(out, "\", in ");
		buffer_escaped(out, frame->function);
		buffer_char(out, '\n');
		return;
	}
	buffer_printf(out, "\", offset 0x%llx\n", (unsigned long long)frame->offset);
}

struct error *text_traceback_write(struct buffer *out, const struct table_row *row,
				   const struct report_source *source)
{
	struct error *err = NULL;
	for (size_t i = row->frame_count; !err && i-- > 0;) {
		const struct snapshot_frame *frame = &row->snapshot->frames[row->stack[i]];
		write_place(out, frame);
		err = text_source_write(out, source, frame->file, frame->line);
	}
	return err;
}

static struct error *write_traceback_row(struct buffer *out, enum query_show show,
					 const struct table_row *row,
					 const struct report_source *source)
{
	buffer_printf(out, "%llu memory blocks", (unsigned long long)row->blocks);
	if (show == QUERY_LIFETIME) {
		buffer_string(out, ": mean lifetime ");
		units_mean_duration(out, row->counters.lifetime_ns, row->blocks);
	} else if (show != QUERY_TEMPORARY) {
		buffer_string(out, ": ");
		units_kib(out, row->bytes);
	}
	buffer_char(out, '\n');
	if (row->frame_count)
		return text_traceback_write(out, row, source);
	buffer_string(out, "  <unknown>\n");
	return NULL;
}

static struct error *write_row(struct buffer *out, const struct query *query,
			       const struct table_row *row, const struct report_source *source)
{
	if (query->group_by == QUERY_TRACEBACK)
		return write_traceback_row(out, query->show, row, source);
	buffer_printf(out, "#%zu: ", row->rank);
	buffer_escaped(out, row->label);
	buffer_string(out, ": ");
	write_figure(out, query->show, row->bytes, row->blocks, row->counters.lifetime_ns);
	buffer_char(out, '\n');
	return query->group_by == QUERY_LINE ? text_source_write(out, source, row->file, row->line)
					     : NULL;
}

static void write_total(struct buffer *out, const struct table *table)
{
	enum query_show show = table->query.show;
	if (show == QUERY_LIFETIME) {
		buffer_string(out, "Mean lifetime: ");
		units_mean_duration(out, table->shown_lifetime_ns, table->shown_blocks);
	} else if (show == QUERY_COUNT || show == QUERY_TEMPORARY) {
		buffer_printf(out, "Total %s blocks: %llu",
			      show == QUERY_COUNT ? "allocated" : "temporary",
			      (unsigned long long)table->shown_blocks);
	} else {
		buffer_printf(out, "Total %s size: ", show == QUERY_WASTE ? "wasted" : "allocated");
		units_kib(out, table->shown_bytes);
	}
	buffer_char(out, '\n');
}

struct error *text_top_write(struct buffer *out, const struct table *table,
			     const struct report_source *source)
{
	buffer_printf(out, "Top %zu %s\n", table->query.top, group_noun(table->query.group_by));
	for (size_t i = 0; i < table->row_count; i++) {
		struct error *err = write_row(out, &table->query, &table->rows[i], source);
		if (err)
			return err;
	}
	if (table->other_count) {
		buffer_printf(out, "%zu other: ", table->other_count);
		write_figure(out, table->query.show, table->other_bytes, table->other_blocks,
			     table->other_lifetime_ns);
		buffer_char(out, '\n');
	}
	write_total(out, table);
	if (table->query.histogram)
		text_histogram_write(out, table);
	return NULL;
}
