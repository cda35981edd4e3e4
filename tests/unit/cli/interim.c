/* SPDX-License-Identifier: MIT */
#include "cli/interim.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"

static const struct {
	const char *path;
	unsigned number;
	const char *name;
} rows[] = {
	{"a.tas", 1, "a.1.tas"},     {"a", 12, "a.12"},
	{"dir.d/a", 3, "dir.d/a.3"}, {"dir.d/a.b.c", 4, "dir.d/a.b.4.c"},
	{".hidden", 5, ".hidden.5"}, {"/x/.h", 6, "/x/.h.6"},
	{"a.", 7, "a.7."},
};

START_TEST(the_number_comes_before_the_ending_of_the_name)
{
	_cleanup_free_ char *name = interim_name(rows[_i].path, rows[_i].number);
	ck_assert_str_eq(name, rows[_i].name);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interim");
	TCase *cases = tcase_create("interim");
	tcase_add_loop_test(cases, the_number_comes_before_the_ending_of_the_name, 0,
			    sizeof rows / sizeof *rows);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
