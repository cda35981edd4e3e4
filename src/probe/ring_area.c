/* SPDX-License-Identifier: MIT */
#include "probe/ring_area.h"

#include <stdlib.h>

void ring_area_init(struct ring_area *area, struct agent_thread *shared, struct ring_pool *pool)
{
	*area = (struct ring_area){.shared = shared, .pool = pool};
}

void ring_area_deinit(struct ring_area *area)
{
	for (unsigned level = 0; level < AGENT_LEVELS; level++)
		ring_reader_destroy(area->readers[level]);
}

void ring_area_claim(struct ring_area *area)
{
	area->claimed = true;
	area->known = false;
	area->ended = false;
}

bool ring_area_identify(struct ring_area *area)
{
	if (area->known)
		return true;
	uint32_t thread = __atomic_load_n(&area->shared->tid, __ATOMIC_ACQUIRE);
	if (!thread)
		return false;
	area->thread = thread;
	area->space.v = __atomic_load_n(&area->shared->space, __ATOMIC_RELAXED);
	area->known = true;
	for (unsigned level = 0; level < AGENT_LEVELS; level++)
		if (area->readers[level])
			ring_reader_assign(area->readers[level], area->space, area->thread);
	return true;
}

bool ring_area_belongs(const struct ring_area *area, space_id space, uint32_t thread)
{
	if (area->known)
		return area->thread == thread && area->space.v == space.v;
	return __atomic_load_n(&area->shared->tid, __ATOMIC_ACQUIRE) == thread &&
	       __atomic_load_n(&area->shared->space, __ATOMIC_RELAXED) == space.v;
}

/* The reader of a level, made when the level first holds something. */
static struct error *get_reader(struct ring_area *area, unsigned level, struct ring_reader **ret)
{
	struct error *err = NULL;
	if (!area->readers[level]) {
		err = ring_reader_create(area->shared, level, area->pool, &area->readers[level]);
		if (!err)
			ring_reader_assign(area->readers[level], area->space, area->thread);
	}
	*ret = area->readers[level];
	return err;
}

struct error *ring_area_read_heads(struct ring_area *area, bool *moved_ret)
{
	for (unsigned level = 0; level < AGENT_LEVELS; level++) {
		uint64_t head = __atomic_load_n(&area->shared->rings[level].head, __ATOMIC_ACQUIRE);
		if (head == area->heads[level])
			continue;
		/* A head that moves before there is an owner is forged. */
		if (!ring_area_identify(area))
			continue;
		struct ring_reader *reader;
		struct error *err = get_reader(area, level, &reader);
		if (err)
			return err;
		*moved_ret = true;
		area->heads[level] = head;
		ring_reader_advance(reader, head);
	}
	return NULL;
}

void ring_area_list(const struct ring_area *area, struct ring_merge *merge)
{
	for (unsigned level = 0; level < AGENT_LEVELS; level++) {
		struct ring_reader *reader = area->readers[level];
		if (area->done[level] != area->heads[level] && !ring_reader_empty(reader))
			merge->readers[merge->count++] = reader;
	}
}

void ring_area_settle(struct ring_area *area)
{
	for (unsigned level = 0; level < AGENT_LEVELS; level++) {
		if (area->done[level] == area->heads[level])
			continue;
		ring_reader_release(area->readers[level]);
		if (ring_reader_empty(area->readers[level]))
			area->done[level] = area->heads[level];
	}
}

static bool is_empty(const struct ring_area *area)
{
	for (unsigned level = 0; level < AGENT_LEVELS; level++) {
		const struct ring_reader *reader = area->readers[level];
		const uint64_t *head = &area->shared->rings[level].head;
		if (area->done[level] != __atomic_load_n(head, __ATOMIC_ACQUIRE) ||
		    (reader && reader->closed))
			return false;
	}
	return true;
}

static void clear_bounds(struct ring_area *area)
{
	for (unsigned i = 0; i < AGENT_BOUNDS; i++) {
		__atomic_store_n(&area->shared->bounds[i].high, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&area->shared->bounds[i].low, 0, __ATOMIC_RELEASE);
	}
}

bool ring_area_give_back(struct ring_area *area, uint32_t *state)
{
	if (!area->ended || !is_empty(area))
		return false;
	/* The next thread's stack may lie where this one's was, but not as far. */
	clear_bounds(area);
	__atomic_store_n(&area->shared->unknown_sp, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&area->shared->tid, 0, __ATOMIC_RELEASE);
	area->claimed = false;
	__atomic_store_n(state, 0, __ATOMIC_RELEASE);
	return true;
}

uint64_t ring_area_lost(struct ring_area *area)
{
	uint64_t lost = __atomic_load_n(&area->shared->lost, __ATOMIC_RELAXED);
	uint64_t more = lost > area->lost ? lost - area->lost : 0;
	area->lost += more;
	return more;
}

uint64_t ring_area_closed_rings(const struct ring_area *area)
{
	uint64_t count = 0;
	for (unsigned level = 0; level < AGENT_LEVELS; level++)
		count += area->readers[level] && area->readers[level]->closed;
	return count;
}

uint64_t ring_area_unknown_sp(const struct ring_area *area)
{
	return __atomic_load_n(&area->shared->unknown_sp, __ATOMIC_ACQUIRE);
}

/* Where new bounds go: in place of stale ones, of none, of the oldest. */
static struct agent_bounds *choose_bounds(struct ring_area *area, struct agent_bounds bounds)
{
	struct agent_bounds *all = area->shared->bounds;
	struct agent_bounds *empty = NULL;
	for (unsigned i = AGENT_BOUNDS; i-- > 0;) {
		uint64_t low = __atomic_load_n(&all[i].low, __ATOMIC_RELAXED);
		uint64_t high = __atomic_load_n(&all[i].high, __ATOMIC_RELAXED);
		if (low < bounds.high && bounds.low < high)
			return &all[i];
		if (high == 0)
			empty = &all[i];
	}
	return empty ? empty : &all[area->oldest_bounds++ % AGENT_BOUNDS];
}

void ring_area_answer(struct ring_area *area, uint64_t sp, struct agent_bounds bounds)
{
	if (bounds.low < bounds.high) {
		struct agent_bounds *to = choose_bounds(area, bounds);
		__atomic_store_n(&to->high, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&to->low, bounds.low, __ATOMIC_RELEASE);
		__atomic_store_n(&to->high, bounds.high, __ATOMIC_RELEASE);
	}
	/* Only this question is answered: the agent may have asked another one meanwhile. */
	__atomic_compare_exchange_n(&area->shared->unknown_sp, &sp, 0, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}
