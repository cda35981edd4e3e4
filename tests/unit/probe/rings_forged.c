/* SPDX-License-Identifier: MIT */
/*
 * Shared memory that somebody forges: random words in rings and headers, between takes and while
 * one is under way. Nothing may crash or hang, and whatever comes out is something that can be.
 */
#include "probe/rings.h"

#include <pthread.h>

#include "unit/probe/rings_fixture.h"

enum {
	AREAS = 6,
	LIFE = 200, /* rounds until another reader begins: rings that are closed stay so */
	SITES = 100,
};

struct forger {
	struct agent_shared *shared;
	uint64_t seed;
	bool stop; /* atomic */
};

struct judge {
	uint64_t events;
	uint64_t wrong;
	uint32_t sites;
	uint64_t toggles;
};

static uint64_t random_word(struct forger *forger)
{
	forger->seed ^= forger->seed >> 12;
	forger->seed ^= forger->seed << 25;
	forger->seed ^= forger->seed >> 27;
	return forger->seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t random_below(struct forger *forger, uint64_t limit)
{
	return (random_word(forger) >> 33) % limit;
}

/* ---- what comes out */

static struct error *on_stack(void *context, space_id space, const uint64_t *addresses,
			      size_t count, enum unwind_stop stop, site_id *ret)
{
	struct judge *judge = context;
	uint64_t sum = 0;
	(void)space;
	for (size_t i = 0; i < count; i++)
		sum += addresses[i] & 1;
	judge->wrong += count > AGENT_DEPTH_MAX || stop > UNWIND_STOP_LOST || sum > count;
	ret->v = judge->sites++ % SITES;
	return NULL;
}

static struct error *on_event(void *context, const struct event *event, bool inner)
{
	struct judge *judge = context;
	judge->events++;
	judge->wrong += (unsigned)event->kind > EVENT_FAILED || event->address.v >> 47 ||
			event->old_address.v >> 47 || event->site.v >= SITES ||
			(inner && event->kind != EVENT_RELEASE);
	return NULL;
}

static void on_cancelled(void *context, space_id space, uint32_t thread, target_addr old_address)
{
	struct judge *judge = context;
	(void)space, (void)thread;
	judge->wrong += old_address.v == 0 || old_address.v >> 47;
}

static void on_soon(void *context, space_id space, const uint64_t *addresses, size_t count)
{
	struct judge *judge = context;
	(void)space;
	judge->wrong += count > RINGS_AHEAD;
	for (size_t i = 0; i < count; i++)
		judge->wrong += addresses[i] == 0 || addresses[i] >> 47;
}

/* Sometimes so, sometimes not: every repair is tried. */
static bool is_live(void *context, space_id space, target_addr address)
{
	struct judge *judge = context;
	(void)space, (void)address;
	return judge->toggles++ % 3 == 0;
}

static struct agent_bounds visit(void *context, space_id space, uint32_t thread, uint64_t sp)
{
	struct forger *forger = context;
	(void)space, (void)thread, (void)sp;
	return (struct agent_bounds){random_word(forger), random_word(forger)};
}

/* ---- what goes in */

/* A word of a likely kind: pure noise would be refused at once. */
static uint64_t likely_word(struct forger *forger)
{
	uint64_t kind =
		random_below(forger, 100) ? 1 + random_below(forger, 11) : random_below(forger, 16);
	switch (kind) {
	case RING_TIME:
		return ring_time_word(ticks() - random_below(forger, 1000));
	case RING_STACK:
		return ring_word(RING_STACK, random_below(forger, 8),
				 ring_stack_head((uint32_t)random_below(forger, 4),
						 (unsigned)random_below(forger, 3)));
	case RING_WIDE:
		return ring_word(RING_WIDE, 0, random_below(forger, 1 << 24));
	default:
		return ring_word((enum ring_kind)kind, 0, 16 * random_below(forger, 8));
	}
}

static void put_record(struct forger *forger, struct writer *writer)
{
	uint64_t word = likely_word(forger);
	put(writer, word);
	uint64_t more = ring_kind_of(word) == RING_STACK ? ring_extra_of(word) : 1;
	if (ring_kind_of(word) == RING_RESIZE_END)
		put(writer, random_below(forger, 8) * 16);
	for (uint64_t i = 0; i < more; i++)
		put(writer,
		    ring_size_word(random_below(forger, 100), (uint32_t)random_below(forger, 4)));
}

static void forge_header(struct forger *forger, uint32_t index, unsigned level)
{
	struct agent_thread *area = shared_area(forger->shared, index);
	struct agent_ring *ring = &area->rings[level];
	uint64_t *fields[] = {&ring->head,	   &ring->tail,	      &ring->known_tail,
			      &area->lost,	   &area->unknown_sp, &area->bounds[1].high,
			      &area->bounds[2].low};
	uint64_t *field = fields[random_below(forger, sizeof fields / sizeof *fields)];
	uint64_t jump = random_below(forger, 4) ? random_below(forger, 1000) : random_word(forger);
	__atomic_store_n(field, *field + jump, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->waiting, (uint32_t)random_below(forger, 2), __ATOMIC_RELAXED);
}

static void forge(struct forger *forger)
{
	uint32_t index = (uint32_t)random_below(forger, AREAS);
	unsigned level = (unsigned)random_below(forger, AGENT_LEVELS);
	struct writer writer = writer_at(forger->shared, index, level);
	switch (random_below(forger, 12)) {
	case 0:
		forge_header(forger, index, level);
		break;
	case 1:
		__atomic_store_n(&forger->shared->area_state[index],
				 (uint32_t)random_below(forger, 3), __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n(&writer.area->tid, (uint32_t)random_below(forger, 3),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&writer.area->space, (uint32_t)random_below(forger, 3),
				 __ATOMIC_RELAXED);
		break;
	case 3:
		__atomic_store_n(&forger->shared->lost, random_word(forger), __ATOMIC_RELAXED);
		break;
	case 4:
		for (int i = 0; i < 64; i++)
			put(&writer, random_word(forger));
		commit(&writer);
		break;
	default:
		for (uint64_t i = random_below(forger, 40); i > 0; i--)
			put_record(forger, &writer);
		commit(&writer);
	}
}

static struct rings *new_rings(struct forger *forger, struct judge *judge)
{
	struct rings_clock clock = {ticks(), 0, 0.5};
	struct rings_sink sink = {on_stack, on_event, on_cancelled, on_soon, is_live, judge, NULL};
	struct rings *rings;
	for (uint32_t i = 0; i < AREAS; i++) {
		forger->shared->area_state[i] = 1;
		struct agent_thread *area = shared_area(forger->shared, i);
		memset(area, 0, sizeof *area);
		area->tid = 1 + i % 2;
		area->space = 1;
		for (unsigned level = 0; level < AGENT_LEVELS; level++) {
			struct writer writer = writer_at(forger->shared, i, level);
			for (uint32_t stack = 0; stack < 4; stack++)
				put_stack(&writer, stack, UNWIND_STOP_END, 1, 1);
			commit(&writer);
		}
	}
	ck_assert_ptr_null(rings_create(forger->shared, &clock, &sink, &rings));
	return rings;
}

static void round_of(struct forger *forger, struct rings *rings)
{
	uint64_t taken;
	uint64_t lost = rings_statistics(rings).lost_events;
	ck_assert_ptr_null(rings_take(rings, random_below(forger, 8) == 0, &taken));
	if (random_below(forger, 8) == 0)
		rings_thread_ended(rings, (space_id){1}, (uint32_t)random_below(forger, 3));
	if (random_below(forger, 8) == 0)
		rings_visit_unknown_stacks(rings, visit, forger);
	ck_assert_uint_ge(rings_statistics(rings).lost_events, lost);
}

static uint64_t round_count(void)
{
	return getenv("TRACEALLOC_LONG") ? 10000000 : 100000;
}

START_TEST(forged_memory_does_no_harm)
{
	struct forger forger = {.shared = shared_new(), .seed = 7};
	struct judge judge = {.events = 0};
	struct rings *rings = NULL;
	uint64_t closed = 0;
	for (uint64_t i = 0; i < round_count(); i++) {
		if (i % LIFE == 0) {
			closed += rings ? rings_statistics(rings).closed_rings : 0;
			rings_destroy(rings);
			rings = new_rings(&forger, &judge);
		}
		forge(&forger);
		round_of(&forger, rings);
	}
	rings_destroy(rings);
	ck_assert_uint_eq(judge.wrong, 0);
	/* Some was believable, some was not. */
	ck_assert_uint_gt(judge.events, round_count() / 100);
	ck_assert_uint_gt(closed, round_count() / LIFE);
	munmap(forger.shared, AGENT_SHARED_BYTES);
}
END_TEST

static void *keep_forging(void *argument)
{
	struct forger *forger = argument;
	while (!__atomic_load_n(&forger->stop, __ATOMIC_ACQUIRE))
		forge(forger);
	return NULL;
}

START_TEST(memory_forged_while_it_is_read_does_no_harm)
{
	struct forger forger = {.shared = shared_new(), .seed = 11};
	struct forger reader = {.shared = forger.shared, .seed = 13};
	struct judge judge = {.events = 0};
	struct rings *rings = new_rings(&reader, &judge);
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, keep_forging, &forger), 0);
	for (uint64_t i = 0; i < round_count() / 10; i++) {
		if (i % LIFE == 0) {
			rings_destroy(rings);
			rings = new_rings(&reader, &judge);
		}
		round_of(&reader, rings);
	}
	__atomic_store_n(&forger.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	rings_destroy(rings);
	ck_assert_uint_eq(judge.wrong, 0);
	munmap(forger.shared, AGENT_SHARED_BYTES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forged rings");
	TCase *forged = tcase_create("forged");
	tcase_set_timeout(forged, getenv("TRACEALLOC_LONG") ? 3600 : 120);
	tcase_add_test(forged, forged_memory_does_no_harm);
	tcase_add_test(forged, memory_forged_while_it_is_read_does_no_harm);
	suite_add_tcase(suite, forged);
	return run_suite(suite);
}
