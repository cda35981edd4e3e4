/* SPDX-License-Identifier: MIT */
/*
 * The same truth through either engine, and which one a process gets, with the reason.
 * (What each says of counts is in counts.c, threads.c, tree.c and lines.c, for both.)
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/jumps.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

/* ---- the same rows */

/* Of those whose processes run side by side the peak is another one each time: tree.c. */
static const struct {
	const char *target, *argument;
} programs[] = {
	{"calls", "plain"},  {"calls", "aligned"}, {"calls", "odd"},	 {"calls", "libc"},
	{"peaks", NULL},     {"inlined", "3"},	   {"inlined", "90"},	 {"containers", NULL},
	{"refusals", NULL},  {"dictionary", "50"}, {"tree", "fork"},	 {"tree", "vfork"},
	{"tree", "spawn"},   {"tree", "clone-vm"}, {"tree", "exec"},	 {"tree", "exec-fail"},
	{"tree", "grand"},   {"endings", "segv"},  {"endings", "abort"}, {"endings", "kill"},
	{"endings", "bare"},
};

enum { PROGRAMS = sizeof(programs) / sizeof(*programs) };

/* What is measured in time is never the same. */
static void forget_times(json_t *report)
{
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(report, "rows"), index, row)
	{
		json_object_del(row, "lifetime_ns");
		json_object_del(row, "mean_lifetime_ns");
	}
	json_object_del(json_object_get(report, "totals"), "peak_at_ns");
}

/*
 * A CLONE_VM child without thread-local storage of its own passes for its parent's thread with
 * jumps, so that their creations cannot be told apart.
 */
static void forget_temporary(json_t *report)
{
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(report, "rows"), index, row)
		json_object_del(row, "temporary_blocks");
	json_object_del(json_object_get(report, "totals"), "temporary_blocks");
}

/* Ends the test with the first member that differs. */
static void expect_equal(json_t *jump, json_t *breakpoint, const char *key, const char *what)
{
	size_t index;
	json_t *one;
	const char *name;

	if (json_equal(jump, breakpoint))
		return;
	json_array_foreach(jump, index, one)
		expect_equal(one, json_array_get(breakpoint, index), key, what);
	json_object_foreach(jump, name, one)
		expect_equal(one, json_object_get(breakpoint, name), name, what);
	_cleanup_free_ char *jump_text = json_dumps(jump, JSON_ENCODE_ANY);
	_cleanup_free_ char *breakpoint_text =
		breakpoint ? json_dumps(breakpoint, JSON_ENCODE_ANY) : NULL;
	ck_abort_msg("%s: %s: through jumps %s, through breakpoints %s", what, key, jump_text,
		     breakpoint_text ? breakpoint_text : "missing");
}

static void expect_engine(const struct report *report, const char *engine, const char *what)
{
	const json_t *one;
	size_t index;

	json_array_foreach(json_object_get(report->root, "processes"), index, one)
	{
		ck_assert_msg(strcmp(report_string(one, "engine"), engine) == 0,
			      "%s: engine \"%s\", not %s", what, report_string(one, "engine"),
			      engine);
	}
	json_array_foreach(json_object_get(report->root, "probes"), index, one)
	{
		ck_assert_msg(strcmp(report_string(one, "kind"), engine) == 0,
			      "%s: %s is probed by \"%s\", not %s", what,
			      report_string(one, "function"), report_string(one, "kind"), engine);
	}
	ck_assert_msg(index > 0, "%s: no probes", what);
}

static void expect_same_rows(const char *const command[], const char *what)
{
	static const char *const parts[] = {"rows", "totals", "other"};
	struct report reports[ENGINES];
	int statuses[ENGINES];

	for (int engine = 0; engine < ENGINES; engine++) {
		_cleanup_scratch_ struct scratch scratch = {0};

		scratch_make(&scratch);
		statuses[engine] = tracealloc_run(
			&scratch, ARGV("--engine", engine_name(engine), "--show", "total"), command,
			&reports[engine]);
		expect_engine(&reports[engine], engine_name(engine), what);
		forget_times(reports[engine].root);
		if (strcmp(what, "tree clone-vm") == 0)
			forget_temporary(reports[engine].root);
	}
	ck_assert_msg(statuses[ENGINE_JUMP] == statuses[ENGINE_BREAKPOINT],
		      "%s: status %#x and %#x", what, statuses[ENGINE_JUMP],
		      statuses[ENGINE_BREAKPOINT]);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		expect_equal(json_object_get(reports[ENGINE_JUMP].root, parts[i]),
			     json_object_get(reports[ENGINE_BREAKPOINT].root, parts[i]), parts[i],
			     what);
	for (int engine = 0; engine < ENGINES; engine++)
		report_unload(&reports[engine]);
}

START_TEST(rows_and_totals_are_the_same_through_either_engine)
{
	_cleanup_free_ char *program = suite_target(programs[_i].target);
	char what[64];

	snprintf(what, sizeof(what), "%s %s", programs[_i].target,
		 programs[_i].argument ? programs[_i].argument : "");
	expect_same_rows(ARGV(program, programs[_i].argument), what);
}
END_TEST

START_TEST(rows_of_plugins_are_the_same_through_either_engine)
{
	_cleanup_free_ char *program = suite_target("plugins");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *small =
		suite_build(&scratch, "special/plugin.c", "small.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-DPADDING=64"));
	_cleanup_free_ char *large =
		suite_build(&scratch, "special/plugin.c", "large.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-DPADDING=9000"));
	expect_same_rows(ARGV(program, small, large, small, large), "plugins");
}
END_TEST

START_TEST(rows_of_a_static_program_are_the_same_through_either_engine)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "calls.c", "calls-static", ARGV("-O2", "-g", "-static"));
	expect_same_rows(ARGV(program, "plain"), "a static program");
}
END_TEST

/* ---- which engine, and why */

START_TEST(jumps_are_the_engine_unless_another_is_asked_for)
{
	_cleanup_free_ char *program = suite_target("calls");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, _i ? ARGV("--engine", "auto") : NULL, ARGV(program, "plain"),
		       &report);
	expect_engine(&report, "jump", "the default");
	const json_t *probe = json_array_get(json_object_get(report.root, "probes"), 0);
	ck_assert(json_is_null(json_object_get(probe, "reason")));
}
END_TEST

/* Every probe is of that kind, and says a reason that contains `why`. */
static void expect_reason(const struct report *report, const char *kind, const char *why)
{
	const json_t *probe;
	size_t index;

	json_array_foreach(json_object_get(report->root, "probes"), index, probe)
	{
		ck_assert_msg(strcmp(report_string(probe, "kind"), kind) == 0, "%s: \"%s\", not %s",
			      report_string(probe, "function"), report_string(probe, "kind"), kind);
		ck_assert_msg(strstr(report_string(probe, "reason"), why) != NULL,
			      "%s: the reason is \"%s\", not \"%s\"",
			      report_string(probe, "function"), report_string(probe, "reason"),
			      why);
	}
	ck_assert_uint_gt(index, 0);
}

/* Asks for blocks and waits until they were made, so many times already. */
static void order(struct process *target, const char *count, int done_before)
{
	char expected[64] = "\nready\n";

	for (int i = 0; i <= done_before; i++)
		strcat(expected, "done\n");
	process_send(target, count);
	process_wait_output(target, expected);
}

static const struct confinement {
	const char *mode, *why;
} confinements[] = {
	{"strict", "seccomp"},
	{"filter", "seccomp"},
	{"limit", "Cannot allocate memory"},
};

START_TEST(a_confined_process_gets_breakpoints_with_the_reason_and_lives)
{
	const struct confinement *confinement = &confinements[_i];
	_cleanup_free_ char *program = suite_target("confined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program, confinement->mode), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("--show", "total"), target.pid, &attach);
	/* One that is asleep shows the breakpoints at once, one after the other. */
	tracealloc_until_probed(&attach, target.pid);
	order(&target, "100\n", 0);
	order(&target, "500\n", 1);
	process_signal(&attach, SIGINT);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(status == 0, "attach: status %#x: %s", status, errors);
	tracealloc_report(&scratch, &report);
	expect_reason(&report, "breakpoint", confinement->why);
	ck_assert_str_eq(report_string(report_process(&report, target.pid), "engine"),
			 "breakpoint");
	int64_t blocks = report_at(&report, "brief.h", 0).total_blocks;
	ck_assert_msg(blocks >= 500 && blocks <= 600, "%jd blocks", (intmax_t)blocks);
	code_expect_clean(target.pid);
	order(&target, "100\n", 2);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

START_TEST(jumps_alone_are_refused_to_a_confined_process_with_the_reason)
{
	const struct confinement *confinement = &confinements[_i];
	_cleanup_free_ char *program = suite_target("confined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program, confinement->mode), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("--engine", "jump", "--verbose"), target.pid,
				&attach);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      errors);
	ck_assert_msg(strstr(errors, confinement->why) != NULL, "it says \"%s\"", errors);
	status_until_untraced(target.pid);
	code_expect_clean(target.pid);
	order(&target, "100\n", 0);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

static size_t count_probes(const struct report *report, const char *kind, const char *why)
{
	const json_t *probe;
	size_t index, count = 0;

	json_array_foreach(json_object_get(report->root, "probes"), index, probe)
	{
		count += strcmp(report_string(probe, "kind"), kind) == 0 &&
			 strstr(report_string(probe, "reason"), why) != NULL;
	}
	return count;
}

/* The shell has room for an agent and gets jumps; what it becomes has none. */
START_TEST(a_program_without_room_for_an_agent_is_listed_with_the_reason)
{
	bool jumps_alone = _i == 1;
	_cleanup_free_ char *program = suite_target("calls");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int status = tracealloc_run(
		&scratch, ARGV("--engine", jumps_alone ? "jump" : "auto", "--show", "total"),
		ARGV("sh", "-c", "ulimit -v 200000; exec \"$0\" plain", program), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	ck_assert_uint_gt(count_probes(&report, "jump", ""), 0);
	ck_assert_uint_gt(count_probes(&report, jumps_alone ? "none" : "breakpoint",
				       "Cannot allocate memory"),
			  0);
	ck_assert_int_eq(report_at(&report, "calls.c", 0).total_blocks,
			 jumps_alone ? 0 : truth_integer(truth, "total_blocks"));
}
END_TEST

struct overrun_wait {
	const struct process *run;
	pid_t pid;
};

static bool is_done_or_dead(const void *context)
{
	const struct overrun_wait *wait = context;
	_cleanup_status_ struct status status = {0};

	/* A tracing stop without end is the news of a deadly signal to a tracer that is stopped. */
	if (!status_read(wait->pid, &status) || status.threads[0].state == 'Z' ||
	    status.threads[0].state == 't')
		return true;
	_cleanup_free_ char *said = process_output(wait->run);
	return strstr(said, "done") != NULL;
}

/* More than a ring holds, and nobody who reads it. */
static void overrun(struct process *run)
{
	struct overrun_wait wait = {run, 0};
	_cleanup_free_ char *said = process_output(run);

	ck_assert_int_eq(sscanf(said, "pid %d", &wait.pid), 1);
	process_signal(run, SIGSTOP);
	status_until_stopped(run->pid);
	process_send(run, "1000000\n");
	process_until(is_done_or_dead, &wait, "the target to be done");
	process_signal(run, SIGCONT);
}

START_TEST(a_process_that_confines_itself_while_it_is_traced_lives)
{
	_cleanup_free_ char *program = suite_target("confined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process run = {0};

	scratch_make(&scratch);
	tracealloc_start_run(&scratch, NULL, ARGV(program, confinements[_i].mode), &run);
	process_wait_output(&run, "ready");
	overrun(&run);
	process_close_input(&run);
	int status = process_wait(&run);
	ck_assert_msg(status == 0, "%s: status %#x", confinements[_i].mode, status);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engines");
	TCase *rows_case = suite_case(suite, "rows", 120);
	TCase *choice_case = suite_case(suite, "choice", 120);

	tcase_add_loop_test(rows_case, rows_and_totals_are_the_same_through_either_engine, 0,
			    PROGRAMS);
	tcase_add_test(rows_case, rows_of_plugins_are_the_same_through_either_engine);
	tcase_add_test(rows_case, rows_of_a_static_program_are_the_same_through_either_engine);
	tcase_add_loop_test(choice_case, jumps_are_the_engine_unless_another_is_asked_for, 0, 2);
	tcase_add_loop_test(choice_case,
			    a_confined_process_gets_breakpoints_with_the_reason_and_lives, 0, 3);
	tcase_add_loop_test(choice_case,
			    jumps_alone_are_refused_to_a_confined_process_with_the_reason, 0, 3);
	tcase_add_loop_test(choice_case, a_process_that_confines_itself_while_it_is_traced_lives, 0,
			    3);
	tcase_add_loop_test(choice_case,
			    a_program_without_room_for_an_agent_is_listed_with_the_reason, 0, 2);
	return suite_run(suite);
}
