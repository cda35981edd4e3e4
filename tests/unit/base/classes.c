/* SPDX-License-Identifier: MIT */
/* Classes of sizes and times hold what they say, and meet without gaps. */
#include <check.h>
#include <stdlib.h>

#include "base/size_class.h"
#include "base/time_class.h"

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ *state >> 29;
}

START_TEST(size_classes_follow_each_other_without_gaps)
{
	uint64_t expected = 0;
	for (uint32_t class = 0; class + 1 < SIZE_CLASS_COUNT; class ++) {
		struct size_range range = size_class_range(class);
		ck_assert_uint_eq(range.low_bytes, expected);
		ck_assert_uint_ge(range.high_bytes, range.low_bytes);
		ck_assert_uint_eq(size_class_of(range.low_bytes), class);
		ck_assert_uint_eq(size_class_of(range.high_bytes), class);
		expected = range.high_bytes + 1;
	}
	/* The last class would hold 2^64 alone. */
	ck_assert_uint_eq(expected, 0);
}
END_TEST

START_TEST(a_size_lies_in_its_class)
{
	uint64_t state = 1;
	for (int i = 0; i < 100000; i++) {
		uint64_t size = next(&state) >> next(&state) % 64;
		struct size_range range = size_class_range(size_class_of(size));
		struct size_range power = size_power_range(size_power_of(size));
		ck_assert(range.low_bytes <= size && size <= range.high_bytes);
		ck_assert(power.low_bytes <= range.low_bytes &&
			  range.high_bytes <= power.high_bytes);
		ck_assert(range.low_bytes == range.high_bytes || size > 256);
		ck_assert_uint_le((range.high_bytes - range.low_bytes) / 2 + 1, size / 8 + 1);
	}
}
END_TEST

START_TEST(usual_sizes_are_borders_from_both_sides)
{
	static const uint64_t usual[] = {0,    1,    100,   256,    512,     1024,   4096,
					 4608, 8192, 65536, 131072, 1 << 20, 3 << 20};
	uint64_t below, above;
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		struct size_range up = {usual[i], UINT64_MAX}, down = {0, usual[i]};
		struct size_range alone = {usual[i], usual[i]};
		ck_assert(size_class_divides(up, &below, &above));
		ck_assert(size_class_divides(down, &below, &above));
		ck_assert(size_class_divides(alone, &below, &above));
	}
	ck_assert(!size_class_divides((struct size_range){0, 1000}, &below, &above));
	ck_assert_uint_eq(below, 960);
	ck_assert_uint_eq(above, 1024);
	ck_assert(!size_class_divides((struct size_range){5000, UINT64_MAX}, &below, &above));
	ck_assert_uint_eq(below, 4608);
	ck_assert_uint_eq(above, 5120);
}
END_TEST

START_TEST(time_classes_follow_each_other_without_gaps)
{
	uint64_t lifetime = 0, age = 0;
	for (uint32_t class = 0; class < LIFETIME_CLASS_COUNT; class ++) {
		struct time_range range = lifetime_class_range(class);
		ck_assert_uint_eq(range.low_ns, lifetime);
		ck_assert_uint_eq(lifetime_class_of(range.low_ns), class);
		ck_assert_uint_eq(lifetime_class_of(range.high_ns - 1), class);
		lifetime = range.high_ns;
	}
	ck_assert_uint_eq(lifetime, UINT64_MAX);
	for (uint32_t class = 0; class < AGE_CLASS_COUNT; class ++) {
		struct time_range range = age_class_range(class);
		ck_assert_uint_eq(range.low_ns, age);
		ck_assert_uint_eq(age_class_of(range.low_ns), class);
		ck_assert_uint_eq(age_class_of(range.high_ns - 1), class);
		age = range.high_ns;
	}
	ck_assert_uint_eq(age, UINT64_MAX);
	ck_assert_uint_eq(age_class_of(UINT64_MAX), AGE_CLASS_COUNT - 1);
}
END_TEST

START_TEST(times_that_people_say_are_borders)
{
	static const uint64_t seconds[] = {1, 2, 5, 10, 20, 30, 60, 300, 600, 1800, 3600, 86400};
	uint64_t below, above;
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		uint64_t ns = seconds[i] * 1000000000;
		ck_assert(age_class_divides((struct time_range){ns, UINT64_MAX}, &below, &above));
		ck_assert(age_class_divides((struct time_range){0, ns}, &below, &above));
	}
	struct time_range odd = {11000000000, UINT64_MAX}, odd_end = {0, 45000000000};
	ck_assert(!age_class_divides(odd, &below, &above));
	ck_assert_uint_eq(below, 10000000000);
	ck_assert_uint_eq(above, 20000000000);
	ck_assert(!age_class_divides(odd_end, &below, &above));
	ck_assert_uint_eq(below, 30000000000);
	ck_assert_uint_eq(above, 50000000000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("classes");
	TCase *cases = tcase_create("classes");
	tcase_add_test(cases, size_classes_follow_each_other_without_gaps);
	tcase_add_test(cases, a_size_lies_in_its_class);
	tcase_add_test(cases, usual_sizes_are_borders_from_both_sides);
	tcase_add_test(cases, time_classes_follow_each_other_without_gaps);
	tcase_add_test(cases, times_that_people_say_are_borders);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
