/* SPDX-License-Identifier: MIT */
/*
 * The walk over one stack by unwind tables, innermost to outermost.
 *
 * Freestanding, as table.h. Memory is read through a function it is given, and only inside the
 * bounds of the thread's stack. May be used from any thread.
 */
#ifndef UNWIND_WALK_H
#define UNWIND_WALK_H

#include <stddef.h>

#include "unwind/table.h"

/* A mapped image's code. Modules of a space are sorted by start and do not overlap. */
struct unwind_module {
	uint64_t start; /* target address of the first code byte */
	uint64_t end;
	uint64_t bias; /* target address - image address */
	struct unwind_table table;
};

struct unwind_space {
	const struct unwind_module *modules;
	size_t count;
};

/*
 * Rules that walks have looked up before, by pc. All zeroes: none. One thread, no signal handler,
 * uses it at a time.
 */
enum { UNWIND_RULES = 2048 }; /* a power of two */
struct unwind_rules {
	uint32_t epoch; /* items with another one are from before the last clearing */
	uint32_t pad[3];
	struct unwind_known_rule {
		uint64_t next; /* pc + 1; 0 is nobody's */
		uint32_t rule; /* packed */
		uint32_t epoch;
	} items[UNWIND_RULES];
};

/* To be called when modules change. */
void unwind_rules_clear(struct unwind_rules *rules);

struct unwind_registers {
	uint64_t pc;
	uint64_t sp;
	uint64_t bp;
	bool bp_lost; /* bp is not known; the walk does without as far as it can */
};

/*
 * What the result of a walk was made from, for the verified stack cache: a walk from the same rsp
 * (and the same rbp, if bp_used; with the same upper bound, if high_used, else one not below top)
 * that finds every item's value at its address, with the same modules and capacity, stores the same
 * frames. Filled by
 * unwind_walk from scratch, in the order of use; no address lies below the first rsp.
 *
 * A saved rbp is an item only where its value was looked at (a CFA computed from it, an attempt to
 * follow it, the check for 0). The others are only carried along: code that keeps data in rbp saves
 * other data at every call, on a stack that is the same.
 *
 * Invariant: count <= UNWIND_READS_MAX. If incomplete, the items tell nothing.
 */
enum { UNWIND_READS_MAX = 2112 }; /* two words a frame and more, at the greatest depth there is */
struct unwind_reads {
	uint32_t count;
	bool incomplete; /* more was used than fits, a word was unreadable, or there was a signal */
	bool bp_used;	 /* the first rbp was looked at, before any frame restored another */
	bool high_used;	 /* something lay beyond the upper bound, and ended the walk or a try */
	uint64_t high;	 /* that bound: unwind_memory.high */
	uint64_t top;	 /* the end of the highest word that was read and is no item; 0: none */
	struct {
		uint64_t address;
		uint64_t value;
	} items[UNWIND_READS_MAX];
};

struct unwind_memory {
	/* Reads one 8-byte word of the stack at address (within [low, high)); false if it cannot.
	 */
	bool (*read)(void *context, uint64_t address, uint64_t *ret);
	void *context;
	uint64_t low; /* bounds of the stack: no read goes outside */
	uint64_t high;
	/*
	 * The bounds of the stack that sp is on, where a signal frame leads to another one than the
	 * handler's (sigaltstack(2)); false if there is none. NULL: the walk ends there.
	 */
	bool (*other_stack)(void *context, uint64_t sp, uint64_t *low_ret, uint64_t *high_ret);
	struct unwind_rules *rules; /* what to keep rules in between walks; NULL: none are kept */
	struct unwind_reads *reads; /* where unwind_walk notes what it used; NULL: nowhere */
};

enum unwind_stop {
	UNWIND_STOP_END,   /* the outermost frame was reached */
	UNWIND_STOP_DEPTH, /* `capacity` frames were stored: the stack is truncated */
	UNWIND_STOP_LOST,  /* no rule, no plausible frame pointer, unreadable or cyclic */
};

/*
 * What rbp was in the caller of the function that registers stand in the middle of, where its
 * frame's CFA is known (its return address stands at cfa - 8). False if the tables do not say, or
 * say another CFA.
 */
bool unwind_caller_bp(const struct unwind_space *space, const struct unwind_memory *memory,
		      struct unwind_registers registers, uint64_t cfa, uint64_t *ret);

/*
 * Walks from registers that stand at a function's first instruction or at its `ret` (return address
 * at *sp: true whatever the tables know), storing return addresses, innermost (the caller of that
 * function) first, at most capacity. Where a pc has no usable rule the frame pointer is tried: it
 * must lie above sp inside the bounds and lead to a pc inside a module. Every step must raise the
 * CFA, so that a cyclic stack ends the walk (except across a signal frame, which may change stacks
 * once within the bounds). A frame interrupted by a signal is stored as pc + 1, so that "return
 * address - 1" is right for every entry.
 */
enum unwind_stop unwind_walk(const struct unwind_space *space, const struct unwind_memory *memory,
			     struct unwind_registers registers, uint64_t *frames, size_t capacity,
			     size_t *count_ret);

#endif
