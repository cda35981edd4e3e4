/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* What a sink was given last, and how often it was called. */
struct heard {
	unsigned calls;
	enum log_level level;
	char message[64];
};

static void hear(void *context, enum log_level level, const char *message)
{
	struct heard *heard = context;
	heard->calls++;
	heard->level = level;
	strncpy(heard->message, message, sizeof heard->message - 1);
}

START_TEST(a_message_reaches_the_sink_formatted)
{
	struct heard heard = {0};
	struct log log = {.level = LOG_DEBUG, .write = hear, .context = &heard};
	log_write(&log, LOG_INFO, "%s has %d", "it", 3);
	ck_assert_uint_eq(heard.calls, 1);
	ck_assert_int_eq(heard.level, LOG_INFO);
	ck_assert_str_eq(heard.message, "it has 3");
}
END_TEST

START_TEST(messages_above_the_level_are_dropped_and_no_others)
{
	static const enum log_level levels[] = {LOG_WARNING, LOG_INFO, LOG_DEBUG};
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 3; j++) {
			struct heard heard = {0};
			struct log log = {levels[i], hear, &heard};
			log_write(&log, levels[j], "word");
			ck_assert_uint_eq(heard.calls, j <= i);
		}
	}
}
END_TEST

START_TEST(nobody_need_listen)
{
	struct log log = {.level = LOG_DEBUG};
	log_write(NULL, LOG_WARNING, "%s", "into the void");
	log_write(&log, LOG_WARNING, "%s", "into the void");
}
END_TEST

START_TEST(a_message_that_cannot_be_formatted_is_dropped)
{
	struct heard heard = {0};
	struct log log = {LOG_DEBUG, hear, &heard};
	/* The C locale has no such character. */
	log_write(&log, LOG_WARNING, "%lc", (wint_t)0x20ac);
	ck_assert_uint_eq(heard.calls, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");
	tcase_add_test(tests, a_message_reaches_the_sink_formatted);
	tcase_add_test(tests, messages_above_the_level_are_dropped_and_no_others);
	tcase_add_test(tests, nobody_need_listen);
	tcase_add_test(tests, a_message_that_cannot_be_formatted_is_dropped);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
