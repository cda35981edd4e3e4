/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: when to tell session_options.progress, and what.
 *
 * Owns: nothing but two moments. One thread uses a pace at a time: the one that called session_run
 * or session_attach.
 */
#ifndef SESSION_PACE_H
#define SESSION_PACE_H

#include <stdbool.h>
#include <stddef.h>

#include "session/session.h"

struct session;

enum { PACE_INTERVAL_NS = 500000000 };

/* sink NULL: nobody is told. Invariant: begun_ns <= shown_ns where something was shown. */
struct pace {
	const struct session_progress *sink;
	uint64_t begun_ns; /* by clock_now_ns */
	uint64_t shown_ns; /* 0: nothing yet */
};

void pace_begin(struct pace *pace, const struct session_progress *sink);

/* Tells how tracing goes, if it is time. Skipped where the ledger is held for long by others. */
void pace_tracing(struct pace *pace, struct session *session);

/* Tells how many stacks have been looked up, if it is time. */
void pace_symbolizing(struct pace *pace, size_t done, size_t total);

/* Our own CPU time, in nanoseconds. */
uint64_t pace_cpu_ns(void);

#endif
