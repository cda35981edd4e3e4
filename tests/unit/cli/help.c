/* SPDX-License-Identifier: MIT */
/* The help shows every option once, aligned, within 80 columns. */
#include "cli/help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

static const unsigned topics[] = {
	0, OPTIONS_RUN, OPTIONS_ATTACH, OPTIONS_REPORT, OPTIONS_DIFF, OPTIONS_EXPORT};

START_TEST(no_line_is_wider_than_80_columns)
{
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
		_cleanup_buffer_ struct buffer text = {0};
		help_render(topics[i], &text);
		for (const char *line = buffer_text(&text); *line;) {
			size_t width = strcspn(line, "\n");
			ck_assert_msg(width <= 80, "%.*s", (int)width, line);
			line += width + 1;
		}
	}
}
END_TEST

/* How often " name" followed by a blank or the line's end stands in text. */
static size_t occurrences(const char *text, const char *name)
{
	size_t count = 0, length = strlen(name);
	for (const char *at = text; (at = strstr(at, name)); at += length)
		count += (at == text || at[-1] == ' ') && strchr(" \n", at[length]) != NULL;
	return count;
}

START_TEST(every_option_stands_once_in_the_help_of_its_commands_and_in_no_other)
{
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t t = 0; t < sizeof topics / sizeof *topics; t++) {
		_cleanup_buffer_ struct buffer text = {0};
		help_render(topics[t], &text);
		for (size_t i = 0; i < count; i++) {
			_cleanup_buffer_ struct buffer head = {0};
			buffer_printf(&head, "--%s", rows[i].name);
			if (rows[i].value)
				buffer_printf(&head, " %s", rows[i].value);
			size_t expected = !topics[t] || rows[i].commands & topics[t] ? 1 : 0;
			ck_assert_msg(occurrences(buffer_text(&text), buffer_text(&head)) ==
					      expected,
				      "%s", buffer_text(&head));
		}
	}
}
END_TEST

START_TEST(texts_of_options_begin_in_one_column)
{
	size_t count, found = 0;
	const struct options_row *rows = options_rows(&count);
	_cleanup_buffer_ struct buffer text = {0};
	help_render(0, &text);
	for (size_t i = 0; i < count; i++) {
		char start[12] = "";
		strncpy(start, rows[i].text, sizeof start - 1);
		const char *at = strstr(buffer_text(&text), start);
		ck_assert_ptr_nonnull(at);
		const char *line = at;
		while (line > buffer_text(&text) && line[-1] != '\n')
			line--;
		ck_assert_msg(at - line == 26, "--%s", rows[i].name);
		found++;
	}
	ck_assert_uint_gt(found, 0);
}
END_TEST

START_TEST(the_help_of_a_command_shows_its_usage_alone)
{
	_cleanup_buffer_ struct buffer run = {0}, attach = {0}, all = {0};
	help_render(OPTIONS_RUN, &run);
	help_render(OPTIONS_ATTACH, &attach);
	help_render(0, &all);
	const char *run_usage = "  tracealloc run [OPTIONS] [--] PROGRAM [ARG...]\n";
	const char *attach_usage = "  tracealloc attach [OPTIONS] PID\n";
	ck_assert_ptr_nonnull(strstr(buffer_text(&run), run_usage));
	ck_assert_ptr_null(strstr(buffer_text(&run), attach_usage));
	ck_assert_ptr_nonnull(strstr(buffer_text(&attach), attach_usage));
	ck_assert_ptr_null(strstr(buffer_text(&attach), run_usage));
	ck_assert_ptr_nonnull(strstr(buffer_text(&all), run_usage));
	ck_assert_ptr_nonnull(strstr(buffer_text(&all), attach_usage));
	ck_assert_ptr_nonnull(strstr(buffer_text(&all), "  tracealloc help [COMMAND]\n"));
}
END_TEST

START_TEST(a_command_that_traces_nothing_has_no_options_for_it)
{
	_cleanup_buffer_ struct buffer run = {0}, report = {0};
	help_render(OPTIONS_RUN, &run);
	help_render(OPTIONS_REPORT, &report);
	ck_assert_ptr_nonnull(strstr(buffer_text(&run), "\nTracing:\n"));
	ck_assert_ptr_null(strstr(buffer_text(&report), "\nTracing:\n"));
	ck_assert_ptr_nonnull(strstr(buffer_text(&report), "\nReport:\n"));
}
END_TEST

START_TEST(the_help_of_a_command_has_an_example_that_begins_with_its_name)
{
	_cleanup_buffer_ struct buffer run = {0}, all = {0};
	help_render(OPTIONS_RUN, &run);
	help_render(0, &all);
	ck_assert_ptr_nonnull(strstr(buffer_text(&run), "\nExample:\n      tracealloc run "));
	ck_assert_ptr_null(strstr(buffer_text(&all), "Example:"));
}
END_TEST

START_TEST(no_two_options_share_a_name_or_a_letter)
{
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			ck_assert_str_ne(rows[i].name, rows[j].name);
			ck_assert(!rows[i].short_name || rows[i].short_name != rows[j].short_name);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/help");
	TCase *tests = tcase_create("help");
	tcase_add_test(tests, no_line_is_wider_than_80_columns);
	tcase_add_test(tests, every_option_stands_once_in_the_help_of_its_commands_and_in_no_other);
	tcase_add_test(tests, texts_of_options_begin_in_one_column);
	tcase_add_test(tests, the_help_of_a_command_shows_its_usage_alone);
	tcase_add_test(tests, a_command_that_traces_nothing_has_no_options_for_it);
	tcase_add_test(tests, the_help_of_a_command_has_an_example_that_begins_with_its_name);
	tcase_add_test(tests, no_two_options_share_a_name_or_a_letter);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
