/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"

static const enum error_kind kinds[] = {
	ERROR_SYSTEM,	   ERROR_GONE,	ERROR_DENIED,	 ERROR_NOT_FOUND, ERROR_BAD_INPUT,
	ERROR_UNSUPPORTED, ERROR_FAULT, ERROR_NO_MEMORY, ERROR_USAGE,
};

enum { KINDS = sizeof kinds / sizeof *kinds };

START_TEST(an_error_keeps_its_kind_and_its_formatted_message)
{
	for (size_t i = 0; i < KINDS; i++) {
		_cleanup_error_ struct error *err = error_new(kinds[i], "bad '%s' (%d)", "x", 7);
		ck_assert_int_eq(error_kind_of(err), kinds[i]);
		ck_assert_str_eq(error_message(err), "bad 'x' (7)");
		ck_assert_int_eq(error_errno(err), 0);
	}
}
END_TEST

START_TEST(a_system_error_names_its_cause_and_keeps_its_number)
{
	static const int numbers[] = {EPERM, ENOENT, ESRCH, EINTR, ENOMEM, EACCES, ENOSPC};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		_cleanup_error_ struct error *err =
			error_system(numbers[i], "cannot open %s", "file");
		char expected[256];
		snprintf(expected, sizeof expected, "cannot open file: %s", strerror(numbers[i]));
		ck_assert_str_eq(error_message(err), expected);
		ck_assert_int_eq(error_kind_of(err), ERROR_SYSTEM);
		ck_assert_int_eq(error_errno(err), numbers[i]);
	}
}
END_TEST

START_TEST(wrapping_puts_words_before_and_keeps_the_rest)
{
	_cleanup_error_ struct error *err = error_system(EACCES, "cannot read");
	err = error_wrap(err, "process %d", 12);
	err = error_wrap(err, "%s", "attach");
	char expected[256];
	snprintf(expected, sizeof expected, "attach: process 12: cannot read: %s",
		 strerror(EACCES));
	ck_assert_str_eq(error_message(err), expected);
	ck_assert_int_eq(error_kind_of(err), ERROR_SYSTEM);
	ck_assert_int_eq(error_errno(err), EACCES);
}
END_TEST

START_TEST(an_error_may_be_wrapped_in_its_own_message)
{
	_cleanup_error_ struct error *err = error_new(ERROR_GONE, "echo");
	err = error_wrap(err, "%s", error_message(err));
	ck_assert_str_eq(error_message(err), "echo: echo");
}
END_TEST

START_TEST(a_long_message_is_whole)
{
	char word[10001];
	memset(word, 'w', sizeof word - 1);
	word[sizeof word - 1] = 0;
	_cleanup_error_ struct error *err = error_new(ERROR_BAD_INPUT, "%s", word);
	err = error_wrap(err, "%s", word);
	ck_assert_uint_eq(strlen(error_message(err)), 20002);
}
END_TEST

START_TEST(only_an_error_of_the_kind_asked_for_is_caught)
{
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < KINDS; j++) {
			_cleanup_error_ struct error *err = error_new(kinds[i], "there");
			const struct error *before = err;
			bool caught = error_catch(&err, kinds[j]);
			ck_assert_int_eq(caught, i == j);
			ck_assert_ptr_eq(err, caught ? NULL : before);
			if (!caught)
				ck_assert_str_eq(error_message(err), "there");
		}
	}
}
END_TEST

START_TEST(no_error_is_neither_caught_nor_freed)
{
	struct error *err = NULL;
	ck_assert(!error_catch(&err, ERROR_SYSTEM));
	ck_assert_ptr_null(err);
	error_free(NULL);
}
END_TEST

START_TEST(the_first_of_many_errors_is_kept)
{
	_cleanup_error_ struct error *first = NULL;
	error_keep_first(&first, NULL);
	ck_assert_ptr_null(first);
	error_keep_first(&first, error_new(ERROR_GONE, "one"));
	error_keep_first(&first, NULL);
	error_keep_first(&first, error_new(ERROR_FAULT, "two"));
	ck_assert_str_eq(error_message(first), "one");
}
END_TEST

START_TEST(the_error_of_no_memory_needs_none_and_outlives_its_end)
{
	struct error *err = error_no_memory();
	ck_assert_int_eq(error_kind_of(err), ERROR_NO_MEMORY);
	ck_assert_int_eq(error_errno(err), 0);
	ck_assert_ptr_eq(error_wrap(err, "while %s", "working"), err);
	ck_assert_str_eq(error_message(err), "out of memory");
	error_free(err);
	error_free(err);
	struct error *caught = err;
	ck_assert(error_catch(&caught, ERROR_NO_MEMORY));
	ck_assert_ptr_null(caught);
	ck_assert_str_eq(error_message(err), "out of memory");
}
END_TEST

/* In the C locale no wide character beyond ASCII can be converted: formatting fails. */
#define UNPRINTABLE "%lc", (wint_t)0x20ac

START_TEST(a_message_that_cannot_be_formatted_is_still_an_error)
{
	_cleanup_error_ struct error *plain = error_new(ERROR_GONE, UNPRINTABLE);
	ck_assert_ptr_nonnull(plain);
	_cleanup_error_ struct error *system = error_system(ENOENT, UNPRINTABLE);
	ck_assert_ptr_nonnull(system);
	_cleanup_error_ struct error *wrapped = error_new(ERROR_GONE, "kept");
	wrapped = error_wrap(wrapped, UNPRINTABLE);
	ck_assert_int_eq(error_kind_of(wrapped), ERROR_GONE);
	ck_assert_str_eq(error_message(wrapped), "kept");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tests = tcase_create("error");
	tcase_add_test(tests, an_error_keeps_its_kind_and_its_formatted_message);
	tcase_add_test(tests, a_system_error_names_its_cause_and_keeps_its_number);
	tcase_add_test(tests, wrapping_puts_words_before_and_keeps_the_rest);
	tcase_add_test(tests, an_error_may_be_wrapped_in_its_own_message);
	tcase_add_test(tests, a_long_message_is_whole);
	tcase_add_test(tests, only_an_error_of_the_kind_asked_for_is_caught);
	tcase_add_test(tests, no_error_is_neither_caught_nor_freed);
	tcase_add_test(tests, the_first_of_many_errors_is_kept);
	tcase_add_test(tests, the_error_of_no_memory_needs_none_and_outlives_its_end);
	tcase_add_test(tests, a_message_that_cannot_be_formatted_is_still_an_error);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
