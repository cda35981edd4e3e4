/* SPDX-License-Identifier: MIT */
/*
 * Who traces the process that a live view is of: a tracealloc that does already, or one that is
 * started for it and ended with it.
 *
 * Owns: the connection, that child, and the line that says it is attaching. Does not: draw. The
 * child is in a session of its own, so that no key of the terminal reaches it, and detaches when we
 * die of whatever cause. Private to cli; main thread.
 */
#ifndef CLI_TOP_SESSION_H
#define CLI_TOP_SESSION_H

#include "cli/options.h"
#include "session/control_client.h"

/* tracer: 0: somebody else traces. */
struct top_session {
	struct control_client client;
	pid_t tracer;
	int messages_fd;   /* what the child has said */
	bool says_waiting; /* the line that it is being attached to is on the terminal */
};

/*
 * Finds who traces options->pid, or starts who does. live: standard output is a terminal, which is
 * told what is waited for where that takes longer than a moment, and cleared of it. Errors: what
 * kept that one from tracing, no descriptors.
 */
struct error *top_session_open(const struct options *options, bool live, struct top_session *ret);

/* Ends what was started, and waits until the process is let go of. */
void top_session_close(struct top_session *session);

/* A snapshot of this moment, its file's bytes (NULL: not wanted) and itself (likewise). */
struct error *top_session_fetch(struct top_session *session, enum control_verb verb,
				struct buffer *bytes, struct snapshot **ret);
struct error *top_session_reset_peak(struct top_session *session);

#define _cleanup_top_session_ __attribute__((__cleanup__(top_session_close)))

#endif
