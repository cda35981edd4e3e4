/* SPDX-License-Identifier: MIT */
/*
 * Programs with a sanitizer's runtime are told apart before anything is written to them, and run as
 * if we were not there.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

static const struct {
	const char *flag, *more, *name;
} sanitizers[] = {
	{"-fsanitize=address", "-g", "AddressSanitizer"},
	{"-fsanitize=address", "-static-libasan", "AddressSanitizer"},
	{"-fsanitize=leak", "-g", "LeakSanitizer"},
	{"-fsanitize=thread", "-g", "ThreadSanitizer"},
};

enum { SANITIZERS = sizeof(sanitizers) / sizeof(*sanitizers) };

static char *build(const struct scratch *scratch, int i)
{
	return suite_build(scratch, "special/sanitized.c", "sanitized",
			   ARGV("-O1", sanitizers[i].flag, sanitizers[i].more));
}

static void expect_named(const char *errors, int i)
{
	char expected[128];

	snprintf(expected, sizeof(expected), " runs with %s, which has an allocator of its own",
		 sanitizers[i].name);
	ck_assert_msg(strstr(errors, expected) != NULL, "it says \"%s\"", errors);
	ck_assert_msg(strstr(errors, "does not work under ptrace") == NULL, "it says \"%s\"",
		      errors);
}

START_TEST(a_program_that_is_run_goes_on_untraced)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, _i);
	int status = tracealloc_call(&scratch, ARGV("run", "--", program));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_str_eq(said, "ready\ndone\n");
	expect_named(errors, _i);
}
END_TEST

START_TEST(a_child_is_passed_by_and_its_parent_is_not)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, _i);
	int status = tracealloc_run(&scratch, NULL, ARGV("sh", "-c", "\"$0\"; exit 7", program),
				    &report);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "traced.err");
	ck_assert_str_eq(said, "ready\ndone\n");
	expect_named(errors, _i);
	ck_assert_ptr_nonnull(strstr(errors, "; it is not traced\n"));
	ck_assert_int_gt(report_total(&report, "total_blocks"), 0);
}
END_TEST

START_TEST(a_process_is_not_attached_to)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char pid[16];

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, _i);
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "ready");
	snprintf(pid, sizeof(pid), "%d", target.pid);
	int status = tracealloc_call(&scratch, ARGV("attach", pid));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	expect_named(errors, _i);
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
	code_expect_clean(target.pid);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sanitizers");
	TCase *tests = suite_case(suite, "sanitizers", 60);

	tcase_add_loop_test(tests, a_program_that_is_run_goes_on_untraced, 0, SANITIZERS);
	tcase_add_loop_test(tests, a_child_is_passed_by_and_its_parent_is_not, 0, SANITIZERS);
	tcase_add_loop_test(tests, a_process_is_not_attached_to, 0, SANITIZERS);
	return suite_run(suite);
}
