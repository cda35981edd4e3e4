/* SPDX-License-Identifier: MIT */
/*
 * A question to a snapshot, and its answer as a table: group, order, cut.
 *
 * Owns: grouping, the charge rule (which frame a block is charged to), order of rows.
 * Does not: render. Pure. Called by: cli and report, from one thread.
 */
#ifndef SNAPSHOT_QUERY_H
#define SNAPSHOT_QUERY_H

#include "snapshot/snapshot.h"

enum query_show { QUERY_PEAK, QUERY_CURRENT, QUERY_TOTAL, QUERY_LEAKED, QUERY_COUNT };
enum query_group { QUERY_LINE, QUERY_FILE, QUERY_FUNCTION, QUERY_MODULE };
enum query_charge { QUERY_CHARGE_CALLER, QUERY_CHARGE_CALLEE };

struct query {
	enum query_show show;
	enum query_group group_by;
	enum query_charge charge;
	size_t top;
	const char *const *skip; /* fnmatch patterns against function, file or module */
	size_t skip_count;
};

struct table_row {
	size_t rank;	      /* from 1 */
	char *label;	      /* "src/parse.c:414", "parse (libx.so)", "libx.so+0x12" ...; owned */
	const char *file;     /* NULL where the group has none, or not one alone */
	const char *function; /* likewise */
	const char *module;   /* likewise */
	uint32_t line;	      /* likewise, 0 */
	uint64_t bytes;	      /* of the quantity shown */
	uint64_t blocks;
	struct site_counters counters; /* sums over the row's sites */
};

struct table {
	struct query query;
	struct table_row *rows; /* at most query.top, biggest first */
	size_t row_count;
	size_t other_count; /* rows beyond the top */
	uint64_t other_bytes;
	uint64_t other_blocks;
	uint64_t shown_bytes; /* rows + other */
	uint64_t shown_blocks;
	uint64_t lineless_sites; /* sites of the quantity shown, charged without a source line */
};

/*
 * Answers a query. Quantities: peak and current as named; leaked is current + ended; total and
 * count are both the total, ordered by bytes and by blocks. Rows with nothing of the quantity shown
 * (neither bytes nor blocks) are left out. Order: bytes (for QUERY_COUNT blocks), then the other
 * figure, then label (numbers in it by value), biggest first.
 *
 * What is one row: for a line its full path and number (labels may be equal); where a site is
 * charged without a line, function and module, or module and offset. For a file its full path, for
 * a function its name with that path (or with the module where there is none), for a module its
 * path.
 *
 * The table borrows strings of the snapshot and must be released before it. Errors: no memory.
 */
struct error *query_run(const struct snapshot *snapshot, const struct query *query,
			struct table *ret);
void table_deinit(struct table *table);

/*
 * The index (into snapshot->frames) of the frame a site is charged to; SIZE_MAX when the site has
 * no frame. Every frame is of one class, the first that fits:
 *     allocator: allocator functions and thin wrappers of them: C's and C++'s allocation functions,
 *                libc's strdup kind, namespaces std and __gnu_cxx, headers of the C++ library,
 * Rust's alloc, core and std skipped:   named by query->skip runtime:   in the C library or the
 * dynamic linker plain:     all others QUERY_CHARGE_CALLER takes the innermost plain frame with a
 * source line, QUERY_CHARGE_CALLEE the innermost plain or runtime frame. Where there is none it is,
 * for both, the innermost frame of the first class that has one, in the order plain, runtime,
 * skipped, allocator. Pure; exposed for tests.
 */
size_t query_charged_frame(const struct snapshot *snapshot, const struct snapshot_site *site,
			   const struct query *query);

#endif
