/* SPDX-License-Identifier: MIT */
/*
 * The exits of small functions written down byte by byte, each showing one rule.
 */
#include <check.h>
#include <stdlib.h>

#include "arch/code.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"

enum {
	BASE = 0x1000,
};

#define CODE(...)                                                                                  \
	(struct flat)                                                                              \
	{                                                                                          \
		.base = BASE, .bytes = (const uint8_t[]){__VA_ARGS__},                             \
		.count = sizeof((const uint8_t[]){__VA_ARGS__})                                    \
	}

static bool is_address(void *context, target_addr address)
{
	return *(const uint64_t *)context == address.v;
}

/* Checks that the returns are at BASE + each of the count offsets. */
static void check_returns(struct flat flat, const size_t *offsets, size_t count)
{
	struct code_reader reader = flat_reader(&flat);
	_cleanup_code_exits_ struct code_exits exits = {0};
	struct error *err = code_find_exits(&reader, (target_addr){BASE}, NULL, NULL, &exits);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	ck_assert_uint_eq(exits.return_count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(exits.returns[i].v, BASE + offsets[i]);
	ck_assert_uint_eq(exits.handover_count, 0);
}

#define CHECK_RETURNS(flat, ...)                                                                   \
	check_returns(flat, (const size_t[]){__VA_ARGS__},                                         \
		      sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

static void check_refused(struct flat flat, const char *reason)
{
	struct code_reader reader = flat_reader(&flat);
	struct code_exits exits = {0};
	_cleanup_error_ struct error *err =
		code_find_exits(&reader, (target_addr){BASE}, NULL, NULL, &exits);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_msg(strstr(error_message(err), reason), "\"%s\" lacks \"%s\"", error_message(err),
		      reason);
	ck_assert_ptr_null(exits.returns);
	ck_assert_ptr_null(exits.handovers);
}

START_TEST(every_form_of_near_ret_is_a_return)
{
	CHECK_RETURNS(CODE(0xc3), 0);
	CHECK_RETURNS(CODE(0xc2, 0x08, 0x00), 0);
	CHECK_RETURNS(CODE(0xf3, 0xc3), 0);
	CHECK_RETURNS(CODE(0xf2, 0xc3), 0);
	CHECK_RETURNS(CODE(0x90, 0x48, 0xc3), 1);
}
END_TEST

START_TEST(both_sides_of_a_conditional_jump_are_followed)
{
	CHECK_RETURNS(CODE(0x74, 0x01, 0xc3, 0xc3), 2, 3);
	CHECK_RETURNS(CODE(0x0f, 0x85, 0x01, 0x00, 0x00, 0x00, 0xc3, 0xc3), 6, 7);
	CHECK_RETURNS(CODE(0xe2, 0x01, 0xc3, 0xc3), 2, 3);
	CHECK_RETURNS(CODE(0xe3, 0x01, 0xc3, 0xc3), 2, 3);
	CHECK_RETURNS(CODE(0xc7, 0xf8, 0x01, 0x00, 0x00, 0x00, 0xc3, 0xc3), 6, 7);
}
END_TEST

START_TEST(a_jump_is_followed_and_what_stands_behind_it_is_not)
{
	CHECK_RETURNS(CODE(0xeb, 0x01, 0xc3, 0xc3), 3);
	CHECK_RETURNS(CODE(0xe9, 0x02, 0x00, 0x00, 0x00, 0xc3, 0xc3, 0xc3), 7);
}
END_TEST

START_TEST(a_loop_ends)
{
	CHECK_RETURNS(CODE(0x75, 0xfe, 0xc3), 2);
	check_returns(CODE(0xeb, 0xfe), NULL, 0);
}
END_TEST

START_TEST(a_jump_over_a_lock_prefix_reaches_both_readings)
{
	/* je .+1; lock cmpxchg %ecx,(%rdi); ret */
	CHECK_RETURNS(CODE(0x74, 0x01, 0xf0, 0x0f, 0xb1, 0x0f, 0xc3), 6);
}
END_TEST

START_TEST(traps_end_a_path)
{
	CHECK_RETURNS(CODE(0x74, 0x02, 0x0f, 0x0b, 0xc3), 4);
	CHECK_RETURNS(CODE(0x74, 0x01, 0xf4, 0xc3), 3);
	CHECK_RETURNS(CODE(0x74, 0x01, 0xcc, 0xc3), 3);
}
END_TEST

START_TEST(a_call_falls_through)
{
	CHECK_RETURNS(CODE(0xe8, 0x00, 0x10, 0x00, 0x00, 0xc3), 5);
	CHECK_RETURNS(CODE(0xff, 0xd0, 0xc3), 2);
	CHECK_RETURNS(CODE(0xff, 0x15, 0x00, 0x00, 0x00, 0x00, 0xc3), 6);
}
END_TEST

START_TEST(a_call_that_ends_its_function_part_does_not_return)
{
	struct flat flat = CODE(0x74, 0x01, 0xc3, 0xe8, 0x00, 0x10, 0x00, 0x00, 0xc3);
	flat.bounds_start = BASE;
	flat.bounds_end = BASE + 8;
	CHECK_RETURNS(flat, 2);
	flat.bounds_end = BASE + 9;
	CHECK_RETURNS(flat, 2, 8);
}
END_TEST

START_TEST(a_recursion_is_a_call_and_a_call_into_the_function_is_refused)
{
	struct flat recursion = CODE(0x90, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xc3);
	recursion.bounds_start = BASE;
	recursion.bounds_end = BASE + 7;
	CHECK_RETURNS(recursion, 6);
	/* An entry need not be where its part starts. */
	recursion.bounds_start = BASE - 16;
	CHECK_RETURNS(recursion, 6);
	/* A retpoline: call 1f; 0: pause; jmp 0b; 1: mov %rax,(%rsp); ret */
	struct flat retpoline = CODE(0xe8, 0x04, 0x00, 0x00, 0x00, 0xf3, 0x90, 0xeb, 0xfc, 0x48,
				     0x89, 0x04, 0x24, 0xc3);
	retpoline.bounds_start = BASE;
	retpoline.bounds_end = BASE + 14;
	check_refused(retpoline, "goes into its own function");
}
END_TEST

static size_t departures_of(struct flat flat, bool (*stop)(void *, target_addr),
			    target_addr *first_ret, size_t *handovers_ret)
{
	struct code_reader reader = flat_reader(&flat);
	_cleanup_code_exits_ struct code_exits exits = {0};
	struct error *err = code_find_exits(&reader, (target_addr){BASE}, stop, &flat, &exits);
	ck_assert_ptr_null(err);
	if (exits.departure_count)
		*first_ret = exits.departures[0];
	*handovers_ret = exits.handover_count;
	return exits.departure_count;
}

static bool accepts_12(void *context, target_addr address)
{
	(void)context;
	return address.v == BASE + 12;
}

START_TEST(a_jump_through_a_slot_is_a_departure_and_not_followed)
{
	struct flat plt =
		CODE(0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0xf0, 0x0f, 0x00, 0x00, 0x90, 0xc3);
	plt.slot = BASE + 11 + 0xff0;
	plt.slot_value = BASE + 12;
	target_addr first = {0};
	size_t handovers;
	ck_assert_uint_eq(departures_of(plt, NULL, &first, &handovers), 1);
	ck_assert_uint_eq(first.v, BASE + 4);
	ck_assert_uint_eq(departures_of(plt, accepts_12, &first, &handovers), 0);
	ck_assert_uint_eq(handovers, 1);
	plt.slot++; /* now nobody knows what it holds */
	ck_assert_uint_eq(departures_of(plt, accepts_12, &first, &handovers), 1);
}
END_TEST

START_TEST(a_tail_call_through_the_plt_departs_where_it_jumps)
{
	/* jmp 1f; nop; 1: endbr64; bnd jmp *slot(%rip) */
	struct flat flat = CODE(0xeb, 0x01, 0x90, 0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0x00,
				0x10, 0x00, 0x00, 0xc3);
	target_addr first = {0};
	size_t handovers;
	ck_assert_uint_eq(departures_of(flat, NULL, &first, &handovers), 1);
	ck_assert_uint_eq(first.v, BASE);
}
END_TEST

START_TEST(a_block_that_ends_in_a_jump_through_a_slot_is_no_plt_entry)
{
	/* sub $8, %rsp; je 1f; nop; 1: add $8, %rsp; jmp *slot(%rip): at the je the stack is not
	 * yet back */
	struct flat flat = CODE(0x48, 0x83, 0xec, 0x08, 0x74, 0x01, 0x90, 0x48, 0x83, 0xc4, 0x08,
				0xff, 0x25, 0x00, 0x10, 0x00, 0x00);
	target_addr first = {0};
	size_t handovers;
	ck_assert_uint_eq(departures_of(flat, NULL, &first, &handovers), 1);
	ck_assert_uint_eq(first.v, BASE + 11);
}
END_TEST

START_TEST(a_jump_to_a_probed_function_that_is_a_plt_entry_is_a_handover)
{
	/* jmp 1f; nop * 10; 1: jmp *slot(%rip) */
	struct flat flat = CODE(0xeb, 0x0a, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
				0x90, 0xff, 0x25, 0x00, 0x10, 0x00, 0x00);
	target_addr first = {0};
	size_t handovers;
	ck_assert_uint_eq(departures_of(flat, accepts_12, &first, &handovers), 0);
	ck_assert_uint_eq(handovers, 1);
}
END_TEST

START_TEST(a_jump_that_stop_at_accepts_is_a_handover)
{
	/* je 2f; js 2f; jmp 3f; 2: ret; 3: ret */
	struct flat flat = CODE(0x74, 0x04, 0x78, 0x02, 0xeb, 0x01, 0xc3, 0xc3);
	struct code_reader reader = flat_reader(&flat);
	uint64_t stop = BASE + 6;
	_cleanup_code_exits_ struct code_exits exits = {0};
	ck_assert_ptr_null(
		code_find_exits(&reader, (target_addr){BASE}, is_address, &stop, &exits));
	ck_assert_uint_eq(exits.return_count, 1);
	ck_assert_uint_eq(exits.returns[0].v, BASE + 7);
	ck_assert_uint_eq(exits.handover_count, 1);
	ck_assert_uint_eq(exits.handovers[0].v, stop);
}
END_TEST

START_TEST(falling_into_a_probed_function_is_a_handover)
{
	struct flat flat = CODE(0x31, 0xf6, 0x90, 0xc3);
	struct code_reader reader = flat_reader(&flat);
	uint64_t stop = BASE + 2;
	_cleanup_code_exits_ struct code_exits exits = {0};
	ck_assert_ptr_null(
		code_find_exits(&reader, (target_addr){BASE}, is_address, &stop, &exits));
	ck_assert_uint_eq(exits.return_count, 0);
	ck_assert_uint_eq(exits.handover_count, 1);
}
END_TEST

START_TEST(a_jump_back_to_the_probed_entry_is_a_handover)
{
	struct flat flat = CODE(0x75, 0xfe, 0xc3);
	struct code_reader reader = flat_reader(&flat);
	uint64_t stop = BASE;
	_cleanup_code_exits_ struct code_exits exits = {0};
	ck_assert_ptr_null(
		code_find_exits(&reader, (target_addr){BASE}, is_address, &stop, &exits));
	ck_assert_uint_eq(exits.return_count, 1);
	ck_assert_uint_eq(exits.handover_count, 1);
	ck_assert_uint_eq(exits.handovers[0].v, BASE);
}
END_TEST

START_TEST(what_cannot_be_followed_is_refused_with_a_reason)
{
	check_refused(CODE(0xff, 0xe0), "the jump at 0x1000 is computed");
	check_refused(CODE(0xff, 0x24, 0xc5, 0x00, 0x00, 0x00, 0x00), "is computed");
	check_refused(CODE(0x64, 0xff, 0x25, 0x00, 0x00, 0x00, 0x00), "is computed");
	check_refused(CODE(0x67, 0xff, 0x25, 0x00, 0x00, 0x00, 0x00), "is computed");
	check_refused(CODE(0xcb), "not followed");
	check_refused(CODE(0x48, 0xcf), "not followed");
	check_refused(CODE(0x66, 0xe9, 0x00, 0x00, 0x00, 0x00), "not followed");
	check_refused(CODE(0x66, 0xc3), "not followed");
	check_refused(CODE(0x06), "no instruction decodes at 0x1000");
	check_refused(CODE(0x90), "the code at 0x1001 cannot be read");
	check_refused(CODE(0x90, 0xe9, 0x00), "no instruction decodes at 0x1001");
}
END_TEST

START_TEST(a_function_of_4096_instructions_is_the_longest)
{
	static uint8_t bytes[4097];
	memset(bytes, 0x90, sizeof bytes);
	bytes[4096] = 0xc3;
	struct flat flat = {.base = BASE, .bytes = bytes, .count = sizeof bytes};
	check_refused(flat, "more than 4096 instructions");
	flat.bytes++;
	flat.count--;
	CHECK_RETURNS(flat, 4095);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits");
	TCase *tests = tcase_create("exits");
	tcase_add_test(tests, every_form_of_near_ret_is_a_return);
	tcase_add_test(tests, both_sides_of_a_conditional_jump_are_followed);
	tcase_add_test(tests, a_jump_is_followed_and_what_stands_behind_it_is_not);
	tcase_add_test(tests, a_loop_ends);
	tcase_add_test(tests, a_jump_over_a_lock_prefix_reaches_both_readings);
	tcase_add_test(tests, traps_end_a_path);
	tcase_add_test(tests, a_call_falls_through);
	tcase_add_test(tests, a_call_that_ends_its_function_part_does_not_return);
	tcase_add_test(tests, a_recursion_is_a_call_and_a_call_into_the_function_is_refused);
	tcase_add_test(tests, a_jump_through_a_slot_is_a_departure_and_not_followed);
	tcase_add_test(tests, a_tail_call_through_the_plt_departs_where_it_jumps);
	tcase_add_test(tests, a_block_that_ends_in_a_jump_through_a_slot_is_no_plt_entry);
	tcase_add_test(tests, a_jump_to_a_probed_function_that_is_a_plt_entry_is_a_handover);
	tcase_add_test(tests, a_jump_that_stop_at_accepts_is_a_handover);
	tcase_add_test(tests, falling_into_a_probed_function_is_a_handover);
	tcase_add_test(tests, a_jump_back_to_the_probed_entry_is_a_handover);
	tcase_add_test(tests, what_cannot_be_followed_is_refused_with_a_reason);
	tcase_add_test(tests, a_function_of_4096_instructions_is_the_longest);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
