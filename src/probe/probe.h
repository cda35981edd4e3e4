/* SPDX-License-Identifier: MIT */
/*
 * Probes of one address space: placing them, telling what a trap meant, taking them out.
 *
 * Owns: which bytes of the target are changed and what they were. Does not: find functions, unwind,
 * or count (session does, through what on_trap returns). Called by: session, from the tracer
 * thread.
 *
 * There are two kinds of probe. Breakpoints are hit and reported thread by thread, through the
 * table of operations below (breakpoint.c). Jumps are seen by an agent in the target and come out
 * of its rings: jump.h, rings.h.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "allocator/catalogue.h"
#include "arch/code.h"
#include "base/map.h"
#include "probe/calls.h"
#include "target/target.h"

/* Why a function is probed. */
enum probe_purpose {
	PROBE_ALLOCATOR,   /* its calls are events */
	PROBE_LINKER,	   /* the dynamic linker's notification: modules came or went */
	PROBE_SIGACTION,   /* sigaction(signal, action, old): see target/sigtrap.h */
	PROBE_SIGMASK,	   /* pthread_sigmask(how, set, old) */
	PROBE_UNWINDER,	   /* _Unwind_Find_FDE(pc, bases): by jumps alone */
	PROBE_WATCH,	   /* one place that is only to be noticed: by breakpoints alone */
	PROBE_CONFINEMENT, /* prctl(option, ...), syscall(number, option, ...): by jumps alone */
};

struct probe_request {
	enum probe_purpose purpose;
	const struct allocator_function *function; /* PROBE_ALLOCATOR */
	bool leaf;				   /* it calls no other function that is probed */
	bool maps_inside; /* what it maps itself is a part of its calls: all of them are followed */
	unsigned char number_argument, option_argument; /* PROBE_CONFINEMENT: see agent/abi.h */
	unsigned watch; /* PROBE_WATCH: a number that hits have again */
	target_addr entry;
	target_addr text_start, text_end; /* the executable mapping that entry lies in */
	image_id image;			  /* what is mapped there; 0: not known */
	uint64_t bias;			  /* target address - image address */
};

/* A hit, as far as probes can tell. */
enum probe_hit_kind {
	PROBE_HIT_NONE,	 /* not a probe of ours: a signal of the target's own */
	PROBE_HIT_STALE, /* ours, but taken out since: the thread was put back, nothing happened */
	PROBE_HIT_CALL,	 /* entry or exit of an allocator function: see outcome */
	PROBE_HIT_LINKER,
	PROBE_HIT_SIGACTION,
	PROBE_HIT_SIGMASK,
	PROBE_HIT_WATCH,
};

struct probe_hit {
	enum probe_hit_kind kind;
	struct calls_outcome outcome;
	unsigned watch;	  /* PROBE_HIT_WATCH */
	uint64_t stack;	  /* PROBE_HIT_CALL: where the return address stands */
	target_addr site; /* the probed instruction */
};

/* What a thread remembers between hits. Zeroed for a new thread. */
struct probe_thread {
	struct calls calls;
	bool seen; /* it has hit a probe before */
	/*
	 * A thread that took a signal before its relocated instruction ran was put back on the
	 * site, and will hit it a second time for the same call.
	 */
	target_addr replay_site;
	uint64_t replay_stack;
};

struct probe_set;

struct probe_operations {
	const char *name; /* "breakpoint" */
	/* Places a probe. Errors: ERROR_UNSUPPORTED with the reason; nothing was written then. */
	struct error *(*insert)(struct probe_set *set, const struct probe_request *request);
	/*
	 * Tells what a SIGTRAP-stop meant and puts the thread where it goes on. region: which stack
	 * the thread is on.
	 */
	struct error *(*on_trap)(struct probe_set *set, struct target_thread *thread,
				 struct probe_thread *state, uint64_t region,
				 struct probe_hit *ret);
	/* A signal is about to be delivered: no context that a handler sees may lie in our code. */
	void (*on_signal)(struct probe_set *set, struct target_thread *thread,
			  struct probe_thread *state);
	/* Puts the original bytes of all functions back. Threads may still be in our code. */
	struct error *(*disarm)(struct probe_set *set);
	/* Moves a stopped thread out of our code (after disarm). */
	void (*evacuate)(struct probe_set *set, struct target_thread *thread);
	/* Removes our code, too (after disarm and evacuate of every thread). */
	struct error *(*erase)(struct probe_set *set);
};

extern const struct probe_operations probe_breakpoint;

/*
 * An empty set for a space. reader is used for planning: its `read` must give what the memory
 * holds; the set itself undoes its own changes in what it sees. reader's context must outlive the
 * set.
 */
struct error *probe_set_create(const struct probe_operations *operations,
			       const struct target_space *space, const struct code_reader *reader,
			       struct probe_set **ret);

/* The set of a forked child: same sites, same bytes, in another space. */
struct error *probe_set_copy(const struct probe_set *set, const struct target_space *space,
			     const struct code_reader *reader, struct probe_set **ret);

/* Frees the description alone: the space is gone, or everything has been erased. NULL is legal. */
void probe_set_destroy(struct probe_set *set);

/*
 * Executable memory that belongs to nobody: the rest of a text segment's last page, which must hold
 * zeroes. Relocated instructions go there, so nothing need be mapped in the target. `owner` is
 * where its mapping starts: sites in [owner, end) use it first. Those of other modules use it only
 * if it is permanent (never unloaded): a copy must not go away before its site.
 */
struct error *probe_set_add_slack(struct probe_set *set, target_addr owner, target_addr start,
				  target_addr end, bool permanent);

/* How the set's planning reads code: as it was before any breakpoint of the set. */
const struct code_reader *probe_set_reader(const struct probe_set *set);

/*
 * Takes out the breakpoint at the entry of a function whose exits have none, so that another kind
 * of probe may stand there. None there is no error.
 */
struct error *probe_set_remove_entry(struct probe_set *set, target_addr entry);

/* Whether the set has any breakpoint in an allocator function. */
bool probe_set_has_allocator(const struct probe_set *set);

/* A range of the space was unmapped: what was in it is gone without our doing. */
void probe_set_forget(struct probe_set *set, target_addr start, target_addr end);

/*
 * Says that a function will be probed at this entry. Announcing all functions of a family before
 * the first is inserted lets each know which of its tail calls another probe takes over.
 */
struct error *probe_set_announce(struct probe_set *set, target_addr entry);

/* The operations of a set's kind, on the set. */
struct error *probe_insert(struct probe_set *set, const struct probe_request *request);
struct error *probe_on_trap(struct probe_set *set, struct target_thread *thread,
			    struct probe_thread *state, uint64_t region, struct probe_hit *ret);
void probe_on_signal(struct probe_set *set, struct target_thread *thread,
		     struct probe_thread *state);
struct error *probe_disarm(struct probe_set *set);
void probe_evacuate(struct probe_set *set, struct target_thread *thread);
struct error *probe_erase(struct probe_set *set);

#endif
