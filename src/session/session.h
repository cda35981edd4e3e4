/* SPDX-License-Identifier: MIT */
/*
 * A session: target, probes, stacks and ledger brought together, from start or attach to the frozen
 * snapshot.
 *
 * Owns: the event loop and the one idempotent stop that every way out goes through. Does not:
 * print, parse options, or render. Called by: cli, from the main thread. All ptrace calls are made
 * by one thread that the session starts; while it runs the caller's thread waits for signals, so
 * SIGINT, SIGTERM, SIGHUP and SIGQUIT must not be handled elsewhere in the process.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <sys/types.h>

#include "allocator/rule.h"
#include "base/error.h"
#include "base/log.h"
#include "session/progress.h"
#include "snapshot/snapshot.h"

enum session_engine { SESSION_ENGINE_AUTO, SESSION_ENGINE_JUMP, SESSION_ENGINE_BREAKPOINT };

struct session_options {
	enum session_engine engine;
	size_t depth;	       /* frames kept of a stack, 1 to 1024 */
	bool follow_children;  /* --follow children */
	unsigned keep;	       /* --keep, --raw: of enum snapshot_kept_flags */
	bool pin;	       /* --pin: target and tracer on one CPU while tracing */
	uint64_t duration_ns;  /* --for; 0: no limit */
	bool unreachable;      /* --unreachable: look for blocks that nothing points to */
	const struct log *log; /* may be NULL */
	const struct session_progress *progress; /* NULL: nobody looks */
	const struct allocator_rules *rules;	 /* --alloc; NULL: none */
	const char *const *debug_paths;		 /* --debug-path: as in struct image_options */
	int started_fd; /* attach: one byte is written here when the probes are in; -1: none (tests)
			 */
};

struct session_result {
	struct snapshot *snapshot; /* owned by the caller: snapshot_destroy */
	pid_t pid;
	bool exited; /* the target has ended: status or signal is valid */
	int exit_status;
	int signal; /* not 0: it died of this */
};

/*
 * Starts argv[0] (looked up in PATH) with the given environment and traces until it ends. Signals
 * sent to us by kill(2) are passed on to it; those of the terminal reach it by themselves.
 * Errors before the target runs: ERROR_NOT_FOUND, ERROR_DENIED, ERROR_UNSUPPORTED, ...
 */
struct error *session_run(const struct session_options *options, char *const argv[],
			  char *const envp[], struct session_result *ret);

/*
 * Waits for the end of a program that session_run let go of before it ended (--for, or an error);
 * it goes on untraced. Does nothing if it has ended.
 */
void session_await(struct session_result *result);

/*
 * Attaches to the process pid and traces until SIGINT, SIGTERM, SIGHUP, the duration or its end;
 * detaches. Errors before anything is written to the target: ERROR_NOT_FOUND (no such process, no
 * allocator), ERROR_DENIED (with the rule that refused), ERROR_UNSUPPORTED.
 */
struct error *session_attach(const struct session_options *options, pid_t pid,
			     struct session_result *ret);

/* A function of an allocator in a process, and how its calls would be seen. */
struct session_finding {
	char *function;
	char *module;
	const char *kind; /* "jump", "breakpoint", "none" */
	char *reason;	  /* why not a jump; NULL: there is nothing to say */
};

struct session_findings {
	struct session_finding *items;
	size_t count, capacity;
	size_t leftovers; /* jumps that a session which was killed has left */
	size_t removed;	  /* of them */
};

/*
 * Looks at a process as session_attach would, without writing to it; with `clean` the jumps are
 * removed that a session which was killed has left in it. What calls it must end soon: threads
 * asleep in system calls are let go of by that. Errors as session_attach.
 */
struct error *session_examine(const struct session_options *options, pid_t pid, bool clean,
			      struct session_findings *ret);
void session_findings_deinit(struct session_findings *findings);

#endif
