/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's area in the shared memory.
 *
 * Owns: agent_private.slots, and the claiming of areas. A slot is a hint alone: what counts is
 * whether the area itself says that it is this thread's, so whatever two threads do to one slot at
 * the same time costs a look-up, or at worst an area that is taken back when its thread ends.
 *
 * Private to src/agent, freestanding. Any thread, any signal handler.
 */
#ifndef AGENT_THREAD_H
#define AGENT_THREAD_H

#include "agent/system.h"

static inline struct agent_shared *thread_shared(void)
{
	return (struct agent_shared *)agent_private.shared;
}

static inline uint8_t *thread_area(uint32_t area)
{
	return (uint8_t *)agent_private.shared + AGENT_SHARED_AREAS +
	       (uint64_t)area * AGENT_AREA_STRIDE;
}

/* The cache of level 0. */
static inline struct unwind_cache *thread_cache(struct agent_thread *thread)
{
	return (struct unwind_cache *)((uint8_t *)thread + AGENT_AREA_CACHE);
}

/* Fibonacci hashing: thread pointers are far apart, and equal in their lower bits. */
static inline uint32_t thread_hash(uint64_t thread_pointer)
{
	_Static_assert(AGENT_SLOTS == 1 << 12, "the shift leaves as many values as there are");
	return (uint32_t)(thread_pointer * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}

/* Whether the area is of the thread with that thread pointer and that word at tid_offset. */
static inline bool thread_owns(const struct agent_thread *area, uint64_t thread_pointer,
			       uint32_t tid)
{
	return area->thread_pointer == thread_pointer &&
	       (area->tid == tid || agent_private.tid_offset == 0) && area->tid != 0;
}

/* What thread_find does where the slot that the hash leads to is another's. */
struct agent_thread *thread_seek(uint64_t thread_pointer, uint32_t tid);

/* The calling thread's area, claimed if it has none; NULL if it cannot have one. */
static inline struct agent_thread *thread_find(void)
{
	uint64_t thread_pointer = system_thread_pointer();
	if (__builtin_expect(thread_pointer == 0, 0))
		return NULL;
	uint32_t tid = *(const uint32_t *)(thread_pointer + agent_private.tid_offset);
	struct agent_thread *area;
	if (__atomic_load_n(&agent_private.first_pointer, __ATOMIC_ACQUIRE) == thread_pointer) {
		area = (struct agent_thread *)agent_private.first_area;
	} else {
		const struct agent_slot *slot = &agent_private.slots[thread_hash(thread_pointer)];
		area = (struct agent_thread *)thread_area(slot->area);
		if (__builtin_expect(slot->thread_pointer != thread_pointer, 0))
			return thread_seek(thread_pointer, tid);
	}
	if (__builtin_expect(thread_owns(area, thread_pointer, tid), 1))
		return area;
	return thread_seek(thread_pointer, tid);
}

/*
 * How many bytes from sp upwards are known to be readable: up to the end of the stack that it is
 * on; 0 if the tracer has not told it. low_ret: where that stack begins.
 */
static inline uint64_t thread_stack_bytes(const struct agent_thread *thread, uint64_t sp,
					  uint64_t *low_ret)
{
	for (int i = 0; i < AGENT_BOUNDS; i++) {
		const struct agent_bounds *bounds = &thread->bounds[i];
		/* The tracer clears `high` before it changes `low`. */
		uint64_t high = __atomic_load_n(&bounds->high, __ATOMIC_ACQUIRE);
		uint64_t low = __atomic_load_n(&bounds->low, __ATOMIC_ACQUIRE);
		if (sp - low < high - low && low <= high &&
		    __atomic_load_n(&bounds->high, __ATOMIC_RELAXED) == high) {
			*low_ret = low;
			return high - sp;
		}
	}
	return 0;
}

#endif
