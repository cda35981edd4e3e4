/* SPDX-License-Identifier: MIT */
/*
 * The status line: how tracing goes, on the terminal that standard error is.
 *
 * Owns: that one line, from its first appearance to its erasure, and the lock that keeps log lines
 * from landing in it. The cursor rests at its beginning, so that whoever writes to the terminal
 * without knowing of it writes over it and not behind it. Does not: gather figures (session does).
 * Private to cli; status_show from one thread at a time, status_hold and status_release from any.
 */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "cli/options.h"
#include "session/session.h"

/* fd == -1: nothing is shown. before: what was shown last, for rates. */
struct status {
	int fd;
	bool only_after; /* tracing itself is not told, only what comes after it */
	bool shown;	 /* the line is on the screen */
	struct session_figures before;
	pthread_mutex_t lock;
	struct session_progress progress; /* what session_options.progress points to */
};

/*
 * Decides whether there will be a line: on a terminal that can move its cursor, not with --quiet,
 * and as --status says.
 */
void status_open(const struct options *options, struct status *ret);

/* What to give to session_options.progress; NULL where nothing is shown. */
const struct session_progress *status_progress(const struct status *status);

/* The line tells what a server's files take while they are fetched; server may be NULL. */
void status_follow(struct status *status, struct debug_server *server);

/* The same for symbols that are looked up; what to give to lookup.progress. */
struct lookup_progress status_symbols(struct status *status);

/* Appends such a line, as status_render. */
void status_render_fetching(const char *name, uint64_t done_bytes, uint64_t total_bytes,
			    size_t columns, struct buffer *out);

/* Before and after something else is written to standard error. */
void status_hold(struct status *status);
void status_release(struct status *status);

/* Erases the line for good. */
void status_close(struct status *status);

/*
 * Appends the line, at most `columns` wide: what does not fit is left out from the end, part by
 * part. `before` gives the rates; its phase may be another one, then there are none.
 */
void status_render(const struct session_figures *now, const struct session_figures *before,
		   size_t columns, struct buffer *out);

#define _cleanup_status_line_ __attribute__((__cleanup__(status_close)))

#endif
