/* SPDX-License-Identifier: MIT */
/*
 * Capturing the stack of a stopped thread as frames.
 *
 * Owns: what it knows of a thread's stack bounds between stops. The stack is read in pages as the
 * walk asks for them, never outside of its mapping. Called by: session, the tracer thread.
 */
#ifndef STACK_CAPTURE_H
#define STACK_CAPTURE_H

#include "stack/interner.h"
#include "stack/modules.h"
#include "target/target.h"

/* The mapping a thread's stack pointer was last in. high identifies the stack: it does not move. */
struct capture_bounds {
	uint64_t low, high;
};

enum { CAPTURE_DEPTH_MAX = 1024 };

struct capture {
	struct frame frames[CAPTURE_DEPTH_MAX];
	size_t count;
	enum unwind_stop stop;
};

/*
 * The stack that sp is on: its mapping, found again when sp has left the known one. high 0 if there
 * is no such mapping.
 */
uint64_t capture_region(const struct target_space *space, struct capture_bounds *bounds,
			uint64_t sp);

/* The frame of a return address. modules NULL: nothing is known of the space. */
struct frame capture_frame(const struct modules *modules, uint64_t return_address);

/*
 * Walks from a thread inside a function whose return address stands at `stack`, and stores at most
 * depth frames, the innermost that function's caller. pc is where in the function the thread is:
 * at its first instruction or its `ret`, or anywhere that the unwind tables know.
 */
void capture_stack(const struct target_space *space, const struct modules *modules,
		   struct capture_bounds *bounds, const struct user_regs_struct *registers,
		   target_addr pc, uint64_t stack, size_t depth, struct capture *ret);

#endif
