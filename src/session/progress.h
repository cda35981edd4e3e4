/* SPDX-License-Identifier: MIT */
/*
 * How a session tells, while it works, how far it is.
 *
 * Owns: the figures and when they are told. Does not: print, or know who looks. The callback is
 * called in the thread that called session_run or session_attach, at most about twice a second, and
 * must not keep it for long: signals wait meanwhile.
 */
#ifndef SESSION_PROGRESS_H
#define SESSION_PROGRESS_H

#include <stdint.h>

enum session_phase {
	SESSION_STARTING,    /* the probes are not in yet */
	SESSION_TRACING,     /* elapsed_ns counts from when they were */
	SESSION_SYMBOLIZING, /* tracing is over; not told before it has taken a second */
};

struct session_figures {
	enum session_phase phase;
	uint64_t elapsed_ns;
	uint64_t tracer_cpu_ns; /* our own CPU time since we were started */
	/* SESSION_TRACING, else 0 */
	uint64_t current_bytes, peak_bytes;
	uint64_t events;
	/* SESSION_SYMBOLIZING, else 0 */
	uint64_t done_stacks, total_stacks;
};

struct session_progress {
	void (*show)(void *context, const struct session_figures *figures);
	void *context;
};

#endif
