/* SPDX-License-Identifier: MIT */
/* Each message is one line that cannot drive a terminal. */
#include "cli/message.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Standard error is a pipe in each test (which has a process of its own). */
static int captured_fd = -1;

static void capture(void)
{
	int pipe_fds[2];
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
	close(pipe_fds[1]);
	captured_fd = pipe_fds[0];
}

static void ck_said(const char *expected)
{
	char text[256] = "";
	ssize_t count = read(captured_fd, text, sizeof text - 1);
	ck_assert_int_eq(count, (ssize_t)strlen(expected));
	ck_assert_str_eq(text, expected);
}

START_TEST(an_error_is_one_line_with_our_name)
{
	struct error *err = error_new(ERROR_USAGE, "no program given");
	message_error(err);
	error_free(err);
	ck_said("tracealloc: no program given\n");
}
END_TEST

START_TEST(a_warning_says_so_and_other_notes_do_not)
{
	message_log(NULL, LOG_WARNING, "stacks are cut");
	ck_said("tracealloc: warning: stacks are cut\n");
	message_log(NULL, LOG_INFO, "attached");
	ck_said("tracealloc: attached\n");
	message_log(NULL, LOG_DEBUG, "a step");
	ck_said("tracealloc: a step\n");
}
END_TEST

START_TEST(what_could_drive_a_terminal_is_escaped)
{
	message_log(NULL, LOG_INFO, "a\nb \033[31m \xff \t \xe2\x80\xae caf\xc3\xa9");
	ck_said("tracealloc: a\\x0ab \\x1b[31m \\xff \\x09 \\u{202e} caf\xc3\xa9\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/message");
	TCase *tests = tcase_create("message");
	tcase_add_checked_fixture(tests, capture, NULL);
	tcase_add_test(tests, an_error_is_one_line_with_our_name);
	tcase_add_test(tests, a_warning_says_so_and_other_notes_do_not);
	tcase_add_test(tests, what_could_drive_a_terminal_is_escaped);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
