/* SPDX-License-Identifier: MIT */
/* Words as a shell splits them; the shell itself says how. */
#include "cli/words.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

static void append_shown(struct buffer *out, const struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		buffer_printf(out, "<%s>", words->items[i]);
}

static void expect(const char *line, const char *shown)
{
	struct words words;
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = words_split(line, &words);
	ck_assert_msg(!err, "%s: %s", line, err ? error_message(err) : "");
	append_shown(&text, &words);
	ck_assert_str_eq(buffer_text(&text), shown);
	ck_assert_ptr_null(words.items[words.count]);
	words_deinit(&words);
}

static void refuse(const char *line, const char *message)
{
	struct words words;
	_cleanup_error_ struct error *err = words_split(line, &words);
	ck_assert_ptr_nonnull(err);
	ck_assert_str_eq(error_message(err), message);
	ck_assert_int_eq(error_kind_of(err), ERROR_USAGE);
	ck_assert_ptr_null(words.items);
}

START_TEST(blanks_separate_words)
{
	expect("", "");
	expect(" \t\n ", "");
	expect("-n 5", "<-n><5>");
	expect("  --top=5\t--pin\n", "<--top=5><--pin>");
	expect("a", "<a>");
}
END_TEST

START_TEST(quotes_keep_blanks)
{
	expect("'a b' \"c d\" e\\ f", "<a b><c d><e f>");
	expect("--skip='x y'z", "<--skip=x yz>");
	expect("'' \"\" x", "<><><x>");
	expect("'a\\b' \"a\\b\" \"a\\\"b\\\\\" a\\b", "<a\\b><a\\b><a\"b\\><ab>");
	expect("'\"' \"'\"", "<\"><'>");
}
END_TEST

START_TEST(what_is_not_closed_is_told)
{
	refuse("-n 'five", "the quote before 'five' is not closed");
	refuse("\"", "the quote before '' is not closed");
	refuse("a\\", "nothing follows the last backslash");
}
END_TEST

/* Lines of the characters that matter, each as the shell splits it where the shell takes it. */
START_TEST(a_shell_splits_alike)
{
	static const char letters[] = "a '\"\\";
	enum { LENGTH = 5, LETTERS = sizeof letters - 1 };
	_cleanup_buffer_ struct buffer script = {0}, expected = {0}, seen = {0};
	for (unsigned n = 0; n < 3125; n += 2) {
		char line[LENGTH + 1] = "";
		unsigned rest = n;
		for (int i = 0; i < LENGTH; i++, rest /= LETTERS)
			line[i] = letters[rest % LETTERS];
		struct words words;
		struct error *err = words_split(line, &words);
		if (err) {
			error_free(err);
			continue;
		}
		append_shown(&expected, &words);
		buffer_char(&expected, '\n');
		buffer_printf(&script, "set -- %s\nfor w; do printf '<%%s>' \"$w\"; done; echo\n",
			      line);
		words_deinit(&words);
	}
	char path[] = "/tmp/tracealloc-words-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_eq(write(fd, buffer_text(&script), script.count), (ssize_t)script.count);
	_cleanup_buffer_ struct buffer command = {0};
	buffer_printf(&command, "sh %s", path);
	FILE *shell = popen(buffer_text(&command), "r");
	char piece[256];
	while (fgets(piece, sizeof piece, shell))
		buffer_string(&seen, piece);
	ck_assert_int_eq(pclose(shell), 0);
	unlink(path);
	ck_assert_uint_gt(expected.count, 1000);
	ck_assert_str_eq(buffer_text(&seen), buffer_text(&expected));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/words");
	TCase *tests = tcase_create("words");
	tcase_add_test(tests, blanks_separate_words);
	tcase_add_test(tests, quotes_keep_blanks);
	tcase_add_test(tests, what_is_not_closed_is_told);
	tcase_add_test(tests, a_shell_splits_alike);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
