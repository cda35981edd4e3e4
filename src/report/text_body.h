/* SPDX-License-Identifier: MIT */
/*
 * The bodies that a text report can have, each in the form of tracemalloc.
 *
 * text_top.c: the biggest rows, and tracebacks.    text_diff.c: differences.
 * text_histogram.c: sizes and lifetimes, below the rows.
 * Called by: text.c. Errors: no memory.
 */
#ifndef REPORT_TEXT_BODY_H
#define REPORT_TEXT_BODY_H

#include "report/report.h"

struct error *text_top_write(struct buffer *out, const struct table *table,
			     const struct report_source *source);
struct error *text_diff_write(struct buffer *out, const struct table *table,
			      const struct report_source *source);

/* "size=8173 KiB (+4428 KiB), count=71332 (+39369), average=117 B". */
void text_diff_figures(struct buffer *out, const struct table_row *row);

/* The frames of a row, outermost first, with their lines of source. */
struct error *text_traceback_write(struct buffer *out, const struct table_row *row,
				   const struct report_source *source);

/* A heading, and the rows of what was mapped beside the allocators: text_mappings.c. */
struct error *text_mappings_write(struct buffer *out, const struct snapshot *mappings,
				  const struct query *query, const struct report_source *source);

/* An empty line and a table of the answer's histogram. */
void text_histogram_write(struct buffer *out, const struct table *table);

#endif
