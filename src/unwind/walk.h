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

struct unwind_registers {
	uint64_t pc;
	uint64_t sp;
	uint64_t bp;
	bool bp_lost; /* bp is not known; the walk does without as far as it can */
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
