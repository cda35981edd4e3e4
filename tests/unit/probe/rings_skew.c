/* SPDX-License-Identifier: MIT */
/*
 * Clocks of threads that disagree. A history is made up, with the true order of everything known;
 * what a thread says about it is stamped by a clock of its own, up to half of RING_SKEW_NS ahead or
 * behind. Two things that happen to one address are at least STEP ticks apart, so that only
 * neighbours can change places.
 */
#include <check.h>
#include <stdlib.h>

#include "probe/ring_merge.h"
#include "unit/probe/rings_fixture.h"

enum {
	THREADS = 8,
	ADDRESSES = 32,
	RECORDS = 60000,
	SPACE = 3,
	TID = 50,
	OFF = RING_SKEW_NS / 2 - 20, /* how far a clock may be off, in ticks: one is a ns here */
	STEP = OFF + 10,
	STACK = 1,
};
#define FIRST_ADDRESS UINT64_C(0x10000)

struct deed {
	uint32_t thread;
	enum ring_kind kind;
};

struct place {
	struct deed deeds[RECORDS / 4];
	uint64_t written, taken;
	uint64_t free_at; /* not before this may the next thing happen to it */
	bool live;	  /* in truth */
	bool known;	  /* the reader's */
};

struct simulation {
	struct agent_shared *shared;
	struct rings *rings;
	struct writer writers[THREADS];
	int64_t offsets[THREADS];
	uint64_t next_at[THREADS];
	struct place places[ADDRESSES];
	uint64_t seed;
	uint64_t unknown; /* releases where nothing was known to be live */
	uint64_t wrong;
	uint64_t events;
};

static uint64_t random_below(struct simulation *simulation, uint64_t limit)
{
	simulation->seed ^= simulation->seed >> 12;
	simulation->seed ^= simulation->seed << 25;
	simulation->seed ^= simulation->seed >> 27;
	return (simulation->seed * UINT64_C(0x2545f4914f6cdd1d) >> 33) % limit;
}

static struct error *on_stack(void *context, space_id space, const uint64_t *addresses,
			      size_t count, enum unwind_stop stop, site_id *ret)
{
	(void)context, (void)space, (void)addresses, (void)count, (void)stop;
	ret->v = 0;
	return NULL;
}

static void compare(struct simulation *simulation, uint64_t address, uint32_t thread,
		    enum ring_kind kind)
{
	struct place *place = &simulation->places[(address - FIRST_ADDRESS) / 16];
	const struct deed *deed = &place->deeds[place->taken++];
	simulation->events++;
	simulation->wrong += deed->thread != thread || deed->kind != kind;
	simulation->unknown += kind == RING_RELEASE && !place->known;
	place->known = kind != RING_RELEASE && kind != RING_RESIZE_BEGIN;
}

static struct error *on_event(void *context, const struct event *event, bool inner)
{
	uint64_t address = event->address.v ? event->address.v : event->old_address.v;
	static const enum ring_kind kinds[] = {
		[EVENT_CREATE] = RING_CREATE,
		[EVENT_RELEASE] = RING_RELEASE,
		[EVENT_RESIZE_BEGIN] = RING_RESIZE_BEGIN,
		[EVENT_RESIZE_END] = RING_RESIZE_END,
	};
	(void)inner;
	compare(context, address, event->thread, kinds[event->kind]);
	return NULL;
}

static void on_cancelled(void *context, space_id space, uint32_t thread, target_addr old_address)
{
	(void)space;
	compare(context, old_address.v, thread, RING_RESIZE_CANCELLED);
}

static void on_soon(void *context, space_id space, const uint64_t *addresses, size_t count)
{
	(void)context, (void)space, (void)addresses, (void)count;
}

static bool is_live(void *context, space_id space, target_addr address)
{
	const struct simulation *simulation = context;
	(void)space;
	return simulation->places[(address.v - FIRST_ADDRESS) / 16].known;
}

static struct simulation *simulation_new(uint64_t seed)
{
	struct simulation *simulation = calloc(1, sizeof *simulation);
	ck_assert_ptr_nonnull(simulation);
	simulation->shared = shared_new();
	simulation->seed = seed;
	simulation->shared->many = 1;
	struct rings_clock clock = {0, 0, 1.0};
	struct rings_sink sink = {on_stack, on_event,	on_cancelled, on_soon,
				  is_live,  simulation, NULL};
	ck_assert_ptr_null(rings_create(simulation->shared, &clock, &sink, &simulation->rings));
	for (uint32_t i = 0; i < THREADS; i++) {
		claim(simulation->shared, i, TID + i, SPACE);
		simulation->writers[i] = writer_at(simulation->shared, i, 0);
		put_stack(&simulation->writers[i], STACK, UNWIND_STOP_END, 1, 0x401000);
		simulation->offsets[i] = (int64_t)random_below(simulation, 2 * OFF + 1) - OFF;
	}
	return simulation;
}

static void simulation_free(struct simulation *simulation)
{
	rings_destroy(simulation->rings);
	munmap(simulation->shared, AGENT_SHARED_BYTES);
	free(simulation);
}

/* Says by the thread's own clock that something of this kind happens to a place at a true time. */
static void say(struct simulation *simulation, uint32_t thread, uint32_t index, enum ring_kind kind,
		uint64_t time)
{
	struct place *place = &simulation->places[index];
	struct writer *writer = &simulation->writers[thread];
	uint64_t address = FIRST_ADDRESS + 16 * index;
	put_time(writer, time + (uint64_t)simulation->offsets[thread]);
	if (kind == RING_CREATE)
		put_create(writer, address, 10, STACK);
	else if (kind == RING_RESIZE_END)
		put_resize_end(writer, address, random_below(simulation, 2) ? address : 0, 10,
			       STACK);
	else
		put_plain(writer, kind, address);
	place->deeds[place->written++] = (struct deed){.thread = TID + thread, .kind = kind};
	place->live = kind != RING_RELEASE && kind != RING_RESIZE_BEGIN;
	place->free_at = time + STEP;
	simulation->next_at[thread] = time + 5 + random_below(simulation, 300);
}

/* The thread whose turn it is next. */
static uint32_t next_thread(const struct simulation *simulation)
{
	uint32_t next = 0;
	for (uint32_t i = 1; i < THREADS; i++)
		if (simulation->next_at[i] < simulation->next_at[next])
			next = i;
	return next;
}

static void make_history(struct simulation *simulation, uint64_t from)
{
	for (uint32_t i = 0; i < THREADS; i++)
		simulation->next_at[i] = from + i;
	for (uint32_t i = 0; i < RECORDS; i++) {
		uint32_t thread = next_thread(simulation);
		uint32_t index = (uint32_t)random_below(simulation, ADDRESSES);
		struct place *place = &simulation->places[index];
		uint64_t time = simulation->next_at[thread];
		if (place->written + 2 >= RECORDS / 4)
			continue;
		if (time < place->free_at) {
			simulation->next_at[thread] = time + 7;
		} else if (!place->live) {
			say(simulation, thread, index, RING_CREATE, time);
		} else if (random_below(simulation, 4)) {
			say(simulation, thread, index, RING_RELEASE, time);
		} else {
			say(simulation, thread, index, RING_RESIZE_BEGIN, time);
			say(simulation, thread, index,
			    random_below(simulation, 4) ? RING_RESIZE_END : RING_RESIZE_CANCELLED,
			    time + STEP);
		}
	}
	for (uint32_t i = 0; i < THREADS; i++)
		commit(&simulation->writers[i]);
}

static void take_all(struct simulation *simulation)
{
	uint64_t taken;
	ck_assert_ptr_null(rings_take(simulation->rings, true, &taken));
	for (uint32_t i = 0; i < ADDRESSES; i++)
		ck_assert_uint_eq(simulation->places[i].taken, simulation->places[i].written);
}

START_TEST(neighbours_that_changed_places_are_put_right)
{
	struct simulation *simulation = simulation_new((uint64_t)_i + 1);
	make_history(simulation, ticks() - 100000000);
	take_all(simulation);
	ck_assert_uint_gt(simulation->events, RECORDS / 4);
	ck_assert_uint_eq(simulation->wrong, 0);
	ck_assert_uint_eq(simulation->unknown, 0);
	ck_assert_uint_gt(rings_statistics(simulation->rings).reordered, 0);
	simulation_free(simulation);
}
END_TEST

START_TEST(nothing_is_put_right_where_clocks_agree)
{
	struct simulation *simulation = simulation_new((uint64_t)_i + 1);
	for (uint32_t i = 0; i < THREADS; i++)
		simulation->offsets[i] = 0;
	make_history(simulation, ticks() - 100000000);
	take_all(simulation);
	ck_assert_uint_eq(simulation->wrong, 0);
	ck_assert_uint_eq(rings_statistics(simulation->rings).reordered, 0);
	simulation_free(simulation);
}
END_TEST

/* Two threads of a world, stamps by hand. */
struct pair {
	struct world *world;
	struct writer first, second;
	uint64_t base;
};

static struct pair new_pair(void)
{
	struct pair pair = {.world = world_new()};
	claim(pair.world->shared, 0, TID, SPACE);
	claim(pair.world->shared, 1, TID + 1, SPACE);
	pair.first = writer_at(pair.world->shared, 0, 0);
	pair.second = writer_at(pair.world->shared, 1, 0);
	put_stack(&pair.second, STACK, UNWIND_STOP_END, 1, 0x401000);
	pair.base = pair.world->clock.base_ticks;
	return pair;
}

/* The second thread creates a block `later` ticks after the first one has released it. */
static void release_and_create(struct pair *pair, uint64_t time, uint64_t later)
{
	put_time(&pair->first, pair->base + time);
	put_plain(&pair->first, RING_RELEASE, FIRST_ADDRESS);
	put_time(&pair->second, pair->base + time + later);
	put_create(&pair->second, FIRST_ADDRESS, 1, STACK);
	commit(&pair->first);
	commit(&pair->second);
	world_take(pair->world);
}

static bool release_came_first(const struct pair *pair)
{
	const struct world *world = pair->world;
	return world->log[world->count - 2].event.kind == EVENT_RELEASE &&
	       world->log[world->count - 1].event.kind == EVENT_CREATE;
}

START_TEST(a_block_released_just_before_its_creation_was_released_after_it)
{
	struct pair pair = new_pair();
	release_and_create(&pair, 1000, RING_SKEW_NS);
	ck_assert(!release_came_first(&pair));
	ck_assert_uint_eq(pair.world->live.count, 0);
	ck_assert_uint_eq(rings_statistics(pair.world->rings).reordered, 1);
	/* It happened when it was said to have happened. */
	ck_assert_uint_eq(pair.world->log[1].event.time_ns, 5000 + 1000);
	world_free(pair.world);
}
END_TEST

START_TEST(a_block_released_long_before_its_creation_is_another_one)
{
	struct pair pair = new_pair();
	release_and_create(&pair, 1000, RING_SKEW_NS + 1);
	ck_assert(release_came_first(&pair));
	ck_assert_uint_eq(pair.world->live.count, 1);
	ck_assert_uint_eq(rings_statistics(pair.world->rings).reordered, 0);
	world_free(pair.world);
}
END_TEST

START_TEST(where_unknown_blocks_are_common_stamps_are_believed)
{
	struct pair pair = new_pair();
	for (uint64_t i = 0; i < 100; i++) {
		put_time(&pair.first, pair.base + 10 * i);
		put_plain(&pair.first, RING_RELEASE, FIRST_ADDRESS + 16 + 16 * i);
		put_time(&pair.second, pair.base + 10 * i + 5);
		put_create(&pair.second, (FIRST_ADDRESS << 4) + 16 * i, 1, STACK);
	}
	release_and_create(&pair, 2000, 500);
	ck_assert(release_came_first(&pair));
	ck_assert_uint_eq(rings_statistics(pair.world->rings).reordered, 0);
	world_free(pair.world);
}
END_TEST

START_TEST(a_second_release_by_the_allocator_itself_is_left_where_it_is)
{
	struct pair pair = new_pair();
	put_stack(&pair.first, STACK, UNWIND_STOP_END, 1, 0x401000);
	put_time(&pair.first, pair.base + 1000);
	put_plain(&pair.first, RING_RELEASE_INNER, FIRST_ADDRESS);
	put(&pair.first, ring_size_word(0, STACK));
	put_time(&pair.second, pair.base + 1500);
	put_create(&pair.second, FIRST_ADDRESS, 1, STACK);
	commit(&pair.first);
	commit(&pair.second);
	world_take(pair.world);
	ck_assert(release_came_first(&pair));
	ck_assert_uint_eq(pair.world->live.count, 1);
	world_free(pair.world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rings with clocks that disagree");
	TCase *random = tcase_create("made-up histories");
	tcase_set_timeout(random, 60);
	tcase_add_loop_test(random, neighbours_that_changed_places_are_put_right, 0, 20);
	tcase_add_loop_test(random, nothing_is_put_right_where_clocks_agree, 0, 5);
	suite_add_tcase(suite, random);
	TCase *pairs = tcase_create("pairs");
	tcase_add_test(pairs, a_block_released_just_before_its_creation_was_released_after_it);
	tcase_add_test(pairs, a_block_released_long_before_its_creation_is_another_one);
	tcase_add_test(pairs, where_unknown_blocks_are_common_stamps_are_believed);
	tcase_add_test(pairs, a_second_release_by_the_allocator_itself_is_left_where_it_is);
	suite_add_tcase(suite, pairs);
	return run_suite(suite);
}
