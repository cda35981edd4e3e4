/* SPDX-License-Identifier: MIT */
/* Numbers, durations and choices as people write them. */
#include "cli/parse.h"

#include <check.h>
#include <stdlib.h>

START_TEST(a_number_is_decimal_digits_alone)
{
	uint64_t value = 0;
	ck_assert(parse_number("0", 0, 10, &value));
	ck_assert_uint_eq(value, 0);
	ck_assert(parse_number("010", 0, 10, &value));
	ck_assert_uint_eq(value, 10);
	static const char *const refused[] = {"",   " 1", "1 ",	  "+1",	 "-1",
					      "1a", "a",  "0x10", "1.0", "1e3"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_msg(!parse_number(refused[i], 0, UINT64_MAX, &value), "'%s'", refused[i]);
}
END_TEST

START_TEST(a_number_outside_its_bounds_is_refused)
{
	uint64_t value = 77;
	ck_assert(parse_number("1", 1, 3, &value));
	ck_assert(parse_number("3", 1, 3, &value));
	value = 77;
	ck_assert(!parse_number("0", 1, 3, &value));
	ck_assert(!parse_number("4", 1, 3, &value));
	ck_assert_uint_eq(value, 77);
}
END_TEST

START_TEST(a_number_beyond_64_bits_is_refused)
{
	uint64_t value;
	ck_assert(parse_number("18446744073709551615", 0, UINT64_MAX, &value));
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert(!parse_number("18446744073709551616", 0, UINT64_MAX, &value));
	ck_assert(!parse_number("99999999999999999999999999", 0, UINT64_MAX, &value));
}
END_TEST

START_TEST(a_duration_has_a_unit_or_means_seconds)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} cases[] = {
		{"1", 1000000000},	 {"10s", 10000000000},
		{"500ms", 500000000},	 {"2m", 120000000000},
		{"1h", 3600000000000},	 {"0.2s", 200000000},
		{"1.5h", 5400000000000}, {"0.000000001", 1},
		{"0.5ms", 500000},	 {"1.123456789s", 1123456789},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t ns = 0;
		ck_assert_msg(parse_duration(cases[i].text, &ns), "'%s'", cases[i].text);
		ck_assert_uint_eq(ns, cases[i].ns);
	}
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
	static const char *const refused[] = {
		"",	"s",	 "ms",	"-1s", "+1s",		"1 s",	 " 1s",
		"1s ",	"1d",	 "1S",	"1us", "1ns",		"1.s",	 ".5s",
		"1..5", "1.5.5", "1e3", "0x1", "0.1234567890s", "1m30s", "1,5",
		"inf",	"nan",
	};
	uint64_t ns = 5;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_msg(!parse_duration(refused[i], &ns), "'%s'", refused[i]);
	ck_assert_uint_eq(ns, 5);
}
END_TEST

START_TEST(a_duration_of_nothing_is_refused)
{
	uint64_t ns;
	ck_assert(!parse_duration("0", &ns));
	ck_assert(!parse_duration("0s", &ns));
	ck_assert(!parse_duration("0.0h", &ns));
	ck_assert(!parse_duration("0.0000001ms", &ns));
}
END_TEST

START_TEST(a_duration_beyond_its_bound_is_refused)
{
	uint64_t ns;
	ck_assert(parse_duration("9223372036.854775807", &ns));
	ck_assert_uint_eq(ns, PARSE_DURATION_MAX_NS);
	ck_assert(!parse_duration("9223372036.854775808", &ns));
	ck_assert(!parse_duration("18446744073709551615", &ns));
	ck_assert(!parse_duration("5124095576030431h", &ns));
	ck_assert(!parse_duration("99999999999999999999999s", &ns));
}
END_TEST

START_TEST(a_size_has_a_unit_or_means_bytes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
		{"0", 0},
		{"7", 7},
		{"7B", 7},
		{"7b", 7},
		{"3k", 3072},
		{"3K", 3072},
		{"3KiB", 3072},
		{"3kib", 3072},
		{"2M", 2u << 20},
		{"2MiB", 2u << 20},
		{"1g", 1u << 30},
		{"1TiB", UINT64_C(1) << 40},
		{"16777215T", UINT64_C(16777215) << 40},
		{"18446744073709551615", UINT64_MAX},
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint64_t bytes;
		ck_assert_msg(parse_size(sizes[i].text, &bytes), "'%s'", sizes[i].text);
		ck_assert_uint_eq(bytes, sizes[i].bytes);
	}
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const refused[] = {
		"",	 "k",	  "-1",	  "+1",	  " 1",	 "1 ", "1 k",	    "1kk",
		"1kB",	 "1kiBx", "1.5M", "0x10", "1e3", "1P", "16777216T", "18446744073709551616",
		"1\x0b", "1Bi",
	};
	uint64_t bytes = 5;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_msg(!parse_size(refused[i], &bytes), "'%s'", refused[i]);
	ck_assert_uint_eq(bytes, 5);
}
END_TEST

START_TEST(a_choice_is_one_whole_word)
{
	size_t index = 9;
	ck_assert(parse_choice("line", "line|file|function", &index));
	ck_assert_uint_eq(index, 0);
	ck_assert(parse_choice("file", "line|file|function", &index));
	ck_assert_uint_eq(index, 1);
	ck_assert(parse_choice("function", "line|file|function", &index));
	ck_assert_uint_eq(index, 2);
	index = 9;
	static const char *const refused[] = {"",	   "fil", "files",     "LINE",
					      "line|file", "|",	  "function|", "func"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_msg(!parse_choice(refused[i], "line|file|function", &index), "'%s'",
			      refused[i]);
	ck_assert_uint_eq(index, 9);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/parse");
	TCase *tests = tcase_create("parse");
	tcase_add_test(tests, a_number_is_decimal_digits_alone);
	tcase_add_test(tests, a_number_outside_its_bounds_is_refused);
	tcase_add_test(tests, a_number_beyond_64_bits_is_refused);
	tcase_add_test(tests, a_duration_has_a_unit_or_means_seconds);
	tcase_add_test(tests, what_is_no_duration_is_refused);
	tcase_add_test(tests, a_duration_of_nothing_is_refused);
	tcase_add_test(tests, a_duration_beyond_its_bound_is_refused);
	tcase_add_test(tests, a_size_has_a_unit_or_means_bytes);
	tcase_add_test(tests, what_is_no_size_is_refused);
	tcase_add_test(tests, a_choice_is_one_whole_word);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
