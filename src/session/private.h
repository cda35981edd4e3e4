/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what a session holds.
 *
 * session.c: signals and the tracer thread; begin.c: how it comes by the target.
 *
 * loop.c: events of the target; hit.c: what its threads stop for; stop.c: pauses, and the one stop;
 * retire.c: the end of agents.
 *
 * space.c, place*.c: modules and probes of a space; install.c: jumps, from planned to written;
 * mapped.c: what it maps for itself.
 *
 * watch.c, static_probes.c, moments.c: places at which something is done, and what.
 *
 * tap.c: what agents write; tap_reader.c: the reader thread; tap_sink.c: the way into the ledger.
 *
 * frozen.c: a copy of the figures at one moment; freeze*.c, symbols.c, positions.c: from it to the
 * snapshot; control*.c: the thread that serves those who ask while tracing goes on; ahead.c: the
 * one that looks symbols up meanwhile.
 *
 * marks.c: named moments; traits.c, usable.c: sites finer than stacks; leaks.c, roots.c: what
 * nothing points to any more; pace.c: what is told while it works; examine.c: a look that changes
 * nothing.
 */
#ifndef SESSION_PRIVATE_H
#define SESSION_PRIVATE_H

#include <sched.h>
#include <stdatomic.h>

#include "ledger/ledger.h"
#include "ledger/mappings.h"
#include "session/ahead.h"
#include "session/control.h"
#include "session/frozen.h"
#include "session/leaks.h"
#include "session/marks.h"
#include "session/session.h"
#include "session/space.h"
#include "session/symbols.h"
#include "session/tap.h"
#include "session/traits.h"
#include "stack/capture.h"
#include "stack/interner.h"

/* What the session remembers of a target's thread, made at its first hit. */
struct session_thread {
	struct probe_thread probe;
	struct capture_bounds bounds;
	uint64_t data_end; /* of the data segment, where a call of brk(2) began; 0: not known */
};

/* A process of the tree, living or ended, for the report. */
struct session_process {
	pid_t pid;
	pid_t inner_pid;
	pid_t parent;
	char *command; /* owned; as of its last exec */
	char name[16]; /* its main thread's as of then, which others are born with */
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
 * while it runs and to the main thread before and after, but for what tap.h shares with the reader
 * thread, and the atomics: `stop` is set by the main thread, `poke` by whoever wants the tracer
 * thread to look up, the others by the tracer thread.
 */
struct session {
	const struct session_options *options;
	struct target target;
	struct registry *registry;
	struct interner *interner;
	struct ledger *ledger;
	struct traits *traits;	   /* NULL: a site of the ledger is a stack */
	struct mappings *mappings; /* --mmap; NULL: they are not followed */
	struct space_probes probes;
	struct taps taps;
	struct leaks leaks;	   /* --unreachable */
	struct snapshot_heap heap; /* attach */
	double ns_per_tick;	   /* of the time stamp counter; 0: not measured */
	pthread_t tracer;
	pthread_t main_thread;
	struct session_processes processes;
	struct marks marks; /* under the lock of the taps */
	struct symbols symbols;
	struct ahead ahead;
	struct control *control; /* NULL: nothing can be asked */
	enum snapshot_origin origin;
	char *const *command;	/* of the root, as started or found */
	bool alone;		/* main thread: the others have ended */
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
	bool over;	    /* what probes see from now on does not count */
	bool retired;	    /* there were agents, and nobody will be in them again */
	cpu_set_t affinity; /* --pin: what to go back to */
	/* The longest times that all running threads were stopped at once, and at the end. */
	uint64_t install_frozen_ns;
	uint64_t remove_frozen_ns;
	_Atomic bool stop;
	_Atomic bool poke;
	_Atomic bool finished;
};

/* ---- loop.c, tracer thread */

/* Handles one event. */
struct error *loop_handle(struct session *session, const struct target_event *event);

/* Handles events until the root has ended, a stop was asked for, or no thread is left. */
struct error *loop_run(struct session *session);

/* The first look at a process that was attached to or has called exec. */
struct error *loop_note_process(struct session *session, const struct target_process *process);
struct error *loop_new_space(struct session *session, struct target_space *space,
			     struct session_space **ret);

/* install_update, for which the end of a process, which comes as an event, is no error. */
struct error *loop_update(struct session *session, struct session_space *space,
			  struct target_thread *at_hand);

/* ---- hit.c, tracer thread */

/* A thread stopped for a SIGTRAP, or before a signal is delivered; it goes on. */
struct error *hit_on_trap(struct session *session, struct target_thread *thread);
struct error *hit_on_signal(struct session *session, struct target_thread *thread, int signal);

/* ---- stop.c, tracer thread */

/*
 * Stops a space (NULL: every space), or `only` one thread, until stop_go_on: see target_pause. How
 * long that was is noted.
 */
void stop_pause(struct session *session, const struct session_space *space,
		const struct target_thread *only);
void stop_go_on(struct session *session);

/* Notes how long a pause was. */
void stop_note_freeze(uint64_t frozen_ns, uint64_t *longest_ns);

/* Handles what came while the target stood still and what is there now, without waiting for more.
 */
struct error *stop_catch_up(struct session *session);

/*
 * The one stop: takes every probe out and lets go of every thread. Idempotent; every way out of
 * tracing goes through it. The first error is returned, the work is done all the same.
 */
struct error *stop_all(struct session *session);

/*
 * What is left to be done when nobody is traced any more: what agents have recorded is taken. Main
 * thread, after the tracer thread's end: until then some threads of the target are still seized,
 * and would stand still when a signal comes.
 */
struct error *stop_finish(struct session *session);

/* ---- retire.c, tracer thread */

/*
 * In a pause: jumps go, agents record nothing more, and what they have recorded up to here is all
 * that is taken from now on. session->over is set.
 */
struct error *retire_jumps(struct session *session);

/*
 * The same, in pauses of its own, and sees everybody out of the agents: session->retired. What they
 * have recorded is still to be taken.
 */
struct error *retire_agents(struct session *session);

/*
 * Retires the agent that an earlier session has left in a space, if there is one: see jump.h.
 * ERROR_GONE: the space has ended meanwhile and is not there any more.
 */
struct error *retire_predecessor(struct session *session, struct session_space *space);

/* ---- install.c, tracer thread */

/*
 * Reads the modules of a space again, probes what is new, and sees its jumps through. at_hand: a
 * stopped thread of it whose event is being handled, NULL: there is none. ERROR_GONE: the space has
 * ended meanwhile and is not there any more.
 */
struct error *install_update(struct session *session, struct session_space *space,
			     struct target_thread *at_hand);

/* Turns the agent of a forked child on. */
struct error *install_in_child(struct session_space *space);

/* ---- begin.c, tracer thread */

/*
 * Starts the program, or attaches to session->root, and has what is there by then probed. Errors as
 * session_run and session_attach.
 */
struct error *begin_run(struct session *session, char *const argv[], char *const envp[],
			const struct target_signals *signals);
struct error *begin_attach(struct session *session);

/* ---- session.c */

/* Any thread: makes the tracer thread look up from its wait. */
void session_poke(struct session *session);

/* Any thread: ends tracing soon. */
void session_stop(struct session *session);

/* Any thread that holds the lock: notes a moment; of a reset, the peak counts from here. */
struct error *session_mark(struct session *session, enum snapshot_mark_kind kind, const char *name,
			   uint64_t time_ns);

/* Why a process that runs with a sanitizer is not traced. */
struct error *session_sanitized(pid_t pid, const char *name);

/* Says which rules mean nothing in any module seen so far. */
void session_warn_idle_rules(const struct session *session);

struct error *session_init(struct session *session, const struct session_options *options);
void session_deinit(struct session *session);
#define _cleanup_session_ __attribute__((__cleanup__(session_deinit)))

/* ---- freeze.c, the control thread or, when that has ended, the main thread */
struct error *freeze_snapshot(struct session *session, const struct frozen *frozen,
			      struct snapshot **ret);

/* A snapshot of one block alone: its site, with its stack. */
struct error *freeze_site(struct session *session, site_id site, uint64_t size_bytes,
			  struct snapshot **ret);

#endif
