/* SPDX-License-Identifier: MIT */
/*
 * Calls of probed functions: what to record when one begins and when one ends. The same events as
 * the tracer's own account of calls (probe/calls.h).
 *
 * Owns: what entry.c saves of the target's registers, and the frame of a call under way. Private to
 * src/agent, freestanding. Called by entry.c alone, on the target's stack; any thread, any handler.
 */
#ifndef AGENT_CALL_H
#define AGENT_CALL_H

#include "agent/abi.h"

/*
 * On the stack, right below the call's return address. `marker` is where call_code's call puts its
 * own return address (so that is what stands there from the beginning to the end of a call); r11
 * stands in the frame.
 */
struct agent_saved {
	uint64_t arguments[6]; /* rdi, rsi, rdx, rcx, r8, r9: psABI 3.2.3 */
	uint64_t r10;
	uint64_t flags;
	uint64_t rax;
	uint64_t marker;
	struct agent_frame frame;
};

enum {
	/* From a call's return address down to what entry.c's own call has pushed. */
	CALL_ACTIVATION_BYTES = sizeof(struct agent_saved) + 8,
	/* The same to where the call of the function itself has. */
	CALL_MARKER_BYTES = sizeof(struct agent_frame) + 8,
	/* From a stub to where its call_code's call returns to. */
	CALL_RETURN = offsetof(struct agent_stub, call_code) + AGENT_CALL_RETURN,
};

/* Where the calls of agent_enter and agent_leave return to. */
extern const uint8_t agent_enter_return[] __attribute__((visibility("hidden")));
extern const uint8_t agent_leave_return[] __attribute__((visibility("hidden")));

/*
 * A probed function is entered, bp being rbp. True if its end is to be seen (frame is filled: go on
 * by call_code), false if not (plain_code). saved->frame.stub is the stub. Not for leaf creations.
 */
bool agent_enter(struct agent_saved *saved, uint64_t bp);

/*
 * The unwinder of exceptions looks at pc. Where that is the frame of a call of ours that is under
 * way, most likely because it is being left, gives its stub; else 0.
 */
uint64_t agent_unwound(uint64_t pc);

/* Where the image begins. */
void agent_header_bytes(void) __attribute__((visibility("hidden")));

/* A function that was called by call_code has returned; saved->rax is its result. */
void agent_leave(const struct agent_saved *saved, uint64_t bp);

#endif
