/* SPDX-License-Identifier: MIT */
#include "agent/record.h"

#include "agent/call.h"

enum {
	/* Each wait may end late on a busy machine: so there are few. The reader ends them early.
	 */
	WAIT_MS = 40,
	/* What is left of AGENT_PATIENCE_MS is for being late. */
	PATIENCE_MS = 2 * WAIT_MS,
	/*
	 * Handlers that cut every wait short must not make it last for ever. No processor has more
	 * ticks a millisecond than this, so that the limit is never too short.
	 */
	TICKS_A_MS = 6000000,
};

void record_lose(void)
{
	if (agent_private.state != AGENT_OFF)
		__atomic_fetch_add(&thread_shared()->lost, 1, __ATOMIC_RELAXED);
}

static struct agent_scratch *scratch_of(struct agent_thread *thread, uint64_t level)
{
	struct agent_scratch *inner =
		(struct agent_scratch *)((uint8_t *)thread + AGENT_AREA_SCRATCH);
	return level == 0 ? &thread->scratch : inner + (level - 1);
}

static struct agent_ring *ring_of(const struct agent_scratch *scratch)
{
	return &scratch->thread->rings[scratch->level];
}

static uint64_t capacity_of(const struct agent_scratch *scratch)
{
	return scratch->level == 0 ? AGENT_RING_WORDS : AGENT_INNER_RING_WORDS;
}

static uint64_t *words_of(const struct agent_scratch *scratch)
{
	uint64_t offset =
		scratch->level == 0
			? AGENT_AREA_WORDS
			: AGENT_AREA_INNER + (scratch->level - 1) * AGENT_INNER_RING_WORDS * 8;
	return (uint64_t *)((uint8_t *)scratch->thread + offset);
}

/* Whether the activation whose rsp was other is still on a stack, seen from the one at sp. */
static bool is_under_way(uint64_t other, uint64_t sp)
{
	uint64_t word;
	uint64_t apart = sp > other ? sp - other : other - sp;
	if (apart <= CALL_ACTIVATION_BYTES)
		return false;
	return system_read_word(other - CALL_ACTIVATION_BYTES, &word) &&
	       (word == (uint64_t)agent_enter_return || word == (uint64_t)agent_leave_return);
}

/*
 * Takes a level for the activation at sp; NULL if none is free. What a new level's ring says cannot
 * be put in order with another's but by time stamps.
 */
static __attribute__((noinline)) struct agent_scratch *take_level(struct agent_thread *thread,
								  uint64_t sp)
{
	for (uint64_t level = 0; level < AGENT_LEVELS; level++) {
		struct agent_ring *ring = &thread->rings[level];
		uint64_t other = ring->busy_sp;
		if (other != 0 && is_under_way(other, sp))
			continue;
		record_set_busy(ring, sp);
		if (level != 0)
			__atomic_store_n(&thread_shared()->many, 1, __ATOMIC_RELEASE);
		else if (other != 0)
			stack_outdate(thread);
		struct agent_scratch *scratch = scratch_of(thread, level);
		scratch->level = level;
		return scratch;
	}
	return NULL;
}

_Static_assert((int)PATIENCE_MS < (int)AGENT_PATIENCE_MS, "in time");

void record_give_up(void)
{
	uint32_t expected = AGENT_ON;
	__atomic_store_n(&thread_shared()->gave_up, 1, __ATOMIC_RELAXED);
	__atomic_compare_exchange_n(&agent_private.state, &expected, AGENT_GAVE_UP, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/*
 * Whether somebody waited in vain and nothing was read since: of this ring, or at all. Nobody waits
 * then: a target whose reader is gone would stand still again and again.
 */
static bool is_stalled(const struct agent_ring *ring, uint64_t tail)
{
	uint64_t beat = __atomic_load_n(&thread_shared()->beat, __ATOMIC_RELAXED);
	uint64_t stalled = __atomic_load_n(&agent_private.stalled_beat, __ATOMIC_RELAXED);
	return ring->stalled == tail + 1 || stalled == beat + 1;
}

/* Whether a record will not find room, so that its stack need not be looked for. */
static bool is_hopeless(const struct agent_thread *thread)
{
	const struct agent_ring *ring = &thread->rings[0];
	uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	return ring->head + RECORD_WORDS_MAX - tail > AGENT_RING_WORDS && is_stalled(ring, tail);
}

static void note_stall(struct agent_ring *ring)
{
	struct agent_shared *shared = thread_shared();
	uint64_t beat = __atomic_load_n(&shared->beat, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->gave_up, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&agent_private.stalled_beat, beat + 1, __ATOMIC_RELAXED);
	ring->stalled = ring->known_tail + 1;
}

/*
 * How long somebody waits: since when and for how many whole waits the reader gave no sign, and the
 * same for tail. Handlers may cut waits short, and time stamps run at a rate that is not known
 * here, so both are counted.
 */
struct patience {
	uint64_t tail, beat;
	uint64_t heard_at, moved_at;
	uint32_t silent_ms, still_ms;
};

/*
 * A reader that lives is waited for: it has much to read that is older, perhaps, or waits for its
 * tracer thread, which has got no processor. What finds no room is lost. Not without limit, for it
 * may have closed this very ring.
 */
static bool is_patient(struct patience *patience, uint64_t tail)
{
	uint64_t beat = __atomic_load_n(&thread_shared()->beat, __ATOMIC_RELAXED);
	uint64_t now = system_ticks();
	bool moved = tail != patience->tail;
	if (moved) {
		patience->tail = tail;
		patience->moved_at = now;
		patience->still_ms = 0;
	}
	if (moved || beat != patience->beat) {
		patience->beat = beat;
		patience->heard_at = now;
		patience->silent_ms = 0;
	}
	return patience->silent_ms < PATIENCE_MS && patience->still_ms < AGENT_LIVING_PATIENCE_MS &&
	       now - patience->heard_at <= (uint64_t)PATIENCE_MS * TICKS_A_MS &&
	       now - patience->moved_at <= (uint64_t)AGENT_LIVING_PATIENCE_MS * TICKS_A_MS;
}

static bool wait_for_room(struct agent_ring *ring, uint64_t capacity, uint64_t need)
{
	struct patience patience = {.tail = ~ring->known_tail};
	while (__atomic_load_n(&agent_private.state, __ATOMIC_RELAXED) == AGENT_ON) {
		uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
		ring->known_tail = tail;
		if (record_has_room(ring, capacity, need)) {
			ring->waiting = 0;
			return true;
		}
		if (is_stalled(ring, tail))
			break;
		if (!is_patient(&patience, tail)) {
			note_stall(ring);
			break;
		}
		__atomic_store_n(&ring->waiting, 1, __ATOMIC_SEQ_CST);
		if (agent_private.state == AGENT_ON &&
		    system_futex_wait(&ring->tail, (uint32_t)tail, WAIT_MS)) {
			patience.silent_ms += WAIT_MS;
			patience.still_ms += WAIT_MS;
		}
	}
	ring->waiting = 0;
	return false;
}

static bool reserve(const struct agent_scratch *scratch, uint64_t need)
{
	struct agent_ring *ring = ring_of(scratch);
	uint64_t capacity = capacity_of(scratch);
	return record_has_room(ring, capacity, need) || wait_for_room(ring, capacity, need);
}

/* Tells readers of the stack in scratch. False if there was no room. */
static __attribute__((noinline)) bool define(const struct agent_scratch *scratch, uint32_t stack)
{
	if (!reserve(scratch, 1 + scratch->count)) {
		if (scratch->level == 0)
			stack_outdate(scratch->thread);
		return false;
	}
	struct agent_ring *ring = ring_of(scratch);
	uint64_t *words = words_of(scratch);
	uint64_t mask = capacity_of(scratch) - 1;
	uint64_t head = ring->head;
	words[head++ & mask] =
		ring_word(RING_STACK, scratch->count, ring_stack_head(stack, scratch->stop));
	for (size_t i = 0; i < scratch->count; i++)
		words[head++ & mask] = scratch->frames[i];
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	return true;
}

/* Writes the record in scratch. */
static void write(const struct agent_scratch *scratch, uint32_t stack)
{
	struct agent_ring *ring = ring_of(scratch);
	uint64_t *words = words_of(scratch);
	uint64_t mask = capacity_of(scratch) - 1;
	uint64_t head = ring->head;
	uint64_t size = scratch->size_bytes;
	enum ring_kind kind = ring_kind_of(scratch->word);
	record_stamp(ring, words, mask, &head);
	if (record_has_stack(kind) && size >> RING_SIZE_BITS)
		words[head++ & mask] = ring_word(RING_WIDE, 0, size >> RING_SIZE_BITS);
	words[head++ & mask] = scratch->word;
	if (record_has_new_address(kind))
		words[head++ & mask] = record_address(scratch->new_address);
	if (record_has_stack(kind))
		words[head++ & mask] = ring_size_word(size, stack);
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) int32_t find_stack(const struct agent_scratch *scratch)
{
	if (scratch->level != 0)
		return UNWIND_CACHE_NONE;
	return stack_find(scratch->thread, thread_cache(scratch->thread), scratch->registers);
}

static bool conclude(const struct agent_scratch *scratch, uint32_t stack)
{
	if (reserve(scratch, RECORD_WORDS_MAX))
		write(scratch, stack);
	else
		record_lose();
	record_set_busy(ring_of(scratch), 0);
	return false;
}

static __attribute__((noinline)) bool conclude_with_walk(struct agent_scratch *scratch)
{
	uint32_t stack = stack_walk(scratch);
	if (define(scratch, stack))
		return conclude(scratch, stack);
	record_lose();
	record_set_busy(ring_of(scratch), 0);
	return false;
}

/* These three and record_slowly end in each other, so that a walk has as much stack as can be. */
static __attribute__((noinline)) bool finish(struct agent_scratch *scratch)
{
	if (!record_has_stack(ring_kind_of(scratch->word)))
		return conclude(scratch, 0);
	int32_t known = find_stack(scratch);
	if (known == UNWIND_CACHE_NONE)
		return conclude_with_walk(scratch);
	return conclude(scratch, (uint32_t)known);
}

bool record_slowly(struct agent_thread *thread, uint64_t sp, uint64_t bp, uint64_t word,
		   uint64_t new_address, uint64_t size_bytes)
{
	if (agent_private.state != AGENT_ON || is_hopeless(thread)) {
		record_lose();
		return false;
	}
	struct agent_scratch *scratch = take_level(thread, sp);
	if (!scratch) {
		__atomic_fetch_add(&thread->lost, 1, __ATOMIC_RELAXED);
		return false;
	}
	scratch->thread = thread;
	scratch->registers = (struct unwind_registers){.sp = sp, .bp = bp};
	scratch->word = word;
	scratch->new_address = new_address;
	scratch->size_bytes = size_bytes;
	return finish(scratch);
}
