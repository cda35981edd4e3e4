/* SPDX-License-Identifier: MIT */
/* The text report: its body is tracemalloc's; text_frame.c writes what stands around it. */
#include "report/report.h"
#include "report/text_body.h"
#include "report/text_frame.h"

struct error *report_text(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out)
{
	if (!options->body_only)
		text_frame_above(out, snapshot, table);
	struct error *err = table->old ? text_diff_write(out, table, source)
				       : text_top_write(out, table, source);
	if (!err && snapshot->mappings && !table->old)
		err = text_mappings_write(out, snapshot->mappings, &table->query, source);
	if (err)
		return err;
	if (!options->body_only)
		text_frame_below(out, snapshot, table, options->all_blind_modules);
	return buffer_failed(out) ? error_no_memory() : NULL;
}
