/* SPDX-License-Identifier: MIT */
/*
 * What people read: the text has tracemalloc's form to the letter, goes where it should, and
 * answers the question that was asked.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

/* The report as text of a run of a target; the caller frees it. */
static char *run_text(const struct scratch *scratch, const char *const options[],
		      const char *const command[])
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.txt");
	const char *argv[24] = {program, "run", "--report", report_path};
	size_t count = 4;

	for (size_t i = 0; options[i]; i++)
		argv[count++] = options[i];
	for (size_t i = 0; command[i]; i++)
		argv[count++] = command[i];
	int status = process_call(scratch, "text", argv);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "text.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	return scratch_read(report_path, NULL);
}

static const json_t *row_of(const struct report *report, size_t index)
{
	return json_array_get(json_object_get(report->root, "rows"), index);
}

/* The text of a line of a file, without the space around it. */
static char *source_text(const char *path, int number)
{
	_cleanup_free_ char *text = scratch_read(path, NULL);
	char *line = text;

	for (int i = 1; i < number; i++)
		line = strchr(line, '\n') + 1;
	line += strspn(line, " \t");
	return strndup(line, strcspn(line, "\n"));
}

/* Builds the body that tracemalloc would print for these rows. */
static char *expected_body(const struct report *report, size_t top)
{
	char *body = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&body, &size);
	const json_t *other = json_object_get(report->root, "other");
	const json_t *row;

	fprintf(out, "Top %zu lines\n", top);
	for (size_t i = 0; (row = row_of(report, i)); i++) {
		_cleanup_free_ char *source =
			source_text(report_string(row, "file"),
				    (int)json_integer_value(json_object_get(row, "line")));
		fprintf(out, "#%zu: %s: %.1f KiB\n    %s\n", i + 1, report_string(row, "label"),
			(double)json_integer_value(json_object_get(row, "bytes")) / 1024, source);
	}
	if (json_integer_value(json_object_get(other, "count")) > 0)
		fprintf(out, "%lld other: %.1f KiB\n",
			(long long)json_integer_value(json_object_get(other, "count")),
			(double)json_integer_value(json_object_get(other, "bytes")) / 1024);
	fprintf(out, "Total allocated size: %.1f KiB\n",
		(double)json_integer_value(json_object_get(report->root, "shown_bytes")) / 1024);
	fclose(out);
	return body;
}

static const struct {
	const char *top;
	size_t rows;
} cuts[] = {{"10", 4}, {"2", 2}, {"1", 1}};

START_TEST(the_body_is_tracemallocs_to_the_letter)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	const char *const *options = ARGV("--top", cuts[_i].top, "--show", "total");

	scratch_make(&scratch);
	tracealloc_run(&scratch, options, ARGV(program), &report);
	ck_assert_int_eq(json_array_size(json_object_get(report.root, "rows")), cuts[_i].rows);
	_cleanup_free_ char *body = expected_body(&report, (size_t)atoi(cuts[_i].top));
	_cleanup_free_ char *text = run_text(&scratch, options, ARGV(program));
	ck_assert_msg(strstr(text, body) != NULL, "expected\n%s\nsomewhere in\n%s", body, text);
	/* With --quiet nothing stands around it. */
	_cleanup_free_ char *quiet = run_text(
		&scratch, ARGV("--top", cuts[_i].top, "--show", "total", "--quiet"), ARGV(program));
	ck_assert_str_eq(quiet, body);
}
END_TEST

START_TEST(the_line_under_the_heading_says_what_is_shown)
{
	static const struct {
		const char *show, *said;
	} shows[] = {{"peak", "in use at the peak"},
		     {"leaked", "never released"},
		     {"total", "all memory allocated"},
		     {"count", "all blocks allocated"}};
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	for (size_t i = 0; i < 4; i++) {
		_cleanup_free_ char *text =
			run_text(&scratch, ARGV("--show", shows[i].show), ARGV(program));
		_cleanup_free_ char *quiet =
			run_text(&scratch, ARGV("--show", shows[i].show, "--quiet"), ARGV(program));
		ck_assert_uint_gt(strlen(text), strlen(quiet));
		ck_assert_msg(strcasestr(text, shows[i].said) != NULL, "no \"%s\" in\n%s",
			      shows[i].said, text);
	}
}
END_TEST

START_TEST(run_reports_to_standard_error_and_leaves_the_output_alone)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	ck_assert_int_eq(process_call(&scratch, "control", ARGV(program)), 0);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("run", program)), 0);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	_cleanup_free_ char *control_said = tracealloc_text(&scratch, "control.out");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_str_eq(said, control_said);
	ck_assert_ptr_nonnull(strstr(errors, "Top 10 lines\n"));
}
END_TEST

START_TEST(run_shows_the_peak_and_attach_what_is_live)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_free_ char *newborn = suite_target("newborn");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report run = {0}, attach = {0};
	_cleanup_process_ struct process target = {0}, attaching = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, NULL, ARGV(program), &run);
	ck_assert_str_eq(report_string(json_object_get(run.root, "query"), "show"), "peak");
	process_start(&scratch, "target", ARGV(newborn), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("--for", "50ms"), target.pid, &attaching);
	ck_assert_int_eq(process_wait(&attaching), 0);
	tracealloc_report(&scratch, &attach);
	ck_assert_str_eq(report_string(json_object_get(attach.root, "query"), "show"), "current");
}
END_TEST

static const char *const groups[] = {"file", "function", "module"};

START_TEST(groups_add_up_to_the_same_sums)
{
	static const char *const labels[] = {"inlined.c", "push", "inlined"};
	_cleanup_free_ char *program = suite_target("inlined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report by_line = {0}, by_group = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--show", "total"), ARGV(program), &by_line);
	tracealloc_run(&scratch, ARGV("--show", "total", "--group-by", groups[_i]), ARGV(program),
		       &by_group);
	struct report_figures lines = report_labelled(&by_line, "");
	struct report_figures rows = report_labelled(&by_group, "");
	ck_assert_int_eq(lines.total_bytes, rows.total_bytes);
	ck_assert_int_eq(lines.total_blocks, rows.total_blocks);
	ck_assert_int_eq(report_labelled(&by_group, labels[_i]).rows, 1);
	/* Two functions allocate, in one file of one module. */
	ck_assert_int_eq(rows.rows, strcmp(groups[_i], "function") == 0 ? 2 : 1);
}
END_TEST

START_TEST(the_callee_is_charged_on_request)
{
	_cleanup_free_ char *program = suite_target("plugins");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report caller = {0}, callee = {0};

	scratch_make(&scratch);
	/* A library without debug information makes 20 blocks for the line of ours that calls it.
	 */
	_cleanup_free_ char *library =
		suite_build(&scratch, "special/plugin.c", "library.so",
			    ARGV("-O2", "-g0", "-shared", "-fPIC", "-DPADDING=64"));
	tracealloc_run(&scratch, ARGV("--show", "total"), ARGV(program, library), &caller);
	tracealloc_run(&scratch, ARGV("--show", "total", "--charge", "callee"),
		       ARGV(program, library), &callee);
	ck_assert_int_eq(report_labelled(&caller, "plugin_work (library.so)").total_blocks, 0);
	ck_assert_int_ge(report_at(&caller, "plugins.c", 0).total_blocks, 20);
	ck_assert_int_eq(report_labelled(&callee, "plugin_work (library.so)").total_blocks, 20);
	ck_assert_int_eq(report_total(&callee, "total_blocks"),
			 report_total(&caller, "total_blocks"));
}
END_TEST

START_TEST(skipped_functions_pass_the_charge_to_their_caller)
{
	_cleanup_free_ char *program = suite_target("inlined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--show", "total", "--skip", "push*", "--skip", "descend"),
		       ARGV(program), &report);
	ck_assert_int_eq(report_at(&report, "inlined.c", 0).total_blocks, 54);
	/* Two lines of main: the loop of fifty pushes and the one of four descents. */
	ck_assert_int_eq(report_at(&report, "inlined.c", 0).rows, 2);
}
END_TEST

START_TEST(counts_order_by_blocks)
{
	_cleanup_free_ char *program = suite_target("calls");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--show", "count"), ARGV(program, "plain"), &report);
	/* Fifty brief blocks on one line, few everywhere else, however large. */
	ck_assert_int_eq(json_integer_value(json_object_get(row_of(&report, 0), "blocks")), 50);
}
END_TEST

START_TEST(the_report_says_what_the_tracing_cost)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--engine", "breakpoint"), ARGV(program), &report);
	const json_t *cost = json_object_get(report.root, "cost");
	ck_assert_int_ge(json_integer_value(json_object_get(cost, "stops")), 310);
	ck_assert_int_gt(json_integer_value(json_object_get(cost, "tracer_rss_bytes")), 0);
	ck_assert_int_gt(json_integer_value(json_object_get(cost, "tracer_cpu_ns")), 0);
	ck_assert_int_gt(json_integer_value(json_object_get(cost, "target_stopped_ns")), 0);
	ck_assert_int_ge(report_total(&report, "events"), 310);
	const json_t *command = json_object_get(report.root, "command");
	ck_assert_str_eq(json_string_value(json_array_get(command, 0)), program);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report");
	TCase *text_case = suite_case(suite, "text", 120);
	TCase *query_case = suite_case(suite, "query", 120);

	tcase_add_loop_test(text_case, the_body_is_tracemallocs_to_the_letter, 0, 3);
	tcase_add_test(text_case, the_line_under_the_heading_says_what_is_shown);
	tcase_add_test(text_case, run_reports_to_standard_error_and_leaves_the_output_alone);
	tcase_add_test(query_case, run_shows_the_peak_and_attach_what_is_live);
	tcase_add_loop_test(query_case, groups_add_up_to_the_same_sums, 0, 3);
	tcase_add_test(query_case, the_callee_is_charged_on_request);
	tcase_add_test(query_case, skipped_functions_pass_the_charge_to_their_caller);
	tcase_add_test(query_case, counts_order_by_blocks);
	tcase_add_test(query_case, the_report_says_what_the_tracing_cost);
	return suite_run(suite);
}
