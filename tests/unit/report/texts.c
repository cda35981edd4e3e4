/* SPDX-License-Identifier: MIT */
#include "report/texts.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

START_TEST(texts_are_numbered_in_the_order_of_their_first_appearance)
{
	_cleanup_texts_ struct texts texts = {0};
	ck_assert_uint_eq(texts_add(&texts, "b"), 0);
	ck_assert_uint_eq(texts_add(&texts, ""), 1);
	ck_assert_uint_eq(texts_add(&texts, "a"), 2);
	ck_assert_uint_eq(texts_add(&texts, ""), 1);
	ck_assert_uint_eq(texts_add(&texts, "b"), 0);
	ck_assert_uint_eq(texts.count, 3);
	ck_assert_str_eq(texts_get(&texts, 2), "a");
	ck_assert(!texts.failed);
}
END_TEST

START_TEST(many_texts_keep_their_numbers)
{
	enum { COUNT = 20000 };
	_cleanup_texts_ struct texts texts = {0};
	char text[32];
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT; i++) {
			snprintf(text, sizeof text, "text %zu", i * 7919 % COUNT);
			ck_assert_uint_eq(texts_add(&texts, text), i);
			ck_assert_str_eq(texts_get(&texts, i), text);
		}
	}
	ck_assert_uint_eq(texts.count, COUNT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("texts");
	TCase *cases = tcase_create("texts");
	tcase_add_test(cases, texts_are_numbered_in_the_order_of_their_first_appearance);
	tcase_add_test(cases, many_texts_keep_their_numbers);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
