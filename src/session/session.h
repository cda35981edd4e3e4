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
#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "session/progress.h"
#include "snapshot/snapshot.h"

struct debug_server; /* image/debug_server.h */

enum session_engine { SESSION_ENGINE_AUTO, SESSION_ENGINE_JUMP, SESSION_ENGINE_BREAKPOINT };

/*
 * Where snapshots go that are taken while tracing goes on. Called from a thread of the session's,
 * one call at a time, and never while session_run or session_attach is not under way. The snapshot
 * stays the session's.
 */
struct session_sink {
	/* Keeps the snapshot; appends the name of the file, if it became one. */
	struct error *(*take)(void *context, struct snapshot *snapshot, struct buffer *file_ret);
	/* Adds what only cli can add (source text) to one that is passed on; may be NULL. */
	struct error *(*complete)(void *context, struct snapshot *snapshot);
	bool saves; /* take makes files: `ctl snapshot` need not name one */
	void *context;
};

/* A function of the target at which something is done. */
struct session_watch {
	bool snapshots;	      /* a snapshot is taken; else the peak is reset */
	bool at_exit;	      /* when it returns; else when it is called */
	const char *function; /* as the symbol table names it */
	const char *module;   /* fnmatch(3) pattern of its path or file name; NULL: any */
};

struct session_options {
	enum session_engine engine;
	size_t depth;			     /* frames kept of a stack, 1 to 1024 */
	bool follow_children;		     /* --follow children */
	unsigned keep;			     /* --keep, --raw: of enum snapshot_kept_flags */
	bool pin;			     /* --pin: target and tracer on one CPU while tracing */
	uint64_t duration_ns;		     /* --for; 0: no limit */
	uint64_t interval_ns;		     /* --interval; 0: none */
	const struct session_watch *watches; /* --reset-peak-at, --snapshot-at */
	size_t watch_count;
	bool ignore_static_probes; /* --usdt ignore */
	bool mmap;	  /* --mmap: what is mapped beside the allocators, reported apart */
	bool unreachable; /* --unreachable: look for blocks that nothing points to */
	struct session_sink sink;
	const struct log *log;			 /* may be NULL */
	const struct session_progress *progress; /* NULL: nobody looks */
	const struct allocator_rules *rules;	 /* --alloc; NULL: none */
	const char *const *debug_paths;		 /* --debug-path: as in struct image_options */
	struct debug_server *debug_server;	 /* --debuginfod; NULL: none is asked */
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

/* A function of an allocator in a process or program, and how its calls would be seen. */
struct session_finding {
	char *function;
	char *module;
	/* "jump", "breakpoint", "none"; "missing" where the module lacks it; "found" in a program,
	 * where how is known only once it runs */
	const char *kind;
	char *reason; /* why not a jump; NULL: there is nothing to say */
};

/* A file that is mapped, or that a program asks for. absent ? path is its name alone : it was read
 */
struct session_module {
	char *path;
	char *build_id;	    /* in hex, NULL: none */
	char *debug_file;   /* the separate one that was found, NULL: none */
	bool lines;	    /* there is line information, in it or in that file */
	size_t unwind_rows; /* of its unwind table; 0: there is none of use */
	bool absent;
};

struct session_findings {
	struct session_finding *items;
	size_t count, capacity;
	struct session_module *modules;
	size_t module_count, module_capacity;
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

/*
 * Looks at a program (in PATH, or a path) without running it or anything it names: at its file, and
 * at the libraries these ask for in the standard directories. Errors: ERROR_NOT_FOUND,
 * ERROR_DENIED, ERROR_BAD_INPUT and ERROR_UNSUPPORTED where it is no program for x86-64.
 */
struct error *session_examine_program(const struct session_options *options, const char *program,
				      struct session_findings *ret);
void session_findings_deinit(struct session_findings *findings);

#endif
