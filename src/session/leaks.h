/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: which live blocks nothing points to any more, looked at in the last
 * moment of each process and when tracing ends.
 *
 * Owns: the figures by site. Does not: decide what points where (ledger/reach.h) or what is a root
 * (roots.h). Tracer thread, with the lock of taps.
 */
#ifndef SESSION_LEAKS_H
#define SESSION_LEAKS_H

#include "base/counters.h"
#include "base/error.h"
#include "base/types.h"

struct session;
struct session_space;

/*
 * sites[0 .. capacity): by site id; none beyond was found unreachable.
 */
struct leaks {
	struct reach_counters *sites;
	size_t capacity;
	uint32_t looked_at; /* spaces */
	uint32_t missed;    /* spaces that ended, or were let go of, without a look */
	uint64_t blocks;    /* that were looked at */
	uint64_t frozen_ns; /* the longest that a process stood still for it */
};

void leaks_deinit(struct leaks *leaks);

/* The figures of a site. */
struct reach_counters leaks_site(const struct leaks *leaks, site_id site);

/*
 * Looks at a space all of whose threads are stopped, and whose rings were taken. A look that fails
 * for another reason than memory is a warning, and counts as missed. Errors: no memory.
 */
struct error *leaks_look_at(struct session *session, struct session_space *space);

#endif
