/* SPDX-License-Identifier: MIT */
/* Calls by hand, one rule of the header at a time. */
#include "probe/calls.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "unit/probe/calls_fixture.h"

/* A whole malloc of 16 bytes that is seen, as a sign that nothing old stands in the way. */
static void check_counted(struct calls *calls, uint64_t place)
{
	check_silent(enter(calls, &malloc_row, place, ARGUMENTS(16)));
	check_only(leave(calls, place, OTHER), EVENT_CREATE, OTHER, 0, 16);
}

START_TEST(a_malloc_gives_its_block_when_it_returns)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(100)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 100);
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(0)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 0);
}
END_TEST

START_TEST(a_refused_malloc_is_a_failed_call)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(UINT64_MAX)));
	check_only(leave(&calls, MAIN, 0), EVENT_FAILED, 0, 0, UINT64_MAX);
}
END_TEST

START_TEST(a_calloc_is_as_large_as_all_its_members)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &calloc_row, MAIN, ARGUMENTS(7, 9)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 63);
	check_silent(enter(&calls, &calloc_row, MAIN, ARGUMENTS(0, 9)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 0);
}
END_TEST

START_TEST(a_size_that_overflows_is_the_largest_there_is)
{
	struct calls calls = {.count = 0};
	check_silent(
		enter(&calls, &calloc_row, MAIN, ARGUMENTS(UINT64_C(1) << 32, UINT64_C(1) << 32)));
	check_only(leave(&calls, MAIN, 0), EVENT_FAILED, 0, 0, UINT64_MAX);
	check_only(enter(&calls, &reallocarray_row, MAIN, ARGUMENTS(BLOCK, UINT64_MAX, 2)),
		   EVENT_RESIZE_BEGIN, 0, BLOCK, 0);
	check_only(leave(&calls, MAIN, 0), EVENT_RESIZE_END, 0, BLOCK, UINT64_MAX);
}
END_TEST

START_TEST(a_free_counts_when_it_is_entered)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &free_row, MAIN, ARGUMENTS(BLOCK)), EVENT_RELEASE, BLOCK, 0, 0);
	check_silent(leave(&calls, MAIN, 1));
	check_only(enter(&calls, &free_row, MAIN, ARGUMENTS(0)), EVENT_RELEASE, 0, 0, 0);
	check_silent(leave(&calls, MAIN, 0));
	check_counted(&calls, MAIN - 64);
}
END_TEST

START_TEST(a_release_that_calls_others_hides_them)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &pool_put_row, MAIN, ARGUMENTS(BLOCK)), EVENT_RELEASE, BLOCK, 0,
		   0);
	check_silent(enter(&calls, &free_row, MAIN - 32, ARGUMENTS(OTHER)));
	check_silent(leave(&calls, MAIN - 32, 0));
	check_silent(leave(&calls, MAIN, 0));
	check_only(enter(&calls, &free_row, MAIN - 32, ARGUMENTS(OTHER)), EVENT_RELEASE, OTHER, 0,
		   0);
}
END_TEST

/* size_t xallocx(void *ptr, size_t size, size_t extra, int flags) */
START_TEST(a_resize_in_place_gives_the_size_asked_for_or_is_refused)
{
	static const struct allocator_function xallocx_row = {
		"xallocx", ALLOCATOR_RESIZE, ALLOCATOR_RETURNS_SIZE, .pointer_argument = 1,
		.size_argument = 2};
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &xallocx_row, MAIN, ARGUMENTS(BLOCK, 100)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave(&calls, MAIN, 112), EVENT_RESIZE_END, BLOCK, BLOCK, 100);
	check_only(enter(&calls, &xallocx_row, MAIN, ARGUMENTS(BLOCK, 200)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave(&calls, MAIN, 112), EVENT_RESIZE_END, 0, BLOCK, 200);
}
END_TEST

START_TEST(a_realloc_of_nothing_creates)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &realloc_row, MAIN, ARGUMENTS(0, 50)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 50);
	check_silent(enter(&calls, &realloc_row, MAIN, ARGUMENTS(0, 50)));
	check_only(leave(&calls, MAIN, 0), EVENT_FAILED, 0, 0, 50);
	check_silent(enter(&calls, &realloc_row, MAIN, ARGUMENTS(0, 0)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 0);
}
END_TEST

START_TEST(a_realloc_begins_and_ends_wherever_its_block_goes)
{
	static const uint64_t results[] = {OTHER, BLOCK, 0};
	for (size_t i = 0; i < 3; i++) {
		struct calls calls = {.count = 0};
		check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 70)),
			   EVENT_RESIZE_BEGIN, 0, BLOCK, 0);
		check_only(leave(&calls, MAIN, results[i]), EVENT_RESIZE_END, results[i], BLOCK,
			   70);
		check_counted(&calls, MAIN - 64);
	}
}
END_TEST

START_TEST(a_realloc_to_nothing_is_what_its_result_says)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 0)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave(&calls, MAIN, 0), EVENT_RESIZE_RELEASED, 0, BLOCK, 0);
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 0)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, BLOCK, 0);
}
END_TEST

START_TEST(a_reallocarray_that_jumps_into_realloc_begins_once)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &reallocarray_row, MAIN, ARGUMENTS(BLOCK, 3, 5)),
		   EVENT_RESIZE_BEGIN, 0, BLOCK, 0);
	check_silent(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 15)));
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, BLOCK, 15);
	check_silent(leave(&calls, MAIN, OTHER));
}
END_TEST

START_TEST(a_reallocarray_of_nothing_that_jumps_on_twice_creates_once)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &reallocarray_row, MAIN, ARGUMENTS(0, 3, 5)));
	check_silent(enter(&calls, &realloc_row, MAIN, ARGUMENTS(0, 15)));
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(15)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 15);
}
END_TEST

START_TEST(a_memalign_that_jumps_into_malloc_creates_once)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &memalign_row, MAIN, ARGUMENTS(16, 40)));
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(40)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 40);
	check_silent(leave(&calls, MAIN, BLOCK));
}
END_TEST

START_TEST(a_realloc_that_jumps_into_free_releases_once)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 0)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	struct calls_outcome outcome = enter(&calls, &free_row, MAIN, ARGUMENTS(BLOCK, 0));
	check_cancelled(outcome, BLOCK);
	check_event(outcome, EVENT_RELEASE, BLOCK, 0, 0);
	check_silent(leave(&calls, MAIN, 0));
}
END_TEST

START_TEST(a_realloc_that_jumps_into_one_of_another_block_is_the_other)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 30)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	struct calls_outcome outcome = enter(&calls, &realloc_row, MAIN, ARGUMENTS(OTHER, 46));
	check_cancelled(outcome, BLOCK);
	check_event(outcome, EVENT_RESIZE_BEGIN, 0, OTHER, 0);
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, OTHER, 46);
}
END_TEST

START_TEST(a_whole_call_that_jumps_into_malloc_is_counted_as_its_own)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &wrap_get_row, MAIN, ARGUMENTS(10)));
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(40)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 30);
	check_silent(leave(&calls, MAIN, BLOCK));
	/* The same where malloc is seen at its exit alone. */
	check_silent(enter(&calls, &wrap_get_row, MAIN, ARGUMENTS(UINT64_MAX)));
	check_only(leave_sized(&calls, &malloc_row, MAIN, 40, BLOCK), EVENT_CREATE, BLOCK, 0,
		   UINT64_MAX);
}
END_TEST

START_TEST(a_whole_call_that_jumps_into_free_releases_once_and_has_ended)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &wrap_put_row, MAIN, ARGUMENTS(BLOCK)), EVENT_RELEASE, BLOCK, 0,
		   0);
	check_silent(enter(&calls, &free_row, MAIN, ARGUMENTS(BLOCK)));
	check_only(enter(&calls, &free_row, MAIN - 64, ARGUMENTS(OTHER)), EVENT_RELEASE, OTHER, 0,
		   0);
}
END_TEST

START_TEST(a_whole_call_that_was_left_gives_way_to_the_same_function)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &wrap_get_row, MAIN, ARGUMENTS(10)));
	check_silent(enter(&calls, &wrap_get_row, MAIN, ARGUMENTS(20)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 60);
}
END_TEST

START_TEST(what_a_hiding_call_calls_is_not_counted)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &refill_row, MAIN, ARGUMENTS(10)));
	check_silent(enter(&calls, &malloc_row, MAIN - 64, ARGUMENTS(4096)));
	check_silent(leave(&calls, MAIN - 64, BLOCK));
	check_silent(enter(&calls, &free_row, MAIN - 64, ARGUMENTS(BLOCK)));
	check_silent(leave(&calls, MAIN, BLOCK));
	check_silent(enter(&calls, &malloc_row, MAIN - 64, ARGUMENTS(8)));
	check_only(leave(&calls, MAIN - 64, BLOCK), EVENT_CREATE, BLOCK, 0, 8);
}
END_TEST

START_TEST(a_stored_result_is_completed_from_its_slot)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &posix_memalign_row, MAIN, ARGUMENTS(SLOT, 64, 200)));
	struct calls_outcome outcome = leave(&calls, MAIN, 0);
	ck_assert_uint_eq(outcome.result_slot.v, SLOT);
	calls_stored(&outcome, (target_addr){BLOCK});
	check_only(outcome, EVENT_CREATE, BLOCK, 0, 200);
}
END_TEST

START_TEST(a_refusal_is_returned_and_nothing_is_stored)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &posix_memalign_row, MAIN, ARGUMENTS(SLOT, 3, 200)));
	check_only(leave(&calls, MAIN, EINVAL), EVENT_FAILED, 0, 0, 200);
}
END_TEST

START_TEST(a_stored_null_is_no_block)
{
	/* posix_memalign(3) may store NULL for a size of 0; and a slot may be unreadable. */
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &posix_memalign_row, MAIN, ARGUMENTS(SLOT, 64, 0)));
	struct calls_outcome outcome = leave(&calls, MAIN, 0);
	calls_stored(&outcome, (target_addr){0});
	for (size_t i = 0; i < outcome.event_count; i++)
		ck_assert_int_ne(outcome.events[i].kind, EVENT_CREATE);
}
END_TEST

START_TEST(only_the_lower_half_of_a_register_holds_an_int)
{
	/* psABI 3.2.3: the upper bytes of a register that returns a smaller type are undefined. */
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &posix_memalign_row, MAIN, ARGUMENTS(SLOT, 64, 200)));
	struct calls_outcome outcome = leave(&calls, MAIN, UINT64_C(0xdeadbeef00000000));
	ck_assert_uint_eq(outcome.result_slot.v, SLOT);
	calls_stored(&outcome, (target_addr){BLOCK});
	check_only(outcome, EVENT_CREATE, BLOCK, 0, 200);
}
END_TEST

START_TEST(calls_inside_a_call_are_not_counted)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_silent(enter(&calls, &calloc_row, MAIN - 48, ARGUMENTS(1, 80)));
	check_silent(enter(&calls, &malloc_row, MAIN - 96, ARGUMENTS(80)));
	check_silent(leave(&calls, MAIN - 96, OTHER));
	check_silent(leave(&calls, MAIN - 48, OTHER));
	check_silent(enter(&calls, &realloc_row, MAIN - 48, ARGUMENTS(SLOT, 1)));
	check_silent(leave(&calls, MAIN - 48, SLOT));
	check_silent(enter(&calls, &free_row, MAIN - 8, ARGUMENTS(BLOCK)));
	check_silent(leave(&calls, MAIN - 8, 0));
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, BLOCK, 80);
}
END_TEST

START_TEST(an_exit_without_entry_is_ignored)
{
	struct calls calls = {.count = 0};
	check_silent(leave(&calls, MAIN, BLOCK));
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(5)));
	check_silent(leave(&calls, MAIN - 8, BLOCK));
	check_silent(leave(&calls, MAIN + 8, BLOCK));
	check_silent(leave(&calls, HANDLER, BLOCK));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 5);
	check_silent(leave(&calls, MAIN, BLOCK));
}
END_TEST

START_TEST(a_call_left_by_longjmp_gives_nothing)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(5)));
	check_counted(&calls, MAIN + 64);
	check_silent(leave(&calls, MAIN, BLOCK));
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(5)));
	check_counted(&calls, MAIN);
	check_silent(leave(&calls, MAIN, BLOCK));
}
END_TEST

START_TEST(a_resize_left_by_longjmp_is_cancelled_by_the_next_entry)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	struct calls_outcome outcome = enter(&calls, &free_row, MAIN + 8, ARGUMENTS(BLOCK));
	check_cancelled(outcome, BLOCK);
	check_event(outcome, EVENT_RELEASE, BLOCK, 0, 0);

	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	outcome = enter(&calls, &malloc_row, MAIN + 8, ARGUMENTS(3));
	check_cancelled(outcome, BLOCK);
	ck_assert_uint_eq(outcome.event_count, 0);
	check_only(leave(&calls, MAIN + 8, OTHER), EVENT_CREATE, OTHER, 0, 3);
}
END_TEST

START_TEST(a_resize_left_by_longjmp_and_begun_anew_ends_once)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	/* At the same place the second cannot be told from a tail call, and need not be. */
	struct calls_outcome outcome = enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 90));
	ck_assert_uint_eq(outcome.event_count, outcome.cancelled_count);
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, BLOCK, 90);
}
END_TEST

START_TEST(a_longjmp_within_a_call_leaves_it_under_way)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &calloc_row, MAIN, ARGUMENTS(2, 4)));
	check_silent(enter(&calls, &malloc_row, MAIN - 96, ARGUMENTS(8)));
	check_silent(enter(&calls, &malloc_row, MAIN - 48, ARGUMENTS(8)));
	check_silent(leave(&calls, MAIN - 48, BLOCK));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 8);
}
END_TEST

START_TEST(a_handler_on_its_own_stack_is_counted_apart)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_counted(&calls, HANDLER);
	check_only(enter(&calls, &free_row, HANDLER, ARGUMENTS(OTHER)), EVENT_RELEASE, OTHER, 0, 0);
	check_silent(leave(&calls, HANDLER, 0));
	check_silent(enter(&calls, &malloc_row, MAIN - 48, ARGUMENTS(80)));
	check_silent(enter(&calls, &calloc_row, HANDLER, ARGUMENTS(2, 2)));
	check_silent(enter(&calls, &malloc_row, HANDLER - 48, ARGUMENTS(4)));
	check_silent(leave(&calls, HANDLER - 48, SLOT));
	check_only(leave(&calls, HANDLER, SLOT), EVENT_CREATE, SLOT, 0, 4);
	check_only(leave(&calls, MAIN, OTHER), EVENT_RESIZE_END, OTHER, BLOCK, 80);
}
END_TEST

START_TEST(calls_on_two_stacks_may_end_in_any_order)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(1)));
	check_only(enter(&calls, &realloc_row, HANDLER, ARGUMENTS(BLOCK, 2)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave(&calls, MAIN, OTHER), EVENT_CREATE, OTHER, 0, 1);
	check_only(leave(&calls, HANDLER, BLOCK), EVENT_RESIZE_END, BLOCK, BLOCK, 2);
}
END_TEST

START_TEST(a_tail_call_concerns_its_own_stack_alone)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &memalign_row, MAIN, ARGUMENTS(16, 1)));
	check_only(enter(&calls, &realloc_row, HANDLER, ARGUMENTS(BLOCK, 2)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(1)));
	check_only(leave(&calls, HANDLER, BLOCK), EVENT_RESIZE_END, BLOCK, BLOCK, 2);
	check_only(leave(&calls, MAIN, OTHER), EVENT_CREATE, OTHER, 0, 1);
}
END_TEST

START_TEST(a_longjmp_concerns_its_own_stack_alone)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 1)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(enter(&calls, &realloc_row, HANDLER, ARGUMENTS(OTHER, 2)), EVENT_RESIZE_BEGIN, 0,
		   OTHER, 0);
	struct calls_outcome outcome = enter(&calls, &malloc_row, MAIN + 8, ARGUMENTS(3));
	check_cancelled(outcome, BLOCK);
	ck_assert_uint_eq(outcome.event_count, 0);
	check_only(leave(&calls, HANDLER, OTHER), EVENT_RESIZE_END, OTHER, OTHER, 2);
	check_only(leave(&calls, MAIN + 8, SLOT), EVENT_CREATE, SLOT, 0, 3);
}
END_TEST

START_TEST(of_too_many_stacks_one_is_given_up_and_said_so)
{
	enum { STACKS = CALLS_MAX + 1 };
	struct calls calls = {.count = 0};
	unsigned fates[STACKS] = {0};
	for (uint64_t i = 0; i < STACKS; i++) {
		struct calls_outcome outcome = enter(&calls, &realloc_row, MAIN + i * STACK_BYTES,
						     ARGUMENTS(BLOCK + i, 10 + i));
		check_event(outcome, EVENT_RESIZE_BEGIN, 0, BLOCK + i, 0);
		ck_assert_uint_eq(outcome.cancelled_count, i >= CALLS_MAX);
		for (size_t j = 0; j < outcome.cancelled_count; j++)
			fates[outcome.cancelled[j].v - BLOCK]++;
	}
	for (uint64_t i = STACKS; i-- > 0;) {
		struct calls_outcome outcome = leave(&calls, MAIN + i * STACK_BYTES, OTHER);
		if (fates[i])
			check_silent(outcome);
		else
			check_only(outcome, EVENT_RESIZE_END, OTHER, BLOCK + i, 10 + i);
	}
	ck_assert_uint_eq(calls.count, 0);
	ck_assert_uint_eq(fates[STACKS - 1], 0);
}
END_TEST

START_TEST(an_abandoned_thread_cancels_what_it_had_begun)
{
	struct calls calls = {.count = 0};
	struct calls_outcome outcome;
	calls_abandon(&calls, &outcome);
	check_silent(outcome);
	enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80));
	enter(&calls, &malloc_row, HANDLER, ARGUMENTS(5));
	enter(&calls, &realloc_row, MAIN + STACK_BYTES, ARGUMENTS(0, 80));
	enter(&calls, &realloc_row, HANDLER + STACK_BYTES, ARGUMENTS(OTHER, 80));
	calls_abandon(&calls, &outcome);
	ck_assert_uint_eq(outcome.event_count, 0);
	ck_assert_uint_eq(outcome.cancelled_count, 2);
	ck_assert_uint_eq(outcome.cancelled[0].v + outcome.cancelled[1].v, BLOCK + OTHER);
	check_silent(leave(&calls, MAIN, BLOCK));
	calls_abandon(&calls, &outcome);
	check_silent(outcome);
	check_counted(&calls, MAIN);
}
END_TEST

START_TEST(a_call_seen_at_its_exit_alone_counts_there)
{
	struct calls calls = {.count = 0};
	check_only(leave_sized(&calls, &malloc_row, MAIN, 33, BLOCK), EVENT_CREATE, BLOCK, 0, 33);
	check_only(leave_sized(&calls, &malloc_row, MAIN, 34, 0), EVENT_FAILED, 0, 0, 34);
	check_counted(&calls, MAIN - 64);
}
END_TEST

START_TEST(a_call_seen_at_its_exit_alone_is_hidden_inside_another)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &calloc_row, MAIN, ARGUMENTS(3, 11)));
	check_silent(leave_sized(&calls, &malloc_row, MAIN - 48, 33, BLOCK));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 33);
	check_only(leave_sized(&calls, &malloc_row, MAIN - 48, 33, OTHER), EVENT_CREATE, OTHER, 0,
		   33);
}
END_TEST

START_TEST(a_call_that_jumps_into_one_seen_at_its_exit_alone_counts_once)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &memalign_row, MAIN, ARGUMENTS(16, 33)));
	check_only(leave_sized(&calls, &malloc_row, MAIN, 33, BLOCK), EVENT_CREATE, BLOCK, 0, 33);
	check_silent(leave(&calls, MAIN, BLOCK));
	ck_assert_uint_eq(calls.count, 0);
}
END_TEST

START_TEST(a_resize_left_by_longjmp_is_cancelled_by_the_next_exit_without_entry)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	struct calls_outcome outcome = leave_sized(&calls, &malloc_row, MAIN + 8, 5, OTHER);
	check_cancelled(outcome, BLOCK);
	check_event(outcome, EVENT_CREATE, OTHER, 0, 5);
	ck_assert_uint_eq(calls.count, 0);
}
END_TEST

START_TEST(a_noted_size_outlives_its_register)
{
	struct calls calls = {.count = 0};
	check_silent(note(&calls, &malloc_row, MAIN, 33));
	/* A loop may pass the place of the note again. */
	check_silent(note(&calls, &malloc_row, MAIN, 7777));
	check_silent(enter(&calls, &free_row, MAIN - 48, ARGUMENTS(OTHER)));
	check_silent(leave_sized(&calls, &malloc_row, MAIN - 48, 5, OTHER));
	check_only(leave_sized(&calls, &malloc_row, MAIN, 9999, BLOCK), EVENT_CREATE, BLOCK, 0, 33);
	check_silent(note(&calls, &malloc_row, MAIN, 34));
	check_only(leave(&calls, MAIN, 0), EVENT_FAILED, 0, 0, 34);
	ck_assert_uint_eq(calls.count, 0);
}
END_TEST

START_TEST(a_note_inside_another_call_is_not_taken)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &calloc_row, MAIN, ARGUMENTS(3, 11)));
	check_silent(note(&calls, &malloc_row, MAIN - 48, 34));
	check_silent(leave_sized(&calls, &malloc_row, MAIN - 48, 34, BLOCK));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 33);
}
END_TEST

START_TEST(a_note_above_a_call_cancels_what_that_had_begun)
{
	struct calls calls = {.count = 0};
	check_only(enter(&calls, &realloc_row, MAIN, ARGUMENTS(BLOCK, 80)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	struct calls_outcome outcome = note(&calls, &malloc_row, MAIN + 8, 5);
	check_cancelled(outcome, BLOCK);
	ck_assert_uint_eq(outcome.event_count, 0);
	check_only(leave_sized(&calls, &malloc_row, MAIN + 8, 6, OTHER), EVENT_CREATE, OTHER, 0, 5);
}
END_TEST

START_TEST(an_exit_without_entry_concerns_its_own_stack_alone)
{
	struct calls calls = {.count = 0};
	check_silent(note(&calls, &malloc_row, MAIN, 1));
	check_only(enter(&calls, &realloc_row, HANDLER, ARGUMENTS(BLOCK, 2)), EVENT_RESIZE_BEGIN, 0,
		   BLOCK, 0);
	check_only(leave_sized(&calls, &malloc_row, MAIN, 3, OTHER), EVENT_CREATE, OTHER, 0, 1);
	check_only(leave(&calls, HANDLER, BLOCK), EVENT_RESIZE_END, BLOCK, BLOCK, 2);
}
END_TEST

START_TEST(a_mapping_is_told_with_what_was_asked_and_given)
{
	struct calls calls = {.count = 0};
	check_mapping(enter(&calls, &mmap_row, MAIN, ARGUMENTS(0, 8192)), &mmap_row, false);
	struct calls_outcome outcome = leave(&calls, MAIN, BLOCK);
	check_mapping(outcome, &mmap_row, true);
	ck_assert_uint_eq(outcome.mapping.size_bytes, 8192);
	ck_assert_uint_eq(outcome.mapping.result, BLOCK);
	outcome = enter(&calls, &munmap_row, MAIN, ARGUMENTS(BLOCK, 4096));
	check_mapping(outcome, &munmap_row, false);
	ck_assert_uint_eq(outcome.mapping.address.v, BLOCK);
	ck_assert_uint_eq(outcome.mapping.size_bytes, 4096);
	check_silent(leave(&calls, MAIN, 0));
	outcome = enter(&calls, &mremap_row, MAIN, ARGUMENTS(BLOCK, 4096, 8192));
	check_mapping(outcome, &mremap_row, false);
	ck_assert_uint_eq(outcome.mapping.old_size_bytes, 4096);
	ck_assert_uint_eq(outcome.mapping.size_bytes, 8192);
	ck_assert_uint_eq(outcome.mapping.flags, UINT64_MAX);
	check_mapping(leave(&calls, MAIN, OTHER), &mremap_row, true);
}
END_TEST

START_TEST(what_an_allocator_maps_is_a_part_of_its_call)
{
	struct calls calls = {.count = 0};
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(100)));
	check_silent(enter(&calls, &mmap_row, MAIN - 64, ARGUMENTS(0, 8192)));
	check_silent(leave(&calls, MAIN - 64, BLOCK));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 100);
	/* and where it leaves by a jump to it */
	check_silent(enter(&calls, &malloc_row, MAIN, ARGUMENTS(100)));
	check_silent(enter(&calls, &mmap_row, MAIN, ARGUMENTS(0, 8192)));
	check_only(leave(&calls, MAIN, BLOCK), EVENT_CREATE, BLOCK, 0, 100);
	check_mapping(enter(&calls, &mmap_row, MAIN - 64, ARGUMENTS(0, 8192)), &mmap_row, false);
}
END_TEST

static TCase *single_calls(void)
{
	TCase *tests = tcase_create("calls");
	tcase_add_test(tests, a_malloc_gives_its_block_when_it_returns);
	tcase_add_test(tests, a_refused_malloc_is_a_failed_call);
	tcase_add_test(tests, a_calloc_is_as_large_as_all_its_members);
	tcase_add_test(tests, a_size_that_overflows_is_the_largest_there_is);
	tcase_add_test(tests, a_free_counts_when_it_is_entered);
	tcase_add_test(tests, a_release_that_calls_others_hides_them);
	tcase_add_test(tests, a_resize_in_place_gives_the_size_asked_for_or_is_refused);
	tcase_add_test(tests, a_realloc_of_nothing_creates);
	tcase_add_test(tests, a_realloc_begins_and_ends_wherever_its_block_goes);
	tcase_add_test(tests, a_realloc_to_nothing_is_what_its_result_says);
	tcase_add_test(tests, a_reallocarray_that_jumps_into_realloc_begins_once);
	tcase_add_test(tests, a_reallocarray_of_nothing_that_jumps_on_twice_creates_once);
	tcase_add_test(tests, a_memalign_that_jumps_into_malloc_creates_once);
	tcase_add_test(tests, a_realloc_that_jumps_into_free_releases_once);
	tcase_add_test(tests, a_realloc_that_jumps_into_one_of_another_block_is_the_other);
	tcase_add_test(tests, a_whole_call_that_jumps_into_malloc_is_counted_as_its_own);
	tcase_add_test(tests, a_whole_call_that_jumps_into_free_releases_once_and_has_ended);
	tcase_add_test(tests, a_whole_call_that_was_left_gives_way_to_the_same_function);
	tcase_add_test(tests, what_a_hiding_call_calls_is_not_counted);
	tcase_add_test(tests, a_stored_result_is_completed_from_its_slot);
	tcase_add_test(tests, a_refusal_is_returned_and_nothing_is_stored);
	tcase_add_test(tests, a_stored_null_is_no_block);
	tcase_add_test(tests, only_the_lower_half_of_a_register_holds_an_int);
	return tests;
}

static TCase *calls_among_calls(void)
{
	TCase *tests = tcase_create("calls among calls");
	tcase_add_test(tests, calls_inside_a_call_are_not_counted);
	tcase_add_test(tests, an_exit_without_entry_is_ignored);
	tcase_add_test(tests, a_call_left_by_longjmp_gives_nothing);
	tcase_add_test(tests, a_resize_left_by_longjmp_is_cancelled_by_the_next_entry);
	tcase_add_test(tests, a_resize_left_by_longjmp_and_begun_anew_ends_once);
	tcase_add_test(tests, a_longjmp_within_a_call_leaves_it_under_way);
	tcase_add_test(tests, a_handler_on_its_own_stack_is_counted_apart);
	tcase_add_test(tests, calls_on_two_stacks_may_end_in_any_order);
	tcase_add_test(tests, a_tail_call_concerns_its_own_stack_alone);
	tcase_add_test(tests, a_longjmp_concerns_its_own_stack_alone);
	tcase_add_test(tests, of_too_many_stacks_one_is_given_up_and_said_so);
	tcase_add_test(tests, an_abandoned_thread_cancels_what_it_had_begun);
	return tests;
}

static TCase *calls_without_entry(void)
{
	TCase *tests = tcase_create("calls without entry");
	tcase_add_test(tests, a_call_seen_at_its_exit_alone_counts_there);
	tcase_add_test(tests, a_call_seen_at_its_exit_alone_is_hidden_inside_another);
	tcase_add_test(tests, a_call_that_jumps_into_one_seen_at_its_exit_alone_counts_once);
	tcase_add_test(tests, a_resize_left_by_longjmp_is_cancelled_by_the_next_exit_without_entry);
	tcase_add_test(tests, a_noted_size_outlives_its_register);
	tcase_add_test(tests, a_note_inside_another_call_is_not_taken);
	tcase_add_test(tests, a_note_above_a_call_cancels_what_that_had_begun);
	tcase_add_test(tests, an_exit_without_entry_concerns_its_own_stack_alone);
	tcase_add_test(tests, a_mapping_is_told_with_what_was_asked_and_given);
	tcase_add_test(tests, what_an_allocator_maps_is_a_part_of_its_call);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("calls");
	suite_add_tcase(suite, single_calls());
	suite_add_tcase(suite, calls_among_calls());
	suite_add_tcase(suite, calls_without_entry());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
