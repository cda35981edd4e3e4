/* SPDX-License-Identifier: MIT */
/*
 * A question to a snapshot, and its answer as a table: filter, group, order, cut, compare.
 *
 * Owns: which sites pass, what is one row, and the order of rows. Which frame a block is charged to
 * is charge.h's. Does not: render. Pure. Called by: cli and report, from one thread.
 */
#ifndef SNAPSHOT_QUERY_H
#define SNAPSHOT_QUERY_H

#include "snapshot/snapshot.h"

enum query_show {
	QUERY_PEAK,
	QUERY_CURRENT,
	QUERY_TOTAL,
	QUERY_LEAKED,
	QUERY_COUNT,
	QUERY_TEMPORARY,
	QUERY_LIFETIME,
	QUERY_UNREACHABLE,
	QUERY_WASTE,
};
enum query_group {
	QUERY_LINE,
	QUERY_FILE,
	QUERY_FUNCTION,
	QUERY_MODULE,
	QUERY_TRACEBACK,
	QUERY_PROCESS,
	QUERY_SIZE,
	QUERY_THREAD,
};
enum query_charge { QUERY_CHARGE_CALLER, QUERY_CHARGE_CALLEE };
enum query_histogram { QUERY_NO_HISTOGRAM, QUERY_SIZE_HISTOGRAM, QUERY_LIFETIME_HISTOGRAM };
enum query_filter_kind {
	FILTER_FILE,
	FILTER_FUNCTION,
	FILTER_MODULE,
	FILTER_LINE,
	FILTER_THREAD,
	FILTER_SIZE,
	FILTER_AGE,
};

/*
 * A pattern of fnmatch(3) against what a frame has: its file, as a path or as a label; its
 * function; its module, as a path or its last component; or its "file:line", in both forms of the
 * file; or against the thread that made a block, its name or its number. Sizes and ages lie in a
 * range; only a block that lives has an age.
 */
struct query_filter {
	bool inclusive;
	enum query_filter_kind kind;
	const char *pattern; /* of a range: as it was given */
	struct size_range size;
	struct time_range age;
};

/* What of the blocks that were leaked or are unreachable is not shown: see suppress.h. */
struct query_suppression {
	const char *pattern;
	const char *place; /* "FILE:LINE" it stands in */
};

struct query {
	enum query_show show;
	enum query_group group_by;
	enum query_charge charge;
	size_t top;
	const char *const *skip; /* fnmatch patterns against function, file or module */
	size_t skip_count;
	bool cumulative;    /* not with rows that are no single frames: query_is_by_frame */
	uint64_t min_bytes; /* rows with less are not shown, but counted as other */
	const struct query_filter *filters;
	size_t filter_count;
	const struct query_suppression *suppressions;
	size_t suppression_count;
	bool all_frames; /* filters look at every frame of a stack, not at the charged one alone */
	enum query_histogram histogram;
};

struct table_row {
	size_t rank;	      /* from 1 */
	char *label;	      /* "src/parse.c:414", "parse (libx.so)", "libx.so+0x12" ...; owned */
	const char *file;     /* NULL where the group has none, or not one alone */
	const char *function; /* likewise */
	const char *module;   /* likewise */
	uint32_t line;	      /* likewise, 0 */
	const struct snapshot_process *process; /* of QUERY_PROCESS; NULL: not known */
	struct size_range size;			/* of QUERY_SIZE */
	const struct snapshot_thread *thread;	/* of QUERY_THREAD; NULL: not known */
	uint64_t bytes;				/* of the quantity shown */
	uint64_t blocks;
	uint64_t old_bytes; /* of a comparison: what it was */
	uint64_t old_blocks;
	struct site_counters counters; /* sums over the row's sites; of a comparison the new ones */
	const struct snapshot *snapshot; /* where it comes from */
	const uint32_t *stack; /* of QUERY_TRACEBACK: indices into its frames, innermost first */
	size_t frame_count;
};

/* What a suppression has kept out. */
struct table_suppressed {
	uint64_t bytes;
	uint64_t blocks;
};

/*
 * Equations, for bytes, blocks, lifetimes and what was before a comparison:
 *     sum over rows + other = shown    (where query.cumulative is not set)
 */
struct table {
	struct query query;
	const struct snapshot *old; /* what is compared with; NULL: nothing is */
	struct table_row *rows;	    /* at most query.top, biggest first */
	size_t row_count;
	size_t other_count; /* the other rows */
	uint64_t other_bytes;
	uint64_t other_blocks;
	uint64_t other_lifetime_ns;
	uint64_t shown_bytes; /* of all sites that passed, each counted once */
	uint64_t shown_blocks;
	uint64_t shown_lifetime_ns;
	uint64_t old_shown_bytes;
	uint64_t old_shown_blocks;
	struct table_suppressed *suppressed; /* for each suppression of the query; may be NULL */
	uint64_t unknown_blocks; /* of QUERY_WASTE: those that passed of which it is not known */
	struct snapshot_kept histogram; /* its sizes or lifetimes, as asked for */
	uint64_t lineless_sites; /* stacks of the quantity shown, charged without a source line */
};

/*
 * Answers a query. Quantities: peak and current as named; leaked is current + ended; unreachable is
 * what of it nothing points to, directly or indirectly; total and
 * count are both the total, ordered by bytes and by blocks; temporary has blocks alone (bytes are
 * 0); lifetime is what was released, ordered by the mean lifetime of a block; waste is what can be
 * used beyond what was asked for, of the blocks at the peak. Rows with nothing of
 * the quantity shown (neither bytes nor blocks) are left out. Order: bytes (for count and temporary
 * blocks), then the other figure, then label (numbers in it by value), biggest first.
 *
 * What passes: a site that some inclusive filter matches, if there are any, and no exclusive one;
 * and of leaked and unreachable blocks what no suppression matches.
 *
 * A filter of ages takes a part of a site's live blocks; counters of rows have then nothing but
 * what passed of current and ended.
 *
 * What is one row: for a line its full path and number (labels may be equal); where a site is
 * charged without a line, function and module, or module and offset. For a file its full path, for
 * a function its name with that path (or with the module where there is none), for a module its
 * path; for a traceback lines and functions of all frames from the charged one outwards; for a
 * process the one that was started or attached to, with the children that were followed; for a size
 * one class of sizes, for a thread the one that made the block (in a comparison all of its name).
 *
 * Cumulative: a site counts for the row of its charged frame, and for those of all other frames
 * that charge_counts; once each.
 *
 * The histogram is of the whole session or, with filters, of what passes them (sizes alone).
 *
 * The table borrows strings of the snapshot and must be released before it. Errors: no memory;
 * ERROR_UNSUPPORTED where the snapshot has not kept what the query asks for; ERROR_USAGE for ages
 * of blocks that need not live.
 */
struct error *query_run(const struct snapshot *snapshot, const struct query *query,
			struct table *ret);

/* The quantity that a query shows, of one site or of sums; of temporary blocks there are no bytes.
 */
void query_quantity(enum query_show show, const struct site_counters *counters, uint64_t *bytes_ret,
		    uint64_t *blocks_ret);

/*
 * Compares two snapshots: every row of either, with the figures of both. Rows of two builds match:
 * files by their label, modules by their last component, processes by their command. Order:
 * magnitude of the difference in bytes, bytes, the same for blocks (for count blocks first), label,
 * biggest first. query->min_bytes is held against the difference. show is neither temporary nor
 * lifetime. The table borrows from both. Errors as query_run.
 */
struct error *query_compare(const struct snapshot *old, const struct snapshot *new,
			    const struct query *query, struct table *ret);

void table_deinit(struct table *table);

/* Whether its rows are single frames, of which a stack may have several. */
bool query_is_by_frame(const struct query *query);

/* What of enum snapshot_kept_flags a session has to keep so that its snapshot answers the query. */
unsigned query_needs(const struct query *query);

/* The same with what makes its answer finer: the processes of a tree are known by their threads. */
unsigned query_wants(const struct query *query);

#endif
