/* SPDX-License-Identifier: MIT */
#include "agent/outer.h"

#include "agent/call.h"

/* How far below an outermost call its inner ones are looked for, on a stack of unknown bounds. */
enum { REACH_BYTES = 64 << 10 };

static const struct agent_frame *frame_of(uint64_t sp)
{
	return (const struct agent_frame *)(sp - sizeof(struct agent_frame));
}

/* Whether the marker of the call at outer stands; what is below sp is not known to be there. */
static bool stands(uint64_t outer)
{
	uint64_t marker, stub;
	return system_read_word(outer - CALL_MARKER_BYTES, &marker) &&
	       system_read_word((uint64_t)&frame_of(outer)->stub, &stub) &&
	       marker == stub + CALL_RETURN;
}

static bool stands_above(uint64_t outer)
{
	return *(const uint64_t *)(outer - CALL_MARKER_BYTES) ==
	       frame_of(outer)->stub + CALL_RETURN;
}

static void forget(struct agent_thread *thread, uint64_t sp)
{
	uint64_t old = thread->outer_old;
	thread->outer_sp = 0;
	thread->outer_old = 0;
	if (old)
		record_slowly(thread, sp, 0, record_word(RING_RESIZE_CANCELLED, old), 0, 0);
}

bool outer_contains(struct agent_thread *thread, uint64_t sp)
{
	uint64_t outer = thread->outer_sp;
	uint64_t low;
	uint64_t bytes = thread_stack_bytes(thread, sp, &low);
	bool below = sp <= outer - CALL_MARKER_BYTES && sp < outer;
	if (bytes == 0)
		return below && outer - sp <= REACH_BYTES && stands(outer);
	if (outer < low || outer >= sp + bytes)
		return false;
	if (below && stands_above(outer))
		return true;
	/*
	 * At its place and where we are writing it cannot be any more. From further above it may
	 * still be under way: a handler's stack can be a part of the one that it interrupted.
	 */
	if (below || sp - outer <= CALL_ACTIVATION_BYTES || !stands(outer))
		forget(thread, sp);
	return false;
}

void outer_end(struct agent_thread *thread, const struct agent_frame *frame)
{
	uint64_t outer = frame->outer & ~UINT64_C(7);
	uint64_t old = 0;
	if (frame->outer & 1 && !system_read_word((uint64_t)&frame_of(outer)->old, &old))
		old = 0;
	thread->outer_sp = outer;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->outer_old = old;
}

void outer_unwound(struct agent_thread *thread, uint64_t stub)
{
	uint64_t outer = thread->outer_sp;
	uint64_t old = thread->outer_old;
	if (outer == 0 || !stands(outer) || frame_of(outer)->stub != stub)
		return;
	outer_end(thread, frame_of(outer));
	if (old)
		record_slowly(thread, outer, 0, record_word(RING_RESIZE_CANCELLED, old), 0, 0);
}
