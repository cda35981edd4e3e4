/* SPDX-License-Identifier: MIT */
/*
 * Processes that make processes: outputs and statuses are those of an untraced run, children are
 * counted or left alone as asked, and no child ever meets one of our probes, through either engine.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { UNKNOWN = -1 };

/*
 * What the target's source says it makes: the parent one block of 999 bytes (given back), a working
 * child 30 of 500 bytes, of which it gives back 15. UNKNOWN where a shell or threads take part.
 */
static const struct tree_mode {
	const char *name;
	int64_t blocks, released_blocks; /* with --follow children */
	int64_t own_blocks;		 /* with --follow none */
	size_t processes;		 /* with --follow children; 0: not to be known */
	/* Its children share its memory, so they are part of it until they end or call exec. */
	bool shares;
} modes[] = {
	{"fork", 31, 16, 1, 2, false},
	{"vfork", 31, 16, 1, 3, true},
	{"spawn", 31, 16, 1, 0,
	 true}, /* how many it takes to be refused is the library's business */
	{"clone-vm", 2, 2, 2, 2, true},
	{"system", UNKNOWN, UNKNOWN, UNKNOWN, 0, true},
	{"popen", UNKNOWN, UNKNOWN, UNKNOWN, 0, true},
	{"exec", 31, 15, 31, 1, false},
	{"exec-thread", UNKNOWN, UNKNOWN, UNKNOWN, 1, false},
	{"exec-fail", 31, 16, 31, 1, false},
	{"grand", 31, 16, 1, 4, false},
	{"storm", 1 + 40 * 31, 1 + 40 * 16, 1 + 40, 41, false},
};

enum { MODES = sizeof(modes) / sizeof(*modes) };

/* The untraced run, for output and status. */
static int run_control(const struct scratch *scratch, const char *program, const char *mode)
{
	return process_call(scratch, "control", ARGV(program, mode));
}

/* What the target's own sources made: the program and the header it shares with others. */
static int64_t own_blocks(const struct report *report)
{
	return report_at(report, "tree.c", 0).total_blocks +
	       report_at(report, "brief.h", 0).total_blocks;
}

static void expect_same_behaviour(const struct scratch *scratch, const char *mode, int status,
				  int control_status)
{
	_cleanup_free_ char *said = tracealloc_text(scratch, "traced.out");
	_cleanup_free_ char *control_said = tracealloc_text(scratch, "control.out");

	ck_assert_msg(strcmp(said, control_said) == 0, "%s: said \"%s\" instead of \"%s\"", mode,
		      said, control_said);
	ck_assert_msg(status == control_status, "%s: status %#x instead of %#x", mode, status,
		      control_status);
}

START_TEST(children_are_followed_and_behave_as_ever)
{
	const struct tree_mode *mode = &modes[_i / ENGINES];
	const char *engine = engine_name(_i % ENGINES);
	_cleanup_free_ char *program = suite_target("tree");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int control_status = run_control(&scratch, program, mode->name);
	int status = tracealloc_run(
		&scratch, ARGV("--engine", engine, "--follow", "children", "--show", "total"),
		ARGV(program, mode->name), &report);
	expect_same_behaviour(&scratch, mode->name, status, control_status);
	if (mode->blocks != UNKNOWN) {
		ck_assert_int_eq(report_total(&report, "total_blocks"), mode->blocks);
		ck_assert_int_eq(own_blocks(&report), mode->blocks);
	} else {
		ck_assert_int_ge(own_blocks(&report), 31);
	}
	if (mode->released_blocks != UNKNOWN)
		ck_assert_int_eq(report_total(&report, "released_blocks"), mode->released_blocks);
	if (mode->processes)
		ck_assert_int_eq(report_process_count(&report), mode->processes);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}
END_TEST

START_TEST(children_that_are_not_followed_are_left_clean_and_alive)
{
	const struct tree_mode *mode = &modes[_i / ENGINES];
	const char *engine = engine_name(_i % ENGINES);
	_cleanup_free_ char *program = suite_target("tree");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int control_status = run_control(&scratch, program, mode->name);
	int status = tracealloc_run(&scratch,
				    ARGV("--engine", engine, "--follow", "none", "--show", "total"),
				    ARGV(program, mode->name), &report);
	expect_same_behaviour(&scratch, mode->name, status, control_status);
	if (mode->own_blocks != UNKNOWN)
		ck_assert_int_eq(report_total(&report, "total_blocks"), mode->own_blocks);
	if (!mode->shares)
		ck_assert_int_eq(report_process_count(&report), 1);
}
END_TEST

START_TEST(a_child_that_is_not_followed_can_be_traced_by_who_made_it)
{
	static const char *const ways[] = {"fork", "vfork"};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/seizer.c", "seizer", ARGV("-O1", "-g"));
	int status = tracealloc_call(&scratch,
				     ARGV("run", "--engine", engine_name(_i % ENGINES), "--follow",
					  "none", "--quiet", "--", program, ways[_i / ENGINES]));
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(said, "0 refused\n");
}
END_TEST

START_TEST(every_process_of_the_tree_is_listed_with_its_end)
{
	_cleanup_free_ char *program = suite_target("tree");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	size_t index, children = 0;
	const json_t *one;

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--engine", engine_name(_i)), ARGV(program, "storm"),
		       &report);
	json_array_foreach(json_object_get(report.root, "processes"), index, one)
	{
		json_int_t status = json_integer_value(json_object_get(one, "exit_status"));

		ck_assert(json_is_null(json_object_get(one, "signal")));
		ck_assert(status == 4 || status == 5);
		children += status == 5;
	}
	ck_assert_int_eq(children, 40);
}
END_TEST

/* A parent that makes one block and a child that makes 30, told apart. */
START_TEST(each_process_has_a_row_of_its_own)
{
	_cleanup_free_ char *program = suite_target("tree");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	size_t index, parents = 0, children = 0;
	const json_t *row;

	scratch_make(&scratch);
	tracealloc_run(
		&scratch,
		ARGV("--engine", engine_name(_i), "--group-by", "process", "--show", "total"),
		ARGV(program, "storm"), &report);
	json_array_foreach(json_object_get(report.root, "rows"), index, row)
	{
		json_int_t pid = json_integer_value(json_object_get(row, "pid"));
		json_int_t blocks = json_integer_value(json_object_get(row, "total_blocks"));

		ck_assert_ptr_nonnull(report_process(&report, pid));
		ck_assert_ptr_null(strstr(report_string(row, "label"), " more process"));
		parents += blocks == 1 + 40;
		children += blocks == 30;
	}
	ck_assert_uint_eq(parents, 1);
	ck_assert_uint_eq(children, 40);
}
END_TEST

static bool orphan_has_ended(const void *context)
{
	_cleanup_free_ char *said = process_output(context);

	return strstr(said, "orphan ends") != NULL;
}

static bool orphan_has_spoken(const void *context)
{
	_cleanup_free_ char *said = process_output(context);
	const char *at = strstr(said, "orphan ");

	return at && strchr(at, '\n');
}

static void expect_clean_orphan(const struct process *run)
{
	pid_t orphan = 0;

	process_until(orphan_has_spoken, run, "the orphan's pid");
	_cleanup_free_ char *said = process_output(run);
	ck_assert_int_eq(sscanf(strstr(said, "orphan "), "orphan %d", &orphan), 1);
	status_until_untraced(orphan);
	code_expect_clean(orphan);
}

/* A child that outlives the process it came from, followed or not. */
START_TEST(an_orphan_ends_as_ever)
{
	static const char *const policies[] = {"children", "none"};
	_cleanup_free_ char *program = suite_target("tree");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process run = {0};

	scratch_make(&scratch);
	tracealloc_start_run(
		&scratch,
		ARGV("--engine", engine_name(_i % ENGINES), "--follow", policies[_i / ENGINES]),
		ARGV(program, "orphan"), &run);
	process_wait_output(&run, "parent ends");
	/* Not followed, it has been let go by now, with the bytes of its files. */
	if (_i / ENGINES == 1)
		expect_clean_orphan(&run);
	process_close_input(&run);
	ck_assert_int_eq(process_wait(&run), 0);
	process_until(orphan_has_ended, &run, "the orphan's last words");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *follow_case = suite_case(suite, "follow", 120);
	TCase *leave_case = suite_case(suite, "leave", 120);

	tcase_add_loop_test(follow_case, children_are_followed_and_behave_as_ever, 0,
			    MODES * ENGINES);
	tcase_add_loop_test(follow_case, every_process_of_the_tree_is_listed_with_its_end, 0,
			    ENGINES);
	tcase_add_loop_test(follow_case, each_process_has_a_row_of_its_own, 0, ENGINES);
	tcase_add_loop_test(follow_case, an_orphan_ends_as_ever, 0, 2 * ENGINES);
	tcase_add_loop_test(leave_case, children_that_are_not_followed_are_left_clean_and_alive, 0,
			    MODES * ENGINES);
	tcase_add_loop_test(leave_case, a_child_that_is_not_followed_can_be_traced_by_who_made_it,
			    0, 2 * ENGINES);
	return suite_run(suite);
}
