/* SPDX-License-Identifier: MIT */
/*
 * tracealloc is killed after each step of installing and of uninstalling, while its target is idle,
 * busy, in system calls, or on alternate stacks: the target goes on and ends well, and the next
 * tracealloc puts in order what was left. BUILD/killpoints/tracealloc is the program that has
 * itself killed (base/killpoint.h).
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/killpoint.h"
#include "lib/code.h"
#include "lib/keeper.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { THREADS = 4, LONG_ROUNDS = 20 };

static const char *const states[] = {"idle", "busy", "calls", "altstack"};

enum { STATES = sizeof(states) / sizeof(*states) };

/* Attaches for a moment, and is killed at that point of it. */
static void attach_and_die(const struct scratch *scratch, const struct keeper *keeper, int point)
{
	_cleanup_free_ char *program = suite_built("killpoints/tracealloc");
	_cleanup_process_ struct process attach = {0};
	char number[16], pid[16];

	snprintf(number, sizeof(number), "%d", point);
	snprintf(pid, sizeof(pid), "%d", keeper->pid);
	setenv("TRACEALLOC_KILLPOINT", number, 1);
	process_start(scratch, "attach", ARGV(program, "attach", "--verbose", "--for", "5ms", pid),
		      &attach);
	unsetenv("TRACEALLOC_KILLPOINT");
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "it did not come by point %d: status %#x: %s", point, status, errors);
	status_until_untraced(keeper->pid);
}

/* The next one finds its way, and leaves the code as it is in the files. */
static void attach_and_clean(const struct scratch *scratch, const struct keeper *keeper)
{
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	tracealloc_start_attach(scratch, ARGV("--for", "5ms"), keeper->pid, &attach);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(status == 0, "the next attach: status %#x: %s", status, errors);
	tracealloc_report(scratch, &report);
	ck_assert_str_eq(report_string(report_process(&report, keeper->pid), "engine"), "jump");
	status_until_untraced(keeper->pid);
	code_expect_clean(keeper->pid);
}

static void expect_survival_of(int point, const char *state)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	/* Said first: where it ends badly, this is how. */
	printf("point %d, target %s\n", point, state);
	fflush(stdout);
	scratch_make(&scratch);
	keeper_start(&scratch, state, THREADS, &keeper);
	attach_and_die(&scratch, &keeper, point);
	if (state != states[0])
		keeper_expect_turns(&keeper, 20);
	attach_and_clean(&scratch, &keeper);
	keeper_expect_good_end(&keeper);
}

START_TEST(killed_after_any_step_it_leaves_a_target_that_works)
{
	int rounds = suite_is_long() ? LONG_ROUNDS * STATES : 1;

	for (int round = 0; round < rounds; round++)
		expect_survival_of(_i, states[(_i + round) % STATES]);
}
END_TEST

/* The same again where jumps of a killed session are there already. */
START_TEST(killed_again_after_any_step_it_leaves_a_target_that_works)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, states[_i], THREADS, &keeper);
	for (int point = KILLPOINT_MEMFD_MADE; point < KILLPOINTS_END; point++) {
		/* Stubs are there from the first time. */
		if (point == KILLPOINT_STUB_WRITTEN || point == KILLPOINT_STUB_COUNTED)
			continue;
		if (!suite_is_long() && point % STATES != _i)
			continue;
		printf("point %d again, target %s\n", point, states[_i]);
		fflush(stdout);
		attach_and_die(&scratch, &keeper, KILLPOINT_INSTALLED);
		attach_and_die(&scratch, &keeper, point);
		if (_i != 0)
			keeper_expect_turns(&keeper, 20);
	}
	attach_and_clean(&scratch, &keeper);
	keeper_expect_good_end(&keeper);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("killpoints");
	TCase *kill_case = suite_case(suite, "killed", 120);

	tcase_add_loop_test(kill_case, killed_after_any_step_it_leaves_a_target_that_works, 1,
			    KILLPOINTS_END);
	tcase_add_loop_test(kill_case, killed_again_after_any_step_it_leaves_a_target_that_works, 0,
			    STATES);
	return suite_run(suite);
}
