/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "report/text_body.h"
#include "report/units.h"
#include "snapshot/query.h"

enum { LABEL_COLUMNS = 22, FIGURE_COLUMNS = 12 };

static void write_right(struct buffer *out, const char *text)
{
	buffer_printf(out, "%*s", FIGURE_COLUMNS, text);
}

static void write_number(struct buffer *out, uint64_t number)
{
	buffer_printf(out, "%*" PRIu64, FIGURE_COLUMNS, number);
}

static void write_size(struct buffer *out, uint64_t bytes)
{
	_cleanup_buffer_ struct buffer text = {0};
	units_size(&text, bytes);
	write_right(out, buffer_text(&text));
}

static void write_size_row(struct buffer *out, const struct snapshot_size_class *one)
{
	_cleanup_buffer_ struct buffer label = {0};
	buffer_printf(&label, "%" PRIu64 "-%" PRIu64, one->size.low_bytes, one->size.high_bytes);
	buffer_printf(out, "%-*s", LABEL_COLUMNS, buffer_text(&label));
	write_number(out, one->total_blocks);
	write_size(out, one->total_bytes);
	write_number(out, one->current_blocks);
	write_size(out, one->current_bytes);
	buffer_char(out, '\n');
}

static void add_size(struct snapshot_size_class *sum, const struct snapshot_size_class *one)
{
	sum->total_blocks += one->total_blocks;
	sum->total_bytes += one->total_bytes;
	sum->current_blocks += one->current_blocks;
	sum->current_bytes += one->current_bytes;
}

/* Sizes below the least chunk of any allocator are one row. */
static void write_sizes(struct buffer *out, const struct snapshot_kept *histogram)
{
	enum { SMALLEST = 8 };
	struct snapshot_size_class small = {.size = {0, SMALLEST}};
	size_t i = 0;
	buffer_printf(out, "\n%-*s", LABEL_COLUMNS, "Sizes");
	write_right(out, "allocated");
	write_right(out, "size");
	write_right(out, "in use");
	write_right(out, "size");
	buffer_char(out, '\n');
	for (; i < histogram->size_count && histogram->sizes[i].size.high_bytes <= SMALLEST; i++)
		add_size(&small, &histogram->sizes[i]);
	if (i)
		write_size_row(out, &small);
	for (; i < histogram->size_count; i++)
		write_size_row(out, &histogram->sizes[i]);
}

static void write_lifetime_row(struct buffer *out, const struct snapshot_lifetime_class *one)
{
	_cleanup_buffer_ struct buffer label = {0};
	units_border(&label, one->lifetime.low_ns);
	if (one->lifetime.high_ns == UINT64_MAX) {
		buffer_string(&label, " and more");
	} else {
		buffer_string(&label, " - ");
		units_border(&label, one->lifetime.high_ns);
	}
	buffer_printf(out, "%-*s", LABEL_COLUMNS, buffer_text(&label));
	write_number(out, one->blocks);
	write_size(out, one->bytes);
	buffer_char(out, '\n');
}

static void write_lifetimes(struct buffer *out, const struct snapshot_kept *histogram)
{
	buffer_printf(out, "\n%-*s", LABEL_COLUMNS, "Lifetimes");
	write_right(out, "released");
	write_right(out, "size");
	buffer_char(out, '\n');
	for (size_t i = 0; i < histogram->lifetime_count; i++)
		write_lifetime_row(out, &histogram->lifetimes[i]);
}

void text_histogram_write(struct buffer *out, const struct table *table)
{
	if (table->query.histogram == QUERY_SIZE_HISTOGRAM)
		write_sizes(out, &table->histogram);
	else
		write_lifetimes(out, &table->histogram);
}
