/* SPDX-License-Identifier: MIT */
/*
 * What a walk notes of what it used, on stacks written by hand; and rules kept between walks.
 */
#include "unit/unwind/code.h"

static struct unwind_reads reads;

static enum unwind_stop walk(struct fixture *fixture, size_t sp_word, uint64_t bp)
{
	struct unwind_registers registers = {.pc = CODE, .sp = slot(sp_word), .bp = bp};
	memset(&reads, 0xa5, sizeof reads);
	fixture->memory.reads = &reads;
	return unwind_walk(&fixture->space, &fixture->memory, registers, fixture->frames,
			   FRAMES_MAX, &fixture->count);
}

static void check_reads(const struct fixture *fixture, const size_t *words, size_t count)
{
	ck_assert(!reads.incomplete);
	ck_assert_uint_eq(reads.high, fixture->memory.high);
	ck_assert_uint_eq(reads.count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_eq(reads.items[i].address, slot(words[i]));
		ck_assert_uint_eq(reads.items[i].value, fixture->stack[words[i]]);
	}
}
#define CHECK_READS(fixture, ...)                                                                  \
	check_reads(fixture, (const size_t[]){__VA_ARGS__},                                        \
		    sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

START_TEST(frames_by_the_stack_pointer_note_their_return_addresses)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[10] = in(BY_SP);
	fixture.stack[13] = in(BY_SP);
	fixture.stack[16] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 10, slot(3)), UNWIND_STOP_END);
	CHECK_READS(&fixture, 10, 13, 16);
	ck_assert(!reads.bp_used);
	ck_assert(!reads.high_used);
}
END_TEST

START_TEST(a_saved_frame_pointer_that_nobody_looks_at_is_not_noted)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SAVES_BP); /* rbp in word 3 */
	fixture.stack[4] = in(SAVES_BP); /* rbp in word 7 */
	fixture.stack[8] = in(BY_SP);
	fixture.stack[11] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0, 0xdead), UNWIND_STOP_END);
	CHECK_READS(&fixture, 0, 4, 8, 11);
	ck_assert(!reads.bp_used);
	ck_assert_uint_eq(reads.top, slot(8));
}
END_TEST

START_TEST(a_saved_frame_pointer_is_noted_once_when_a_frame_is_found_by_it)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SAVES_BP);
	fixture.stack[3] = slot(10);
	fixture.stack[4] = in(BY_SP);
	fixture.stack[7] = in(BY_BP); /* by word 3; rbp in word 10 */
	fixture.stack[10] = slot(20);
	fixture.stack[11] = in(BY_BP); /* by word 10; rbp in word 20 */
	fixture.stack[21] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0, 0xdead), UNWIND_STOP_END);
	CHECK_READS(&fixture, 0, 4, 7, 3, 11, 10, 21);
	ck_assert(!reads.bp_used);
}
END_TEST

START_TEST(a_realigned_frame_notes_all_that_leads_out_of_it)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_DEREF);
	fixture.stack[9] = slot(16);  /* the CFA */
	fixture.stack[10] = slot(20); /* the caller's rbp */
	fixture.stack[15] = in(BY_BP);
	fixture.stack[21] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0, slot(10)), UNWIND_STOP_END);
	CHECK_READS(&fixture, 0, 9, 15, 10, 21);
	ck_assert(reads.bp_used);
}
END_TEST

START_TEST(the_first_frame_pointer_is_used_where_anything_looks_at_it)
{
	static const struct {
		enum function function;
		bool used;
	} cases[] = {{BY_SP, false},  {BY_BP, true},	   {BY_DEREF, true},  {OUTERMOST, false},
		     {UNKNOWN, true}, {UNSUPPORTED, true}, {LOSES_BP, false}, {SAVES_BP, false},
		     {BY_PLT, false}, {AT_BP, true}};
	const uint64_t pointers[] = {0, 1, slot(10), UINT64_MAX};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t j = 0; j < sizeof pointers / sizeof *pointers; j++) {
			struct fixture fixture;
			setup(&fixture);
			fixture.stack[0] = in(cases[i].function);
			walk(&fixture, 0, pointers[j]);
			ck_assert_int_eq(reads.bp_used, cases[i].used);
		}
}
END_TEST

START_TEST(a_frame_pointer_that_is_lost_for_sure_is_not_looked_at)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(LOSES_BP);
	fixture.stack[2] = in(UNKNOWN);
	ck_assert_int_eq(walk(&fixture, 0, slot(10)), UNWIND_STOP_LOST);
	CHECK_READS(&fixture, 0, 2);
	ck_assert(!reads.bp_used);
}
END_TEST

START_TEST(a_frame_pointer_chain_without_rules_is_noted)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SAVES_BP);
	fixture.stack[3] = slot(10);
	fixture.stack[4] = in(UNKNOWN);
	fixture.stack[10] = slot(20);
	fixture.stack[11] = OTHER_CODE + 8;
	fixture.stack[20] = 7; /* implausible: the walk ends by it */
	fixture.stack[21] = OTHER_CODE + 8;
	ck_assert_int_eq(walk(&fixture, 0, 0), UNWIND_STOP_LOST);
	CHECK_READS(&fixture, 0, 4, 3, 11, 10, 21, 20);
}
END_TEST

START_TEST(a_bound_that_ends_the_walk_is_told)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[STACK_WORDS - 2] = in(BY_SP);
	ck_assert_int_eq(walk(&fixture, STACK_WORDS - 2, 0), UNWIND_STOP_LOST);
	ck_assert(reads.high_used);
	fixture.stack[5] = in(UNKNOWN);
	ck_assert_int_eq(walk(&fixture, 5, STACK_HIGH), UNWIND_STOP_LOST);
	ck_assert(reads.high_used);
	ck_assert(!reads.incomplete);
	/* below the stack there is nothing, whatever the bound */
	ck_assert_int_eq(walk(&fixture, 5, STACK_LOW - 8), UNWIND_STOP_LOST);
	ck_assert(!reads.high_used);
}
END_TEST

START_TEST(a_signal_frame_makes_what_is_noted_incomplete)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(SIGNAL);
	fixture.stack[1 + 160 / 8] = slot(50);
	fixture.stack[1 + 168 / 8] = in(OUTERMOST);
	ck_assert_int_eq(walk(&fixture, 0, 0), UNWIND_STOP_END);
	ck_assert(reads.incomplete);
}
END_TEST

START_TEST(an_unreadable_word_makes_what_is_noted_incomplete)
{
	struct fixture fixture;
	setup(&fixture);
	fixture.stack[0] = in(BY_SP);
	fixture.unreadable = slot(3);
	ck_assert_int_eq(walk(&fixture, 0, 0), UNWIND_STOP_LOST);
	ck_assert(reads.incomplete);
}
END_TEST

static bool read_recursion(void *context, uint64_t address, uint64_t *ret)
{
	(void)context;
	(void)address;
	*ret = in(BY_SP);
	return true;
}

START_TEST(more_words_than_fit_make_what_is_noted_incomplete)
{
	enum { DEPTH = UNWIND_READS_MAX + 10 };
	static uint64_t frames[DEPTH];
	struct fixture fixture;
	size_t count;
	setup(&fixture);
	fixture.memory.read = read_recursion;
	fixture.memory.high = STACK_LOW + (UINT64_C(1) << 30);
	fixture.memory.reads = &reads;
	struct unwind_registers registers = {.sp = STACK_LOW};
	/* one return address more than frames is read */
	for (size_t depth = UNWIND_READS_MAX - 2; depth < UNWIND_READS_MAX + 2; depth++) {
		memset(&reads, 0xa5, sizeof reads);
		ck_assert_int_eq(unwind_walk(&fixture.space, &fixture.memory, registers, frames,
					     depth, &count),
				 UNWIND_STOP_DEPTH);
		ck_assert_uint_eq(count, depth);
		ck_assert_int_eq(reads.incomplete, depth >= UNWIND_READS_MAX);
		ck_assert_uint_le(reads.count, UNWIND_READS_MAX);
	}
}
END_TEST

START_TEST(a_walk_is_the_same_with_rules_kept_and_without)
{
	static struct unwind_rules kept;
	struct fixture fixture;
	uint64_t state = 11;
	setup(&fixture);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < STACK_WORDS; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			uint64_t choice = state >> 33;
			fixture.stack[i] = choice % 3 == 0 ? slot(choice / 3 % STACK_WORDS)
							   : CODE - 8 + choice / 3 % 0x1000;
		}
		uint64_t bp = slot((size_t)(state >> 40) % STACK_WORDS);
		uint64_t frames[FRAMES_MAX];
		fixture.memory.rules = NULL;
		enum unwind_stop stop = walk(&fixture, (size_t)round % STACK_WORDS, bp);
		size_t count = fixture.count;
		memcpy(frames, fixture.frames, sizeof frames);
		fixture.memory.rules = &kept;
		ck_assert_int_eq(walk(&fixture, (size_t)round % STACK_WORDS, bp), stop);
		ck_assert_uint_eq(fixture.count, count);
		ck_assert_mem_eq(fixture.frames, frames, count * sizeof *frames);
		if (round % 1000 == 0)
			unwind_rules_clear(&kept);
	}
}
END_TEST

START_TEST(rules_are_kept_until_they_are_cleared)
{
	static struct unwind_rules kept;
	struct fixture fixture;
	setup(&fixture);
	fixture.memory.rules = &kept;
	fixture.stack[0] = in(BY_SP);
	fixture.stack[3] = in(OUTERMOST);
	fixture.stack[2] = in(SIGNAL);
	ck_assert_int_eq(walk(&fixture, 0, 0), UNWIND_STOP_END);
	/* what is kept is not looked up again */
	fixture.space.count = 0;
	ck_assert_int_eq(walk(&fixture, 0, 0), UNWIND_STOP_END);
	ck_assert_uint_eq(fixture.count, 2);
	/* the last epoch before it begins from 0 again, too */
	kept.epoch = UINT32_MAX;
	for (int i = 0; i < 2; i++) {
		unwind_rules_clear(&kept);
		fixture.space.count = 0;
		ck_assert_int_eq(walk(&fixture, 0, 1), UNWIND_STOP_LOST);
		ck_assert_uint_eq(fixture.count, 1);
		unwind_rules_clear(&kept);
		fixture.space.count = 2;
		ck_assert_int_eq(walk(&fixture, 0, 1), UNWIND_STOP_END);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("unwind/walk_reads");
	TCase *noted = tcase_create("noted");
	tcase_add_test(noted, frames_by_the_stack_pointer_note_their_return_addresses);
	tcase_add_test(noted, a_saved_frame_pointer_that_nobody_looks_at_is_not_noted);
	tcase_add_test(noted, a_saved_frame_pointer_is_noted_once_when_a_frame_is_found_by_it);
	tcase_add_test(noted, a_realigned_frame_notes_all_that_leads_out_of_it);
	tcase_add_test(noted, the_first_frame_pointer_is_used_where_anything_looks_at_it);
	tcase_add_test(noted, a_frame_pointer_that_is_lost_for_sure_is_not_looked_at);
	tcase_add_test(noted, a_frame_pointer_chain_without_rules_is_noted);
	tcase_add_test(noted, a_bound_that_ends_the_walk_is_told);
	suite_add_tcase(suite, noted);
	TCase *incomplete = tcase_create("incomplete");
	tcase_add_test(incomplete, a_signal_frame_makes_what_is_noted_incomplete);
	tcase_add_test(incomplete, an_unreadable_word_makes_what_is_noted_incomplete);
	tcase_add_test(incomplete, more_words_than_fit_make_what_is_noted_incomplete);
	suite_add_tcase(suite, incomplete);
	TCase *kept = tcase_create("rules");
	tcase_add_test(kept, a_walk_is_the_same_with_rules_kept_and_without);
	tcase_add_test(kept, rules_are_kept_until_they_are_cleared);
	suite_add_tcase(suite, kept);
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
