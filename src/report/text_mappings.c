/* SPDX-License-Identifier: MIT */
#include "report/mappings.h"
#include "report/text_body.h"
#include "report/units.h"

static void write_amount(struct buffer *out, uint64_t bytes, uint64_t blocks, const char *when)
{
	units_size(out, bytes);
	buffer_string(out, " in ");
	units_count(out, blocks, "mapping");
	buffer_string(out, when);
}

struct error *text_mappings_write(struct buffer *out, const struct snapshot *mappings,
				  const struct query *query, const struct report_source *source)
{
	struct table table;
	bool known;
	struct error *err = mappings_query(mappings, query, &table, &known);
	if (err)
		return err;
	buffer_string(out, "\nMapped beside the allocators (mmap, mremap, brk), not among the "
			   "above\n");
	if (known)
		err = text_top_write(out, &table, source);
	table_deinit(&table);
	if (err)
		return err;
	const struct total_counters *totals = &mappings->totals;
	buffer_string(out, "mapped: ");
	write_amount(out, totals->current_bytes, totals->current_blocks, ", at the peak ");
	write_amount(out, totals->peak_bytes, totals->peak_blocks, ", in all ");
	write_amount(out, totals->total_bytes, totals->total_blocks, "\n");
	return NULL;
}
