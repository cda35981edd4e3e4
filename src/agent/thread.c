/* SPDX-License-Identifier: MIT */
#include "agent/thread.h"

#include "agent/stack.h"

enum { PROBES_MAX = 64 };

static void open_ring(struct agent_ring *ring)
{
	/* head, known_tail and tail go on from the last owner's: only the tracer moves tail. */
	ring->known_tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	ring->busy_sp = 0;
	ring->unstamped = RING_STAMP_EVERY;
	ring->waiting = 0;
}

/* Makes an area just claimed that of the calling thread; tid last, for it is what readers ask. */
static void open_area(struct agent_thread *area, uint64_t thread_pointer, uint32_t tid)
{
	struct unwind_cache *cache = thread_cache(area);
	area->outer_sp = 0;
	area->outer_old = 0;
	area->unknown_sp = 0;
	for (int i = 0; i < AGENT_BOUNDS; i++)
		area->bounds[i] = (struct agent_bounds){0};
	for (int i = 0; i < AGENT_LEVELS; i++)
		open_ring(&area->rings[i]);
	/* A cache that was never used is empty, and should not be touched for nothing. */
	if (cache->generation != 0)
		cache->generation = STACK_OUTDATED;
	area->space = agent_private.space;
	area->thread_pointer = thread_pointer;
	__atomic_store_n(&area->tid, tid, __ATOMIC_RELEASE);
}

static struct agent_thread *claim_area(uint32_t *index_ret)
{
	struct agent_shared *shared = thread_shared();
	for (uint32_t i = 0; i < AGENT_AREAS; i++) {
		uint32_t expected = 0;
		if (__atomic_load_n(&shared->area_state[i], __ATOMIC_RELAXED) == 0 &&
		    __atomic_compare_exchange_n(&shared->area_state[i], &expected, 1, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			/* The lowest first: who has another one is not alone. */
			if (i != 0)
				__atomic_store_n(&shared->many, 1, __ATOMIC_RELEASE);
			*index_ret = i;
			return (struct agent_thread *)thread_area(i);
		}
	}
	return NULL;
}

/* Whether the thread that the slot was for has no longer the area that it names. */
static bool is_stale(const struct agent_slot *slot, uint64_t thread_pointer)
{
	const struct agent_thread *area = (const struct agent_thread *)thread_area(slot->area);
	return !thread_owns(area, thread_pointer, slot->tid);
}

static struct agent_slot *probe(uint64_t thread_pointer, uint32_t step)
{
	return &agent_private.slots[(thread_hash(thread_pointer) + step) % AGENT_SLOTS];
}

/* The slot that is the thread pointer's or was free or stale and is now its; NULL if none is. */
static struct agent_slot *take_slot(uint64_t thread_pointer)
{
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		struct agent_slot *slot = probe(thread_pointer, i);
		uint64_t other = __atomic_load_n(&slot->thread_pointer, __ATOMIC_ACQUIRE);
		if (other == thread_pointer)
			return slot;
		if ((other == 0 || is_stale(slot, other)) &&
		    __atomic_compare_exchange_n(&slot->thread_pointer, &other, thread_pointer,
						false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return slot;
	}
	return NULL;
}

static struct agent_thread *find_owned(uint64_t thread_pointer, uint32_t tid)
{
	for (uint32_t i = 0; i < PROBES_MAX; i++) {
		const struct agent_slot *slot = probe(thread_pointer, i);
		struct agent_thread *area = (struct agent_thread *)thread_area(slot->area);
		if (slot->thread_pointer == thread_pointer &&
		    thread_owns(area, thread_pointer, tid))
			return area;
	}
	return NULL;
}

/* Makes the area the one that is looked at first, if none is or its thread has ended. */
static void be_first(const struct agent_thread *area, uint64_t thread_pointer)
{
	uint64_t other = __atomic_load_n(&agent_private.first_pointer, __ATOMIC_ACQUIRE);
	const struct agent_thread *first = (const struct agent_thread *)agent_private.first_area;
	bool lives = other != 0 && other != thread_pointer && other != AGENT_NOBODY &&
		     thread_owns(first, other, first->tid);
	if (other == AGENT_NOBODY || lives ||
	    !__atomic_compare_exchange_n(&agent_private.first_pointer, &other, AGENT_NOBODY, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	agent_private.first_area = (uint64_t)area;
	__atomic_store_n(&agent_private.first_pointer, thread_pointer, __ATOMIC_RELEASE);
}

struct agent_thread *thread_seek(uint64_t thread_pointer, uint32_t tid)
{
	struct agent_thread *area = find_owned(thread_pointer, tid);
	uint32_t index;
	if (area)
		return area;
	if (agent_private.tid_offset == 0)
		tid = (uint32_t)system_gettid();
	struct agent_slot *slot = tid ? take_slot(thread_pointer) : NULL;
	if (!slot || !(area = claim_area(&index)))
		return NULL;
	open_area(area, thread_pointer, tid);
	slot->area = index;
	__atomic_store_n(&slot->tid, tid, __ATOMIC_RELEASE);
	be_first(area, thread_pointer);
	return area;
}
