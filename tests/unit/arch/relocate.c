/* SPDX-License-Identifier: MIT */
/*
 * Copies written down by hand from the manual's encodings, refusals, and where stopped threads
 * belong.
 */
#include <check.h>
#include <stdlib.h>

#include "arch/code.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"

enum {
	SITE = 0x10000,
	SLOT = 0x20000,
};

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static struct error *relocate(const uint8_t *bytes, size_t count, uint64_t slot,
			      struct code_slot *ret)
{
	struct flat flat = {.base = SITE, .bytes = bytes, .count = count};
	struct code_reader reader = flat_reader(&flat);
	return code_relocate(&reader, (target_addr){SITE}, (target_addr){slot}, ret);
}

static struct code_slot must_relocate(const uint8_t *bytes, size_t count)
{
	struct code_slot slot;
	struct error *err = relocate(bytes, count, SLOT, &slot);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	return slot;
}

static void check_copy(const struct code_slot *slot, const uint8_t *bytes, size_t count)
{
	ck_assert_uint_eq(slot->count, count);
	ck_assert_mem_eq(slot->bytes, bytes, count);
}

static void check_refused(const uint8_t *bytes, size_t count, const char *reason)
{
	struct code_slot slot;
	_cleanup_error_ struct error *err = relocate(bytes, count, SLOT, &slot);
	ck_assert_ptr_nonnull(err);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_msg(strstr(error_message(err), reason), "\"%s\" lacks \"%s\"", error_message(err),
		      reason);
}

static void check_resume(const struct code_slot *slot, size_t offset, uint64_t address)
{
	target_addr got;
	ck_assert(code_slot_resume(slot, offset, (target_addr){SITE}, &got));
	ck_assert_uint_eq(got.v, address);
}

static void check_no_resume_but(const struct code_slot *slot, const size_t *offsets, size_t count)
{
	for (size_t offset = 0; offset <= CODE_SLOT_MAX_BYTES; offset++) {
		bool listed = false;
		for (size_t i = 0; i < count; i++)
			listed |= offsets[i] == offset;
		target_addr got;
		ck_assert(code_slot_resume(slot, offset, (target_addr){SITE}, &got) == listed);
	}
}

START_TEST(a_plain_instruction_is_copied_and_followed_by_a_jump_back)
{
	struct code_slot slot = must_relocate(BYTES(0x41, 0x54)); /* push %r12 */
	/* The jump ends at SLOT + 7 and goes to SITE + 2. */
	check_copy(&slot, BYTES(0x41, 0x54, 0xe9, 0xfb, 0xff, 0xfe, 0xff));
	ck_assert_uint_eq(slot.length, 2);
	check_resume(&slot, 0, SITE);
	check_resume(&slot, 2, SITE + 2);
	check_no_resume_but(&slot, (const size_t[]){0, 2}, 2);
}
END_TEST

START_TEST(a_relative_operand_before_an_immediate_keeps_its_meaning)
{
	/* cmpb $0x5,0x100(%rip): the operand is SITE + 7 + 0x100; from the slot, 0x10000 less. */
	struct code_slot slot = must_relocate(BYTES(0x80, 0x3d, 0x00, 0x01, 0x00, 0x00, 0x05));
	check_copy(&slot,
		   BYTES(0x80, 0x3d, 0x00, 0x01, 0xff, 0xff, 0x05, 0xe9, 0xfb, 0xff, 0xfe, 0xff));
}
END_TEST

START_TEST(a_jump_is_one_jump)
{
	struct code_slot slot = must_relocate(BYTES(0xeb, 0x10));
	check_copy(&slot, BYTES(0xe9, 0x0d, 0x00, 0xff, 0xff));
	check_no_resume_but(&slot, (const size_t[]){0}, 1);
}
END_TEST

START_TEST(a_short_conditional_jump_becomes_a_near_one_and_a_jump_back)
{
	struct code_slot slot = must_relocate(BYTES(0x75, 0x10)); /* jne SITE + 0x12 */
	check_copy(&slot, BYTES(0x0f, 0x85, 0x0c, 0x00, 0xff, 0xff, 0xe9, 0xf7, 0xff, 0xfe, 0xff));
	check_resume(&slot, 6, SITE + 2);
	check_no_resume_but(&slot, (const size_t[]){0, 6}, 2);
}
END_TEST

START_TEST(a_loop_branches_within_its_slot)
{
	struct code_slot slot = must_relocate(BYTES(0xe2, 0x10));
	check_copy(&slot,
		   BYTES(0xe2, 0x05, 0xe9, 0xfb, 0xff, 0xfe, 0xff, 0xe9, 0x06, 0x00, 0xff, 0xff));
	check_resume(&slot, 2, SITE + 2);
	check_resume(&slot, 7, SITE + 0x12);
	check_no_resume_but(&slot, (const size_t[]){0, 2, 7}, 3);
}
END_TEST

START_TEST(a_call_pushes_the_original_return_address)
{
	struct code_slot slot = must_relocate(BYTES(0xe8, 0x10, 0x00, 0x00, 0x00));
	check_copy(&slot, BYTES(0xff, 0x35, 0x05, 0x00, 0x00, 0x00, 0xe9, 0x0a, 0x00, 0xff, 0xff,
				0x05, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00));
	/* Once pushed, the call has happened. */
	check_resume(&slot, 6, SITE + 0x15);
	check_no_resume_but(&slot, (const size_t[]){0, 6}, 2);
}
END_TEST

START_TEST(a_call_through_a_register_is_half_done_after_the_push)
{
	struct code_slot slot = must_relocate(BYTES(0x41, 0xff, 0xd3)); /* call *%r11 */
	check_copy(&slot, BYTES(0xff, 0x35, 0x03, 0x00, 0x00, 0x00, 0x41, 0xff, 0xe3, 0x03, 0x00,
				0x01, 0x00, 0x00, 0x00, 0x00, 0x00));
	check_no_resume_but(&slot, (const size_t[]){0}, 1);
}
END_TEST

START_TEST(a_call_through_the_stack_counts_the_pushed_word)
{
	struct code_slot slot = must_relocate(BYTES(0xff, 0x54, 0x24, 0x7c)); /* call *0x7c(%rsp) */
	check_copy(&slot, BYTES(0xff, 0x35, 0x07, 0x00, 0x00, 0x00, 0xff, 0xa4, 0x24, 0x84, 0x00,
				0x00, 0x00, 0x04, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00));
	/* r12 shares rsp's encoding but for the REX bit and is left alone. */
	slot = must_relocate(BYTES(0x41, 0xff, 0x54, 0x24, 0x7c));
	check_copy(&slot, BYTES(0xff, 0x35, 0x05, 0x00, 0x00, 0x00, 0x41, 0xff, 0x64, 0x24, 0x7c,
				0x05, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00));
}
END_TEST

START_TEST(a_return_is_copied_alone)
{
	struct code_slot slot = must_relocate(BYTES(0xf3, 0xc3));
	check_copy(&slot, BYTES(0xf3, 0xc3));
	check_no_resume_but(&slot, (const size_t[]){0}, 1);
}
END_TEST

START_TEST(what_cannot_run_elsewhere_is_refused_with_a_reason)
{
	check_refused(BYTES(0x0f, 0x05), "system call");
	check_refused(BYTES(0x0f, 0x34), "not followed");
	check_refused(BYTES(0xcd, 0x80), "raises an interrupt");
	check_refused(BYTES(0xf1), "raises an interrupt");
	check_refused(BYTES(0xcc), "is there to trap");
	check_refused(BYTES(0x0f, 0x0b), "is there to trap");
	check_refused(BYTES(0xcb), "not followed");
	check_refused(BYTES(0xff, 0x18), "not followed");
	check_refused(BYTES(0xff, 0x28), "not followed");
	check_refused(BYTES(0x48, 0xcf), "not followed");
	check_refused(BYTES(0x66, 0x74, 0x00), "not followed");
	check_refused(BYTES(0xc7, 0xf8, 0x00, 0x00, 0x00, 0x00), "begins a transaction");
	check_refused(BYTES(0x9d), "trap flag");
	check_refused(BYTES(0x8e, 0xd0), "holds off interrupts");
	check_refused(BYTES(0x0f, 0xb2, 0x00), "holds off interrupts");
	check_refused(BYTES(0x0f, 0x20, 0xc0), "is privileged");
	check_refused(BYTES(0xd9, 0xc0), "x87");
	check_refused(BYTES(0x67, 0x8b, 0x05, 0x00, 0x00, 0x00, 0x00), "relative to eip");
	check_refused(BYTES(0xff, 0xd4), "calls the stack pointer");
	check_refused(BYTES(0xff, 0x54, 0x24, 0xf8), "word it overwrites");
	check_refused(BYTES(0xff, 0x54, 0x24, 0xf1), "word it overwrites");
	check_refused(BYTES(0x67, 0xff, 0x14, 0x24), "with 32 bits");
	check_refused(BYTES(0xff, 0x94, 0x24, 0xf8, 0xff, 0xff, 0x7f), "too far above");
	check_refused(BYTES(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0xff, 0x14, 0x24,
			    0x90, 0x90, 0x90),
		      "too many prefixes");
}
END_TEST

START_TEST(neighbours_of_refused_instructions_are_moved)
{
	must_relocate(BYTES(0x9c));			    /* pushf */
	must_relocate(BYTES(0xff, 0x54, 0x24, 0xf0));	    /* call *-0x10(%rsp) */
	must_relocate(BYTES(0x8e, 0xd8));		    /* mov %eax,%ds */
	must_relocate(BYTES(0xf3, 0x0f, 0x1e, 0xfa));	    /* endbr64 */
	must_relocate(BYTES(0x66, 0x48, 0xe8, 0, 0, 0, 0)); /* data16 rex.W call */
}
END_TEST

START_TEST(unreadable_and_undecodable_code_are_told_apart)
{
	struct code_slot slot;
	_cleanup_error_ struct error *fault = relocate(NULL, 0, SLOT, &slot);
	ck_assert_int_eq(error_kind_of(fault), ERROR_FAULT);
	_cleanup_error_ struct error *bad = relocate(BYTES(0x06), SLOT, &slot);
	ck_assert_int_eq(error_kind_of(bad), ERROR_BAD_INPUT);
	_cleanup_error_ struct error *cut = relocate(BYTES(0x48, 0x8b), SLOT, &slot);
	ck_assert_int_eq(error_kind_of(cut), ERROR_BAD_INPUT);
}
END_TEST

/* Tries a slot at a distance and says whether the copy was made; anything but "out of reach" fails.
 */
static bool reaches(const uint8_t *bytes, size_t count, uint64_t slot_address)
{
	struct code_slot slot;
	_cleanup_error_ struct error *err = relocate(bytes, count, slot_address, &slot);
	if (err)
		ck_assert_ptr_nonnull(strstr(error_message(err), "out of reach"));
	return !err;
}

START_TEST(the_reach_of_a_copy_is_known_to_the_byte)
{
	/* push %r12: the jump back ends at slot + 7 and goes back to SITE + 2. */
	ck_assert(reaches(BYTES(0x41, 0x54), SITE + 0x7ffffffbul));
	ck_assert(!reaches(BYTES(0x41, 0x54), SITE + 0x7ffffffcul));
	/* mov (%rip),%rax: the operand is SITE + 7; the jump back ends at slot + 12. */
	ck_assert(reaches(BYTES(0x48, 0x8b, 0x05, 0, 0, 0, 0), SITE + 0x7ffffffbul));
	ck_assert(!reaches(BYTES(0x48, 0x8b, 0x05, 0, 0, 0, 0), SITE + 0x7ffffffcul));
	/* The same with an operand 2 GiB below the site. */
	ck_assert(reaches(BYTES(0x48, 0x8b, 0x05, 0, 0, 0, 0x80), SITE));
	ck_assert(!reaches(BYTES(0x48, 0x8b, 0x05, 0, 0, 0, 0x80), SITE + 1));
	ck_assert(!reaches(BYTES(0xff, 0x15, 0, 0, 0, 0x80), SITE + 0x100));
	ck_assert(!reaches(BYTES(0xe8, 0, 0, 0, 0x80), SITE + 0x100));
	ck_assert(!reaches(BYTES(0x0f, 0x84, 0, 0, 0, 0x80), SITE + 0x100));
	/* A ret refers to nothing. */
	ck_assert(reaches(BYTES(0xc3), 0x7fff00000000));
}
END_TEST

START_TEST(a_jump_is_encoded_where_it_reaches)
{
	uint8_t bytes[CODE_JUMP_BYTES];
	ck_assert(code_encode_jump((target_addr){0x1000}, (target_addr){0x1000}, bytes));
	ck_assert_mem_eq(bytes, ((const uint8_t[]){0xe9, 0xfb, 0xff, 0xff, 0xff}), 5);
	ck_assert(code_encode_jump((target_addr){0x1000}, (target_addr){0x80001004}, bytes));
	ck_assert_mem_eq(bytes, ((const uint8_t[]){0xe9, 0xff, 0xff, 0xff, 0x7f}), 5);
	ck_assert(!code_encode_jump((target_addr){0x1000}, (target_addr){0x80001005}, bytes));
	ck_assert(code_encode_jump((target_addr){0x80000000}, (target_addr){0x5}, bytes));
	ck_assert_mem_eq(bytes, ((const uint8_t[]){0xe9, 0x00, 0x00, 0x00, 0x80}), 5);
	ck_assert(!code_encode_jump((target_addr){0x80000000}, (target_addr){0x4}, bytes));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("relocate");
	TCase *tests = tcase_create("relocate");
	tcase_add_test(tests, a_plain_instruction_is_copied_and_followed_by_a_jump_back);
	tcase_add_test(tests, a_relative_operand_before_an_immediate_keeps_its_meaning);
	tcase_add_test(tests, a_jump_is_one_jump);
	tcase_add_test(tests, a_short_conditional_jump_becomes_a_near_one_and_a_jump_back);
	tcase_add_test(tests, a_loop_branches_within_its_slot);
	tcase_add_test(tests, a_call_pushes_the_original_return_address);
	tcase_add_test(tests, a_call_through_a_register_is_half_done_after_the_push);
	tcase_add_test(tests, a_call_through_the_stack_counts_the_pushed_word);
	tcase_add_test(tests, a_return_is_copied_alone);
	tcase_add_test(tests, what_cannot_run_elsewhere_is_refused_with_a_reason);
	tcase_add_test(tests, neighbours_of_refused_instructions_are_moved);
	tcase_add_test(tests, unreadable_and_undecodable_code_are_told_apart);
	tcase_add_test(tests, the_reach_of_a_copy_is_known_to_the_byte);
	tcase_add_test(tests, a_jump_is_encoded_where_it_reaches);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
