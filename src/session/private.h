/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what a session holds.
 *
 * session.c: the two beginnings, signals, the tracer thread.    loop.c: events of the target.
 * space.c: modules and probes of a space.    freeze.c: from ledger and stacks to the snapshot.
 */
#ifndef SESSION_PRIVATE_H
#define SESSION_PRIVATE_H

#include <sched.h>
#include <stdatomic.h>

#include "ledger/ledger.h"
#include "session/session.h"
#include "session/space.h"
#include "stack/capture.h"
#include "stack/interner.h"

/* What the session remembers of a target's thread, made at its first hit. */
struct session_thread {
	struct probe_thread probe;
	struct capture_bounds bounds;
};

/* A process of the tree, living or ended, for the report. */
struct session_process {
	pid_t pid;
	pid_t parent;
	char *command; /* owned; as of its last exec */
	bool ended;
	int exit_status;
	int signal;
};

struct session_processes {
	struct session_process *items;
	size_t count, capacity;
};

/*
 * `finished` is set by the tracer thread as its last act; everything else belongs to that thread
 * while it runs and to the main thread before and after, but for the atomics: `stop` is set by the
 * main thread, the others by the tracer thread.
 */
struct session {
	const struct session_options *options;
	struct target target;
	struct registry *registry;
	struct interner *interner;
	struct ledger *ledger;
	struct space_probes probes;
	struct session_processes processes;
	struct capture capture; /* room for one walk */
	pid_t root;
	_Atomic pid_t root_child; /* run: whom the main thread passes signals to, 0: nobody */
	bool root_ended;
	int root_status;
	int root_signal;
	uint64_t started_ns;
	_Atomic uint64_t begun_ns; /* when the probes were in; 0: not yet. --for counts from here */
	uint64_t duration_ns;
	int64_t started_unix_ns;
	uint64_t truncated_stacks;
	uint64_t incomplete_stacks;
	bool stopped;	    /* the one stop has been done */
	cpu_set_t affinity; /* --pin: what to go back to */
	_Atomic bool stop;
	_Atomic bool finished;
};

/* ---- loop.c, tracer thread */

/* Handles one event. */
struct error *loop_handle(struct session *session, const struct target_event *event);

/* Handles events until the root has ended, a stop was asked for, or no thread is left. */
struct error *loop_run(struct session *session);

/*
 * The one stop: takes every probe out and lets go of every thread. Idempotent; every way out of
 * tracing goes through it. The first error is returned, the work is done all the same.
 */
struct error *loop_stop(struct session *session);

/* The first look at a process that was attached to or has called exec. */
struct error *loop_note_process(struct session *session, const struct target_process *process);
struct error *loop_new_space(struct session *session, struct target_space *space,
			     struct session_space **ret);

/* ---- freeze.c, main thread after the tracer thread has ended */
struct error *freeze_snapshot(struct session *session, enum snapshot_origin origin,
			      char *const command[], struct snapshot **ret);

#endif
