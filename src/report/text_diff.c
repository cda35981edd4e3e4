/* SPDX-License-Identifier: MIT */
#include "report/text_body.h"
#include "report/units.h"

void text_diff_figures(struct buffer *out, const struct table_row *row)
{
	buffer_string(out, "size=");
	units_size(out, row->bytes);
	buffer_string(out, " (");
	units_size_change(out, row->old_bytes, row->bytes);
	buffer_printf(out, "), count=%llu (", (unsigned long long)row->blocks);
	units_count_change(out, row->old_blocks, row->blocks);
	buffer_char(out, ')');
	if (row->blocks) {
		buffer_string(out, ", average=");
		units_mean_size(out, (double)row->bytes / (double)row->blocks);
	}
}

struct error *text_diff_write(struct buffer *out, const struct table *table,
			      const struct report_source *source)
{
	struct error *err = NULL;
	buffer_printf(out, "[ Top %zu differences ]\n", table->query.top);
	for (size_t i = 0; !err && i < table->row_count; i++) {
		const struct table_row *row = &table->rows[i];
		buffer_escaped(out, row->label);
		buffer_string(out, ": ");
		text_diff_figures(out, row);
		buffer_char(out, '\n');
		err = text_traceback_write(out, row, source);
	}
	return err;
}
