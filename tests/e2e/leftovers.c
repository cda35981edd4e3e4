/* SPDX-License-Identifier: MIT */
/*
 * What a killed tracealloc leaves in its target is found by the next one and taken over: its counts
 * are right, the code is that of the files after it, and nothing piles up.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/jumps.h"
#include "lib/keeper.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { THREADS = 4, TURNS = 500, CYCLES = 10 };

static void start_attach(const struct scratch *scratch, const struct keeper *keeper,
			 struct process *ret)
{
	uint64_t before = jumps_armed(keeper->pid);

	tracealloc_start_attach(scratch, ARGV("--show", "total", "--verbose"), keeper->pid, ret);
	jumps_until_recording(ret, keeper->pid, before);
}

static void kill_attach(const struct keeper *keeper, struct process *attach)
{
	process_signal(attach, SIGKILL);
	int status = process_wait(attach);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	status_until_untraced(keeper->pid);
	ck_assert_msg(code_count_differences(keeper->pid) > 0, "nothing was left behind");
}

static void attach_and_kill(const struct scratch *scratch, const struct keeper *keeper)
{
	_cleanup_process_ struct process attach = {0};

	start_attach(scratch, keeper, &attach);
	kill_attach(keeper, &attach);
}

static void end_attach(const struct scratch *scratch, const struct keeper *keeper,
		       struct process *attach, struct report *ret)
{
	process_signal(attach, SIGINT);
	int status = process_wait(attach);
	_cleanup_free_ char *errors = process_errors(attach);
	ck_assert_msg(status == 0, "attach: status %#x: %s", status, errors);
	tracealloc_report(scratch, ret);
	status_until_untraced(keeper->pid);
	code_expect_clean(keeper->pid);
}

static void expect_engine(const struct report *report, const struct keeper *keeper)
{
	const json_t *process = report_process(report, keeper->pid);

	ck_assert(process != NULL);
	ck_assert_str_eq(report_string(process, "engine"), "jump");
}

/* A whole attach: what a round makes is what it reports, and no trace of it is left. */
static void expect_exact_attach(const struct scratch *scratch, struct keeper *keeper)
{
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	start_attach(scratch, keeper, &attach);
	struct keeper_made made = keeper_play(keeper, TURNS);
	end_attach(scratch, keeper, &attach, &report);
	ck_assert_int_eq(made.blocks, TURNS * THREADS);
	ck_assert_int_eq(report_total(&report, "total_blocks"), made.blocks);
	ck_assert_int_eq(report_total(&report, "total_bytes"), made.bytes);
	ck_assert_int_eq(report_at(&report, "keeper.c", 0).total_blocks, made.blocks);
	expect_engine(&report, keeper);
}

START_TEST(leftover_jumps_are_taken_over_and_counts_are_right)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};
	struct keeper_made alone;

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", THREADS, &keeper);
	for (int cycle = 0; cycle < CYCLES; cycle++) {
		attach_and_kill(&scratch, &keeper);
		/* With nobody there, it is as ever. */
		alone = keeper_play(&keeper, TURNS);
		ck_assert_int_eq(alone.blocks, TURNS * THREADS);
		expect_exact_attach(&scratch, &keeper);
		_cleanup_free_ char *said = tracealloc_text(&scratch, "attach.err");
		ck_assert_msg(strstr(said, "are taken over") != NULL, "it says \"%s\"", said);
	}
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(leftovers_of_several_killed_sessions_are_taken_over)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", THREADS, &keeper);
	for (int i = 0; i < 3; i++)
		attach_and_kill(&scratch, &keeper);
	expect_exact_attach(&scratch, &keeper);
	expect_exact_attach(&scratch, &keeper);
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(leftover_jumps_are_taken_over_from_threads_in_full_swing)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", THREADS, &keeper);
	for (int cycle = 0; cycle < (suite_is_long() ? 10 * CYCLES : CYCLES); cycle++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};

		attach_and_kill(&scratch, &keeper);
		start_attach(&scratch, &keeper, &attach);
		keeper_expect_turns(&keeper, 100);
		end_attach(&scratch, &keeper, &attach, &report);
		ck_assert_int_ge(report_total(&report, "total_blocks"), 90 * THREADS);
		expect_engine(&report, &keeper);
	}
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(breakpoints_take_over_from_leftover_jumps)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", THREADS, &keeper);
	attach_and_kill(&scratch, &keeper);
	/* How far it is does not show from outside: it is given its time. */
	tracealloc_start_attach(&scratch, ARGV("--engine", "breakpoint", "--for", "300ms"),
				keeper.pid, &attach);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(status == 0, "attach: status %#x: %s", status, errors);
	tracealloc_report(&scratch, &report);
	ck_assert_int_gt(report_total(&report, "total_blocks"), 0);
	status_until_untraced(keeper.pid);
	code_expect_clean(keeper.pid);
	keeper_expect_turns(&keeper, 100);
	keeper_expect_good_end(&keeper);
}
END_TEST

/* ---- nothing piles up */

static void expect_growth_of_one_agent(const struct keeper *keeper, uint64_t bytes_before,
				       const struct jumps_memory *one)
{
	struct jumps_memory now = jumps_memory_of(keeper->pid);
	uint64_t bytes = jumps_mapped_bytes(keeper->pid);

	printf("agents after %d cycles: %zu of code, %zu of shared memory; mapped: %ju KiB more\n",
	       CYCLES, now.code_count, now.shared_count, (uintmax_t)((bytes - bytes_before) >> 10));
	fflush(stdout);
	ck_assert_uint_eq(now.code_count, one->code_count);
	ck_assert_uint_eq(now.shared_count, one->shared_count);
	ck_assert_uint_eq(bytes, bytes_before);
}

START_TEST(attaching_again_and_again_takes_the_memory_of_one_agent)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", THREADS, &keeper);
	/* The first round sees the heap grow to what it will be. */
	for (int i = 0; i < 3; i++)
		keeper_play(&keeper, 20 * TURNS);
	expect_exact_attach(&scratch, &keeper);
	struct jumps_memory one = jumps_memory_of(keeper.pid);
	uint64_t bytes = jumps_mapped_bytes(keeper.pid);
	ck_assert_uint_eq(one.code_count, 1);
	ck_assert_uint_eq(one.shared_count, 1);
	for (int cycle = 0; cycle < CYCLES; cycle++)
		expect_exact_attach(&scratch, &keeper);
	expect_growth_of_one_agent(&keeper, bytes, &one);
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(being_killed_again_and_again_takes_the_memory_of_one_agent)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", THREADS, &keeper);
	for (int i = 0; i < 3; i++)
		keeper_play(&keeper, 20 * TURNS);
	attach_and_kill(&scratch, &keeper);
	expect_exact_attach(&scratch, &keeper);
	struct jumps_memory one = jumps_memory_of(keeper.pid);
	uint64_t bytes = jumps_mapped_bytes(keeper.pid);
	for (int cycle = 0; cycle < CYCLES; cycle++) {
		attach_and_kill(&scratch, &keeper);
		expect_exact_attach(&scratch, &keeper);
	}
	expect_growth_of_one_agent(&keeper, bytes, &one);
	keeper_expect_good_end(&keeper);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("leftovers");
	TCase *over_case = suite_case(suite, "taken over", 120);
	TCase *memory_case = suite_case(suite, "memory", 120);

	tcase_add_test(over_case, leftover_jumps_are_taken_over_and_counts_are_right);
	tcase_add_test(over_case, leftovers_of_several_killed_sessions_are_taken_over);
	tcase_add_test(over_case, leftover_jumps_are_taken_over_from_threads_in_full_swing);
	tcase_add_test(over_case, breakpoints_take_over_from_leftover_jumps);
	tcase_add_test(memory_case, attaching_again_and_again_takes_the_memory_of_one_agent);
	tcase_add_test(memory_case, being_killed_again_and_again_takes_the_memory_of_one_agent);
	return suite_run(suite);
}
