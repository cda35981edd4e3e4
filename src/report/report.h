/* SPDX-License-Identifier: MIT */
/*
 * Renderers: one file a format. Each turns (snapshot, table) into text in a buffer.
 *
 * Does not: print, open the target's files (source text comes through a callback), or decide what
 * is shown (that is query's). Hostile names come out escaped. Called by: cli, from one thread.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/buffer.h"
#include "base/error.h"
#include "snapshot/query.h"
#include "snapshot/snapshot.h"

/*
 * Gives the source text of file:line, without its newline, or NULL. The pointer stays valid until
 * the next call.
 */
struct report_source {
	const char *(*line)(void *context, const char *file, uint32_t line);
	void *context;
};

struct report_options {
	bool body_only;		/* --quiet */
	bool all_blind_modules; /* --verbose: list every module without line information */
};

/*
 * A comparison (table->old is set) is rendered as one: snapshot is then the newer of the two.
 *
 * tracemalloc's text, with what stands above and below it. A line of source keeps its tabs; of
 * everything else that comes from a target or a file the controls are escaped. source may be NULL.
 * Errors: no memory.
 */
struct error *report_text(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out);

/*
 * One JSON object and a newline, in ASCII: its keys are the contract of `--format json`. Sizes are
 * bytes, times nanoseconds, absent knowledge is null; a figure above INT64_MAX is given as
 * INT64_MAX; bytes that are not UTF-8 come as \\xNN. options and source may be NULL. Errors: no
 * memory.
 */
struct error *report_json(const struct snapshot *snapshot, const struct table *table,
			  const struct report_source *source, const struct report_options *options,
			  struct buffer *out);

#endif
