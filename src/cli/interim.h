/* SPDX-License-Identifier: MIT */
/*
 * Snapshots that are taken while tracing goes on: numbered files where --output says where, else
 * reports on the way.
 *
 * Owns: the numbers. Does not: decide when (session does). Private to cli. interim_sink's functions
 * are called from a thread of the session's, while the main thread waits for the session.
 */
#ifndef CLI_INTERIM_H
#define CLI_INTERIM_H

#include "cli/options.h"
#include "session/session.h"

struct interim {
	const struct options *options;
	int standard_fd; /* where reports go that no --report sends elsewhere */
	unsigned count;	 /* given so far */
};

/* The sink of a session; interim must live as long. */
struct session_sink interim_sink(struct interim *interim);

/*
 * The n-th name made of a path: before the ending of its last component, else at its end. "a.tas"
 * gives "a.1.tas", "dir.d/a" gives "dir.d/a.1". NULL without memory; the caller frees it.
 */
char *interim_name(const char *path, unsigned number);

#endif
