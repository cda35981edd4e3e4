/* SPDX-License-Identifier: MIT */
/*
 * Calls of allocator functions under way in one thread: from entry and exit to events, each block
 * once however the functions call each other. The same for every kind of probe.
 *
 * A call is known by where its return address stands on the stack. While one is under way, deeper
 * entries on the same stack are its own inner calls and are not seen; an entry at the very same
 * place is a tail call that takes over (memalign jumps into malloc) and replaces it; an entry above
 * it means that it was left by longjmp or an exception. Calls on different stacks (a handler on its
 * alternate stack) do not concern each other.
 *
 * Called by: probe kinds and session, from the tracer thread.
 */
#ifndef PROBE_CALLS_H
#define PROBE_CALLS_H

#include <sys/user.h>

#include "allocator/catalogue.h"
#include "base/event.h"

enum { CALLS_MAX = 4 };

struct call {
	const struct allocator_function *function;
	uint64_t stack;	 /* where the return address stands */
	uint64_t region; /* which stack it is on */
	uint64_t size_bytes;
	target_addr old_address;
	target_addr result_slot;	/* ALLOCATOR_STORES_ADDRESS */
	uint64_t return_address;	/* what stood at `stack` at the entry, 0: not known */
	bool begun;			/* RESIZE_BEGIN was given out */
	uint64_t old_size_bytes, flags; /* of mappings */
};

/* Invariant: calls[0 .. count) in order of entry; of one region, stack strictly descends. */
struct calls {
	struct call items[CALLS_MAX];
	size_t count;
};

/*
 * A call of a function that maps: at its entry (a release has no other moment) or, `ended`, at its
 * exit, with what it returned. What that means is for the caller to say.
 */
struct calls_mapping {
	const struct allocator_function *function; /* NULL: it was no such call */
	bool ended;
	uint64_t result;
	target_addr address; /* its pointer argument */
	uint64_t size_bytes, old_size_bytes, flags;
};

/*
 * What became of an entry or exit: up to two events, in order. Their space, thread, site and time
 * are left to the caller; `needs_site` says that the last one has one. `cancelled` resizes (by
 * their old address) come before the events.
 */
struct calls_outcome {
	struct event events[2];
	size_t event_count;
	bool needs_site;
	target_addr cancelled[CALLS_MAX];
	size_t cancelled_count;
	target_addr
		result_slot; /* not 0: the address must be read from here first (calls_stored) */
	struct calls_mapping mapping; /* then there are no events */
};

/* A thread entered function; registers as at its first instruction. */
void calls_enter(struct calls *calls, const struct allocator_function *function,
		 const struct user_regs_struct *registers, uint64_t region,
		 struct calls_outcome *ret);

/*
 * A thread is at a `ret`, its return address at stack. Not every one ends a call: those of inner
 * calls and of functions that share code give no event.
 */
void calls_exit(struct calls *calls, const struct user_regs_struct *registers, uint64_t stack,
		struct calls_outcome *ret);

/*
 * The same at the exit of a function without an entry probe: its size argument was still readable,
 * or was noted on the way (calls_note). What was entered with a probe and left by a tail call comes
 * first.
 */
void calls_exit_sized(struct calls *calls, const struct allocator_function *function,
		      const struct user_regs_struct *registers, uint64_t stack, uint64_t region,
		      uint64_t size_bytes, struct calls_outcome *ret);

/*
 * A thread is inside function, its return address at stack, and the size argument is about to be
 * overwritten: the call is noted as calls_enter would have. A call already known there stays.
 */
void calls_note(struct calls *calls, const struct allocator_function *function, uint64_t stack,
		uint64_t region, uint64_t size_bytes, struct calls_outcome *ret);

/*
 * The call that makes whatever happens at stack an inner call, NULL if there is none. A thread that
 * left it by longjmp may never come above its place again: whoever can read the stack compares the
 * word at its `stack` with its return_address, and says calls_left where they differ.
 */
struct call *calls_outer(struct calls *calls, uint64_t stack, uint64_t region);

/* The call that was entered with its return address at stack, NULL if it is not under way. */
struct call *calls_at(struct calls *calls, uint64_t stack, uint64_t region);

/* A call of calls will not end. Adds to what *ret holds already. */
void calls_left(struct calls *calls, struct call *call, struct calls_outcome *ret);

/* Completes the outcome of a function that stores its result: what the slot held. */
void calls_stored(struct calls_outcome *outcome, target_addr address);

/* The thread is gone or has another program: calls under way will not end. */
void calls_abandon(struct calls *calls, struct calls_outcome *ret);

#endif
