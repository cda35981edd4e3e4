/* SPDX-License-Identifier: MIT */
/*
 * Records on their way into a ring, and what may happen meanwhile.
 *
 * Owns: agent_thread.rings, and the waiting for room. Private to src/agent, freestanding.
 *
 * A signal's handler may come between any two instructions of the agent, allocate itself, and come
 * back or not (longjmp(3)). No lock could be right then. Instead:
 *
 *  - An activation of the agent works on one level's ring, cache and scratch, from the moment that
 *    it has put its rsp into that ring's busy_sp until it has put 0 there. A handler that finds
 *    busy_sp set takes the next level. Between reading busy_sp as 0 and setting it, a handler may
 *    take the same level, but it is done with it when we go on: all that is read of the ring is
 *    read afterwards.
 *  - Words are written beyond head, where nobody reads, and become a record by one store to head.
 *    So a record is there whole or not at all: an activation that is left before that store leaves
 *    nothing, one that is left after it has nothing more to do but to put 0 into busy_sp.
 *  - A level whose activation was left is known by its stack: an activation that is under way has,
 *    right below what it saved, the return address of the call from entry.c into it. What is no
 *    longer there was left, and the level is free. What looks as if it were there may be the rest
 *    of one that was left and not written over since; then the next level is used, and nothing is
 *    lost either.
 *  - The cache of level 0 remembers a stack a little before readers are told of it. If an
 *    activation is left in between, or gets no room for telling, the cache is outdated as a whole.
 *  - Two rings of one thread can be put in order by time stamps alone, so that a second one makes
 *    every record stamped from then on. What a handler interrupted has no stamp perhaps, and counts
 *    as earlier; that is right, because its block is not out of the allocator's hands (a release)
 *    or not in the caller's (a creation), so no record of the handler can be about it.
 *
 * An event itself can be lost in one way: where its call is left after the record (a release whose
 * function then never runs) or before it (a creation whose caller never gets the block). Then the
 * call was left in the middle, and no probe could tell what became of the block.
 */
#ifndef AGENT_RECORD_H
#define AGENT_RECORD_H

#include "agent/stack.h"

#define RECORD_INLINE static inline __attribute__((always_inline))

enum {
	/* A time stamp, the upper half of a size, and the record itself. */
	RECORD_WORDS_MAX = 2 + 3,
};

/* An event was lost: it is counted. */
void record_lose(void);

/*
 * Records an event of the call whose return address stands at sp, with that rbp. word: record_word;
 * what follows is used as its kind says. Counts the event as lost where it cannot be recorded.
 * Returns false, so that who calls it at its own end leaves no frame on the stack meanwhile; for
 * that it has no more arguments than there are registers for them, either.
 */
bool record_slowly(struct agent_thread *thread, uint64_t sp, uint64_t bp, uint64_t word,
		   uint64_t new_address, uint64_t size_bytes);

/* An address that no user of 47 bits can have is told as the highest one. */
RECORD_INLINE uint64_t record_address(uint64_t address)
{
	const uint64_t highest = (UINT64_C(1) << 47) - 1;
	return address < highest ? address : highest;
}

RECORD_INLINE uint64_t record_word(enum ring_kind kind, uint64_t address)
{
	return ring_word(kind, 0, record_address(address));
}

RECORD_INLINE bool record_has_stack(enum ring_kind kind)
{
	return kind == RING_CREATE || kind == RING_RELEASE_INNER || kind == RING_RESIZE_END ||
	       kind == RING_FAILED;
}

RECORD_INLINE bool record_has_new_address(enum ring_kind kind)
{
	return kind == RING_RESIZE_END;
}

RECORD_INLINE bool record_has_room(const struct agent_ring *ring, uint64_t capacity, uint64_t need)
{
	return ring->head + need - ring->known_tail <= capacity;
}

/* Handlers run on this very processor: the order of the program is all that matters to them. */
RECORD_INLINE void record_set_busy(struct agent_ring *ring, uint64_t sp)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile uint64_t *)&ring->busy_sp = sp;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Puts a time stamp at *head, if one is due. */
RECORD_INLINE void record_stamp(struct agent_ring *ring, uint64_t *words, uint64_t mask,
				uint64_t *head)
{
	if (ring->unstamped >= RING_STAMP_EVERY || thread_shared()->many) {
		words[(*head)++ & mask] = ring_time_word(system_ticks());
		ring->unstamped = 0;
	} else {
		ring->unstamped++;
	}
}

/*
 * record_slowly where all is as usual: level 0, a known stack, room in the ring. Always inline, for
 * `kind` is known where it is called, and what that does not need is not there.
 */
RECORD_INLINE bool record_put(struct agent_thread *thread, uint64_t sp, uint64_t bp,
			      enum ring_kind kind, uint64_t address, uint64_t new_address,
			      uint64_t size_bytes)
{
	struct agent_ring *ring = &thread->rings[0];
	uint64_t *words = (uint64_t *)((uint8_t *)thread + AGENT_AREA_WORDS);
	const uint64_t mask = AGENT_RING_WORDS - 1;
	int32_t stack = 0;
	if (__builtin_expect(agent_private.state != AGENT_ON || ring->busy_sp != 0 ||
				     (address | new_address) >> 47 || size_bytes >> RING_SIZE_BITS,
			     0))
		return record_slowly(thread, sp, bp, record_word(kind, address), new_address,
				     size_bytes);
	record_set_busy(ring, sp);
	if (record_has_stack(kind))
		stack = stack_find(thread, thread_cache(thread),
				   (struct unwind_registers){.sp = sp, .bp = bp});
	if (__builtin_expect(stack == UNWIND_CACHE_NONE ||
				     !record_has_room(ring, AGENT_RING_WORDS, RECORD_WORDS_MAX),
			     0)) {
		record_set_busy(ring, 0);
		return record_slowly(thread, sp, bp, record_word(kind, address), new_address,
				     size_bytes);
	}
	uint64_t head = ring->head;
	record_stamp(ring, words, mask, &head);
	words[head++ & mask] = ring_word(kind, 0, address);
	if (record_has_new_address(kind))
		words[head++ & mask] = new_address;
	if (record_has_stack(kind))
		words[head++ & mask] = ring_size_word(size_bytes, (uint32_t)stack);
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	record_set_busy(ring, 0);
	return false;
}

/* The process confines itself: from now on events are only counted, in the whole process: no system
 * call, no time stamp. */
void record_give_up(void);

#endif
