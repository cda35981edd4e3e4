/* SPDX-License-Identifier: MIT */
/*
 * Attaching and detaching: whatever happens, the target goes on, its code is that of its files and
 * its signal state is its own. (What is refused: refusals.c.)
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/jumps.h"
#include "lib/status.h"
#include "lib/storm.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* The end of an attach: status 0 and a report that adds up. Returns the blocks seen. */
static int64_t expect_good_attach(const struct scratch *scratch, struct process *attach)
{
	_cleanup_report_ struct report report = {0};
	int status = process_wait(attach);
	_cleanup_free_ char *errors = process_errors(attach);

	ck_assert_msg(status == 0, "attach: status %#x: %s", status, errors);
	tracealloc_report(scratch, &report);
	return report_total(&report, "total_blocks");
}

/* A thread's first call may have begun before the probes were in, and is not counted then. */
static void expect_counted_progress(struct storm *storm)
{
	for (int i = 0; i < 3; i++)
		storm_expect_progress(storm);
}

static void expect_clean(struct storm *storm, const struct status *before)
{
	_cleanup_status_ struct status after = {0};

	status_until_untraced(storm->process.pid);
	ck_assert(status_read(storm->process.pid, &after));
	status_expect_same(before, &after);
	code_expect_clean(storm->process.pid);
	storm_expect_progress(storm);
}

START_TEST(detaching_leaves_nothing_behind)
{
	int rounds = suite_is_long() ? 100 : 20;
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_status_ struct status before = {0};
	int64_t seen = 0;

	scratch_make(&scratch);
	storm_start(&scratch, 16, &storm);
	status_read(storm.process.pid, &before);
	for (int round = 0; round < rounds; round++) {
		_cleanup_process_ struct process attach = {0};

		tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
		tracealloc_until_attached(&attach, storm.process.pid);
		/* Odd rounds end before much could be done, even ones in full swing. */
		if (round % 2 == 0) {
			tracealloc_until_probed(&attach, storm.process.pid);
			storm_expect_progress(&storm);
		}
		process_signal(&attach, round % 4 < 2 ? SIGINT : SIGTERM);
		seen += expect_good_attach(&scratch, &attach);
		expect_clean(&storm, &before);
	}
	ck_assert_int_gt(seen, 0);
	storm_expect_good_end(&storm);
}
END_TEST

static bool has_rings_in_use(const void *context)
{
	enum { BYTES = 8 << 20 }; /* far more than all areas have before anybody has written */
	const pid_t *pid = context;

	return jumps_resident_bytes(*pid) > BYTES;
}

/* Of threads that only allocate most stand in an agent when its jumps go. It waits for them, too.
 */
START_TEST(detaching_gives_the_memory_of_rings_back)
{
	enum { PAGE_BYTES = 4096 };
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process crowd = {0};
	_cleanup_free_ char *program = suite_target("crowd");

	scratch_make(&scratch);
	process_start(&scratch, "crowd", ARGV(program, "busy", "64"), &crowd);
	process_wait_output(&crowd, "ready");
	for (int round = 0; round < 3; round++) {
		_cleanup_process_ struct process attach = {0};

		tracealloc_start_attach(&scratch, ARGV("--engine", "jump"), crowd.pid, &attach);
		tracealloc_until_probed(&attach, crowd.pid);
		process_until(has_rings_in_use, &crowd.pid, "events to be written");
		process_signal(&attach, SIGINT);
		ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
		ck_assert_uint_le(jumps_resident_bytes(crowd.pid), PAGE_BYTES);
		ck_assert_uint_eq(jumps_memory_of(crowd.pid).shared_count, 1);
	}
	process_close_input(&crowd);
	ck_assert_int_eq(process_wait(&crowd), 0);
}
END_TEST

struct turns_wait {
	struct storm *storm;
	struct storm_counters start;
	uint64_t enough;
};

static uint64_t sum_of_turns(const struct turns_wait *wait, uint64_t *least_ret)
{
	struct storm_counters now = storm_read(wait->storm);
	uint64_t sum = 0;

	*least_ret = UINT64_MAX;
	for (int i = 0; i < wait->storm->threads; i++) {
		uint64_t turns = now.of[i] - wait->start.of[i];

		sum += turns;
		*least_ret = turns < *least_ret ? turns : *least_ret;
	}
	return sum;
}

static bool has_turned_enough(const void *context)
{
	const struct turns_wait *wait = context;
	uint64_t least;

	return sum_of_turns(wait, &least) >= wait->enough;
}

/* A thread that calls the allocator often must not keep the tracer from all the others. */
START_TEST(every_thread_gets_its_turn)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0};
	uint64_t least;

	scratch_make(&scratch);
	storm_start(&scratch, 16, &storm);
	/* Jumps keep nobody waiting: who runs next is the kernel's choice alone. */
	tracealloc_start_attach(&scratch, ARGV("--engine", "breakpoint"), storm.process.pid,
				&attach);
	tracealloc_until_probed(&attach, storm.process.pid);
	struct turns_wait wait = {&storm, storm_read(&storm), 32000};
	process_until(has_turned_enough, &wait, "the target to work under the tracer");
	uint64_t mean = sum_of_turns(&wait, &least) / 16;
	ck_assert_msg(least >= mean / 10, "a thread had %ju turns, where %ju were the mean",
		      (uintmax_t)least, (uintmax_t)mean);
	process_signal(&attach, SIGINT);
	ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(the_duration_ends_an_attach)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_status_ struct status before = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 4, &storm);
	status_read(storm.process.pid, &before);
	tracealloc_start_attach(&scratch, ARGV("--for", "200ms"), storm.process.pid, &attach);
	ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
	tracealloc_report(&scratch, &report);
	json_int_t duration_ns = json_integer_value(json_object_get(report.root, "duration_ns"));
	ck_assert_int_ge(duration_ns, 200000000);
	expect_clean(&storm, &before);
	storm_expect_good_end(&storm);
}
END_TEST

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

START_TEST(a_signal_at_any_moment_of_an_attach_ends_it_cleanly)
{
	int signal = ending_signals[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_status_ struct status before = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 8, &storm);
	status_read(storm.process.pid, &before);
	for (int delay_us = 100; delay_us < 400000; delay_us = delay_us * 5 / 2) {
		_cleanup_process_ struct process attach = {0};
		const struct timespec delay = {.tv_nsec = delay_us * 1000L};

		tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
		/* The moment is arbitrary on purpose: from before main to full swing. */
		nanosleep(&delay, NULL);
		process_signal(&attach, signal);
		int status = process_wait(&attach);
		bool died = WIFSIGNALED(status) && WTERMSIG(status) == signal;
		ck_assert_msg(status == 0 || died, "after %d us: status %#x", delay_us, status);
		expect_clean(&storm, &before);
	}
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(a_second_tracer_is_refused_and_disturbs_nothing)
{
	_cleanup_scratch_ struct scratch scratch = {0}, second_scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0}, second = {0};
	char expected[64];

	scratch_make(&scratch);
	scratch_make(&second_scratch);
	storm_start(&scratch, 4, &storm);
	tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
	tracealloc_until_probed(&attach, storm.process.pid);
	tracealloc_start_attach(&second_scratch, NULL, storm.process.pid, &second);
	int status = process_wait(&second);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x", status);
	_cleanup_free_ char *errors = process_errors(&second);
	ck_assert_msg(strstr(errors, "already traced") != NULL, "it says \"%s\"", errors);
	/* Who does it is part of the message. */
	snprintf(expected, sizeof(expected), "%d", attach.pid);
	ck_assert_msg(strstr(errors, expected) != NULL, "it says \"%s\", not pid %s", errors,
		      expected);
	expect_counted_progress(&storm);
	process_signal(&attach, SIGINT);
	ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(the_target_may_end_while_it_is_traced)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 16, &storm);
	tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
	tracealloc_until_probed(&attach, storm.process.pid);
	expect_counted_progress(&storm);
	if (_i == 0)
		storm_expect_good_end(&storm);
	else
		process_signal(&storm.process, SIGKILL);
	ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
	if (_i == 1) {
		int status = process_wait(&storm.process);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}
END_TEST

START_TEST(the_target_may_end_at_any_moment_of_an_attach)
{
	for (int delay_us = 200; delay_us < 300000; delay_us *= 2) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_storm_ struct storm storm = {0};
		_cleanup_process_ struct process attach = {0};
		const struct timespec delay = {.tv_nsec = delay_us * 1000L};

		scratch_make(&scratch);
		storm_start(&scratch, 8, &storm);
		tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
		nanosleep(&delay, NULL);
		process_signal(&storm.process, SIGKILL);
		int status = process_wait(&attach);
		/* Either it had attached and reports, or it says that there is nobody. */
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) <= 1,
			      "after %d us: status %#x", delay_us, status);
	}
}
END_TEST

START_TEST(threads_being_born_are_all_seen)
{
	int rounds = suite_is_long() ? 100 : 10;
	_cleanup_free_ char *program = suite_target("newborn");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	long births;

	scratch_make(&scratch);
	process_start(&scratch, "newborn", ARGV(program), &target);
	process_wait_output(&target, "ready");
	for (int round = 0; round < rounds; round++) {
		_cleanup_process_ struct process attach = {0};

		tracealloc_start_attach(&scratch, ARGV("--for", "100ms"), target.pid, &attach);
		ck_assert_int_gt(expect_good_attach(&scratch, &attach), 0);
		status_until_untraced(target.pid);
		code_expect_clean(target.pid);
		ck_assert_msg(!process_wait_seconds(&target, 0), "the target died: %#x",
			      target.status);
	}
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_int_eq(sscanf(said, "ready\nok %ld", &births), 1);
	ck_assert_int_gt(births, 0);
}
END_TEST

/* Between the look at a thread and its interrupt it may have gone to sleep. */
START_TEST(no_call_is_cut_short_of_threads_that_fall_asleep)
{
	static const char *const engines[] = {"auto", "breakpoint"};
	_cleanup_free_ char *program = suite_target("dozers");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	long rounds, interrupted;
	int64_t seen = 0;

	scratch_make(&scratch);
	process_start(&scratch, "dozers", ARGV(program, "64"), &target);
	process_wait_output(&target, "ready");
	for (int round = 0; round < (suite_is_long() ? 200 : 15); round++) {
		_cleanup_process_ struct process attach = {0};

		tracealloc_start_attach(&scratch, ARGV("--engine", engines[_i], "--for", "20ms"),
					target.pid, &attach);
		seen += expect_good_attach(&scratch, &attach);
	}
	ck_assert_int_gt(seen, 0);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_int_eq(sscanf(said, "ready\nok %ld %ld", &rounds, &interrupted), 2);
	ck_assert_int_gt(rounds, 0);
	ck_assert_int_eq(interrupted, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attach");
	TCase *cycle_case = suite_case(suite, "cycles", 120);

	tcase_add_test(cycle_case, detaching_leaves_nothing_behind);
	tcase_add_test(cycle_case, detaching_gives_the_memory_of_rings_back);
	tcase_add_test(cycle_case, every_thread_gets_its_turn);
	tcase_add_test(cycle_case, the_duration_ends_an_attach);
	tcase_add_loop_test(cycle_case, a_signal_at_any_moment_of_an_attach_ends_it_cleanly, 0, 4);
	tcase_add_test(cycle_case, a_second_tracer_is_refused_and_disturbs_nothing);
	tcase_add_loop_test(cycle_case, the_target_may_end_while_it_is_traced, 0, 2);
	tcase_add_test(cycle_case, the_target_may_end_at_any_moment_of_an_attach);
	tcase_add_test(cycle_case, threads_being_born_are_all_seen);
	tcase_add_loop_test(cycle_case, no_call_is_cut_short_of_threads_that_fall_asleep, 0, 2);
	return suite_run(suite);
}
