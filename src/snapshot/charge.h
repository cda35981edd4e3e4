/* SPDX-License-Identifier: MIT */
/*
 * The charge rule: which frame of a site its blocks are charged to.
 *
 * Every frame is of one class, the first that fits:
 *
 *   - allocator: allocator functions and thin wrappers of them: C's and C++'s allocation functions,
 *     libc's strdup kind, namespaces std and __gnu_cxx, headers of the C++ library, Rust's alloc,
 *     core and std
 *   - skipped: named by query->skip
 *   - runtime: in the C library or the dynamic linker
 *   - plain: all others
 *
 * Owns: the classes of a snapshot's frames, kept while a question is answered. Called by: the other
 * files of this folder, report and cli, from one thread.
 */
#ifndef SNAPSHOT_CHARGE_H
#define SNAPSHOT_CHARGE_H

#include "snapshot/query.h"

struct charge {
	const struct snapshot *snapshot;
	const struct query *query;
	uint8_t *classes; /* of each frame, once it was looked at */
};

/* Snapshot and query must outlive it. Errors: no memory. */
struct error *charge_init(struct charge *charge, const struct snapshot *snapshot,
			  const struct query *query);
void charge_deinit(struct charge *charge);

/*
 * Which frame of its stack (for snapshot_site_frame) a site is charged to; SIZE_MAX when it has
 * none. QUERY_CHARGE_CALLER takes the innermost plain frame with a source line,
 * QUERY_CHARGE_CALLEE the innermost plain or runtime frame. Where there is none it is, for both,
 * the innermost frame of the first class that has one, in the order plain, runtime, skipped,
 * allocator.
 */
size_t charge_frame(struct charge *charge, const struct snapshot_site *site);

/* Whether frame i of the site takes part in cumulative sums: plain, for the callee rule runtime
 * too. */
bool charge_counts(struct charge *charge, const struct snapshot_site *site, size_t i);

#define _cleanup_charge_ __attribute__((__cleanup__(charge_deinit)))

#endif
