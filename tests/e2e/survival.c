/* SPDX-License-Identifier: MIT */
/*
 * Whatever becomes of tracealloc, the target goes on: tracealloc is killed at any moment, or stands
 * still while the target has filled all the room there is.
 */
#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "lib/jumps.h"
#include "lib/keeper.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum {
	THREADS = 8,
	/* Turns that fill a thread's ring twice: a turn writes more than four words of it. */
	FILLING_TURNS = 262144,
	STANDSTILL_LIMIT_NS = 1000000000,
};

static int rounds(int in_short, int in_long)
{
	return suite_is_long() ? in_long : in_short;
}

static void sleep_us(long us)
{
	const struct timespec delay = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	nanosleep(&delay, NULL);
}

/* An arbitrary moment, another one in each round of each run; said, so that a failure can be read.
 */
static long any_us(int round, long limit_us)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	long us = (now.tv_nsec / 1000 * 7919 + round * 104729L) % limit_us;
	printf("round %d: after %ld us\n", round, us);
	fflush(stdout);
	return us;
}

/* True if it was still there to be killed. */
static bool kill_tracealloc(struct process *process)
{
	process_signal(process, SIGKILL);
	int status = process_wait(process);
	return WIFSIGNALED(status);
}

static void expect_survival(struct keeper *keeper)
{
	status_until_untraced(keeper->pid);
	keeper_expect_turns(keeper, 100);
	keeper_expect_good_end(keeper);
}

START_TEST(killed_at_any_moment_of_an_attach_it_leaves_a_target_that_works)
{
	int count = rounds(12, 120), killed = 0;

	for (int round = 0; round < count; round++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_keeper_ struct keeper keeper = {0};
		_cleanup_process_ struct process attach = {0};

		scratch_make(&scratch);
		keeper_start(&scratch, "busy", THREADS, &keeper);
		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		sleep_us(any_us(round, 400000));
		killed += kill_tracealloc(&attach);
		expect_survival(&keeper);
	}
	ck_assert_int_eq(killed, count);
}
END_TEST

START_TEST(killed_at_any_moment_of_a_run_it_leaves_a_target_that_works)
{
	int count = rounds(8, 80);

	for (int round = 0; round < count; round++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_keeper_ struct keeper keeper = {0};

		scratch_make(&scratch);
		keeper_start_traced(&scratch, NULL, "busy", THREADS, &keeper);
		/* Before it has a target to leave, there is nothing to be seen. */
		keeper_wait_ready(&keeper);
		sleep_us(any_us(round, 200000));
		ck_assert(kill_tracealloc(&keeper.process));
		expect_survival(&keeper);
	}
}
END_TEST

START_TEST(killed_at_any_moment_of_a_start_it_leaves_a_target_that_works)
{
	int count = rounds(6, 40);

	for (int round = 0; round < count; round++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_keeper_ struct keeper keeper = {0};

		scratch_make(&scratch);
		keeper_start_traced(&scratch, NULL, "busy", THREADS, &keeper);
		/* It has come as far as it has: its first thread may not have run yet. */
		process_until(keeper_has_begun, &keeper, "the target to begin");
		sleep_us(any_us(round, 20000));
		ck_assert(kill_tracealloc(&keeper.process));
		keeper_wait_ready(&keeper);
		expect_survival(&keeper);
	}
}
END_TEST

START_TEST(killed_while_it_detaches_it_leaves_a_target_that_works)
{
	int count = rounds(6, 60);
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", THREADS, &keeper);
	for (int round = 0; round < count; round++) {
		_cleanup_process_ struct process attach = {0};
		uint64_t before = jumps_armed(keeper.pid);

		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		jumps_until_recording(&attach, keeper.pid, before);
		process_signal(&attach, SIGINT);
		sleep_us(any_us(round, 10000));
		kill_tracealloc(&attach);
		status_until_untraced(keeper.pid);
		keeper_expect_turns(&keeper, 100);
	}
	keeper_expect_good_end(&keeper);
}
END_TEST

/* ---- standing still */

static int by_size(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Longest standstills, a try each: printed, and held against a limit that only a hang reaches. */
static void expect_short_standstills(uint64_t *longest_ns, int count)
{
	qsort(longest_ns, (size_t)count, sizeof(*longest_ns), by_size);
	printf("longest standstill of the target in %d tries: median %.1f ms, 90%% %.1f ms, "
	       "longest %.1f ms\n",
	       count, (double)longest_ns[count / 2] / 1e6,
	       (double)longest_ns[(count - 1) * 9 / 10] / 1e6, (double)longest_ns[count - 1] / 1e6);
	fflush(stdout);
	ck_assert_uint_lt(longest_ns[count - 1], STANDSTILL_LIMIT_NS);
}

/* Fills the rings behind the back of a tracealloc that stands still. */
static uint64_t fill_rings(const struct keeper *keeper, const struct process *attach)
{
	process_signal(attach, SIGSTOP);
	status_until_stopped(attach->pid);
	keeper_take_longest_ns(keeper);
	keeper_expect_turns(keeper, FILLING_TURNS);
	return keeper_take_longest_ns(keeper);
}

START_TEST(a_stopped_tracealloc_keeps_nobody_waiting_and_says_what_it_missed)
{
	enum { TRIES_MAX = 100 };
	uint64_t longest_ns[TRIES_MAX];
	int count = rounds(4, TRIES_MAX);
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", 2, &keeper);
	for (int round = 0; round < count; round++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};

		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		jumps_until_recording(&attach, keeper.pid, 0);
		longest_ns[round] = fill_rings(&keeper, &attach);
		process_signal(&attach, SIGCONT);
		process_signal(&attach, SIGINT);
		int status = process_wait(&attach);
		ck_assert_msg(status == 0, "status %#x", status);
		_cleanup_free_ char *path = scratch_file(&scratch, "report.json");
		report_load_lossy(path, &report);
		ck_assert_int_gt(report_total(&report, "lost_events"), 0);
		ck_assert_int_gt(report_total(&report, "total_blocks"), 0);
	}
	keeper_expect_good_end(&keeper);
	expect_short_standstills(longest_ns, count);
}
END_TEST

START_TEST(a_tracealloc_killed_while_all_room_is_taken_keeps_nobody_waiting)
{
	enum { TRIES_MAX = 100 };
	uint64_t longest_ns[TRIES_MAX];
	int count = rounds(4, TRIES_MAX);

	for (int round = 0; round < count; round++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_keeper_ struct keeper keeper = {0};
		_cleanup_process_ struct process attach = {0};

		scratch_make(&scratch);
		keeper_start(&scratch, "busy", 2, &keeper);
		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		jumps_until_recording(&attach, keeper.pid, 0);
		keeper_take_longest_ns(&keeper);
		if (round % 2 == 0)
			process_signal(&attach, SIGSTOP);
		sleep_us(round % 2 == 0 ? any_us(round, 200000) : 0);
		kill_tracealloc(&attach);
		keeper_expect_turns(&keeper, FILLING_TURNS);
		longest_ns[round] = keeper_take_longest_ns(&keeper);
		expect_survival(&keeper);
	}
	expect_short_standstills(longest_ns, count);
}
END_TEST

/* Every thread of it gets a CPU only when nobody else wants one. */
static void starve(pid_t pid)
{
	const struct sched_param none = {0};
	_cleanup_status_ struct status status = {0};

	ck_assert(status_read(pid, &status));
	for (size_t i = 0; i < status.count; i++)
		sched_setscheduler(status.threads[i].tid, SCHED_IDLE, &none);
}

START_TEST(a_starved_tracealloc_keeps_nobody_waiting)
{
	enum { TRIES_MAX = 20 };
	uint64_t longest_ns[TRIES_MAX];
	int count = rounds(1, TRIES_MAX);
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", THREADS, &keeper);
	for (int round = 0; round < count; round++) {
		_cleanup_process_ struct process attach = {0};

		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		jumps_until_recording(&attach, keeper.pid, 0);
		starve(attach.pid);
		keeper_take_longest_ns(&keeper);
		keeper_expect_turns(&keeper, 50000);
		longest_ns[round] = keeper_take_longest_ns(&keeper);
		process_signal(&attach, SIGINT);
		int status = process_wait(&attach);
		ck_assert_msg(status == 0, "status %#x", status);
	}
	keeper_expect_good_end(&keeper);
	expect_short_standstills(longest_ns, count);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("survival");
	TCase *kill_case = suite_case(suite, "killed", 120);
	TCase *still_case = suite_case(suite, "standing still", 120);

	tcase_add_test(kill_case, killed_at_any_moment_of_an_attach_it_leaves_a_target_that_works);
	tcase_add_test(kill_case, killed_at_any_moment_of_a_run_it_leaves_a_target_that_works);
	tcase_add_test(kill_case, killed_at_any_moment_of_a_start_it_leaves_a_target_that_works);
	tcase_add_test(kill_case, killed_while_it_detaches_it_leaves_a_target_that_works);
	tcase_add_test(still_case,
		       a_stopped_tracealloc_keeps_nobody_waiting_and_says_what_it_missed);
	tcase_add_test(still_case,
		       a_tracealloc_killed_while_all_room_is_taken_keeps_nobody_waiting);
	tcase_add_test(still_case, a_starved_tracealloc_keeps_nobody_waiting);
	return suite_run(suite);
}
