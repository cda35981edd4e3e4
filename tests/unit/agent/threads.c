/* SPDX-License-Identifier: MIT */
/* Threads that are born and die, more of them than there is room for, and forked children. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/agent/rig.h"

enum { BUSY_THREADS = 8, PAIRS = 30000, LIVES = 2000, CROWD = AGENT_AREAS + 40 };

static __attribute__((noinline)) void *returns_argument(size_t size)
{
	return (void *)size;
}

static __attribute__((noinline)) void returns(void *address)
{
	__asm__ volatile("" : : "r"(address));
}

static struct {
	struct rig rig;
	void *(*create)(size_t size);
	void (*release)(void *address);
	pthread_barrier_t barrier;
} world;

static void set_up(void)
{
	rig_create(&world.rig);
	world.create = rig_stub(&world.rig, &(struct rig_function){.role = AGENT_CREATE,
								   .leaf = true,
								   .size_argument = 1,
								   .function = returns_argument});
	world.release = rig_stub(&world.rig, &(struct rig_function){.role = AGENT_RELEASE,
								    .leaf = true,
								    .pointer_argument = 1,
								    .function = returns});
}

static void *make_pairs(void *context)
{
	size_t first = 1 + (size_t)context * PAIRS;
	for (size_t i = first; i < first + PAIRS; i++)
		world.release(world.create(i));
	return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), size_t number)
{
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 << 10);
	int error = pthread_create(thread, &small, run, (void *)number);
	if (error)
		ck_abort_msg("pthread_create: %d", error);
	pthread_attr_destroy(&small);
}

START_TEST(threads_at_work_together_lose_nothing)
{
	pthread_t threads[BUSY_THREADS];
	struct rig_reader reader;
	set_up();
	rig_reader_start(&world.rig, &reader);
	for (size_t i = 0; i < BUSY_THREADS; i++)
		start(&threads[i], make_pairs, i);
	for (size_t i = 0; i < BUSY_THREADS; i++)
		pthread_join(threads[i], NULL);
	rig_reader_stop(&reader);
	ck_assert_uint_eq(reader.counts[RING_CREATE], BUSY_THREADS * PAIRS);
	ck_assert_uint_eq(reader.counts[RING_RELEASE], BUSY_THREADS * PAIRS);
	ck_assert_uint_eq(world.rig.shared->lost, 0);
}
END_TEST

/* As the tracer does when a thread has ended. */
static void give_back(uint32_t area)
{
	rig_area(&world.rig, area)->tid = 0;
	__atomic_store_n(&world.rig.shared->area_state[area], 0, __ATOMIC_RELEASE);
}

static void *make_one_pair(void *context)
{
	world.release(world.create((size_t)context));
	return (void *)(size_t)gettid();
}

START_TEST(a_thread_in_the_place_of_another_is_another)
{
	struct rig_records records = {0};
	set_up();
	make_one_pair((void *)7);
	rig_forget(&world.rig, &records);
	for (size_t i = 1; i <= LIVES; i++) {
		pthread_t thread;
		void *tid;
		start(&thread, make_one_pair, i);
		pthread_join(thread, &tid);
		records.count = 0;
		rig_read(&world.rig, &records);
		if (records.count != 2 || records.items[0].address != i ||
		    records.items[0].area == 0 || !records.items[0].time)
			ck_abort_msg("thread %zu has %zu records", i, records.count);
		uint32_t area = records.items[0].area;
		if (rig_area(&world.rig, area)->tid != (uint32_t)(size_t)tid)
			ck_abort_msg("thread %zu wrote into another one's ring", i);
		/* Some go on being known for a while: their place is taken by others. */
		if (i % 3 == 0)
			for (uint32_t k = 1; k <= 3; k++)
				if (world.rig.shared->area_state[k])
					give_back(k);
	}
	for (uint32_t k = 4; k < AGENT_AREAS; k++)
		ck_assert_uint_eq(world.rig.shared->area_state[k], 0);
	ck_assert_uint_eq(world.rig.shared->lost, 0);
	free(records.items);
}
END_TEST

static void *make_a_pair_in_a_crowd(void *context)
{
	void *block = world.create((size_t)context);
	pthread_barrier_wait(&world.barrier);
	world.release(block);
	pthread_barrier_wait(&world.barrier);
	return NULL;
}

START_TEST(threads_without_room_are_counted_and_go_on)
{
	static pthread_t threads[CROWD];
	struct rig_records records = {0};
	set_up();
	pthread_barrier_init(&world.barrier, NULL, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		start(&threads[i], make_a_pair_in_a_crowd, i + 1);
	for (size_t i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	rig_read(&world.rig, &records);
	ck_assert_uint_eq(records.count, 2 * AGENT_AREAS);
	ck_assert_uint_eq(world.rig.shared->lost, 2 * (CROWD - AGENT_AREAS));
	/* Once there is room, there is room. */
	give_back(3);
	records.count = 0;
	make_one_pair((void *)7);
	rig_read(&world.rig, &records);
	ck_assert_uint_eq(records.count, 2);
	ck_assert_uint_eq(records.items[0].area, 3);
	free(records.items);
}
END_TEST

/* More thread pointers than there are slots for, one after the other. */
START_TEST(slots_of_threads_long_gone_are_taken_over)
{
	struct rig_records records = {0};
	set_up();
	for (uint32_t i = 0; i < AGENT_SLOTS; i++)
		world.rig.private->slots[i] =
			(struct agent_slot){0x1000 + 64ul * i, 1 + i, i % AGENT_AREAS};
	make_one_pair((void *)7);
	make_one_pair((void *)8);
	rig_read(&world.rig, &records);
	ck_assert_uint_eq(records.count, 4);
	ck_assert_uint_eq(records.items[3].area, records.items[0].area);
	ck_assert_uint_eq(world.rig.shared->lost, 0);
	free(records.items);
}
END_TEST

static void check_first(uint64_t pointer, uint32_t area)
{
	ck_assert_uint_eq(world.rig.private->first_pointer, pointer);
	ck_assert_uint_eq(world.rig.private->first_area, (uint64_t)rig_area(&world.rig, area));
}

static uint32_t area_of_next_pair(struct rig_records *records)
{
	records->count = 0;
	make_one_pair((void *)7);
	rig_read(&world.rig, records);
	ck_assert_uint_eq(records->count, 2);
	return records->items[0].area;
}

START_TEST(the_thread_that_is_looked_for_first_is_one_that_lives)
{
	struct rig_records records = {0};
	const uint64_t self = (uint64_t)pthread_self();
	pthread_t thread;
	set_up();
	start(&thread, make_one_pair, 7);
	pthread_join(thread, NULL);
	check_first((uint64_t)thread, 0);
	rig_read(&world.rig, &records);
	give_back(0);
	ck_assert_uint_eq(area_of_next_pair(&records), 0);
	check_first(self, 0);
	start(&thread, make_one_pair, 7);
	pthread_join(thread, NULL);
	check_first(self, 0);
	rig_read(&world.rig, &records);
	/* What says otherwise is not believed. */
	world.rig.private->first_area = (uint64_t)rig_area(&world.rig, 1);
	ck_assert_uint_eq(area_of_next_pair(&records), 0);
	world.rig.private->first_pointer = AGENT_NOBODY;
	ck_assert_uint_eq(area_of_next_pair(&records), 0);
	ck_assert_uint_eq(world.rig.shared->lost, 0);
	free(records.items);
}
END_TEST

/* What the child does; its status says how it went. */
static int run_child(void)
{
	if (world.create(100) != (void *)100)
		return 1;
	world.release((void *)100);
	if (rig_area(&world.rig, 1)->tid != 0 || world.rig.private->state != AGENT_OFF)
		return 2;
	/* Now the tracer arms it. */
	world.rig.private->space = 8;
	world.rig.private->shared = (uint64_t)world.rig.shared;
	world.rig.private->modules = (uint64_t)world.rig.modules;
	world.rig.private->tid_offset = world.rig.tid_offset;
	world.rig.private->state = AGENT_ON;
	make_one_pair((void *)200);
	return rig_area(&world.rig, 1)->space == 8 ? 0 : 3;
}

START_TEST(a_forked_child_is_off_until_it_is_armed)
{
	struct rig_records records = {0};
	set_up();
	make_one_pair((void *)7);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(run_child());
	int status;
	while (waitpid(child, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_int_eq(status, 0);
	make_one_pair((void *)9);
	rig_read(&world.rig, &records);
	ck_assert_uint_eq(records.count, 6);
	for (size_t i = 0; i < records.count; i++)
		ck_assert_uint_ne(records.items[i].address, 100);
	ck_assert_uint_eq(records.items[4].address, 200);
	ck_assert_uint_eq(records.items[4].area, 1);
	ck_assert_uint_ne(records.items[4].time, 0);
	free(records.items);
}
END_TEST

static Suite *threads_suite(void)
{
	Suite *suite = suite_create("agent threads");
	TCase *tests = tcase_create("threads");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, threads_at_work_together_lose_nothing);
	tcase_add_test(tests, a_thread_in_the_place_of_another_is_another);
	tcase_add_test(tests, threads_without_room_are_counted_and_go_on);
	tcase_add_test(tests, slots_of_threads_long_gone_are_taken_over);
	tcase_add_test(tests, the_thread_that_is_looked_for_first_is_one_that_lives);
	tcase_add_test(tests, a_forked_child_is_off_until_it_is_armed);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(threads_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
