/* SPDX-License-Identifier: MIT */
/*
 * What programs do around, and in the middle of, calls that a jump leads through our agent: they go
 * on as they do untraced, and what they have allocated is counted.
 */
#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/jumps.h"
#include "lib/keeper.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

static int rounds(int in_short, int in_long)
{
	return suite_is_long() ? in_long : in_short;
}

/* The numbers behind "ok " in what the target said. */
static int64_t said_numbers(const struct scratch *scratch, const char *name, int64_t *second_ret)
{
	_cleanup_free_ char *said = tracealloc_text(scratch, name);
	const char *at = strstr(said, "ok ");
	int64_t first;

	*second_ret = 0;
	if (!at || sscanf(at, "ok %" SCNd64 " %" SCNd64, &first, second_ret) < 1)
		ck_abort_msg("it said \"%s\"", said);
	return first;
}

/* A run through jumps that ends well. */
static void run_well(const struct scratch *scratch, const char *const options[],
		     const char *const command[], struct report *ret)
{
	const char *argv[16] = {"--engine", "jump", "--show", "total"};
	size_t count = 4;

	for (size_t i = 0; options && options[i]; i++)
		argv[count++] = options[i];
	int status = tracealloc_run(scratch, argv, command, ret);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "traced.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	const json_t *process = json_array_get(json_object_get(ret->root, "processes"), 0);
	ck_assert_str_eq(report_string(process, "engine"), "jump");
}

/* ---- interrupted calls, small stacks */

static const struct interrupt_mode {
	const char *name;
	int in_short, in_long;
	bool complete; /* the C library's beginning of a coroutine has no rule by which to unwind */
} interrupt_modes[] = {
	{"signals", 3000, 1000000, true},
	{"cancel", 300, 20000, true},
	{"altstack", 3000, 1000000, true},
	{"coroutines", 3000, 1000000, false},
};

START_TEST(calls_that_are_interrupted_or_short_of_stack_are_counted)
{
	const struct interrupt_mode *mode = &interrupt_modes[_i];
	_cleanup_free_ char *program = suite_target("interrupts");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char count[16];
	int64_t elsewhere;

	scratch_make(&scratch);
	snprintf(count, sizeof(count), "%d", rounds(mode->in_short, mode->in_long));
	run_well(&scratch, NULL, ARGV(program, mode->name, count), &report);
	int64_t made = said_numbers(&scratch, "traced.out", &elsewhere);
	struct report_figures row = report_at(&report, "brief.h", 0);
	ck_assert_int_eq(row.total_blocks, made);
	ck_assert_int_eq(row.current_blocks, 0);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
	if (mode->complete)
		ck_assert_int_eq(report_total(&report, "incomplete_stacks"), 0);
}
END_TEST

START_TEST(calls_that_are_left_for_good_by_a_handler_do_no_harm)
{
	int count = rounds(500, 20000);
	_cleanup_free_ char *program = suite_target("interrupts");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char text[16];
	int64_t elsewhere;

	scratch_make(&scratch);
	snprintf(text, sizeof(text), "%d", count);
	run_well(&scratch, NULL, ARGV(program, "jump", text), &report);
	int64_t made = said_numbers(&scratch, "traced.out", &elsewhere);
	int64_t seen = report_at(&report, "brief.h", 0).total_blocks;
	printf("%d jumps out of a handler, %jd of them out of the agent; %jd blocks, %jd seen\n",
	       count, (intmax_t)elsewhere, (intmax_t)made, (intmax_t)seen);
	fflush(stdout);
	/* It has to have been met at work, or this would say nothing. */
	ck_assert_int_gt(elsewhere, count / 20);
	ck_assert_msg(seen >= made && seen <= made + count, "%jd blocks of %jd", (intmax_t)seen,
		      (intmax_t)made);
}
END_TEST

START_TEST(a_program_sees_its_own_stack_as_ever)
{
	_cleanup_free_ char *program = suite_target("interrupts");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	ck_assert_int_eq(process_call(&scratch, "control", ARGV(program, "backtrace", "6")), 0);
	run_well(&scratch, NULL, ARGV(program, "backtrace", "6"), &report);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	_cleanup_free_ char *expected = tracealloc_text(&scratch, "control.out");
	ck_assert(strstr(expected, "/libc.so.6+") != NULL);
	ck_assert_str_eq(said, expected);
}
END_TEST

/* ---- exceptions */

START_TEST(exceptions_pass_and_are_counted_alike_through_either_engine)
{
	int count = rounds(100, 2500);
	_cleanup_free_ char *program = suite_target("throwing");
	int64_t blocks[ENGINES], failed[ENGINES];
	char text[16];

	snprintf(text, sizeof(text), "%d", count);
	for (int engine = 0; engine < ENGINES; engine++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_report_ struct report report = {0};
		int64_t unused;

		scratch_make(&scratch);
		int status = tracealloc_run(&scratch, ARGV("--engine", engine_name(engine)),
					    ARGV(program, text), &report);
		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(said_numbers(&scratch, "traced.out", &unused), 16L * count);
		blocks[engine] = report_total(&report, "total_blocks");
		failed[engine] = report_total(&report, "failed_calls");
		ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
	}
	/* Two refusals a round of each of four threads. */
	ck_assert_int_eq(failed[ENGINE_JUMP], 8L * count);
	ck_assert_int_eq(failed[ENGINE_BREAKPOINT], 8L * count);
	ck_assert_int_eq(blocks[ENGINE_JUMP], blocks[ENGINE_BREAKPOINT]);
}
END_TEST

/* ---- processes */

static const struct fork_mode {
	const char *name;
	int in_short, in_long;
} fork_modes[] = {{"fork", 60, 1000}, {"vfork", 3, 100}, {"spawn", 3, 100}};

enum { FORK_MODES = sizeof(fork_modes) / sizeof(*fork_modes), FORKERS = 4, CHILD_BLOCKS = 10 };

START_TEST(children_of_many_threads_are_counted_or_left_alone)
{
	const struct fork_mode *mode = &fork_modes[_i / 2];
	bool followed = _i % 2 == 0;
	int count = rounds(mode->in_short, mode->in_long);
	_cleanup_free_ char *program = suite_target("forks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char text[16];
	int64_t unused;

	scratch_make(&scratch);
	snprintf(text, sizeof(text), "%d", count);
	run_well(&scratch, ARGV("--follow", followed ? "children" : "none"),
		 ARGV(program, mode->name, text), &report);
	ck_assert_int_eq(said_numbers(&scratch, "traced.out", &unused), FORKERS * count);
	struct report_figures parents = report_at(&report, "brief.h", 0);
	struct report_figures children = report_in_function(&report, "child_work");
	ck_assert_int_eq(parents.total_blocks, FORKERS * count);
	ck_assert_int_eq(children.total_blocks, followed ? FORKERS * count * CHILD_BLOCKS : 0);
}
END_TEST

/* ---- modules and threads that come and go */

START_TEST(stacks_through_modules_that_come_and_go_are_complete)
{
	enum { MODULES = 4, MODULE_BLOCKS = 5 };
	int count = rounds(25, 1000);
	_cleanup_free_ char *program = suite_target("loaders");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *files[MODULES] = {0};
	char name[16], padding[32], text[16];
	int64_t unused;

	scratch_make(&scratch);
	for (int i = 0; i < MODULES; i++) {
		snprintf(name, sizeof(name), "module-%d.so", i);
		snprintf(padding, sizeof(padding), "-DPADDING=%d", 64 + 5000 * i);
		files[i] = suite_build(
			&scratch, "special/module.c", name,
			ARGV("-O2", "-g", "-fno-omit-frame-pointer", "-shared", "-fPIC", padding));
	}
	snprintf(text, sizeof(text), "%d", count);
	run_well(&scratch, NULL, ARGV(program, text, files[0], files[1], files[2], files[3]),
		 &report);
	int64_t made = said_numbers(&scratch, "traced.out", &unused);
	ck_assert_int_eq(made, (int64_t)MODULES * MODULE_BLOCKS * count);
	ck_assert_int_eq(report_at(&report, "module.c", 0).total_blocks, made);
	ck_assert_int_eq(report_total(&report, "incomplete_stacks"), 0);
	ck_assert_int_eq(report_total(&report, "truncated_stacks"), 0);
	for (int i = 0; i < MODULES; i++)
		free(take_ptr(files[i]));
}
END_TEST

START_TEST(short_lived_threads_are_all_counted)
{
	int64_t duration_ms = rounds(1000, 20000);
	_cleanup_free_ char *program = suite_target("newborn");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process run = {0};
	_cleanup_report_ struct report report = {0};
	int64_t unused;

	scratch_make(&scratch);
	tracealloc_start_run(&scratch, ARGV("--engine", "jump", "--show", "total"), ARGV(program),
			     &run);
	process_wait_output(&run, "ready");
	/* How many there are is up to the machine: the time is a length, not a deadline. */
	process_wait_seconds(&run, (unsigned)(duration_ms / 1000));
	process_close_input(&run);
	ck_assert_int_eq(process_wait(&run), 0);
	tracealloc_report(&scratch, &report);
	int64_t births = said_numbers(&scratch, "traced.out", &unused);
	printf("%jd threads in %jd ms\n", (intmax_t)births, (intmax_t)duration_ms);
	fflush(stdout);
	ck_assert_int_gt(births, 0);
	ck_assert_int_eq(report_at(&report, "brief.h", 0).total_blocks, births);
	ck_assert_int_eq(report_at(&report, "brief.h", 0).current_blocks, 0);
	ck_assert_int_eq(report_total(&report, "incomplete_stacks"), 0);
}
END_TEST

/* ---- attaching */

static void expect_end(const struct scratch *scratch, struct process *attach, struct report *ret)
{
	process_signal(attach, SIGINT);
	int status = process_wait(attach);
	_cleanup_free_ char *errors = process_errors(attach);
	ck_assert_msg(status == 0, "attach: status %#x: %s", status, errors);
	tracealloc_report(scratch, ret);
}

START_TEST(a_crowded_address_space_has_room_for_the_agent)
{
	_cleanup_free_ char *program = suite_target("crowded");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	process_start(&scratch, "crowded", ARGV(program), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("--engine", "jump", "--show", "total"), target.pid,
				&attach);
	jumps_until_recording(&attach, target.pid, 0);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &report);
	const json_t *process = json_array_get(json_object_get(report.root, "processes"), 0);
	ck_assert_str_eq(report_string(process, "engine"), "jump");
	ck_assert_int_eq(report_at(&report, "brief.h", 0).total_blocks, 1000);
}
END_TEST

START_TEST(a_stopped_process_stays_stopped_and_is_left_clean)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "busy", 4, &keeper);
	process_signal(&keeper.process, SIGSTOP);
	status_until_stopped(keeper.pid);
	for (int i = 0; i < 3; i++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};
		struct keeper_progress before = *keeper.progress;

		tracealloc_start_attach(&scratch, NULL, keeper.pid, &attach);
		jumps_until_probed(&attach, keeper.pid);
		expect_end(&scratch, &attach, &report);
		status_until_untraced(keeper.pid);
		status_until_stopped(keeper.pid);
		code_expect_clean(keeper.pid);
		ck_assert_mem_eq(&before, keeper.progress, sizeof(before));
		ck_assert_int_eq(report_total(&report, "total_blocks"), 0);
	}
	process_signal(&keeper.process, SIGCONT);
	keeper_expect_turns(&keeper, 100);
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(a_stopped_process_is_counted_once_it_goes_on)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", 4, &keeper);
	process_signal(&keeper.process, SIGSTOP);
	status_until_stopped(keeper.pid);
	tracealloc_start_attach(&scratch, ARGV("--show", "total"), keeper.pid, &attach);
	jumps_until_probed(&attach, keeper.pid);
	process_signal(&keeper.process, SIGCONT);
	struct keeper_made made = keeper_play(&keeper, 300);
	/* And once more in the middle. */
	process_signal(&keeper.process, SIGSTOP);
	status_until_held(keeper.pid);
	process_signal(&keeper.process, SIGCONT);
	struct keeper_made more = keeper_play(&keeper, 300);
	expect_end(&scratch, &attach, &report);
	const char *engine = report_string(report_process(&report, keeper.pid), "engine");
	/* Breakpoints do not believe a thread's first call, which may have begun before them. */
	int64_t doubtful = strcmp(engine, "breakpoint") == 0 ? 4 : 0;
	int64_t seen = report_total(&report, "total_blocks");
	int64_t expected = made.blocks + more.blocks;
	ck_assert_msg(seen <= expected && seen >= expected - doubtful,
		      "%jd blocks of %jd through %ss", (intmax_t)seen, (intmax_t)expected, engine);
	keeper_expect_good_end(&keeper);
}
END_TEST

START_TEST(attaches_in_a_row_count_each_its_own)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};

	scratch_make(&scratch);
	keeper_start(&scratch, "rounds", 4, &keeper);
	for (int i = 0; i < rounds(6, 200); i++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};

		tracealloc_start_attach(&scratch, ARGV("--show", "total"), keeper.pid, &attach);
		jumps_until_recording(&attach, keeper.pid, 0);
		struct keeper_made made = keeper_play(&keeper, 100 + 50 * i);
		/* The next one starts as soon as this one is gone. */
		expect_end(&scratch, &attach, &report);
		ck_assert_int_eq(report_total(&report, "total_blocks"), made.blocks);
		ck_assert_int_eq(report_total(&report, "total_bytes"), made.bytes);
		code_expect_clean(keeper.pid);
	}
	keeper_expect_good_end(&keeper);
}
END_TEST

/* Threads throw, and catch, all the time: each detach comes in the middle of some throw. */
START_TEST(exceptions_under_way_find_home_when_the_jumps_go)
{
	_cleanup_free_ char *program = suite_target("throwing");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	long caught, done;

	scratch_make(&scratch);
	process_start(&scratch, "throwing", ARGV(program, "wait"), &target);
	process_wait_output(&target, "ready");
	for (int i = 0; i < rounds(8, 300); i++) {
		_cleanup_process_ struct process attach = {0};
		_cleanup_report_ struct report report = {0};

		tracealloc_start_attach(&scratch, ARGV("--engine", engine_name(_i)), target.pid,
					&attach);
		tracealloc_until_probed(&attach, target.pid);
		expect_end(&scratch, &attach, &report);
		code_expect_clean(target.pid);
	}
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_int_eq(sscanf(said, "ready\nok %ld %ld", &caught, &done), 2);
	ck_assert_int_gt(done, 0);
	ck_assert_int_eq(caught, 4 * done);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jumps");
	TCase *call_case = suite_case(suite, "calls", 120);
	TCase *tree_case = suite_case(suite, "processes", 120);
	TCase *life_case = suite_case(suite, "coming and going", 120);
	TCase *attach_case = suite_case(suite, "attaching", 120);

	tcase_add_loop_test(call_case, calls_that_are_interrupted_or_short_of_stack_are_counted, 0,
			    sizeof(interrupt_modes) / sizeof(*interrupt_modes));
	tcase_add_test(call_case, calls_that_are_left_for_good_by_a_handler_do_no_harm);
	tcase_add_test(call_case, a_program_sees_its_own_stack_as_ever);
	tcase_add_test(call_case, exceptions_pass_and_are_counted_alike_through_either_engine);
	tcase_add_loop_test(tree_case, children_of_many_threads_are_counted_or_left_alone, 0,
			    2 * FORK_MODES);
	tcase_add_test(life_case, stacks_through_modules_that_come_and_go_are_complete);
	tcase_add_test(life_case, short_lived_threads_are_all_counted);
	tcase_add_test(attach_case, a_crowded_address_space_has_room_for_the_agent);
	tcase_add_test(attach_case, a_stopped_process_stays_stopped_and_is_left_clean);
	tcase_add_test(attach_case, a_stopped_process_is_counted_once_it_goes_on);
	tcase_add_test(attach_case, attaches_in_a_row_count_each_its_own);
	tcase_add_loop_test(attach_case, exceptions_under_way_find_home_when_the_jumps_go, 0,
			    ENGINES);
	return suite_run(suite);
}
