/* SPDX-License-Identifier: MIT */
#include "base/array.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A refused allocation is NULL under the address sanitizer, too, instead of the program's end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

START_TEST(room_is_made_for_what_is_needed)
{
	for (size_t need = 1; need < 2000; need++) {
		_cleanup_free_ uint64_t *items = NULL;
		size_t capacity = 0;
		ck_assert(array_reserve(&items, &capacity, need, sizeof *items));
		ck_assert_uint_ge(capacity, need);
		memset(items, 0x5a, capacity * sizeof *items);
	}
}
END_TEST

START_TEST(room_that_is_there_is_left_alone)
{
	_cleanup_free_ char *items = NULL;
	size_t capacity = 0;
	ck_assert(array_reserve(&items, &capacity, 100, 1));
	char *before = items;
	size_t room = capacity;
	for (size_t need = 0; need <= room; need++) {
		ck_assert(array_reserve(&items, &capacity, need, 1));
		ck_assert_ptr_eq(items, before);
		ck_assert_uint_eq(capacity, room);
	}
}
END_TEST

START_TEST(nothing_is_needed_of_an_empty_array)
{
	char *items = NULL;
	size_t capacity = 0;
	ck_assert(array_reserve(&items, &capacity, 0, 8));
	ck_assert_ptr_null(items);
	ck_assert_uint_eq(capacity, 0);
}
END_TEST

START_TEST(items_survive_growth)
{
	_cleanup_free_ uint32_t *items = NULL;
	size_t capacity = 0, growths = 0;
	const uint32_t count = 1000000;
	for (uint32_t i = 0; i < count; i++) {
		size_t before = capacity;
		ck_assert(array_reserve(&items, &capacity, i + (size_t)1, sizeof *items));
		growths += capacity != before;
		items[i] = i * 7;
	}
	for (uint32_t i = 0; i < count; i++)
		if (items[i] != i * 7)
			ck_abort_msg("item %u was lost", i);
	/* By half at a time: ln(1000000 / 8) / ln(3/2) = 29. */
	ck_assert_uint_le(growths, 31);
}
END_TEST

static void check_refused(size_t need, size_t item_bytes)
{
	_cleanup_free_ char *items = malloc(16);
	ck_assert_ptr_nonnull(items);
	memcpy(items, "fifteen letters", 16);
	char *before = items;
	size_t capacity = 1;
	ck_assert(!array_reserve(&items, &capacity, need, item_bytes));
	ck_assert_ptr_eq(items, before);
	ck_assert_uint_eq(capacity, 1);
	ck_assert_str_eq(items, "fifteen letters");
}

START_TEST(a_size_that_overflows_is_refused_and_changes_nothing)
{
	check_refused(SIZE_MAX, 2);
	check_refused(SIZE_MAX / 2 + 1, 2);
	check_refused(SIZE_MAX / 16 + 2, 16);
	check_refused((SIZE_MAX >> 32) + 2, (size_t)1 << 32);
	/* The product wraps to 16: without the check this would look like a small array. */
	check_refused(((size_t)1 << 60) + 1, 16);
	check_refused(9, SIZE_MAX / 8);
}
END_TEST

START_TEST(a_size_that_nobody_has_is_refused_and_changes_nothing)
{
	check_refused(PTRDIFF_MAX, 1);
	check_refused((size_t)1 << 59, 16);
}
END_TEST

START_TEST(a_capacity_whose_half_overflows_does_not_confuse)
{
	/* Nobody has such an array: only the arithmetic is looked at. */
	_cleanup_free_ char *items = malloc(1);
	size_t capacity = SIZE_MAX - 2;
	ck_assert(!array_reserve(&items, &capacity, SIZE_MAX - 1, 2));
	ck_assert_uint_eq(capacity, SIZE_MAX - 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("array");
	TCase *tests = tcase_create("array");
	tcase_add_test(tests, room_is_made_for_what_is_needed);
	tcase_add_test(tests, room_that_is_there_is_left_alone);
	tcase_add_test(tests, nothing_is_needed_of_an_empty_array);
	tcase_add_test(tests, items_survive_growth);
	tcase_add_test(tests, a_size_that_overflows_is_refused_and_changes_nothing);
	tcase_add_test(tests, a_size_that_nobody_has_is_refused_and_changes_nothing);
	tcase_add_test(tests, a_capacity_whose_half_overflows_does_not_confuse);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
