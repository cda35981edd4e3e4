/* SPDX-License-Identifier: MIT */
/*
 * Walks over stacks written by hand.
 */
#include "unit/unwind/code.h"

static enum unwind_stop walk_bp(struct fixture *fixture, size_t sp_word, uint64_t bp,
				size_t capacity)
{
	struct unwind_registers registers = {.pc = CODE, .sp = slot(sp_word), .bp = bp};
	return unwind_walk(&fixture->space, &fixture->memory, registers, fixture->frames, capacity,
			   &fixture->count);
}

static enum unwind_stop walk(struct fixture *fixture, size_t sp_word)
{
	return walk_bp(fixture, sp_word, 0, FRAMES_MAX);
}

static void check_frames(const struct fixture *fixture, const uint64_t *expected, size_t count)
{
	ck_assert_uint_eq(fixture->count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(fixture->frames[i], expected[i]);
}
#define CHECK_FRAMES(fixture, ...)                                                                 \
	check_frames(fixture, (const uint64_t[]){__VA_ARGS__},                                     \
		     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

START_TEST(frames_by_the_stack_pointer_are_walked_to_the_outermost)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_SP);
	fixture.stack[3] = in(BY_SP);
	fixture.stack[6] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(BY_SP), in(BY_SP), in(OUTERMOST));
}
END_TEST

START_TEST(frames_by_the_frame_pointer_follow_its_chain)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_BP);
	fixture.stack[10] = slot(20);
	fixture.stack[11] = in(BY_BP);
	fixture.stack[20] = 0;
	fixture.stack[21] = in(OUTERMOST);
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(BY_BP), in(BY_BP), in(OUTERMOST));
}
END_TEST

START_TEST(a_saved_frame_pointer_is_restored_across_frames_without_one)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SAVES_BP);
	/* CFA is word 5: return address in word 4, rbp in word 3 */
	fixture.stack[3] = slot(10);
	fixture.stack[4] = in(BY_SP);
	fixture.stack[7] = in(BY_BP);
	fixture.stack[11] = in(OUTERMOST);
	ck_assert_int_eq(walk_bp(&fixture, 0, 0xdead, FRAMES_MAX), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(SAVES_BP), in(BY_SP), in(BY_BP), in(OUTERMOST));
}
END_TEST

START_TEST(a_realigned_stack_is_left_through_the_saved_address)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_DEREF);
	fixture.stack[9] = slot(16);	   /* rbp - 8: the CFA */
	fixture.stack[10] = slot(20);	   /* rbp: the caller's */
	fixture.stack[15] = in(BY_BP);	   /* CFA - 8 */
	fixture.stack[21] = in(OUTERMOST); /* by the restored rbp */
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(BY_DEREF), in(BY_BP), in(OUTERMOST));
}
END_TEST

START_TEST(a_lazy_plt_entry_has_pushed_a_word_or_not)
{
	static const struct {
		uint64_t at; /* the interrupted pc, within an entry */
		size_t return_word;
	} cases[] = {{0, 40}, {10, 40}, {11, 41}, {15, 41}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture fixture;
		setup(&fixture);
		uint64_t pc = CODE + BY_PLT * 0x100 + 0x20 + cases[i].at;
		fixture.stack[0] = in(SIGNAL);
		fixture.stack[1 + 160 / 8] = slot(40);
		fixture.stack[1 + 168 / 8] = pc;
		fixture.stack[cases[i].return_word] = in(OUTERMOST);
		ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_END);
		CHECK_FRAMES(&fixture, in(SIGNAL), pc + 1, in(OUTERMOST));
	}
}
END_TEST

START_TEST(a_signal_frame_gives_back_the_interrupted_registers)
{
	struct fixture fixture;
	setup(&fixture);
	/* interrupted at the first byte of a function: one byte less would be its neighbour's */
	uint64_t pc = CODE + BY_BP * 0x100;
	fixture.stack[0] = in(SIGNAL);
	fixture.stack[1 + 120 / 8] = slot(60);
	fixture.stack[1 + 160 / 8] = slot(50);
	fixture.stack[1 + 168 / 8] = pc;
	fixture.stack[61] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(SIGNAL), pc + 1, in(OUTERMOST));
}
END_TEST

START_TEST(a_signal_may_lead_to_a_lower_stack_once)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[200] = in(SIGNAL);
	fixture.stack[201 + 160 / 8] = slot(10);
	fixture.stack[201 + 168 / 8] = in(BY_SP)-1;
	fixture.stack[12] = in(SIGNAL);
	fixture.stack[13 + 160 / 8] = slot(5);
	fixture.stack[13 + 168 / 8] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 200), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(SIGNAL), in(BY_SP), in(SIGNAL));
}
END_TEST

/* The handler's stack is the lower half of the words, the interrupted one the upper. */
static bool upper_half(void *context, uint64_t sp, uint64_t *low, uint64_t *high)
{
	(void)context;
	*low = slot(STACK_WORDS / 2);
	*high = STACK_HIGH;
	return sp >= *low && sp < *high;
}

START_TEST(a_signal_frame_leads_to_the_stack_that_was_interrupted)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.memory.high = slot(STACK_WORDS / 2) - 64;
	fixture.memory.other_stack = upper_half;
	fixture.stack[0] = in(SIGNAL);
	fixture.stack[1 + 160 / 8] = slot(300);
	fixture.stack[1 + 168 / 8] = in(BY_SP)-1;
	fixture.stack[302] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(SIGNAL), in(BY_SP), in(OUTERMOST));
	/* Where nobody knows of such a stack the walk ends. */
	fixture.stack[1 + 160 / 8] = STACK_HIGH + 8;
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(SIGNAL));
}
END_TEST

START_TEST(a_signal_frame_out_of_bounds_ends_the_walk)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SIGNAL);
	fixture.stack[1 + 160 / 8] = STACK_HIGH + 8;
	fixture.stack[1 + 168 / 8] = in(BY_SP);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(SIGNAL));
	/* a frame that does not fit on the stack */
	fixture.stack[STACK_WORDS - 10] = in(SIGNAL);
	ck_assert_int_eq(walk(&fixture, STACK_WORDS - 10), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(SIGNAL));
}
END_TEST

START_TEST(without_a_rule_a_plausible_frame_pointer_is_followed)
{
	static const uint64_t callers[] = {CODE + UNKNOWN * 0x100 + 8,
					   CODE + UNSUPPORTED * 0x100 + 8, OTHER_CODE + 8,
					   0x1234567};
	for (size_t i = 0; i < sizeof callers / sizeof *callers; i++) {
		struct fixture fixture;
		setup(&fixture);
		fixture.stack[0] = callers[i];
		fixture.stack[10] = slot(20);
		fixture.stack[11] = in(BY_BP);
		fixture.stack[21] = in(OUTERMOST);
		ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_END);
		CHECK_FRAMES(&fixture, callers[i], in(BY_BP), in(OUTERMOST));
	}
}
END_TEST

START_TEST(an_implausible_frame_pointer_is_not_followed)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[5] = in(UNKNOWN);
	fixture.stack[1] = in(BY_SP);
	const uint64_t pointers[] = {
		1,	  slot(0),	  STACK_LOW - 8, STACK_HIGH,
		slot(10), STACK_HIGH - 8, slot(10) + 4,	 UINT64_MAX - 7,
	};
	/* word 11 holds no address of code */
	fixture.stack[11] = 0x4141414141;
	for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
		ck_assert_int_eq(walk_bp(&fixture, 5, pointers[i], FRAMES_MAX), UNWIND_STOP_LOST);
		CHECK_FRAMES(&fixture, in(UNKNOWN));
	}
}
END_TEST

START_TEST(a_frame_pointer_of_zero_marks_the_outermost_frame)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[5] = in(UNKNOWN);
	ck_assert_int_eq(walk_bp(&fixture, 5, 0, FRAMES_MAX), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(UNKNOWN));
}
END_TEST

static enum unwind_stop walk_lost_bp(struct fixture *fixture, size_t index, uint64_t bp)
{
	struct unwind_registers registers = {.sp = slot(index), .bp = bp, .bp_lost = true};
	return unwind_walk(&fixture->space, &fixture->memory, registers, fixture->frames,
			   FRAMES_MAX, &fixture->count);
}

START_TEST(a_frame_pointer_that_was_lost_before_the_walk_is_not_believed)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[5] = in(UNKNOWN);
	fixture.stack[10] = slot(20);
	fixture.stack[11] = in(OUTERMOST);
	ck_assert_int_eq(walk_lost_bp(&fixture, 5, slot(10)), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(UNKNOWN));
	ck_assert_int_eq(walk_lost_bp(&fixture, 5, 0), UNWIND_STOP_LOST);
}
END_TEST

START_TEST(the_callers_frame_pointer_is_found_from_the_middle_of_a_function)
{
	struct fixture fixture;
	uint64_t bp = 0;
	setup(&fixture);
	fixture.stack[12] = 0xb9b9; /* CFA is slot 14: rsp + 32, rbp saved at CFA - 16 */
	struct unwind_registers inside = {.pc = in(SAVES_BP), .sp = slot(10), .bp = 0x4242};
	ck_assert(unwind_caller_bp(&fixture.space, &fixture.memory, inside, slot(14), &bp));
	ck_assert_uint_eq(bp, 0xb9b9);
	inside.pc = in(BY_SP); /* rsp + 24, rbp untouched */
	ck_assert(unwind_caller_bp(&fixture.space, &fixture.memory, inside, slot(13), &bp));
	ck_assert_uint_eq(bp, 0x4242);
	/* A table that knows of another frame, of none, or that rbp is lost, says nothing. */
	ck_assert(!unwind_caller_bp(&fixture.space, &fixture.memory, inside, slot(14), &bp));
	inside.pc = in(UNKNOWN);
	ck_assert(!unwind_caller_bp(&fixture.space, &fixture.memory, inside, slot(13), &bp));
	inside.pc = in(LOSES_BP);
	ck_assert(!unwind_caller_bp(&fixture.space, &fixture.memory, inside, slot(12), &bp));
}
END_TEST

START_TEST(a_lost_frame_pointer_is_not_believed_until_it_is_restored)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(LOSES_BP);
	fixture.stack[2] = in(UNKNOWN);
	fixture.stack[10] = 0;
	fixture.stack[11] = in(BY_SP);
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(LOSES_BP), in(UNKNOWN));
	fixture.stack[2] = in(SAVES_BP);
	fixture.stack[5] = slot(20);
	fixture.stack[6] = in(BY_BP);
	fixture.stack[21] = in(OUTERMOST);
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(LOSES_BP), in(SAVES_BP), in(BY_BP), in(OUTERMOST));
}
END_TEST

START_TEST(a_cycle_ends_the_walk)
{
	struct fixture fixture;
	setup(&fixture);
	/* rbp leads back to itself */
	fixture.stack[0] = in(BY_BP);
	fixture.stack[10] = slot(10);
	fixture.stack[11] = in(BY_BP);
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_BP), in(BY_BP));
	/* the CFA of a realigned stack lies below */
	fixture.stack[5] = in(BY_DEREF);
	fixture.stack[9] = slot(3);
	ck_assert_int_eq(walk_bp(&fixture, 5, slot(10), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_DEREF));
	fixture.stack[5] = in(SHRINKS);
	ck_assert_int_eq(walk(&fixture, 5), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(SHRINKS));
	/* a chain of frame pointers without rules, back to itself */
	fixture.stack[0] = OTHER_CODE + 8;
	fixture.stack[10] = slot(10);
	fixture.stack[11] = OTHER_CODE + 16;
	ck_assert_int_eq(walk_bp(&fixture, 0, slot(10), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, OTHER_CODE + 8, OTHER_CODE + 16);
}
END_TEST

START_TEST(nothing_outside_of_the_bounds_is_read)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[STACK_WORDS - 1] = in(BY_SP);
	ck_assert_int_eq(walk(&fixture, STACK_WORDS - 1), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_SP));
	ck_assert_int_eq(walk(&fixture, STACK_WORDS), UNWIND_STOP_LOST);
	ck_assert_uint_eq(fixture.count, 0);
	const uint64_t stack_pointers[] = {0,	       STACK_LOW - 8, STACK_HIGH - 4, STACK_LOW + 4,
					   UINT64_MAX, UINT64_MAX - 7};
	for (size_t i = 0; i < sizeof stack_pointers / sizeof *stack_pointers; i++) {
		struct unwind_registers registers = {.sp = stack_pointers[i]};
		ck_assert_int_eq(unwind_walk(&fixture.space, &fixture.memory, registers,
					     fixture.frames, FRAMES_MAX, &fixture.count),
				 UNWIND_STOP_LOST);
		ck_assert_uint_eq(fixture.count, 0);
	}
}
END_TEST

START_TEST(nothing_below_the_first_stack_pointer_is_read)
{
	struct fixture fixture;
	setup(&fixture);
	/* rbp saved at CFA - 16, which is the word below the first rsp */
	fixture.stack[9] = slot(20);
	fixture.stack[10] = in(BY_BP);
	ck_assert_int_eq(walk_bp(&fixture, 10, slot(9), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_BP));
	ck_assert_uint_eq(fixture.reads, 1);
	fixture.stack[10] = in(BY_DEREF);
	ck_assert_int_eq(walk_bp(&fixture, 10, slot(9), FRAMES_MAX), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_DEREF));
	ck_assert_uint_eq(fixture.reads, 2);
}
END_TEST

START_TEST(a_word_that_cannot_be_read_ends_the_walk)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_SP);
	fixture.stack[3] = in(BY_SP);
	fixture.stack[6] = in(OUTERMOST);
	fixture.unreadable = slot(6);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_LOST);
	CHECK_FRAMES(&fixture, in(BY_SP), in(BY_SP));
	fixture.unreadable = slot(0);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_LOST);
	ck_assert_uint_eq(fixture.count, 0);
}
END_TEST

START_TEST(a_return_address_of_zero_is_the_end)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_SP);
	ck_assert_int_eq(walk(&fixture, 0), UNWIND_STOP_END);
	CHECK_FRAMES(&fixture, in(BY_SP));
	ck_assert_int_eq(walk(&fixture, 100), UNWIND_STOP_END);
	ck_assert_uint_eq(fixture.count, 0);
}
END_TEST

START_TEST(a_stack_is_cut_at_the_capacity_and_says_so)
{
	struct fixture fixture;
	setup(&fixture);
	for (size_t i = 0; i < 10; i++)
		fixture.stack[3 * i] = in(BY_SP);
	fixture.stack[30] = in(OUTERMOST);
	ck_assert_int_eq(walk_bp(&fixture, 0, 0, 4), UNWIND_STOP_DEPTH);
	ck_assert_uint_eq(fixture.count, 4);
	ck_assert_int_eq(walk_bp(&fixture, 0, 0, 10), UNWIND_STOP_DEPTH);
	ck_assert_uint_eq(fixture.count, 10);
	/* the outermost frame is the last that fits: nothing is cut */
	ck_assert_int_eq(walk_bp(&fixture, 0, 0, 11), UNWIND_STOP_END);
	ck_assert_uint_eq(fixture.count, 11);
	ck_assert_int_eq(walk_bp(&fixture, 0, 0, 0), UNWIND_STOP_DEPTH);
	ck_assert_uint_eq(fixture.count, 0);
}
END_TEST

START_TEST(stacks_of_random_words_end)
{
	struct fixture fixture;
	setup(&fixture);
	uint64_t state = 7;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < STACK_WORDS; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			uint64_t choice = state >> 33;
			fixture.stack[i] = choice % 3 == 0 ? slot(choice / 3 % STACK_WORDS)
					   : choice % 3 == 1
						   ? in((enum function)(choice / 3 % FUNCTIONS))
						   : choice;
		}
		fixture.reads = 0;
		walk_bp(&fixture, round % STACK_WORDS, slot((size_t)(state >> 40) % STACK_WORDS),
			FRAMES_MAX);
		/* each frame needs four words at most, and a stack is climbed twice at most */
		if (fixture.reads > 4 * (fixture.count + 1))
			ck_abort_msg("%zu reads for %zu frames", fixture.reads, fixture.count);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("unwind/walk");
	TCase *rules_case = tcase_create("rules");
	tcase_add_test(rules_case, frames_by_the_stack_pointer_are_walked_to_the_outermost);
	tcase_add_test(rules_case, frames_by_the_frame_pointer_follow_its_chain);
	tcase_add_test(rules_case, a_saved_frame_pointer_is_restored_across_frames_without_one);
	tcase_add_test(rules_case, a_realigned_stack_is_left_through_the_saved_address);
	tcase_add_test(rules_case, a_lazy_plt_entry_has_pushed_a_word_or_not);
	tcase_add_test(rules_case, a_signal_frame_gives_back_the_interrupted_registers);
	tcase_add_test(rules_case, a_return_address_of_zero_is_the_end);
	tcase_add_test(rules_case, a_stack_is_cut_at_the_capacity_and_says_so);
	suite_add_tcase(suite, rules_case);
	TCase *fallback = tcase_create("without rules");
	tcase_add_test(fallback, without_a_rule_a_plausible_frame_pointer_is_followed);
	tcase_add_test(fallback, an_implausible_frame_pointer_is_not_followed);
	tcase_add_test(fallback, the_callers_frame_pointer_is_found_from_the_middle_of_a_function);
	tcase_add_test(fallback, a_frame_pointer_of_zero_marks_the_outermost_frame);
	tcase_add_test(fallback, a_frame_pointer_that_was_lost_before_the_walk_is_not_believed);
	tcase_add_test(fallback, a_lost_frame_pointer_is_not_believed_until_it_is_restored);
	suite_add_tcase(suite, fallback);
	TCase *hostile = tcase_create("broken stacks");
	tcase_add_test(hostile, a_signal_may_lead_to_a_lower_stack_once);
	tcase_add_test(hostile, a_signal_frame_leads_to_the_stack_that_was_interrupted);
	tcase_add_test(hostile, a_signal_frame_out_of_bounds_ends_the_walk);
	tcase_add_test(hostile, a_cycle_ends_the_walk);
	tcase_add_test(hostile, nothing_outside_of_the_bounds_is_read);
	tcase_add_test(hostile, nothing_below_the_first_stack_pointer_is_read);
	tcase_add_test(hostile, a_word_that_cannot_be_read_ends_the_walk);
	tcase_add_test(hostile, stacks_of_random_words_end);
	suite_add_tcase(suite, hostile);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
