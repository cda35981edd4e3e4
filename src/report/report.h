/* SPDX-License-Identifier: MIT */
/*
 * Renderers: one file a format. Each turns a table, or the stacks that it would be made of, into
 * bytes in a buffer.
 *
 * Owns: the list of formats.
 * Does not: print, open the target's files (source text comes through a callback), or decide what
 * is shown (that is query's). Hostile names come out escaped. Called by: cli, from one thread.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/buffer.h"
#include "base/error.h"
#include "snapshot/query.h"
#include "snapshot/selection.h"
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
	bool all_blind_modules; /* --verbose: list every module without line information, and the
				   processes */
};

/* The names of all formats, in the order of report_formats. */
#define REPORT_FORMATS "text|json|csv|pprof|dhat|massif|callgrind|folded|speedscope|html"
#define REPORT_FORMATS_LISTED                                                                      \
	"text, json, csv, pprof, dhat, massif, callgrind, folded, speedscope, html"

/* Exactly one of the three writers is there. */
struct report_format {
	const char *name;
	bool to_terminal; /* made for people: what is not is kept from terminals */
	/* Writes the answer to a query, or (table->old is set) a comparison. */
	struct error *(*write_table)(const struct snapshot *snapshot, const struct table *table,
				     const struct report_source *source,
				     const struct report_options *options, struct buffer *out);
	/* Writes whole stacks; the query shows no lifetimes, which do not add up. */
	struct error *(*write_stacks)(const struct selection *selection,
				      const struct report_source *source, struct buffer *out);
	/* Writes what people look at and ask further: the query is only what is shown first. */
	struct error *(*write_page)(const struct snapshot *snapshot, const struct query *query,
				    const struct report_source *source, struct buffer *out);
};

const struct report_format *report_formats(size_t *count_ret);

/* The format of that name, NULL: there is none. */
const struct report_format *report_format(const char *name);

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

/*
 * The rows of a table as RFC 4180 has them: a heading, CRLF, quotes where they are needed. Numbers
 * are bytes, blocks and nanoseconds; what is not known is empty. Text is escaped as everywhere, and
 * so is a first character that a spreadsheet would take for a formula. Errors: no memory.
 */
struct error *report_csv(const struct snapshot *snapshot, const struct table *table,
			 const struct report_source *source, const struct report_options *options,
			 struct buffer *out);

/*
 * One line a stack, outermost frame first, then the quantity that the query shows: bytes, of count
 * and temporary blocks. Stacks without any are left out. A ';' in a name becomes ':'. Errors: no
 * memory.
 */
struct error *report_folded(const struct selection *selection, const struct report_source *source,
			    struct buffer *out);

/*
 * A gzipped profile.proto (pprof.proto has its fields): values for all quantities, of which the one
 * that the query shows is the default. Figures above INT64_MAX are given as that. Errors: no
 * memory.
 */
struct error *report_pprof(const struct selection *selection, const struct report_source *source,
			   struct buffer *out);

/*
 * The JSON of valgrind's DHAT, version 2, with times in nanoseconds. Lifetimes are those of
 * released blocks; the most a stack held is the larger of what it held at the peak and at the end.
 * Errors: no memory.
 */
struct error *report_dhat(const struct selection *selection, const struct report_source *source,
			  struct buffer *out);

/*
 * The output of valgrind's massif, with times in milliseconds: the timeline, with trees at its
 * detailed moments, at the peak and at the end. Where the query filters, the last two alone.
 * Errors: no memory.
 */
struct error *report_massif(const struct selection *selection, const struct report_source *source,
			    struct buffer *out);

/*
 * The format of callgrind, with all quantities as events, of which those that the query shows come
 * first: callgrind_costs.h says how calls are counted. Errors: no memory.
 */
struct error *report_callgrind(const struct selection *selection,
			       const struct report_source *source, struct buffer *out);

/*
 * speedscope's own JSON: a profile for each quantity of which there is any; that of the query opens
 * first. Errors: no memory.
 */
struct error *report_speedscope(const struct selection *selection,
				const struct report_source *source, struct buffer *out);

/* So many lines before and after one are shown with it where there is room. */
enum { REPORT_SOURCE_AROUND = 3 };

/*
 * One HTML file that needs nothing else: the sites that pass the query's filters, with the stacks,
 * the frame that each is charged to, the timeline and source text, and the scripts that make tables
 * and graphs of them. It rounds figures above 2^53. source may be NULL. Errors: no memory.
 */
struct error *report_html(const struct snapshot *snapshot, const struct query *query,
			  const struct report_source *source, struct buffer *out);

#endif
