/* SPDX-License-Identifier: MIT */
#include "session/previous.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum { FRAMES_MAX = 64, DEPTH = 2000 };

/* A letter is a frame; those of upper case are of another image. */
static size_t frames_of(const char *letters, struct frame *ret)
{
	size_t count = 0;
	for (; letters[count]; count++) {
		char letter = letters[count];
		ret[count].image.v = letter < 'a' ? 2 : 1;
		ret[count].address = (uint64_t)(letter | 0x20);
	}
	return count;
}

static void set(struct previous *previous, const char *letters)
{
	struct frame frames[FRAMES_MAX];
	size_t count = frames_of(letters, frames);
	ck_assert_ptr_null(previous_begin(previous, count));
	for (size_t i = 0; i < count; i++)
		previous->items[previous->count++] =
			(struct previous_frame){frames[i], 100 + 2 * i, false};
	previous->end = 100 + 2 * count;
}

static void expect(const char *before, const char *now, size_t here, size_t there, size_t count)
{
	struct previous previous = {0};
	struct frame frames[FRAMES_MAX];
	set(&previous, before);
	struct previous_run run = previous_match(&previous, frames, frames_of(now, frames));
	ck_assert_msg(run.count == count, "%s, %s: %zu in common", before, now, run.count);
	if (count) {
		ck_assert_uint_eq(run.here, here);
		ck_assert_uint_eq(run.there, there);
		ck_assert_uint_eq(previous_run_first(&previous, &run), 100 + 2 * there);
		ck_assert_uint_eq(previous_run_end(&previous, &run), 100 + 2 * (there + count));
	}
	previous_deinit(&previous);
}

START_TEST(what_two_stacks_have_in_common_is_found)
{
	expect("abcxyz", "defxyz", 3, 3, 3);
	expect("abcxyz", "axyz", 1, 3, 3);
	expect("axyz", "abcxyz", 3, 1, 3);
	expect("xyz", "xyz", 0, 0, 3);
	expect("z", "z", 0, 0, 1);
}
END_TEST

START_TEST(what_was_cut_at_the_depth_limit_is_found_though_it_is_moved)
{
	expect("abcdefgh", "qabcdefg", 1, 0, 7);
	expect("abcdefgh", "qrabcdef", 2, 0, 6);
	expect("abcdefgh", "bcdefghi", 0, 1, 7);
	expect("abcdefgh", "qdefghij", 1, 3, 5);
	/* The nearest is not the longest. */
	expect("abcdxfgx", "qabcdxfg", 1, 0, 7);
}
END_TEST

START_TEST(what_is_not_common_is_not_taken_for_it)
{
	expect("", "abc", 0, 0, 0);
	expect("abc", "", 0, 0, 0);
	expect("abc", "def", 0, 0, 0);
	expect("abc", "abC", 2, 1, 0);
	expect("xyz", "xyZ", 0, 0, 0);
	/* In the middle of both: not looked for. */
	expect("abxyzc", "qrxyzs", 0, 0, 0);
}
END_TEST

/* The search ends before it has tried every cut; what it has is in common all the same. */
START_TEST(what_is_found_in_deep_recursion_is_in_common)
{
	struct previous previous = {0};
	_cleanup_free_ struct frame *frames = calloc(DEPTH, sizeof *frames);
	ck_assert_ptr_null(previous_begin(&previous, DEPTH));
	for (size_t i = 0; i < DEPTH; i++) {
		struct frame frame = {{i == DEPTH / 2 ? 2 : 1}, 7};
		previous.items[previous.count++] = (struct previous_frame){frame, i, false};
		frames[i] = (struct frame){{i == DEPTH / 3 ? 3 : 1}, 7};
	}
	struct previous_run run = previous_match(&previous, frames, DEPTH);
	ck_assert_uint_ge(run.count, DEPTH / 2 - 1);
	for (size_t i = 0; i < run.count; i++)
		ck_assert_uint_eq(previous.items[run.there + i].frame.image.v,
				  frames[run.here + i].image.v);
	previous_deinit(&previous);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("previous");
	TCase *cases = tcase_create("previous");
	tcase_add_test(cases, what_two_stacks_have_in_common_is_found);
	tcase_add_test(cases, what_was_cut_at_the_depth_limit_is_found_though_it_is_moved);
	tcase_add_test(cases, what_is_not_common_is_not_taken_for_it);
	tcase_add_test(cases, what_is_found_in_deep_recursion_is_in_common);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
