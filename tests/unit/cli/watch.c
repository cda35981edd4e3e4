/* SPDX-License-Identifier: MIT */
#include "cli/watch.h"

#include <check.h>
#include <stdlib.h>

static const struct {
	const char *text;
	bool exits;
	const char *module, *function; /* function NULL: refused */
	bool at_exit;
} rows[] = {
	{"main", true, NULL, "main", false},
	{"main:exit", true, NULL, "main", true},
	{"main:exit", false, "main", "exit", false},
	{"libx.so*:begin", false, "libx.so*", "begin", false},
	{"a:b:exit", true, "a", "b", true},
	{"a::b", true, NULL, "a::b", false},
	{"a::b:exit", true, NULL, "a::b", true},
	{"a::exit", true, NULL, "a::exit", false},
	{"prog:a::b::c", true, "prog", "a::b::c", false},
	{"/usr/lib/x.so:f", true, "/usr/lib/x.so", "f", false},
	{"exit", true, NULL, "exit", false},
	{"", true, NULL, NULL, false},
	{":", true, NULL, NULL, false},
	{":f", true, NULL, NULL, false},
	{"m:", true, NULL, NULL, false},
	{":exit", true, NULL, NULL, false},
};

static void expect_text(const char *got, const char *want)
{
	if (want)
		ck_assert_str_eq(got, want);
	else
		ck_assert_ptr_null(got);
}

START_TEST(a_function_is_named_with_its_module_and_its_end)
{
	struct session_watch watch;
	struct error *err = watch_parse(rows[_i].text, rows[_i].exits, &watch);
	ck_assert_msg((err != NULL) == (rows[_i].function == NULL), "%s", rows[_i].text);
	if (!err)
		ck_assert(watch.at_exit == rows[_i].at_exit);
	expect_text(watch.function, rows[_i].function);
	expect_text(watch.module, rows[_i].function ? rows[_i].module : NULL);
	error_free(err);
	watch_deinit(&watch);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watch");
	TCase *cases = tcase_create("watch");
	tcase_add_loop_test(cases, a_function_is_named_with_its_module_and_its_end, 0,
			    sizeof rows / sizeof *rows);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
