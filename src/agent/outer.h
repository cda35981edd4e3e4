/* SPDX-License-Identifier: MIT */
/*
 * The outermost probed call under way in a thread: what is called inside it is not seen.
 *
 * Owns: agent_thread.outer_sp and outer_old. Private to src/agent, freestanding.
 *
 * A call is known by where its return address stands. It is under way as long as the word
 * CALL_MARKER_BYTES below, where the call of its function has put its return address, holds what
 * belongs to the stub that its frame names; a call that was left by longjmp(3) or an exception is
 * forgotten when that word is seen to be another. (While nobody writes over it, calls further down
 * the stack are taken for inner ones: nothing there tells the difference.)
 *
 * A handler on another stack is an outermost call of its own; the call it interrupted is the
 * outermost one again at its end.
 */
#ifndef AGENT_OUTER_H
#define AGENT_OUTER_H

#include "agent/record.h"

/*
 * Whether the call at sp is inside another one, where thread->outer_sp is not 0. Forgets, and where
 * it was a resize cancels, one that was left.
 */
bool outer_contains(struct agent_thread *thread, uint64_t sp);

/* The call at sp is the outermost from now on; old: of the resize it has begun, or 0. */
static inline void outer_begin(struct agent_thread *thread, struct agent_frame *frame, uint64_t sp,
			       uint64_t old)
{
	/* An aligned stack has its lower bits to spare. */
	frame->outer = thread->outer_sp | (thread->outer_old != 0);
	thread->outer_old = old;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->outer_sp = sp;
}

/* A call of that stub may be about to be left by an exception; if it is the outermost, forgets it.
 */
void outer_unwound(struct agent_thread *thread, uint64_t stub);

/* It has ended. */
void outer_end(struct agent_thread *thread, const struct agent_frame *frame);

#endif
