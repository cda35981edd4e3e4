/* SPDX-License-Identifier: MIT */
/*
 * What the tests of probe/rings share: memory as agents and the tracer share it, a writer that says
 * what an agent would, and a sink that keeps what comes out.
 */
#ifndef UNIT_PROBE_RINGS_FIXTURE_H
#define UNIT_PROBE_RINGS_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "agent/ring.h"
#include "base/map.h"
#include "probe/rings.h"

enum { LOG_MAX = 4096, STACKS_MAX = 64 };

struct logged {
	struct event event;
	bool inner;
	bool cancelled;
};

struct stack_seen {
	space_id space;
	uint64_t frames[AGENT_DEPTH_MAX];
	size_t count;
	enum unwind_stop stop;
};

/* Of more than these, the last are kept. A stack's site is its number plus SITE_BASE. */
enum { SITE_BASE = 1000 };

struct world {
	struct agent_shared *shared;
	struct rings *rings;
	struct rings_clock clock;
	struct logged log[LOG_MAX];
	size_t count;
	struct stack_seen stacks[STACKS_MAX];
	size_t stack_count;
	size_t soon_count;
	struct map live;  /* addresses */
	size_t refuse_at; /* the event of this index is an error of the sink, SIZE_MAX: none */
	bool refuse_stack;
	uint64_t breaths;
	void (*after_event)(struct world *world); /* NULL: nothing */
	void *context;				  /* the test's */
};

static inline struct agent_shared *shared_new(void)
{
	void *memory = mmap(NULL, AGENT_SHARED_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

static inline struct agent_thread *shared_area(struct agent_shared *shared, uint32_t index)
{
	uint8_t *base = (uint8_t *)shared + AGENT_SHARED_AREAS;
	return (struct agent_thread *)(void *)(base + (uint64_t)index * AGENT_AREA_STRIDE);
}

static inline uint64_t ticks(void)
{
	return ring_time_of(__rdtsc());
}

/* ---- the sink */

static inline struct error *world_stack(void *context, space_id space, const uint64_t *addresses,
					size_t count, enum unwind_stop stop, site_id *ret)
{
	struct world *world = context;
	if (world->refuse_stack)
		return error_no_memory();
	struct stack_seen *seen = &world->stacks[world->stack_count % STACKS_MAX];
	*seen = (struct stack_seen){.space = space, .count = count, .stop = stop};
	memcpy(seen->frames, addresses, count * sizeof *addresses);
	ret->v = SITE_BASE + (uint32_t)world->stack_count++;
	return NULL;
}

static inline void world_track(struct world *world, const struct event *event)
{
	switch (event->kind) {
	case EVENT_CREATE:
		map_put(&world->live, event->address.v, world);
		break;
	case EVENT_RELEASE:
		map_remove(&world->live, event->address.v);
		break;
	case EVENT_RESIZE_BEGIN:
		map_remove(&world->live, event->old_address.v);
		break;
	case EVENT_RESIZE_END:
		map_put(&world->live, event->address.v ? event->address.v : event->old_address.v,
			world);
		break;
	default:
		break;
	}
}

static inline struct error *world_event(void *context, const struct event *event, bool inner)
{
	struct world *world = context;
	if (world->count == world->refuse_at) {
		world->refuse_at = SIZE_MAX;
		return error_no_memory();
	}
	world->log[world->count++ % LOG_MAX] = (struct logged){.event = *event, .inner = inner};
	world_track(world, event);
	if (world->after_event)
		world->after_event(world);
	return NULL;
}

static inline void world_cancelled(void *context, space_id space, uint32_t thread,
				   target_addr old_address)
{
	struct world *world = context;
	world->log[world->count++ % LOG_MAX] = (struct logged){
		.event = {.space = space, .thread = thread, .old_address = old_address},
		.cancelled = true};
	map_put(&world->live, old_address.v, world);
}

static inline void world_soon(void *context, space_id space, const uint64_t *addresses,
			      size_t count)
{
	struct world *world = context;
	if (space.v == 0 || count > RINGS_AHEAD)
		ck_abort_msg("a look-ahead to nothing");
	for (size_t i = 0; i < count; i++)
		if (addresses[i] == 0)
			ck_abort_msg("a look-ahead to nothing");
	world->soon_count += count;
}

static inline bool world_is_live(void *context, space_id space, target_addr address)
{
	const struct world *world = context;
	(void)space;
	return map_get(&world->live, address.v) != NULL;
}

static inline void world_breathe(void *context)
{
	struct world *world = context;
	world->breaths++;
}

/* ---- the world */

static inline struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof *world);
	ck_assert_ptr_nonnull(world);
	world->shared = shared_new();
	world->refuse_at = SIZE_MAX;
	/* A tick is a nanosecond here, whatever it is on this machine. */
	world->clock = (struct rings_clock){ticks(), 5000, 1.0};
	struct rings_sink sink = {world_stack,	 world_event, world_cancelled, world_soon,
				  world_is_live, world,	      world_breathe};
	ck_assert_ptr_null(rings_create(world->shared, &world->clock, &sink, &world->rings));
	return world;
}

static inline void world_free(struct world *world)
{
	rings_destroy(world->rings);
	munmap(world->shared, AGENT_SHARED_BYTES);
	map_deinit(&world->live);
	free(world);
}

static inline uint64_t world_take(struct world *world)
{
	uint64_t taken;
	ck_assert_ptr_null(rings_take(world->rings, true, &taken));
	return taken;
}

/* ---- the writer */

struct writer {
	struct agent_thread *area;
	struct agent_ring *ring;
	uint64_t *words;
	uint64_t capacity;
	uint64_t next; /* where the next word goes; from head on not committed */
};

static inline struct writer writer_at(struct agent_shared *shared, uint32_t index, unsigned level)
{
	struct agent_thread *area = shared_area(shared, index);
	uint8_t *base = (uint8_t *)area;
	struct writer writer = {.area = area, .ring = &area->rings[level]};
	writer.capacity = level ? AGENT_INNER_RING_WORDS : AGENT_RING_WORDS;
	base += level ? AGENT_AREA_INNER + (level - 1) * AGENT_INNER_RING_WORDS * 8
		      : AGENT_AREA_WORDS;
	writer.words = (uint64_t *)(void *)base;
	writer.next = writer.ring->head;
	return writer;
}

/* As an agent claims: state first, then who. */
static inline void claim(struct agent_shared *shared, uint32_t index, uint32_t tid, uint32_t space)
{
	struct agent_thread *area = shared_area(shared, index);
	uint32_t expected = 0;
	ck_assert(__atomic_compare_exchange_n(&shared->area_state[index], &expected, 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	area->thread_pointer = 0x7f0000000000 + index;
	area->space = space;
	__atomic_store_n(&area->tid, tid, __ATOMIC_RELEASE);
}

static inline void put(struct writer *writer, uint64_t word)
{
	__atomic_store_n(&writer->words[writer->next++ & (writer->capacity - 1)], word,
			 __ATOMIC_RELAXED);
}

static inline void commit(struct writer *writer)
{
	__atomic_store_n(&writer->ring->head, writer->next, __ATOMIC_RELEASE);
}

static inline void put_time(struct writer *writer, uint64_t stamp)
{
	put(writer, ring_time_word(stamp));
}

static inline void put_stack(struct writer *writer, uint32_t stack, unsigned stop, size_t count,
			     uint64_t first)
{
	put(writer, ring_word(RING_STACK, count, ring_stack_head(stack, stop)));
	for (size_t i = 0; i < count; i++)
		put(writer, first + i);
}

static inline void put_create(struct writer *writer, uint64_t address, uint64_t size_bytes,
			      uint32_t stack)
{
	if (size_bytes >> RING_SIZE_BITS)
		put(writer, ring_word(RING_WIDE, 0, size_bytes >> RING_SIZE_BITS));
	put(writer, ring_word(RING_CREATE, 0, address));
	put(writer, ring_size_word(size_bytes, stack));
}

/* Kinds of one word. */
static inline void put_plain(struct writer *writer, enum ring_kind kind, uint64_t address)
{
	put(writer, ring_word(kind, 0, address));
}

static inline void put_resize_end(struct writer *writer, uint64_t old, uint64_t address,
				  uint64_t size_bytes, uint32_t stack)
{
	put(writer, ring_word(RING_RESIZE_END, 0, old));
	put(writer, address);
	put(writer, ring_size_word(size_bytes, stack));
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif
