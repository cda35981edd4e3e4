/* SPDX-License-Identifier: MIT */
/* Rings written by hand, one rule of the headers at a time. */
#include "probe/rings.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "unit/probe/rings_fixture.h"

enum { SPACE = 3, TID = 4711, BLOCK = 0x5000, OTHER = 0x6000, CODE = 0x401000 };

/* One thread with stack 7 defined, in area 5. */
static struct writer one_thread(struct world *world)
{
	claim(world->shared, 5, TID, SPACE);
	struct writer writer = writer_at(world->shared, 5, 0);
	put_stack(&writer, 7, UNWIND_STOP_END, 3, CODE);
	commit(&writer);
	return writer;
}

static void check_event(const struct world *world, size_t index, enum event_kind kind,
			uint64_t address, uint64_t old, uint64_t size_bytes, uint32_t site)
{
	ck_assert_uint_lt(index, world->count);
	const struct logged *logged = &world->log[index];
	ck_assert(!logged->cancelled);
	ck_assert_int_eq(logged->event.kind, kind);
	ck_assert_uint_eq(logged->event.space.v, SPACE);
	ck_assert_uint_eq(logged->event.thread, TID);
	ck_assert_uint_eq(logged->event.address.v, address);
	ck_assert_uint_eq(logged->event.old_address.v, old);
	ck_assert_uint_eq(logged->event.size_bytes, size_bytes);
	ck_assert_uint_eq(logged->event.site.v, site);
}

START_TEST(every_kind_gives_its_event)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, BLOCK, 100, 7);
	put_plain(&writer, RING_RELEASE, BLOCK);
	put_plain(&writer, RING_RELEASE, 0);
	put_plain(&writer, RING_RELEASE_INNER, OTHER);
	put(&writer, ring_size_word(0, 7));
	put_plain(&writer, RING_RESIZE_BEGIN, BLOCK);
	put_resize_end(&writer, BLOCK, OTHER, 200, 7);
	put_plain(&writer, RING_RESIZE_BEGIN, OTHER);
	put_resize_end(&writer, OTHER, 0, 300, 7);
	put_plain(&writer, RING_RESIZE_BEGIN, OTHER);
	put_plain(&writer, RING_RESIZE_CANCELLED, OTHER);
	put_plain(&writer, RING_RESIZE_BEGIN, OTHER);
	put_plain(&writer, RING_RESIZE_RELEASED, OTHER);
	put_plain(&writer, RING_FAILED, 0);
	put(&writer, ring_size_word(400, 7));
	commit(&writer);
	ck_assert_uint_eq(world_take(world), writer.next);
	ck_assert_uint_eq(world->count, 13);
	check_event(world, 0, EVENT_CREATE, BLOCK, 0, 100, SITE_BASE);
	check_event(world, 1, EVENT_RELEASE, BLOCK, 0, 0, 0);
	check_event(world, 2, EVENT_RELEASE, 0, 0, 0, 0);
	check_event(world, 3, EVENT_RELEASE, OTHER, 0, 0, SITE_BASE);
	check_event(world, 4, EVENT_RESIZE_BEGIN, 0, BLOCK, 0, 0);
	check_event(world, 5, EVENT_RESIZE_END, OTHER, BLOCK, 200, SITE_BASE);
	check_event(world, 6, EVENT_RESIZE_BEGIN, 0, OTHER, 0, 0);
	check_event(world, 7, EVENT_RESIZE_END, 0, OTHER, 300, SITE_BASE);
	check_event(world, 8, EVENT_RESIZE_BEGIN, 0, OTHER, 0, 0);
	ck_assert(world->log[9].cancelled);
	ck_assert_uint_eq(world->log[9].event.old_address.v, OTHER);
	ck_assert_uint_eq(world->log[9].event.thread, TID);
	check_event(world, 10, EVENT_RESIZE_BEGIN, 0, OTHER, 0, 0);
	check_event(world, 11, EVENT_RESIZE_RELEASED, 0, OTHER, 0, 0);
	check_event(world, 12, EVENT_FAILED, 0, 0, 400, SITE_BASE);
	for (size_t i = 0; i < world->count; i++)
		ck_assert_int_eq(world->log[i].inner, i == 3);
	ck_assert_uint_eq(rings_statistics(world->rings).records, 13);
	ck_assert_uint_eq(rings_statistics(world->rings).threads, 1);
	ck_assert_uint_eq(writer.ring->tail, writer.next);
	ck_assert_uint_eq(world_take(world), 0);
	world_free(world);
}
END_TEST

START_TEST(what_is_not_committed_is_not_read)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	put_plain(&writer, RING_RELEASE, OTHER);
	world_take(world);
	ck_assert_uint_eq(world->count, 1);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 2);
	check_event(world, 1, EVENT_RELEASE, OTHER, 0, 0, 0);
	world_free(world);
}
END_TEST

START_TEST(a_size_may_have_all_bits)
{
	static const uint64_t sizes[] = {
		0,	   1, (UINT64_C(1) << 40) - 1, UINT64_C(1) << 40, (UINT64_C(1) << 63) + 5,
		UINT64_MAX};
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		put_create(&writer, BLOCK + 16 * i, sizes[i], 7);
	commit(&writer);
	world_take(world);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		check_event(world, i, EVENT_CREATE, BLOCK + 16 * i, 0, sizes[i], SITE_BASE);
	world_free(world);
}
END_TEST

START_TEST(a_creation_at_address_0_is_a_failed_one)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, 0, 100, 7);
	commit(&writer);
	world_take(world);
	check_event(world, 0, EVENT_FAILED, 0, 0, 100, SITE_BASE);
	world_free(world);
}
END_TEST

START_TEST(a_stack_number_means_what_was_defined_last)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, BLOCK, 1, 7);
	put_stack(&writer, 7, UNWIND_STOP_LOST, 1, CODE + 64);
	put_create(&writer, BLOCK + 16, 2, 7);
	put_stack(&writer, RING_STACK_PASSING, UNWIND_STOP_DEPTH, AGENT_DEPTH_MAX, CODE + 128);
	put_create(&writer, BLOCK + 32, 3, RING_STACK_PASSING);
	commit(&writer);
	world_take(world);
	check_event(world, 0, EVENT_CREATE, BLOCK, 0, 1, SITE_BASE);
	check_event(world, 1, EVENT_CREATE, BLOCK + 16, 0, 2, SITE_BASE + 1);
	check_event(world, 2, EVENT_CREATE, BLOCK + 32, 0, 3, SITE_BASE + 2);
	ck_assert_uint_eq(world->stacks[0].count, 3);
	ck_assert_uint_eq(world->stacks[0].frames[2], CODE + 2);
	ck_assert_uint_eq(world->stacks[0].space.v, SPACE);
	ck_assert_int_eq(world->stacks[0].stop, UNWIND_STOP_END);
	ck_assert_int_eq(world->stacks[1].stop, UNWIND_STOP_LOST);
	ck_assert_int_eq(world->stacks[2].stop, UNWIND_STOP_DEPTH);
	ck_assert_uint_eq(world->stacks[2].count, AGENT_DEPTH_MAX);
	ck_assert_uint_eq(world->stacks[2].frames[AGENT_DEPTH_MAX - 1],
			  CODE + 128 + AGENT_DEPTH_MAX - 1);
	world_free(world);
}
END_TEST

START_TEST(stack_numbers_of_levels_are_their_own)
{
	struct world *world = world_new();
	struct writer outer = one_thread(world), inner = writer_at(world->shared, 5, 1),
		      innermost = writer_at(world->shared, 5, 2);
	put_stack(&inner, 7, UNWIND_STOP_END, 1, CODE);
	put_create(&inner, OTHER, 2, 7);
	put_create(&outer, BLOCK, 1, 7);
	put_plain(&innermost, RING_RELEASE, BLOCK + 64);
	commit(&inner);
	commit(&outer);
	commit(&innermost);
	world_take(world);
	ck_assert_uint_eq(world->count, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct event *event = &world->log[i].event;
		uint32_t site = event->kind == EVENT_RELEASE ? 0 : event->site.v - SITE_BASE;
		ck_assert_uint_eq(event->thread, TID);
		if (event->kind == EVENT_CREATE)
			ck_assert_uint_eq(world->stacks[site].count,
					  event->size_bytes == 1 ? 3 : 1);
	}
	world_free(world);
}
END_TEST

START_TEST(a_ring_may_be_written_round_and_round)
{
	/* Records of two words and three, so that each stands across the ring's end at times. */
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	uint64_t stamp = world->clock.base_ticks;
	size_t rounds = 0;
	while (writer.next < 5 * writer.capacity) {
		world->count = 0;
		for (size_t i = 0; i < 1000; i++) {
			put_time(&writer, stamp++);
			put_create(&writer, BLOCK + 16 * i, i, 7);
			if (i % 7 == 0)
				put_plain(&writer, RING_RELEASE, BLOCK + 16 * i);
			if (i % 100 == 0)
				put_stack(&writer, 7, UNWIND_STOP_END, 5, CODE);
		}
		commit(&writer);
		world_take(world);
		world->stack_count = 0;
		ck_assert_uint_eq(world->count, 1000 + 143);
		for (size_t i = 0, at = 0; i < 1000; i++) {
			if (world->log[at].event.size_bytes != i)
				ck_abort_msg("round %zu: event %zu is another one", rounds, i);
			at += i % 7 == 0 ? 2 : 1;
		}
		rounds++;
	}
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 0);
	world_free(world);
}
END_TEST

START_TEST(a_full_ring_is_taken_whole)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	uint64_t before = writer.next;
	while (writer.next < writer.capacity)
		put_plain(&writer, RING_RELEASE, 0);
	commit(&writer);
	ck_assert_uint_eq(world_take(world), writer.capacity);
	ck_assert_uint_eq(world->count, writer.capacity - before);
	ck_assert_uint_eq(writer.ring->tail, writer.capacity);
	world_free(world);
}
END_TEST

/* ---- time */

START_TEST(events_have_the_time_of_their_stamps)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	uint64_t base = world->clock.base_ticks;
	put_time(&writer, base + 100);
	put_create(&writer, BLOCK, 1, 7);
	put_plain(&writer, RING_RELEASE, BLOCK);
	put_time(&writer, base + 400);
	put_stack(&writer, 8, UNWIND_STOP_END, 1, CODE);
	put_create(&writer, BLOCK, 1, 8);
	put_time(&writer, base + 300);
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->log[0].event.time_ns, 5100);
	/* Without a stamp of its own: the last one's. */
	ck_assert_uint_eq(world->log[1].event.time_ns, 5100);
	/* A definition between stamp and record does not part them. */
	ck_assert_uint_eq(world->log[2].event.time_ns, 5400);
	/* Within a ring time does not run backwards. */
	ck_assert_uint_eq(world->log[3].event.time_ns, 5400);
	world_free(world);
}
END_TEST

START_TEST(an_event_without_a_stamp_is_later_than_the_take_that_did_not_find_it)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, BLOCK, 1, 7);
	commit(&writer);
	uint64_t before = ticks() - world->clock.base_ticks + world->clock.base_ns;
	world_take(world);
	uint64_t between = ticks() - world->clock.base_ticks + world->clock.base_ns;
	put_create(&writer, BLOCK + 64, 1, 7);
	commit(&writer);
	world_take(world);
	ck_assert_uint_le(world->log[0].event.time_ns, before);
	/* The take before began a little before it was called: a margin for clocks that differ. */
	ck_assert_uint_ge(world->log[1].event.time_ns + 100000, before);
	ck_assert_uint_le(world->log[1].event.time_ns, between);
	world_free(world);
}
END_TEST

START_TEST(a_stamp_from_before_the_session_is_its_begin)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_time(&writer, world->clock.base_ticks - 1000000);
	put_create(&writer, BLOCK, 1, 7);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->log[0].event.time_ns, 5000);
	world_free(world);
}
END_TEST

START_TEST(a_stamp_may_be_committed_before_its_record)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_time(&writer, world->clock.base_ticks + 50);
	put(&writer, ring_word(RING_WIDE, 0, 1));
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 0);
	put(&writer, ring_word(RING_CREATE, 0, BLOCK));
	put(&writer, ring_size_word(2, 7));
	commit(&writer);
	world_take(world);
	check_event(world, 0, EVENT_CREATE, BLOCK, 0, (UINT64_C(1) << 40) + 2, SITE_BASE);
	ck_assert_uint_eq(world->log[0].event.time_ns, 5050);
	world_free(world);
}
END_TEST

/* ---- order */

START_TEST(records_of_two_rings_come_by_their_stamps)
{
	struct world *world = world_new();
	struct writer first = one_thread(world);
	claim(world->shared, 200, TID + 1, SPACE);
	struct writer second = writer_at(world->shared, 200, 0);
	uint64_t base = world->clock.base_ticks;
	for (uint64_t i = 0; i < 100; i++) {
		struct writer *writer = i % 5 < 3 ? &first : &second;
		put_time(writer, base + 10 * i);
		put_plain(writer, RING_RELEASE, BLOCK + i);
	}
	commit(&second);
	commit(&first);
	world_take(world);
	ck_assert_uint_eq(world->count, 100);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_uint_eq(world->log[i].event.address.v, BLOCK + i);
		ck_assert_uint_eq(world->log[i].event.thread, i % 5 < 3 ? TID : TID + 1);
	}
	world_free(world);
}
END_TEST

START_TEST(what_has_no_stamp_comes_as_early_as_its_ring_allows)
{
	struct world *world = world_new();
	struct writer first = one_thread(world);
	claim(world->shared, 200, TID + 1, SPACE);
	struct writer second = writer_at(world->shared, 200, 0);
	uint64_t base = world->clock.base_ticks;
	put_plain(&first, RING_RELEASE, 1);
	put_time(&first, base + 200);
	put_plain(&first, RING_RELEASE, 3);
	put_plain(&first, RING_RELEASE, 4);
	put_time(&second, base + 100);
	put_plain(&second, RING_RELEASE, 2);
	put_time(&second, base + 300);
	put_plain(&second, RING_RELEASE, 5);
	commit(&first);
	commit(&second);
	world_take(world);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_uint_eq(world->log[i].event.address.v, i + 1);
	world_free(world);
}
END_TEST

START_TEST(a_record_from_after_the_cut_waits)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	claim(world->shared, 6, TID + 1, SPACE);
	uint64_t taken, stamp = ticks() + 100000000;
	put_time(&writer, ticks());
	put_plain(&writer, RING_RELEASE, 1);
	put_time(&writer, stamp);
	put_plain(&writer, RING_RELEASE, 2);
	commit(&writer);
	while (world->count == 0)
		ck_assert_ptr_null(rings_take(world->rings, false, &taken));
	/* Only if this take came long after, the second one may be out. */
	ck_assert(world->count == 1 || ticks() > stamp);
	while (ticks() < stamp + 10000000)
		continue;
	ck_assert_ptr_null(rings_take(world->rings, false, &taken));
	ck_assert_uint_eq(world->count, 2);
	ck_assert_uint_eq(writer.ring->tail, writer.next);
	world_free(world);
}
END_TEST

START_TEST(all_is_everything_when_nothing_moves)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_time(&writer, ticks() + 500000000);
	put_plain(&writer, RING_RELEASE, 1);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 1);
	world_free(world);
}
END_TEST

/* Though the agent goes on, in this ring and in others. */
START_TEST(what_comes_after_the_seal_is_not_taken)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_time(&writer, ticks() + 500000000);
	put_plain(&writer, RING_RELEASE, 1);
	commit(&writer);
	ck_assert_ptr_null(rings_seal(world->rings));
	put_plain(&writer, RING_RELEASE, 2);
	commit(&writer);
	claim(world->shared, 1, TID + 1, SPACE);
	struct writer late = writer_at(world->shared, 1, 0);
	put_plain(&late, RING_RELEASE, 3);
	commit(&late);
	for (int take = 0; take < 3; take++) {
		uint64_t taken;
		ck_assert_ptr_null(rings_take(world->rings, false, &taken));
		ck_assert_uint_eq(world->count, 1);
	}
	rings_thread_ended(world->rings, (space_id){SPACE}, TID + 1);
	ck_assert_uint_eq(world->shared->area_state[1], 1);
	world_free(world);
}
END_TEST

START_TEST(an_error_of_the_sink_costs_its_event_alone)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	for (uint64_t i = 0; i < 100; i++)
		put_plain(&writer, RING_RELEASE, BLOCK + i);
	commit(&writer);
	world->refuse_at = 40;
	uint64_t taken;
	struct error *err = rings_take(world->rings, true, &taken);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	ck_assert_uint_eq(world->count, 40);
	world_take(world);
	ck_assert_uint_eq(world->count, 99);
	ck_assert_uint_eq(world->log[39].event.address.v, BLOCK + 39);
	ck_assert_uint_eq(world->log[40].event.address.v, BLOCK + 41);
	world_free(world);
}
END_TEST

START_TEST(a_stack_that_the_sink_could_not_take_is_given_to_it_again)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, BLOCK, 1, 7);
	commit(&writer);
	world->refuse_stack = true;
	uint64_t taken;
	struct error *err = rings_take(world->rings, true, &taken);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	ck_assert_uint_eq(world->count, 0);
	world->refuse_stack = false;
	world_take(world);
	check_event(world, 0, EVENT_CREATE, BLOCK, 0, 1, SITE_BASE);
	world_free(world);
}
END_TEST

/* ---- agents that wait */

struct sleeper {
	struct agent_ring *ring;
	pid_t tid; /* once it is about to sleep */
	bool woken;
};

/* As an agent waits for room, with a limit so that a missing wake-up fails the test. */
static void *sleep_for_room(void *argument)
{
	struct sleeper *sleeper = argument;
	struct agent_ring *ring = sleeper->ring;
	struct timespec limit = {.tv_sec = 20};
	__atomic_store_n(&ring->waiting, 1, __ATOMIC_SEQ_CST);
	uint32_t seen = (uint32_t)__atomic_load_n(&ring->tail, __ATOMIC_SEQ_CST);
	__atomic_store_n(&sleeper->tid, gettid(), __ATOMIC_RELEASE);
	long result = syscall(SYS_futex, (void *)&ring->tail, FUTEX_WAIT, seen, &limit, NULL, 0);
	sleeper->woken = result == 0;
	return NULL;
}

static bool is_asleep(const struct sleeper *sleeper)
{
	pid_t tid = __atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE);
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	FILE *file = tid ? fopen(path, "r") : NULL;
	if (!file)
		return false;
	size_t length = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[length] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end && strncmp(name_end, ") S", 3) == 0;
}

START_TEST(an_agent_that_waits_for_room_is_woken)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	struct sleeper sleeper = {.ring = writer.ring};
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_for_room, &sleeper), 0);
	while (!is_asleep(&sleeper))
		sched_yield();
	world_take(world);
	pthread_join(thread, NULL);
	ck_assert(sleeper.woken);
	world_free(world);
}
END_TEST

START_TEST(an_agent_behind_a_long_queue_sees_that_its_reader_lives)
{
	/* Two rings full of what is older, one whose records come last and whose thread waits. */
	struct world *world = world_new();
	struct writer late = one_thread(world);
	uint64_t base = world->clock.base_ticks, beat = world->shared->beat;
	for (uint32_t i = 0; i < 2; i++) {
		claim(world->shared, 10 + i, TID + 1 + i, SPACE);
		struct writer writer = writer_at(world->shared, 10 + i, 0);
		for (uint64_t at = 0; writer.next + 2 <= writer.capacity; at++) {
			put_time(&writer, base + 2 * at + i);
			put_plain(&writer, RING_RELEASE, 0);
		}
		commit(&writer);
	}
	for (uint64_t i = 0; i < 1000; i++) {
		put_time(&late, base + 10000000 + i);
		put_plain(&late, RING_RELEASE, 0);
	}
	late.ring->waiting = 1;
	commit(&late);
	/* It stops at the last of the older ones. */
	world->refuse_at = 2 * (late.capacity / 2) - 1;
	uint64_t taken;
	struct error *err = rings_take(world->rings, true, &taken);
	ck_assert_ptr_nonnull(err);
	error_free(err);
	ck_assert_uint_gt(world->shared->beat, beat + 1);
	ck_assert_uint_gt(world->breaths, 0);
	ck_assert_uint_gt(late.ring->tail, 0);
	world_take(world);
	ck_assert_uint_eq(late.ring->tail, late.next);
	world_free(world);
}
END_TEST

START_TEST(every_take_moves_the_beat)
{
	struct world *world = world_new();
	uint64_t taken;
	for (uint32_t i = 1; i < 10; i++) {
		ck_assert_ptr_null(rings_take(world->rings, i % 2 == 0, &taken));
		ck_assert_uint_eq(world->shared->beat, i);
	}
	world_free(world);
}
END_TEST

/* ---- threads that come and go */

START_TEST(the_area_of_a_thread_that_has_ended_goes_to_the_next)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	writer.area->bounds[2] = (struct agent_bounds){1, 2};
	writer.area->unknown_sp = 99;
	put_create(&writer, BLOCK, 1, 7);
	commit(&writer);
	rings_thread_ended(world->rings, (space_id){SPACE + 1}, TID);
	rings_thread_ended(world->rings, (space_id){SPACE}, TID + 1);
	world_take(world);
	ck_assert_uint_eq(world->shared->area_state[5], 1);
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	rings_thread_ended(world->rings, (space_id){SPACE}, TID);
	/* Not before what it has left is taken. */
	ck_assert_uint_eq(world->shared->area_state[5], 1);
	world_take(world);
	ck_assert_uint_eq(world->count, 2);
	ck_assert_uint_eq(world->shared->area_state[5], 0);
	ck_assert_uint_eq(writer.area->tid, 0);
	ck_assert_uint_eq(writer.area->bounds[2].high, 0);
	ck_assert_uint_eq(writer.area->unknown_sp, 0);
	ck_assert_uint_eq(writer.ring->tail, writer.ring->head);

	claim(world->shared, 5, TID + 7, SPACE + 1);
	struct writer next = writer_at(world->shared, 5, 0);
	put_stack(&next, 7, UNWIND_STOP_END, 2, CODE);
	put_create(&next, BLOCK, 5, 7);
	commit(&next);
	world_take(world);
	ck_assert_uint_eq(world->log[2].event.thread, TID + 7);
	ck_assert_uint_eq(world->log[2].event.space.v, SPACE + 1);
	ck_assert_uint_eq(world->log[2].event.site.v, SITE_BASE + 1);
	ck_assert_uint_eq(rings_statistics(world->rings).threads, 2);
	world_free(world);
}
END_TEST

START_TEST(stacks_of_the_last_thread_are_not_the_next_ones)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	world_take(world);
	rings_thread_ended(world->rings, (space_id){SPACE}, TID);
	ck_assert_uint_eq(world->shared->area_state[5], 0);
	claim(world->shared, 5, TID + 7, SPACE);
	put_create(&writer, BLOCK, 5, 7);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 0);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	world_free(world);
}
END_TEST

START_TEST(a_thread_may_end_before_it_says_anything)
{
	struct world *world = world_new();
	claim(world->shared, 511, TID, SPACE);
	rings_thread_ended(world->rings, (space_id){SPACE}, TID);
	ck_assert_uint_eq(world->shared->area_state[511], 0);
	ck_assert_uint_eq(rings_statistics(world->rings).threads, 1);
	world_free(world);
}
END_TEST

START_TEST(all_areas_may_be_in_use)
{
	struct world *world = world_new();
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		claim(world->shared, i, TID + i, SPACE);
	for (uint32_t i = 0; i < AGENT_AREAS; i++) {
		for (unsigned level = 0; level < AGENT_LEVELS; level++) {
			struct writer writer = writer_at(world->shared, i, level);
			put_time(&writer, world->clock.base_ticks + 1000 * level + (i ^ 0x155));
			put_plain(&writer, RING_RELEASE, BLOCK + i);
			commit(&writer);
		}
	}
	world_take(world);
	ck_assert_uint_eq(world->count, AGENT_AREAS * AGENT_LEVELS);
	for (uint32_t i = 0; i < world->count; i++)
		ck_assert_uint_eq(world->log[i].event.address.v, BLOCK + (i % AGENT_AREAS ^ 0x155));
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		rings_thread_ended(world->rings, (space_id){SPACE}, TID + i);
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		ck_assert_uint_eq(world->shared->area_state[i], 0);
	world_free(world);
}
END_TEST

START_TEST(lost_events_are_summed)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	world->shared->lost = 5;
	writer.area->lost = 7;
	world_take(world);
	ck_assert_uint_eq(rings_statistics(world->rings).lost_events, 12);
	ck_assert(!rings_statistics(world->rings).gave_up);
	/* A counter that goes back takes nothing back. */
	world->shared->lost = 1;
	writer.area->lost = 9;
	world->shared->gave_up = 1;
	world_take(world);
	ck_assert_uint_eq(rings_statistics(world->rings).lost_events, 14);
	ck_assert(rings_statistics(world->rings).gave_up);
	world->shared->lost = UINT64_MAX;
	world_take(world);
	ck_assert_uint_eq(rings_statistics(world->rings).lost_events, UINT64_MAX);
	world_free(world);
}
END_TEST

/* ---- stacks that agents do not know */

struct visits {
	size_t count;
	uint64_t sp;
	uint32_t thread;
	struct agent_bounds answer;
};

static struct agent_bounds visit(void *context, space_id space, uint32_t thread, uint64_t sp)
{
	struct visits *visits = context;
	ck_assert_uint_eq(space.v, SPACE);
	visits->count++;
	visits->sp = sp;
	visits->thread = thread;
	return visits->answer;
}

static void ask(struct world *world, struct agent_thread *area, struct visits *visits, uint64_t low,
		uint64_t high)
{
	size_t before = visits->count;
	visits->answer = (struct agent_bounds){low, high};
	area->unknown_sp = low + 8;
	rings_visit_unknown_stacks(world->rings, visit, visits);
	ck_assert_uint_eq(visits->count, before + 1);
	ck_assert_uint_eq(visits->sp, low + 8);
	ck_assert_uint_eq(visits->thread, TID);
	ck_assert_uint_eq(area->unknown_sp, 0);
}

static bool is_told(const struct agent_thread *area, uint64_t low, uint64_t high)
{
	for (size_t i = 0; i < AGENT_BOUNDS; i++)
		if (area->bounds[i].low == low && area->bounds[i].high == high)
			return true;
	return false;
}

START_TEST(an_agent_is_told_of_stacks_it_does_not_know)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	struct visits visits = {.count = 0};
	world_take(world);
	rings_visit_unknown_stacks(world->rings, visit, &visits);
	ck_assert_uint_eq(visits.count, 0);
	for (uint64_t i = 1; i <= 4; i++)
		ask(world, writer.area, &visits, i << 20, (i << 20) + 4096);
	for (uint64_t i = 1; i <= 4; i++)
		ck_assert(is_told(writer.area, i << 20, (i << 20) + 4096));
	/* A stack that has grown replaces what it overlaps, nothing else. */
	ask(world, writer.area, &visits, (3 << 20) - 4096, (3 << 20) + 4096);
	ck_assert(is_told(writer.area, (3 << 20) - 4096, (3 << 20) + 4096));
	ck_assert(!is_told(writer.area, 3 << 20, (3 << 20) + 4096));
	ck_assert(is_told(writer.area, 2 << 20, (2 << 20) + 4096));
	/* Room for new ones is made, time after time. */
	for (uint64_t i = 5; i <= 20; i++) {
		ask(world, writer.area, &visits, i << 20, (i << 20) + 4096);
		ck_assert(is_told(writer.area, i << 20, (i << 20) + 4096));
	}
	for (uint64_t i = 17; i <= 20; i++)
		ck_assert(is_told(writer.area, i << 20, (i << 20) + 4096));
	world_free(world);
}
END_TEST

START_TEST(a_stack_that_nobody_knows_leaves_the_others_as_they_are)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	struct visits visits = {.count = 0};
	world_take(world);
	ask(world, writer.area, &visits, 1 << 20, 2 << 20);
	visits.answer = (struct agent_bounds){0, 0};
	writer.area->unknown_sp = 7;
	rings_visit_unknown_stacks(world->rings, visit, &visits);
	ck_assert_uint_eq(visits.count, 2);
	ck_assert_uint_eq(writer.area->unknown_sp, 0);
	ck_assert(is_told(writer.area, 1 << 20, 2 << 20));
	world_free(world);
}
END_TEST

/* ---- what cannot be */

static uint64_t word_of_zero(void)
{
	return 0;
}

static uint64_t word_of_a_kind_unknown(void)
{
	return (uint64_t)12 << 60 | BLOCK;
}

static uint64_t word_of_a_high_address(void)
{
	return ring_word(RING_RELEASE, 0, UINT64_C(1) << 47);
}

static uint64_t word_with_an_extra(void)
{
	return ring_word(RING_RELEASE, 1, BLOCK);
}

static uint64_t word_of_an_undefined_stack(void)
{
	return ring_word(RING_CREATE, 0, BLOCK); /* size and stack: the word after, zero */
}

static uint64_t word_of_a_resize_of_0(void)
{
	return ring_word(RING_RESIZE_BEGIN, 0, 0);
}

static uint64_t word_of_too_many_frames(void)
{
	return ring_word(RING_STACK, AGENT_DEPTH_MAX + 1, ring_stack_head(7, UNWIND_STOP_END));
}

static uint64_t word_of_frames_beyond_the_head(void)
{
	return ring_word(RING_STACK, 100, ring_stack_head(7, UNWIND_STOP_END));
}

static uint64_t word_of_a_stack_number_too_high(void)
{
	return ring_word(RING_STACK, 1, ring_stack_head(RING_STACKS, UNWIND_STOP_END));
}

static uint64_t word_of_an_unknown_stop(void)
{
	return ring_word(RING_STACK, 1, ring_stack_head(7, UNWIND_STOP_LOST + 1));
}

static uint64_t word_of_a_size_too_wide(void)
{
	return ring_word(RING_WIDE, 0, 1 << 24);
}

static uint64_t word_of_the_future(void)
{
	return ring_time_word(ticks() + UINT64_C(60000000000));
}

static uint64_t (*const impossible[])(void) = {
	word_of_zero,
	word_of_a_kind_unknown,
	word_of_a_high_address,
	word_with_an_extra,
	word_of_an_undefined_stack,
	word_of_a_resize_of_0,
	word_of_too_many_frames,
	word_of_frames_beyond_the_head,
	word_of_a_stack_number_too_high,
	word_of_an_unknown_stop,
	word_of_a_size_too_wide,
	word_of_the_future,
};

START_TEST(a_word_that_cannot_be_closes_its_ring_alone)
{
	struct world *world = world_new();
	struct writer bad = one_thread(world);
	claim(world->shared, 6, TID + 1, SPACE);
	struct writer good = writer_at(world->shared, 6, 0);
	put_plain(&bad, RING_RELEASE, BLOCK);
	put(&bad, impossible[_i]());
	for (int i = 0; i < 20; i++)
		put(&bad, 0);
	commit(&bad);
	put_plain(&good, RING_RELEASE, OTHER);
	commit(&good);
	world_take(world);
	/* What came before it is kept. */
	ck_assert_uint_eq(world->count, 2);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	ck_assert_uint_eq(bad.ring->tail, 5);
	put_plain(&bad, RING_RELEASE, BLOCK);
	put_plain(&good, RING_RELEASE, OTHER);
	commit(&bad);
	commit(&good);
	world_take(world);
	ck_assert_uint_eq(world->count, 3);
	ck_assert_uint_eq(world->log[2].event.address.v, OTHER);
	/* Its area is not given to anybody who would not be heard. */
	rings_thread_ended(world->rings, (space_id){SPACE}, TID);
	world_take(world);
	ck_assert_uint_eq(world->shared->area_state[5], 1);
	world_free(world);
}
END_TEST

START_TEST(a_new_address_has_47_bits_too)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_resize_end(&writer, BLOCK, (UINT64_C(1) << 47) - 16, 1, 7);
	put_resize_end(&writer, BLOCK, UINT64_C(1) << 47, 1, 7);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 1);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	world_free(world);
}
END_TEST

START_TEST(a_wide_size_belongs_to_a_record_with_a_size)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put(&writer, ring_word(RING_WIDE, 0, 1));
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 0);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	world_free(world);
}
END_TEST

START_TEST(a_record_cut_off_by_the_head_closes_the_ring)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_create(&writer, BLOCK, 1, 7);
	writer.next--;
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 0);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	world_free(world);
}
END_TEST

START_TEST(a_head_that_cannot_be_closes_the_ring)
{
	static const int64_t jumps[] = {-1, AGENT_RING_WORDS + 1, INT64_MAX, -5};
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	world_take(world);
	writer.ring->head += (uint64_t)jumps[_i];
	world_take(world);
	ck_assert_uint_eq(rings_statistics(world->rings).closed_rings, 1);
	ck_assert_uint_eq(world->count, 1);
	world_free(world);
}
END_TEST

START_TEST(what_the_target_writes_into_tail_is_not_read)
{
	struct world *world = world_new();
	struct writer writer = one_thread(world);
	put_plain(&writer, RING_RELEASE, BLOCK);
	commit(&writer);
	world_take(world);
	writer.ring->tail = 12345;
	put_plain(&writer, RING_RELEASE, OTHER);
	commit(&writer);
	world_take(world);
	ck_assert_uint_eq(world->count, 2);
	ck_assert_uint_eq(writer.ring->tail, writer.next);
	world_free(world);
}
END_TEST

static Suite *rings_suite(void)
{
	Suite *suite = suite_create("rings");
	TCase *records = tcase_create("records");
	tcase_set_timeout(records, 60);
	tcase_add_test(records, every_kind_gives_its_event);
	tcase_add_test(records, what_is_not_committed_is_not_read);
	tcase_add_test(records, a_size_may_have_all_bits);
	tcase_add_test(records, a_creation_at_address_0_is_a_failed_one);
	tcase_add_test(records, a_stack_number_means_what_was_defined_last);
	tcase_add_test(records, stack_numbers_of_levels_are_their_own);
	tcase_add_test(records, a_ring_may_be_written_round_and_round);
	tcase_add_test(records, a_full_ring_is_taken_whole);
	suite_add_tcase(suite, records);

	TCase *order = tcase_create("time and order");
	tcase_add_test(order, events_have_the_time_of_their_stamps);
	tcase_add_test(order, an_event_without_a_stamp_is_later_than_the_take_that_did_not_find_it);
	tcase_add_test(order, a_stamp_from_before_the_session_is_its_begin);
	tcase_add_test(order, a_stamp_may_be_committed_before_its_record);
	tcase_add_test(order, records_of_two_rings_come_by_their_stamps);
	tcase_add_test(order, what_has_no_stamp_comes_as_early_as_its_ring_allows);
	tcase_add_test(order, a_record_from_after_the_cut_waits);
	tcase_add_test(order, all_is_everything_when_nothing_moves);
	tcase_add_test(order, what_comes_after_the_seal_is_not_taken);
	tcase_add_test(order, an_error_of_the_sink_costs_its_event_alone);
	tcase_add_test(order, a_stack_that_the_sink_could_not_take_is_given_to_it_again);
	suite_add_tcase(suite, order);

	TCase *agents = tcase_create("agents");
	tcase_set_timeout(agents, 60);
	tcase_add_test(agents, an_agent_that_waits_for_room_is_woken);
	tcase_add_test(agents, an_agent_behind_a_long_queue_sees_that_its_reader_lives);
	tcase_add_test(agents, every_take_moves_the_beat);
	tcase_add_test(agents, the_area_of_a_thread_that_has_ended_goes_to_the_next);
	tcase_add_test(agents, stacks_of_the_last_thread_are_not_the_next_ones);
	tcase_add_test(agents, a_thread_may_end_before_it_says_anything);
	tcase_add_test(agents, all_areas_may_be_in_use);
	tcase_add_test(agents, lost_events_are_summed);
	tcase_add_test(agents, an_agent_is_told_of_stacks_it_does_not_know);
	tcase_add_test(agents, a_stack_that_nobody_knows_leaves_the_others_as_they_are);
	suite_add_tcase(suite, agents);

	TCase *forged = tcase_create("what cannot be");
	tcase_add_loop_test(forged, a_word_that_cannot_be_closes_its_ring_alone, 0,
			    (int)(sizeof impossible / sizeof *impossible));
	tcase_add_test(forged, a_new_address_has_47_bits_too);
	tcase_add_test(forged, a_wide_size_belongs_to_a_record_with_a_size);
	tcase_add_test(forged, a_record_cut_off_by_the_head_closes_the_ring);
	tcase_add_loop_test(forged, a_head_that_cannot_be_closes_the_ring, 0, 4);
	tcase_add_test(forged, what_the_target_writes_into_tail_is_not_read);
	suite_add_tcase(suite, forged);
	return suite;
}

int main(void)
{
	return run_suite(rings_suite());
}
