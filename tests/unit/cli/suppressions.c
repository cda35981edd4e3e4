/* SPDX-License-Identifier: MIT */
#include "cli/suppressions.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A file with this text, for as long as it is read. */
static struct error *read_text(const char *text, size_t count, struct suppressions *ret)
{
	char path[] = "/tmp/tracealloc-supp-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, count), (ssize_t)count);
	struct error *err = suppressions_read(path, ret);
	unlink(path);
	return err;
}

START_TEST(lines_comments_and_blanks_are_read)
{
	static const char text[] = "# a comment\n\nleak:one\n  leak:^two*$  \r\n\t# more\nleak:a b";
	struct suppressions suppressions = {0};
	ck_assert_ptr_null(read_text(text, strlen(text), &suppressions));
	ck_assert_uint_eq(suppressions.count, 3);
	ck_assert_str_eq(suppressions.items[0].pattern, "one");
	ck_assert_str_eq(suppressions.items[1].pattern, "^two*$");
	ck_assert_str_eq(suppressions.items[2].pattern, "a b");
	const char *place = suppressions.items[1].place;
	ck_assert_str_eq(place + strlen(place) - 2, ":4");
	suppressions_deinit(&suppressions);
}
END_TEST

static void expect_refused(const char *text, size_t count, const char *message)
{
	struct suppressions suppressions = {0};
	_cleanup_error_ struct error *err = read_text(text, count, &suppressions);
	suppressions_deinit(&suppressions);
	ck_assert_ptr_nonnull(err);
	ck_assert_msg(strstr(error_message(err), message) != NULL, "%s", error_message(err));
}

START_TEST(what_is_no_suppression_is_told_with_its_line)
{
	expect_refused("leak:a\nrace:b\n", 14,
		       ":2: bad suppression 'race:b': give leak:PATTERN, or a comment after #");
	expect_refused("\n\nleak:\n", 8, ":3: bad suppression 'leak:'");
	expect_refused("leak:*^$", 8, "the pattern would match everything");
	expect_refused("leak:a\0b", 8, "it is no text file");
	struct suppressions none = {0};
	_cleanup_error_ struct error *err = suppressions_read("/nonexistent/x", &none);
	ck_assert_str_eq(error_message(err), "cannot read suppressions '/nonexistent/x': No such "
					     "file or directory");
	_cleanup_error_ struct error *directory = suppressions_read("/tmp", &none);
	ck_assert_str_eq(error_message(directory),
			 "cannot read suppressions '/tmp': give a file of at most 1 MiB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/suppressions");
	TCase *tcase = tcase_create("suppressions");
	tcase_add_test(tcase, lines_comments_and_blanks_are_read);
	tcase_add_test(tcase, what_is_no_suppression_is_told_with_its_line);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
