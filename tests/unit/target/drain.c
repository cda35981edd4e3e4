/* SPDX-License-Identifier: MIT */
/*
 * The end of tracing, with threads that run from int3 to int3: each must have come to rest before
 * it is let go, or it dies of a trap that nobody takes back any more.
 */
#include <pthread.h>
#include <sched.h>

#include "target/target.h"
#include "unit/target/remote_tools.h"

enum { THREADS = 4, ROUNDS = 2500, LEAP_MAX_NS = 20000 };

struct shared {
	_Atomic bool hitting, ended;
	_Atomic int ready;
};

static struct shared *shared;

static void *hit(void *unused)
{
	atomic_fetch_add(&shared->ready, 1);
	while (!atomic_load(&shared->ended))
		if (atomic_load(&shared->hitting))
			__asm__ volatile("int3");
	return unused;
}

static void hit_in_threads(int to)
{
	pthread_t threads[THREADS];
	(void)to;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, hit, NULL) != 0)
			_exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Child and tracer on one processor: whoever is preempted at an int3 waits for a while. */
static void share_one_processor(void)
{
	cpu_set_t processors;
	ck_assert_int_eq(sched_getaffinity(0, sizeof processors, &processors), 0);
	int first = 0;
	while (!CPU_ISSET(first, &processors))
		first++;
	CPU_ZERO(&processors);
	CPU_SET(first, &processors);
	ck_assert_int_eq(sched_setaffinity(0, sizeof processors, &processors), 0);
	prctl(PR_SET_TIMERSLACK, 1);
}

static void come_to_rest(struct target *target)
{
	struct target_event event = {0};
	target_drain(target);
	while (event.kind != TARGET_EVENT_QUIET) {
		ok(target_next(target, &event));
		ck_assert_int_ne(event.kind, TARGET_EVENT_EMPTY);
		if (event.kind == TARGET_EVENT_TRAP)
			ok(target_resume(target, event.thread, 0));
	}
}

static void check_rests(void *context, struct target_thread *thread)
{
	pid_t first = *(pid_t *)context;
	if (thread->tid != first)
		ck_assert_int_eq(thread->state, TARGET_THREAD_STOPPED);
}

static void let_run(void *context, struct target_thread *thread)
{
	if (thread->state == TARGET_THREAD_STOPPED)
		ok(target_resume(context, thread, 0));
}

/* Answers what target_next tells of until it has nothing more: returns how much that was. */
static size_t catch_up(struct target *target)
{
	size_t count = 0;
	target->lots_left = 1;
	target->impatient = true;
	for (struct target_event event = {0}; event.kind != TARGET_EVENT_QUIET; count++) {
		ok(target_next(target, &event));
		ck_assert_int_ne(event.kind, TARGET_EVENT_EMPTY);
		if (event.kind == TARGET_EVENT_TRAP)
			ok(target_resume(target, event.thread, 0));
	}
	target->impatient = false;
	return count - 1;
}

/* Who is told of one thread's stop after the other for as long as there are any never ends. */
START_TEST(catching_up_ends_however_often_threads_stop)
{
	enum { TIMES = 2000 };
	shared = shared_memory(PAGE);
	_cleanup_child_ struct child child = start_child(hit_in_threads);
	struct traced traced;
	size_t sum = 0;
	wait_until(shared->ready == THREADS);
	attach(&traced, child.pid, child.pid);
	shared->hitting = true;
	for (int i = 0; i < TIMES || sum == 0; i++) {
		size_t count = catch_up(&traced.target);
		/* Those of a lot, and what was taken before. */
		ck_assert_uint_le(count, 2 * THREADS);
		sum += count;
	}
	end_traced(&traced, &child);
}
END_TEST

START_TEST(no_int3_is_under_way_when_all_have_come_to_rest)
{
	share_one_processor();
	shared = shared_memory(PAGE);
	_cleanup_child_ struct child child = start_child(hit_in_threads);
	struct traced traced;
	wait_until(shared->ready == THREADS);
	attach(&traced, child.pid, child.pid);
	shared->hitting = true;
	for (int i = 0; i < ROUNDS; i++) {
		const struct timespec leap = {.tv_nsec = i * 37 % LEAP_MAX_NS};
		nanosleep(&leap, NULL);
		come_to_rest(&traced.target);
		target_visit_threads(&traced.target, NULL, check_rests, &child.pid);
		traced.target.draining = false;
		target_visit_threads(&traced.target, NULL, let_run, &traced.target);
	}
	end_traced(&traced, &child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("target/drain");
	TCase *test_case = tcase_create("the end");
	SRunner *runner = srunner_create(suite);
	tcase_set_timeout(test_case, 60);
	tcase_add_test(test_case, catching_up_ends_however_often_threads_stop);
	tcase_add_test(test_case, no_int3_is_under_way_when_all_have_come_to_rest);
	suite_add_tcase(suite, test_case);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
