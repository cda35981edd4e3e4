/* SPDX-License-Identifier: MIT */
/* tracemalloc's table of the biggest rows; text_frame.c writes what stands around it. */
#include <string.h>

#include "base/cleanup.h"
#include "report/report.h"
#include "report/text_frame.h"
#include "report/units.h"

static const char *group_noun(enum query_group group_by)
{
	switch (group_by) {
	case QUERY_LINE:
		break;
	case QUERY_FILE:
		return "files";
	case QUERY_FUNCTION:
		return "functions";
	case QUERY_MODULE:
		return "modules";
	}
	return "lines";
}

static void write_figure(struct buffer *out, const struct table *table, uint64_t bytes,
			 uint64_t blocks)
{
	if (table->query.show == QUERY_COUNT)
		units_count(out, blocks, "block");
	else
		units_kib(out, bytes);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The text of a source line without the space around it; tabs inside it stay what they are. */
static struct error *write_stripped(struct buffer *out, const char *text)
{
	while (is_space(*text))
		text++;
	size_t length = strlen(text);
	while (length && is_space(text[length - 1]))
		length--;
	if (!length)
		return NULL;
	_cleanup_free_ char *copy = strndup(text, length);
	if (!copy)
		return error_no_memory();
	buffer_string(out, "    ");
	char *rest = copy;
	for (char *piece; (piece = strsep(&rest, "\t"));) {
		buffer_escaped(out, piece);
		if (rest)
			buffer_char(out, '\t');
	}
	buffer_char(out, '\n');
	return NULL;
}

static struct error *write_row(struct buffer *out, const struct table *table,
			       const struct table_row *row, const struct report_source *source)
{
	buffer_printf(out, "#%zu: ", row->rank);
	buffer_escaped(out, row->label);
	buffer_string(out, ": ");
	write_figure(out, table, row->bytes, row->blocks);
	buffer_char(out, '\n');
	if (table->query.group_by != QUERY_LINE || !row->file || !row->line || !source)
		return NULL;
	const char *text = source->line(source->context, row->file, row->line);
	return text ? write_stripped(out, text) : NULL;
}

static struct error *write_body(struct buffer *out, const struct table *table,
				const struct report_source *source)
{
	buffer_printf(out, "Top %zu %s\n", table->query.top, group_noun(table->query.group_by));
	for (size_t i = 0; i < table->row_count; i++) {
		struct error *err = write_row(out, table, &table->rows[i], source);
		if (err)
			return err;
	}
	if (table->other_count) {
		buffer_printf(out, "%zu other: ", table->other_count);
		write_figure(out, table, table->other_bytes, table->other_blocks);
		buffer_char(out, '\n');
	}
	if (table->query.show == QUERY_COUNT) {
		buffer_printf(out, "Total allocated blocks: %llu\n",
			      (unsigned long long)table->shown_blocks);
		return NULL;
	}
	buffer_string(out, "Total allocated size: ");
	units_kib(out, table->shown_bytes);
	buffer_char(out, '\n');
	return NULL;
}

struct error *report_text(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out)
{
	if (!options->body_only)
		text_frame_above(out, snapshot, table);
	struct error *err = write_body(out, table, source);
	if (err)
		return err;
	if (!options->body_only)
		text_frame_below(out, snapshot, table, options->all_blind_modules);
	return buffer_failed(out) ? error_no_memory() : NULL;
}
