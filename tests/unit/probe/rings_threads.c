/* SPDX-License-Identifier: MIT */
/*
 * Threads that hand blocks to each other write rings as agents do, while they are read. Whoever
 * owns an address writes down what is done to it, before it is said in a ring: what comes out must
 * be exactly that, for each address in that order. Addresses are few and given out again at once,
 * so that most of what happens to one comes from different threads.
 */
#include "probe/rings.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "unit/probe/rings_fixture.h"

enum {
	THREADS = 8,
	ADDRESSES = 1024,
	HISTORY = 256, /* of an address: what was written down and did not come out yet */
	HELD = 32,     /* blocks a thread has */
	SPACE = 9,
	TID = 100,
	ALONE = 5000, /* steps of the first thread before the others begin */
	STACK = 3,
	APART = (AGENT_AREAS - 1) / (THREADS - 1), /* areas of threads */
};
#define FIRST_ADDRESS UINT64_C(0x7f1200000010)

struct deed {
	uint64_t number; /* counts from 1 for each address */
	uint32_t thread;
	enum ring_kind kind;
	uint64_t other; /* RING_RESIZE_END: the old address. RING_CREATE: the size */
};

/* Written by who owns the address; taken by the reader. */
struct history {
	struct deed deeds[HISTORY];
	uint64_t written;
	uint64_t taken; /* atomic */
	bool live;	/* reader's */
};

/* The allocator and the mailbox are shared by all, under the lock. */
struct simulation {
	struct agent_shared *shared;
	pthread_mutex_t lock;
	uint32_t free[ADDRESSES];
	uint32_t free_count;
	uint32_t mail[16];
	uint32_t mail_count;
	struct history histories[ADDRESSES];
	uint64_t steps;	  /* of each thread */
	uint64_t running; /* atomic */
	bool open;	  /* atomic: the others may begin */
	uint64_t neutral; /* atomic: records without an effect on an address */
	/* the reader's */
	struct rings *rings;
	uint64_t neutral_seen;
	uint64_t events;
	site_id site;
	char failure[256];
};

struct actor {
	struct simulation *simulation;
	uint32_t number;
	uint64_t seed;
	struct writer writers[2];
	bool defined[2];
	uint32_t held[HELD];
	uint32_t held_count;
	uint64_t unstamped;
	bool in_handler;
};

static uint64_t random_below(struct actor *actor, uint64_t limit)
{
	actor->seed ^= actor->seed >> 12;
	actor->seed ^= actor->seed << 25;
	actor->seed ^= actor->seed >> 27;
	return (actor->seed * UINT64_C(0x2545f4914f6cdd1d) >> 33) % limit;
}

static uint64_t address_of(uint32_t index)
{
	return FIRST_ADDRESS + 16 * (uint64_t)index;
}

/* ---- writing */

static void write_down(struct actor *actor, uint32_t index, enum ring_kind kind, uint64_t other)
{
	struct history *history = &actor->simulation->histories[index];
	while (history->written - __atomic_load_n(&history->taken, __ATOMIC_ACQUIRE) >= HISTORY)
		sched_yield();
	uint64_t number = ++history->written;
	history->deeds[number % HISTORY] =
		(struct deed){number, TID + actor->number * APART, kind, other};
}

static struct writer *current_writer(struct actor *actor)
{
	return &actor->writers[actor->in_handler];
}

static void wait_for_room(const struct writer *writer)
{
	while (writer->next + 16 - __atomic_load_n(&writer->ring->tail, __ATOMIC_ACQUIRE) >
	       writer->capacity)
		sched_yield();
}

/* Begins a record: its definitions and its stamp, where it has one. */
static struct writer *begin_record(struct actor *actor)
{
	struct writer *writer = current_writer(actor);
	wait_for_room(writer);
	if (!actor->defined[actor->in_handler])
		put_stack(writer, STACK, UNWIND_STOP_END, 2, 0x401000);
	actor->defined[actor->in_handler] = true;
	uint32_t *many = &actor->simulation->shared->many;
	if (__atomic_load_n(many, __ATOMIC_ACQUIRE) || ++actor->unstamped == RING_STAMP_EVERY) {
		put_time(writer, ticks());
		actor->unstamped = 0;
	}
	return writer;
}

static void handle_signal(struct actor *actor);

/* Between the stamp and the commit a thread may be preempted, or interrupted by a handler. */
static void finish_record(struct actor *actor, struct writer *writer)
{
	uint64_t chance = random_below(actor, 1000);
	if (chance < 2)
		sched_yield();
	else if (chance < 12 && !actor->in_handler)
		handle_signal(actor);
	commit(writer);
}

static bool allocator_get(struct simulation *simulation, uint32_t *ret)
{
	pthread_mutex_lock(&simulation->lock);
	bool got = simulation->free_count > 0;
	if (got)
		*ret = simulation->free[--simulation->free_count];
	pthread_mutex_unlock(&simulation->lock);
	return got;
}

static void allocator_put(struct simulation *simulation, uint32_t index)
{
	pthread_mutex_lock(&simulation->lock);
	simulation->free[simulation->free_count++] = index;
	pthread_mutex_unlock(&simulation->lock);
}

static bool create(struct actor *actor, uint32_t *ret)
{
	if (!allocator_get(actor->simulation, ret))
		return false;
	uint64_t size_bytes = random_below(actor, 1 << 20);
	write_down(actor, *ret, RING_CREATE, size_bytes);
	struct writer *writer = begin_record(actor);
	put_create(writer, address_of(*ret), size_bytes, STACK);
	finish_record(actor, writer);
	return true;
}

static void release(struct actor *actor, uint32_t index, bool inner)
{
	write_down(actor, index, inner ? RING_RELEASE_INNER : RING_RELEASE, 0);
	struct writer *writer = begin_record(actor);
	put_plain(writer, inner ? RING_RELEASE_INNER : RING_RELEASE, address_of(index));
	if (inner)
		put(writer, ring_size_word(0, STACK));
	finish_record(actor, writer);
	allocator_put(actor->simulation, index);
}

static void say_neutral(struct actor *actor, enum ring_kind kind, uint64_t address)
{
	__atomic_fetch_add(&actor->simulation->neutral, 1, __ATOMIC_RELAXED);
	struct writer *writer = begin_record(actor);
	put_plain(writer, kind, address);
	if (kind == RING_FAILED)
		put(writer, ring_size_word(5, STACK));
	finish_record(actor, writer);
}

static void end_resize(struct actor *actor, uint32_t old, uint32_t index, bool refused)
{
	write_down(actor, index, RING_RESIZE_END, address_of(old));
	struct writer *writer = begin_record(actor);
	put_resize_end(writer, address_of(old), refused ? 0 : address_of(index), 77, STACK);
	finish_record(actor, writer);
}

/* Returns whether the block still is ours, in *index. */
static bool resize(struct actor *actor, uint32_t *index)
{
	uint32_t old = *index;
	write_down(actor, old, RING_RESIZE_BEGIN, 0);
	struct writer *writer = begin_record(actor);
	put_plain(writer, RING_RESIZE_BEGIN, address_of(old));
	finish_record(actor, writer);
	switch (random_below(actor, 8)) {
	case 0:
		end_resize(actor, old, old, true);
		return true;
	case 1:
		write_down(actor, old, RING_RESIZE_CANCELLED, 0);
		writer = begin_record(actor);
		put_plain(writer, RING_RESIZE_CANCELLED, address_of(old));
		finish_record(actor, writer);
		return true;
	case 2:
		allocator_put(actor->simulation, old);
		say_neutral(actor, RING_RESIZE_RELEASED, address_of(old));
		return false;
	case 3:
		end_resize(actor, old, old, false);
		return true;
	default:
		/* It moves: the old place may be another thread's before the end is said. */
		allocator_put(actor->simulation, old);
		while (!allocator_get(actor->simulation, index))
			sched_yield();
		end_resize(actor, old, *index, false);
		return true;
	}
}

static void handle_signal(struct actor *actor)
{
	uint32_t index;
	if (!__atomic_load_n(&actor->simulation->open, __ATOMIC_RELAXED))
		return;
	actor->in_handler = true;
	if (create(actor, &index))
		release(actor, index, false);
	actor->in_handler = false;
}

/* Leaves one of ours in the mailbox and takes what lies there. */
static void exchange(struct actor *actor)
{
	struct simulation *simulation = actor->simulation;
	uint32_t *mine = &actor->held[random_below(actor, actor->held_count)];
	pthread_mutex_lock(&simulation->lock);
	if (simulation->mail_count < 16) {
		simulation->mail[simulation->mail_count++] = *mine;
		*mine = actor->held[--actor->held_count];
	} else {
		uint32_t *other = &simulation->mail[random_below(actor, 16)];
		uint32_t index = *other;
		*other = *mine;
		*mine = index;
	}
	pthread_mutex_unlock(&simulation->lock);
}

static void step(struct actor *actor)
{
	uint64_t chance = random_below(actor, 100);
	uint32_t at = actor->held_count ? (uint32_t)random_below(actor, actor->held_count) : 0;
	if (chance < 2) {
		say_neutral(actor, chance == 0 ? RING_FAILED : RING_RELEASE, 0);
	} else if (actor->held_count == 0 || (chance < 35 && actor->held_count < HELD)) {
		actor->held_count += create(actor, &actor->held[actor->held_count]);
	} else if (chance < 60) {
		uint32_t index = actor->held[at];
		actor->held[at] = actor->held[--actor->held_count];
		release(actor, index, chance == 59);
	} else if (chance < 75) {
		if (!resize(actor, &actor->held[at]))
			actor->held[at] = actor->held[--actor->held_count];
	} else {
		exchange(actor);
	}
}

static void *act(void *argument)
{
	struct actor *actor = argument;
	struct simulation *simulation = actor->simulation;
	while (actor->number > 0 && !__atomic_load_n(&simulation->open, __ATOMIC_ACQUIRE))
		sched_yield();
	for (uint64_t i = 0; i < simulation->steps; i++) {
		step(actor);
		/* From its handler's ring on, or another thread's, every record has a stamp. */
		if (i == ALONE && actor->number == 0) {
			__atomic_store_n(&simulation->shared->many, 1, __ATOMIC_RELEASE);
			__atomic_store_n(&simulation->open, true, __ATOMIC_RELEASE);
		}
	}
	__atomic_fetch_sub(&simulation->running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- reading */

static void complain(struct simulation *simulation, uint64_t address, const char *what,
		     uint64_t number)
{
	if (!simulation->failure[0])
		snprintf(simulation->failure, sizeof simulation->failure,
			 "event %lu: address %#lx: %s, deed %lu", (unsigned long)simulation->events,
			 (unsigned long)address, what, (unsigned long)number);
}

static struct history *history_of(struct simulation *simulation, uint64_t address)
{
	uint64_t index = (address - FIRST_ADDRESS) / 16;
	if (index < ADDRESSES)
		return &simulation->histories[index];
	complain(simulation, address, "never given out", 0);
	return NULL;
}

/* The next thing that was done to address must be this. */
static void compare(struct simulation *simulation, uint64_t address, uint32_t thread,
		    enum ring_kind kind, uint64_t other)
{
	struct history *history = history_of(simulation, address);
	if (!history)
		return;
	uint64_t number = history->taken + 1;
	const struct deed *deed = &history->deeds[number % HISTORY];
	if (deed->number != number)
		complain(simulation, address, "nothing was done", number);
	else if (deed->thread != thread)
		complain(simulation, address, "another thread's turn", number);
	else if (deed->kind != kind || deed->other != other)
		complain(simulation, address, "something else was done", number);
	bool dies = kind == RING_RELEASE || kind == RING_RELEASE_INNER || kind == RING_RESIZE_BEGIN;
	if (history->live != dies)
		complain(simulation, address, "born twice or dead twice", number);
	history->live = !dies;
	__atomic_store_n(&history->taken, number, __ATOMIC_RELEASE);
}

static struct error *on_stack(void *context, space_id space, const uint64_t *addresses,
			      size_t count, enum unwind_stop stop, site_id *ret)
{
	struct simulation *simulation = context;
	if (space.v != SPACE || count != 2 || addresses[1] != 0x401001 || stop != UNWIND_STOP_END)
		complain(simulation, 0, "another stack", 0);
	*ret = simulation->site;
	return NULL;
}

static struct error *on_event(void *context, const struct event *event, bool inner)
{
	struct simulation *simulation = context;
	simulation->events++;
	uint64_t address = event->address.v, old = event->old_address.v;
	switch (event->kind) {
	case EVENT_CREATE:
		compare(simulation, address, event->thread, RING_CREATE, event->size_bytes);
		break;
	case EVENT_RELEASE:
		if (address)
			compare(simulation, address, event->thread,
				inner ? RING_RELEASE_INNER : RING_RELEASE, 0);
		else
			simulation->neutral_seen++;
		break;
	case EVENT_RESIZE_BEGIN:
		compare(simulation, old, event->thread, RING_RESIZE_BEGIN, 0);
		break;
	case EVENT_RESIZE_END:
		compare(simulation, address ? address : old, event->thread, RING_RESIZE_END, old);
		break;
	case EVENT_RESIZE_RELEASED:
	case EVENT_FAILED:
		simulation->neutral_seen++;
		break;
	}
	return NULL;
}

static void on_cancelled(void *context, space_id space, uint32_t thread, target_addr old_address)
{
	struct simulation *simulation = context;
	(void)space;
	simulation->events++;
	compare(simulation, old_address.v, thread, RING_RESIZE_CANCELLED, 0);
}

static void on_soon(void *context, space_id space, const uint64_t *addresses, size_t count)
{
	(void)space;
	for (size_t i = 0; i < count; i++)
		history_of(context, addresses[i]);
}

static bool is_live(void *context, space_id space, target_addr address)
{
	(void)space;
	const struct history *history = history_of(context, address.v);
	return history && history->live;
}

static struct rings_clock measure_clock(void)
{
	uint64_t ticks_before = ticks(), ns_before = clock_now_ns(), ns;
	do {
		ns = clock_now_ns();
	} while (ns - ns_before < 20000000);
	double rate = (double)(ns - ns_before) / (double)(ticks() - ticks_before);
	return (struct rings_clock){ticks_before, 0, rate};
}

static void actor_init(struct actor *actor, struct simulation *simulation, uint32_t number)
{
	actor->simulation = simulation;
	actor->number = number;
	actor->seed = number + 1;
	for (unsigned level = 0; level < 2; level++)
		actor->writers[level] = writer_at(simulation->shared, number * APART, level);
}

static struct simulation *simulation_new(uint64_t records)
{
	struct simulation *simulation = calloc(1, sizeof *simulation);
	ck_assert_ptr_nonnull(simulation);
	simulation->shared = shared_new();
	pthread_mutex_init(&simulation->lock, NULL);
	for (uint32_t i = 0; i < ADDRESSES; i++)
		simulation->free[simulation->free_count++] = i;
	/* Others that say nothing stand between, so that reading all heads takes a while. */
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		claim(simulation->shared, i, TID + i, SPACE);
	/* A step says 0.85 records on average. */
	simulation->steps = records / THREADS * 20 / 17;
	simulation->running = THREADS;
	simulation->site.v = 4;
	struct rings_clock clock = measure_clock();
	struct rings_sink sink = {on_stack, on_event,	on_cancelled, on_soon,
				  is_live,  simulation, NULL};
	ck_assert_ptr_null(rings_create(simulation->shared, &clock, &sink, &simulation->rings));
	return simulation;
}

static void simulation_free(struct simulation *simulation)
{
	rings_destroy(simulation->rings);
	pthread_mutex_destroy(&simulation->lock);
	munmap(simulation->shared, AGENT_SHARED_BYTES);
	free(simulation);
}

/* Reads while the threads write, also everything at once, as at a stop of one thread. */
static void read_along(struct simulation *simulation)
{
	uint64_t taken;
	for (uint64_t i = 0; __atomic_load_n(&simulation->running, __ATOMIC_ACQUIRE); i++) {
		struct error *err = rings_take(simulation->rings, i % 2 == 1, &taken);
		if (err || simulation->failure[0])
			break;
		if (taken == 0)
			sched_yield();
	}
	ck_assert_msg(!simulation->failure[0], "%s", simulation->failure);
}

static void check_all_came(struct simulation *simulation)
{
	uint64_t taken;
	ck_assert_ptr_null(rings_take(simulation->rings, true, &taken));
	ck_assert_msg(!simulation->failure[0], "%s", simulation->failure);
	for (uint32_t i = 0; i < ADDRESSES; i++)
		ck_assert_uint_eq(simulation->histories[i].taken, simulation->histories[i].written);
	ck_assert_uint_eq(simulation->neutral_seen, simulation->neutral);
	struct rings_statistics statistics = rings_statistics(simulation->rings);
	ck_assert_uint_eq(statistics.records, simulation->events);
	ck_assert_uint_eq(statistics.closed_rings, 0);
	ck_assert_uint_eq(statistics.threads, AGENT_AREAS);
}

START_TEST(no_event_of_eight_threads_is_missing_extra_or_out_of_order)
{
	uint64_t records = getenv("TRACEALLOC_LONG") ? 100000000 : 1000000;
	struct simulation *simulation = simulation_new(records);
	struct actor *actors = calloc(THREADS, sizeof *actors);
	ck_assert_ptr_nonnull(actors);
	pthread_t threads[THREADS];
	for (uint32_t i = 0; i < THREADS; i++) {
		actor_init(&actors[i], simulation, i);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, act, &actors[i]), 0);
	}
	read_along(simulation);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check_all_came(simulation);
	ck_assert_uint_ge(simulation->events, records / 2);
	if (getenv("TRACEALLOC_LONG"))
		ck_assert_uint_ge(simulation->events, records);
	free(actors);
	simulation_free(simulation);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rings of threads");
	TCase *threads = tcase_create("threads");
	tcase_set_timeout(threads, getenv("TRACEALLOC_LONG") ? 3600 : 120);
	tcase_add_test(threads, no_event_of_eight_threads_is_missing_extra_or_out_of_order);
	suite_add_tcase(suite, threads);
	return run_suite(suite);
}
