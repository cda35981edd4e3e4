/* SPDX-License-Identifier: MIT */
/*
 * Targets that state their own truth: every total, every line, the breakdown at the peak and what
 * is left at the end are equal to it, through either engine.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

/* Dynamic libstdc++ sets 72704 bytes aside at its start for exceptions when memory is short. */
enum { CXX_RESERVE_BYTES = 72704, CXX_RESERVE_BLOCKS = 1 };

static const char *const shown_quantities[] = {"total", "peak", "leaked"};

/* Runs a program under every quantity and compares totals and lines with what it says itself. */
static void expect_truth_of(int engine, const char *program, const char *mode, int64_t extra_blocks,
			    int64_t extra_bytes)
{
	for (size_t i = 0; i < sizeof(shown_quantities) / sizeof(*shown_quantities); i++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_report_ struct report report = {0};

		scratch_make(&scratch);
		int status = tracealloc_run(
			&scratch,
			ARGV("--engine", engine_name(engine), "--show", shown_quantities[i]),
			ARGV(program, mode), &report);
		ck_assert_int_eq(status, 0);
		_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
		truth_expect_totals(truth, &report, extra_blocks, extra_bytes);
		truth_expect_lines(truth, &report, shown_quantities[i]);
	}
}

static void expect_truth(int engine, const char *target, const char *mode)
{
	_cleanup_free_ char *program = suite_target(target);

	expect_truth_of(engine, program, mode, 0, 0);
}

START_TEST(malloc_calloc_realloc_and_free_are_counted_line_by_line)
{
	expect_truth(_i, "calls", "plain");
}
END_TEST

START_TEST(the_aligned_family_is_counted_once_a_call)
{
	expect_truth(_i, "calls", "aligned");
}
END_TEST

START_TEST(zero_sizes_null_and_refusals_are_counted_as_what_they_are)
{
	expect_truth(_i, "calls", "odd");
}
END_TEST

START_TEST(what_strdup_makes_is_charged_to_its_caller)
{
	expect_truth(_i, "calls", "libc");
}
END_TEST

START_TEST(the_breakdown_at_the_peak_is_that_of_the_highest_sum)
{
	expect_truth(_i, "peaks", NULL);
}
END_TEST

START_TEST(a_call_in_an_inlined_function_is_charged_to_its_own_line)
{
	expect_truth(_i, "inlined", "3");
}
END_TEST

START_TEST(a_stack_deeper_than_the_limit_is_cut_and_said_so)
{
	_cleanup_free_ char *program = suite_target("inlined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch,
		       ARGV("--engine", engine_name(_i), "--show", "total", "--depth", "16"),
		       ARGV(program, "500"), &report);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	truth_expect_totals(truth, &report, 0, 0);
	truth_expect_lines(truth, &report, "total");
	/* The target descends four times. */
	ck_assert_int_eq(report_total(&report, "truncated_stacks"), 4);
}
END_TEST

START_TEST(a_stack_within_the_limit_is_not_cut)
{
	_cleanup_free_ char *program = suite_target("inlined");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--engine", engine_name(_i), "--depth", "600"),
		       ARGV(program, "500"), &report);
	ck_assert_int_eq(report_total(&report, "truncated_stacks"), 0);
}
END_TEST

START_TEST(cxx_containers_are_charged_to_the_line_that_uses_them)
{
	_cleanup_free_ char *program = suite_target("containers");

	expect_truth_of(_i, program, NULL, CXX_RESERVE_BLOCKS, CXX_RESERVE_BYTES);
}
END_TEST

START_TEST(unoptimized_cxx_containers_are_charged_to_the_line_that_uses_them)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "containers.cc", "containers-O0", ARGV("-O0", "-g"));
	expect_truth_of(_i, program, NULL, CXX_RESERVE_BLOCKS, CXX_RESERVE_BYTES);
}
END_TEST

START_TEST(a_refused_operator_new_throws_as_ever_and_is_counted_as_failed)
{
	_cleanup_free_ char *program = suite_target("refusals");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	ck_assert_int_eq(
		tracealloc_run(&scratch, ARGV("--engine", engine_name(_i)), ARGV(program), &report),
		0);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	ck_assert_str_eq(said, "caught 11\n");
	ck_assert_int_eq(report_total(&report, "failed_calls"), 11);
	/* The reserve, and an exception object a refusal, all of which are destroyed. */
	ck_assert_int_eq(report_total(&report, "total_blocks"), CXX_RESERVE_BLOCKS + 11);
	ck_assert_int_eq(report_total(&report, "released_blocks"), 11);
}
END_TEST

START_TEST(how_the_program_was_compiled_does_not_matter)
{
	static const char *const variants[][6] = {
		{"-O0", "-g", "-fno-omit-frame-pointer"},
		{"-O3", "-g", "-fomit-frame-pointer"},
		{"-Os", "-g", "-fno-plt"},
		{"-O2", "-g", "-no-pie", "-fno-pie"},
		{"-O2", "-g", "-static"},
		{"-O2", "-g", "-static-pie", "-fPIE"},
		{"-O2", "-g", "-gdwarf-4", "-gz"},
		{"-O2", "-g", "-fcf-protection=full", "-Wl,-z,now"},
	};

	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++) {
		_cleanup_scratch_ struct scratch scratch = {0};
		_cleanup_report_ struct report report = {0};

		scratch_make(&scratch);
		_cleanup_free_ char *program =
			suite_build(&scratch, "calls.c", "calls-variant", variants[i]);
		int status = tracealloc_run(&scratch,
					    ARGV("--engine", engine_name(_i), "--show", "total"),
					    ARGV(program, "plain"), &report);
		ck_assert_msg(status == 0, "variant %zu (%s ...): status %#x", i, variants[i][2],
			      status);
		_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
		/* A static program loads itself: its library's loader code allocates before main.
		 */
		struct report_figures loader = report_labelled(&report, "_dl_");
		truth_expect_totals(truth, &report, loader.total_blocks, loader.total_bytes);
		truth_expect_lines(truth, &report, "total");
	}
}
END_TEST

START_TEST(without_debug_information_functions_are_named)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_build(&scratch, "calls.c", "calls-bare",
						   ARGV("-O1", "-g0", "-fno-inline", "-rdynamic"));
	tracealloc_run(&scratch, ARGV("--engine", engine_name(_i), "--show", "total"),
		       ARGV(program, "plain"), &report);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	struct report_figures row = report_labelled(&report, "plain (calls-bare)");
	ck_assert_int_eq(row.total_blocks, truth_integer(truth, "total_blocks"));
	ck_assert_int_eq(row.total_bytes, truth_integer(truth, "total_bytes"));
}
END_TEST

START_TEST(without_symbols_modules_and_offsets_are_named)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "calls.c", "calls-stripped", ARGV("-O2", "-s"));
	tracealloc_run(&scratch, ARGV("--engine", engine_name(_i), "--show", "total"),
		       ARGV(program, "plain"), &report);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	struct report_figures row = report_labelled(&report, "calls-stripped+0x");
	ck_assert_int_eq(row.total_blocks, truth_integer(truth, "total_blocks"));
	ck_assert_int_eq(row.total_bytes, truth_integer(truth, "total_bytes"));
}
END_TEST

START_TEST(plugins_are_seen_from_their_first_allocation_and_after_a_reload)
{
	_cleanup_free_ char *program = suite_target("plugins");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *small =
		suite_build(&scratch, "special/plugin.c", "small.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-DPADDING=64"));
	_cleanup_free_ char *large =
		suite_build(&scratch, "special/plugin.c", "large.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-DPADDING=9000"));
	int status = tracealloc_run(&scratch, ARGV("--engine", engine_name(_i), "--show", "total"),
				    ARGV(program, small, large, small, small, large), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	truth_expect_line_totals(truth, &report);
	ck_assert_int_eq(report_at(&report, "plugin.c", 0).total_blocks, 5 * 21);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("counts");
	TCase *c_case = suite_case(suite, "C", 120);
	TCase *cxx_case = suite_case(suite, "C++", 120);
	TCase *builds_case = suite_case(suite, "builds", 180);

	tcase_add_loop_test(c_case, malloc_calloc_realloc_and_free_are_counted_line_by_line, 0,
			    ENGINES);
	tcase_add_loop_test(c_case, the_aligned_family_is_counted_once_a_call, 0, ENGINES);
	tcase_add_loop_test(c_case, zero_sizes_null_and_refusals_are_counted_as_what_they_are, 0,
			    ENGINES);
	tcase_add_loop_test(c_case, what_strdup_makes_is_charged_to_its_caller, 0, ENGINES);
	tcase_add_loop_test(c_case, the_breakdown_at_the_peak_is_that_of_the_highest_sum, 0,
			    ENGINES);
	tcase_add_loop_test(c_case, a_call_in_an_inlined_function_is_charged_to_its_own_line, 0,
			    ENGINES);
	tcase_add_loop_test(c_case, a_stack_deeper_than_the_limit_is_cut_and_said_so, 0, ENGINES);
	tcase_add_loop_test(c_case, a_stack_within_the_limit_is_not_cut, 0, ENGINES);
	tcase_add_loop_test(cxx_case, cxx_containers_are_charged_to_the_line_that_uses_them, 0,
			    ENGINES);
	tcase_add_loop_test(cxx_case,
			    unoptimized_cxx_containers_are_charged_to_the_line_that_uses_them, 0,
			    ENGINES);
	tcase_add_loop_test(cxx_case,
			    a_refused_operator_new_throws_as_ever_and_is_counted_as_failed, 0,
			    ENGINES);
	tcase_add_loop_test(builds_case, how_the_program_was_compiled_does_not_matter, 0, ENGINES);
	tcase_add_loop_test(builds_case, without_debug_information_functions_are_named, 0, ENGINES);
	tcase_add_loop_test(builds_case, without_symbols_modules_and_offsets_are_named, 0, ENGINES);
	tcase_add_loop_test(builds_case,
			    plugins_are_seen_from_their_first_allocation_and_after_a_reload, 0,
			    ENGINES);
	return suite_run(suite);
}
