/* SPDX-License-Identifier: MIT */
/* What is offered where. */
#include "cli/completion.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/options.h"

#define OFFER(out, ...)                                                                            \
	do {                                                                                       \
		char *words[] = {__VA_ARGS__};                                                     \
		buffer_clear(out);                                                                 \
		completion_offer(words, sizeof words / sizeof *words, out);                        \
	} while (0)

/* A line of it is that word, with or without a text. */
static bool offers(const struct buffer *out, const char *word)
{
	size_t length = strlen(word);
	for (const char *line = buffer_text(out); *line; line += strcspn(line, "\n") + 1)
		if (strncmp(line, word, length) == 0 && strchr("\t\n", line[length]))
			return true;
	return false;
}

START_TEST(commands_come_first)
{
	_cleanup_buffer_ struct buffer out = {0};
	size_t count;
	const struct help_command *commands = help_commands(&count);
	OFFER(&out, "");
	for (size_t i = 0; i < count; i++) {
		char name[32] = "";
		strncat(name, commands[i].usage, strcspn(commands[i].usage, " "));
		ck_assert_msg(offers(&out, name), "%s", name);
	}
	ck_assert(!offers(&out, "--top"));
	OFFER(&out, "-");
	ck_assert(offers(&out, "--help") && offers(&out, "--version") && !offers(&out, "--top"));
}
END_TEST

START_TEST(every_option_is_offered_with_its_commands_and_no_other)
{
	static char *const names[] = {"run", "attach", "report", "diff"};
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t c = 0; c < 4; c++) {
		_cleanup_buffer_ struct buffer out = {0};
		OFFER(&out, names[c], "--");
		for (size_t i = 0; i < count; i++) {
			_cleanup_buffer_ struct buffer word = {0};
			buffer_printf(&word, "--%s", rows[i].name);
			ck_assert_msg(offers(&out, buffer_text(&word)) ==
					      ((rows[i].commands & (1u << c)) != 0),
				      "%s %s", names[c], buffer_text(&word));
		}
	}
}
END_TEST

START_TEST(choices_are_offered_as_values)
{
	_cleanup_buffer_ struct buffer out = {0};
	OFFER(&out, "run", "--engine", "");
	ck_assert_str_eq(buffer_text(&out), "auto\njump\nbreakpoint\n");
	OFFER(&out, "run", "--engine=j");
	ck_assert_str_eq(buffer_text(&out), "--engine=auto\n--engine=jump\n--engine=breakpoint\n");
	OFFER(&out, "attach", "-g", "");
	ck_assert(offers(&out, "traceback"));
	OFFER(&out, "attach", "-qg", "");
	ck_assert(offers(&out, "traceback"));
	OFFER(&out, "report", "--format", "");
	ck_assert(offers(&out, "text") && offers(&out, "json"));
	OFFER(&out, "report", "--filter", "");
	ck_assert_msg(offers(&out, "file=") && offers(&out, "function="), "%s", buffer_text(&out));
	OFFER(&out, "report", "--top", "");
	ck_assert_str_eq(buffer_text(&out), "");
}
END_TEST

START_TEST(files_are_the_shells_to_find)
{
	_cleanup_buffer_ struct buffer out = {0};
	OFFER(&out, "run", "--report", "x");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
	OFFER(&out, "run", "--output=x");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
	OFFER(&out, "report", "");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
	OFFER(&out, "report", "a", "b", "");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
	OFFER(&out, "diff", "-q", "a", "");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
	OFFER(&out, "diff", "a", "b", "");
	ck_assert_str_eq(buffer_text(&out), "");
	OFFER(&out, "report", "--", "--x");
	ck_assert_str_eq(buffer_text(&out), ":files\n");
}
END_TEST

START_TEST(a_program_has_a_command_line_of_its_own)
{
	_cleanup_buffer_ struct buffer out = {0};
	OFFER(&out, "run", "");
	ck_assert_str_eq(buffer_text(&out), ":program\t1\n");
	OFFER(&out, "run", "-n5", "--top", "7", "l");
	ck_assert_str_eq(buffer_text(&out), ":program\t4\n");
	OFFER(&out, "run", "-n", "ls", "ls", "--to");
	ck_assert_str_eq(buffer_text(&out), ":program\t3\n");
	OFFER(&out, "run", "--", "--to");
	ck_assert_str_eq(buffer_text(&out), ":program\t2\n");
	OFFER(&out, "run", "--report=x", "--to");
	ck_assert(offers(&out, "--top"));
}
END_TEST

START_TEST(what_makes_no_sense_offers_nothing)
{
	_cleanup_buffer_ struct buffer out = {0};
	OFFER(&out, "no-such-command", "");
	ck_assert_str_eq(buffer_text(&out), "");
	OFFER(&out, "run", "--no-such-option=");
	ck_assert_str_eq(buffer_text(&out), "");
	OFFER(&out, "attach", "1", "");
	ck_assert_str_eq(buffer_text(&out), "");
	OFFER(&out, "help", "run", "");
	ck_assert_str_eq(buffer_text(&out), "");
}
END_TEST

START_TEST(every_shell_has_its_script)
{
	static const char *const marks[] = {"complete -F _tracealloc tracealloc\n",
					    "#compdef tracealloc\n", "complete -c tracealloc "};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_buffer_ struct buffer out = {0};
		completion_script(i, &out);
		ck_assert_ptr_nonnull(strstr(buffer_text(&out), marks[i]));
		ck_assert_ptr_nonnull(strstr(buffer_text(&out), " completion words "));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/completion");
	TCase *tests = tcase_create("completion");
	tcase_add_test(tests, commands_come_first);
	tcase_add_test(tests, every_option_is_offered_with_its_commands_and_no_other);
	tcase_add_test(tests, choices_are_offered_as_values);
	tcase_add_test(tests, files_are_the_shells_to_find);
	tcase_add_test(tests, a_program_has_a_command_line_of_its_own);
	tcase_add_test(tests, what_makes_no_sense_offers_nothing);
	tcase_add_test(tests, every_shell_has_its_script);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
