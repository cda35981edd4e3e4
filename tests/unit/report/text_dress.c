/* SPDX-License-Identifier: MIT */
/* The text report on a terminal: the same words, with colours, no wider than it can be. */
#include "report/text_dress.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char report[] =
	"./prog /a: b (pid 7)\n"
	"in use at the peak, 12.3 ms after the start; 5 events seen\n"
	"\n"
	"Top 10 lines\n"
	"#1: src/deep/inside/of/parse.c:414: 419.8 KiB\n"
	"    node->children = calloc(n, sizeof *node->children);\n"
	"#12: main (prog): 1.0 KiB\n"
	"3 other: 2.0 KiB\n"
	"Total allocated size: 422.8 KiB\n"
	"\n"
	"903 memory blocks: 870.1 KiB\n"
	"  File \"src/deep/inside/of/parse.c\", line 414\n"
	"[ Top 10 differences ]\n"
	"src/a.c:4: size=8173 KiB (+4428 KiB), count=71332 (+39369), average=117 B\n"
	"src/b.c:4: size=81 KiB (-4 KiB), count=2 (-1), average=117 B\n"
	"src/c.c:4: size=81 KiB (+0 B), count=2 (+0), average=117 B\n"
	"#\n#1\n#x: y\n#1: \n  File \"\n  File \"x\n: size=\n";

static void expect(const char *text, bool colors, size_t columns, const char *dressed)
{
	_cleanup_buffer_ struct buffer out = {0};
	text_dress(text, &(struct text_dress){.colors = colors, .columns = columns}, &out);
	ck_assert_str_eq(buffer_text(&out), dressed);
}

START_TEST(without_colours_and_limits_all_stays)
{
	expect(report, false, 0, report);
	expect(report, false, 200, report);
	expect("", true, 80, "");
	expect("no newline", true, 80, "no newline");
}
END_TEST

START_TEST(colours_are_all_that_is_added)
{
	_cleanup_buffer_ struct buffer out = {0}, plain = {0};
	text_dress(report, &(struct text_dress){.colors = true}, &out);
	for (const char *at = buffer_text(&out); *at; at++) {
		if (*at == '\033')
			at += strcspn(at, "m");
		else
			buffer_char(&plain, *at);
	}
	ck_assert_str_eq(buffer_text(&plain), report);
	ck_assert_uint_gt(out.count, plain.count);
}
END_TEST

START_TEST(figures_are_bold_and_what_is_beside_them_faint)
{
	expect("Top 10 lines\n#1: src/a.c:4: 419.8 KiB\n    x = 1;\n", true, 0,
	       "\033[1mTop 10 lines\033[0m\n"
	       "\033[2m#1: \033[0msrc/a.c:4: \033[1m419.8 KiB\033[0m\n"
	       "\033[2m    x = 1;\033[0m\n");
}
END_TEST

START_TEST(growth_is_red_and_shrinking_green)
{
	expect("a.c:4: size=8 KiB (+4 KiB), count=7 (+3)\n", true, 0,
	       "a.c:4: size=8 KiB \033[31m(+4 KiB)\033[0m, count=7 (+3)\n");
	expect("a.c:4: size=8 KiB (-4 KiB), count=7 (-3)\n", true, 0,
	       "a.c:4: size=8 KiB \033[32m(-4 KiB)\033[0m, count=7 (-3)\n");
	expect("a.c:4: size=8 KiB (+0 B), count=7 (+0)\n", true, 0,
	       "a.c:4: size=8 KiB (+0 B), count=7 (+0)\n");
}
END_TEST

START_TEST(lines_with_paths_become_just_as_wide_as_the_terminal)
{
	static const char row[] = "#1: src/deep/inside/of/parse.c:414: 419.8 KiB";
	static const char frame[] = "  File \"src/deep/inside/of/parse.c\", line 414";
	static const char difference[] = "src/deep/inside/of/parse.c:4: size=8 KiB (+4 KiB)";
	static const char *const lines[] = {row, frame, difference};
	for (size_t i = 0; i < 3; i++) {
		for (size_t columns = 36; columns < strlen(lines[i]); columns++) {
			_cleanup_buffer_ struct buffer out = {0};
			text_dress(lines[i], &(struct text_dress){.columns = columns}, &out);
			ck_assert_msg(out.count == columns, "%zu: %s", columns, buffer_text(&out));
			ck_assert_ptr_nonnull(strstr(buffer_text(&out), ".../parse.c"));
			ck_assert_int_eq(strncmp(lines[i], buffer_text(&out), 2), 0);
		}
	}
}
END_TEST

START_TEST(what_cannot_be_shortened_stays_whole)
{
	expect(report, false, 1, report);
	expect("#1: a_very_long_function_name (prog): 1.0 KiB\n", false, 20,
	       "#1: a_very_long_function_name (prog): 1.0 KiB\n");
}
END_TEST

START_TEST(characters_count_not_bytes)
{
	expect("#1: s\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc/x.c:4: 4.0 KiB", false, 26,
	       "#1: s\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc/x.c:4: 4.0 KiB");
	expect("#1: s\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc/x.c:4: 4.0 KiB", false, 25,
	       "#1: s\xc3\xbc\xc3\xbc.../x.c:4: 4.0 KiB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report/text_dress");
	TCase *tests = tcase_create("dress");
	tcase_add_test(tests, without_colours_and_limits_all_stays);
	tcase_add_test(tests, colours_are_all_that_is_added);
	tcase_add_test(tests, figures_are_bold_and_what_is_beside_them_faint);
	tcase_add_test(tests, growth_is_red_and_shrinking_green);
	tcase_add_test(tests, lines_with_paths_become_just_as_wide_as_the_terminal);
	tcase_add_test(tests, what_cannot_be_shortened_stays_whole);
	tcase_add_test(tests, characters_count_not_bytes);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
