/* SPDX-License-Identifier: MIT */
/*
 * Small functions written down byte by byte, each showing one rule of where an argument survives,
 * and bytes that nobody meant as code.
 */
#include <check.h>
#include <stdlib.h>

#include "arch/survival.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"

enum {
	BASE = 0x1000,
	RCX = 1,
	RDX = 2,
	RBX = 3,
	RSI = 6,
	RDI = 7,
	HOSTILE_STRINGS = 200000,
};

#define CODE(...)                                                                                  \
	(struct flat)                                                                              \
	{                                                                                          \
		.base = BASE, .bytes = (const uint8_t[]){__VA_ARGS__},                             \
		.count = sizeof((const uint8_t[]){__VA_ARGS__}), .bounds_start = BASE,             \
		.bounds_end = BASE + sizeof((const uint8_t[]){__VA_ARGS__})                        \
	}

/* Offsets from BASE. */
#define EXIT(at, ret, number, depth)                                                               \
	(struct survival_point)                                                                    \
	{                                                                                          \
		SURVIVAL_EXIT, {BASE + (at)}, {BASE + (ret)}, true, number, depth                  \
	}
#define EXIT_UNREADABLE(at)                                                                        \
	(struct survival_point)                                                                    \
	{                                                                                          \
		SURVIVAL_EXIT, {BASE + (at)}, {BASE + (at)}, false, 0, 0                           \
	}
#define LOST(at, number, depth)                                                                    \
	(struct survival_point)                                                                    \
	{                                                                                          \
		SURVIVAL_LOST, {BASE + (at)}, {0}, true, number, depth                             \
	}

static const struct survival_point *point_at(const struct survival *survival, uint64_t address)
{
	for (size_t i = 0; i < survival->count; i++)
		if (survival->points[i].address.v == address)
			return &survival->points[i];
	return NULL;
}

static void check_points(struct flat flat, unsigned argument, const struct survival_point *wanted,
			 size_t count)
{
	struct code_reader reader = flat_reader(&flat);
	_cleanup_survival_ struct survival survival = {0};
	struct error *err = survival_find(&reader, (target_addr){BASE}, argument, &survival);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	ck_assert_uint_eq(survival.count, count);
	for (size_t i = 0; i < count; i++) {
		const struct survival_point *point = point_at(&survival, wanted[i].address.v);
		ck_assert_msg(point, "no point at +%u", (unsigned)(wanted[i].address.v - BASE));
		ck_assert_int_eq(point->kind, wanted[i].kind);
		ck_assert_uint_eq(point->returns_at.v, wanted[i].returns_at.v);
		ck_assert_int_eq(point->readable, wanted[i].readable);
		ck_assert_uint_eq(point->register_number, wanted[i].register_number);
		ck_assert_uint_eq(point->depth_bytes, wanted[i].depth_bytes);
	}
}

#define CHECK_POINTS(argument, flat, ...)                                                          \
	check_points(flat, argument, (const struct survival_point[]){__VA_ARGS__},                 \
		     sizeof((const struct survival_point[]){__VA_ARGS__}) /                        \
			     sizeof(struct survival_point))

static void check_refused_for(unsigned argument, struct flat flat, const char *reason)
{
	struct code_reader reader = flat_reader(&flat);
	struct survival survival = {0};
	_cleanup_error_ struct error *err =
		survival_find(&reader, (target_addr){BASE}, argument, &survival);
	ck_assert_msg(err, "accepted, should say \"%s\"", reason);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_msg(strstr(error_message(err), reason), "\"%s\" lacks \"%s\"", error_message(err),
		      reason);
	ck_assert_ptr_null(survival.points);
}

static void check_refused(struct flat flat, const char *reason)
{
	check_refused_for(1, flat, reason);
}

START_TEST(the_six_arguments_come_in_the_registers_of_the_psabi)
{
	const uint8_t numbers[] = {RDI, RSI, RDX, RCX, 8, 9};
	for (unsigned argument = 1; argument <= 6; argument++)
		CHECK_POINTS(argument, CODE(0xc3), EXIT(0, 0, numbers[argument - 1], 0));
	check_refused_for(0, CODE(0xc3), "argument 0 is not passed in a register");
	check_refused_for(7, CODE(0xc3), "argument 7 is not passed in a register");
}
END_TEST

START_TEST(registers_are_numbered_as_they_are_encoded)
{
	const struct user_regs_struct registers = {.rax = 100,
						   .rcx = 101,
						   .rdx = 102,
						   .rbx = 103,
						   .rsp = 104,
						   .rbp = 105,
						   .rsi = 106,
						   .rdi = 107,
						   .r8 = 108,
						   .r9 = 109,
						   .r10 = 110,
						   .r11 = 111,
						   .r12 = 112,
						   .r13 = 113,
						   .r14 = 114,
						   .r15 = 115};
	for (uint8_t number = 0; number < 16; number++)
		ck_assert_uint_eq(survival_register(&registers, number), 100u + number);
}
END_TEST

/* Which of the argument registers an instruction changes, by the manual. */
struct change {
	const char *name;
	uint8_t bytes[8];
	size_t count;
	const char *changed; /* digits: arguments that are lost */
};

static const struct change changes[] = {
	{"mov $0, %dil", {0x40, 0xb7, 0x00}, 3, "1"},
	{"mov $0, %di", {0x66, 0xbf, 0x00, 0x00}, 4, "1"},
	{"xor %edi, %edi", {0x31, 0xff}, 2, "1"},
	{"mov $0, %dh", {0xb6, 0x00}, 2, "3"},
	{"mov $0, %ch", {0xb5, 0x00}, 2, "4"},
	{"cmovne %rbx, %rdi", {0x48, 0x0f, 0x45, 0xfb}, 4, "1"},
	{"cmovne %ebx, %r9d", {0x44, 0x0f, 0x45, 0xcb}, 4, "6"},
	{"xchg %rdi, %rsi", {0x48, 0x87, 0xf7}, 3, "12"},
	{"xchg %rax, %rdi", {0x48, 0x97}, 2, "1"},
	{"xchg %rdi, (%rsi)", {0x48, 0x87, 0x3e}, 3, "1"},
	{"xadd %rdi, %rsi", {0x48, 0x0f, 0xc1, 0xfe}, 4, "12"},
	{"xadd %rdi, (%rsi)", {0x48, 0x0f, 0xc1, 0x3e}, 4, "1"},
	{"mul %rbx", {0x48, 0xf7, 0xe3}, 3, "3"},
	{"imul %rbx", {0x48, 0xf7, 0xeb}, 3, "3"},
	{"div %rbx", {0x48, 0xf7, 0xf3}, 3, "3"},
	{"mul %bl", {0xf6, 0xe3}, 2, ""},
	{"cqo", {0x48, 0x99}, 2, "3"},
	{"cpuid", {0x0f, 0xa2}, 2, "34"},
	{"rdtsc", {0x0f, 0x31}, 2, "3"},
	{"rdtscp", {0x0f, 0x01, 0xf9}, 3, "34"},
	{"xgetbv", {0x0f, 0x01, 0xd0}, 3, "3"},
	{"syscall", {0x0f, 0x05}, 2, "4"},
	{"movsb", {0xa4}, 1, "12"},
	{"rep movsb", {0xf3, 0xa4}, 2, "124"},
	{"rep stosq", {0xf3, 0x48, 0xab}, 3, "14"},
	{"lodsb", {0xac}, 1, "2"},
	{"scasb", {0xae}, 1, "1"},
	{"repne scasb", {0xf2, 0xae}, 2, "14"},
	{"cmpsb", {0xa6}, 1, "12"},
	{"repe cmpsb", {0xf3, 0xa6}, 2, "124"},
	{"cmpxchg %rcx, (%rdi)", {0x48, 0x0f, 0xb1, 0x0f}, 4, ""},
	{"cmpxchg %rcx, %rdi", {0x48, 0x0f, 0xb1, 0xcf}, 4, "1"},
	{"cmpxchg16b (%rdi)", {0x48, 0x0f, 0xc7, 0x0f}, 4, "3"},
	{"sete %dl", {0x0f, 0x94, 0xc2}, 3, "3"},
	{"bsf %rbx, %r8", {0x4c, 0x0f, 0xbc, 0xc3}, 4, "5"},
	{"pcmpistri $0, %xmm1, %xmm0", {0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x00}, 6, "4"},
	{"mov %fs:(%rdi), %rdi", {0x64, 0x48, 0x8b, 0x3f}, 4, "1"},
	{"mov %rdi, %fs:(%rsi)", {0x64, 0x48, 0x89, 0x3e}, 4, ""},
	{"mov %rdi, (%rsi)", {0x48, 0x89, 0x3e}, 3, ""},
	{"lea (%rdi, %rsi), %rcx", {0x48, 0x8d, 0x0c, 0x37}, 4, "4"},
	{"cmp %rsi, %rdi", {0x48, 0x39, 0xf7}, 3, ""},
	{"shl %cl, %edx", {0xd3, 0xe2}, 2, "3"},
	{"mulx %rdi, %rsi, %r8", {0xc4, 0x62, 0xcb, 0xf6, 0xc7}, 5, "25"},
	{"call *%rax", {0xff, 0xd0}, 2, "123456"},
	{"endbr64", {0xf3, 0x0f, 0x1e, 0xfa}, 4, ""},
	{"mov %rdi, %rdi", {0x48, 0x89, 0xff}, 3, ""},
	{"mov %edi, %edi", {0x89, 0xff}, 2, "1"},
};

/* The instruction; xor %eax, %eax; ret: a change is a loss, since rax is not final there. */
START_TEST(an_instruction_loses_the_arguments_it_changes_even_in_part_or_perhaps)
{
	const uint8_t numbers[] = {RDI, RSI, RDX, RCX, 8, 9};
	const struct change *change = &changes[_i];
	uint8_t bytes[16];
	memcpy(bytes, change->bytes, change->count);
	memcpy(bytes + change->count, "\x31\xc0\xc3", 3);
	struct flat flat = {.base = BASE,
			    .bytes = bytes,
			    .count = change->count + 3,
			    .bounds_start = BASE,
			    .bounds_end = BASE + change->count + 3};
	size_t ret = change->count + 2;
	for (unsigned argument = 1; argument <= 6; argument++) {
		uint8_t number = numbers[argument - 1];
		if (strchr(change->changed, (char)('0' + argument)))
			CHECK_POINTS(argument, flat, LOST(0, number, 0), EXIT_UNREADABLE(ret));
		else
			CHECK_POINTS(argument, flat, EXIT(ret, ret, number, 0));
	}
}
END_TEST

START_TEST(a_whole_copy_carries_the_argument_on)
{
	/* mov %rdi, %rbx; xor %edi, %edi; xor %eax, %eax; ret */
	CHECK_POINTS(1, CODE(0x48, 0x89, 0xfb, 0x31, 0xff, 0x31, 0xc0, 0xc3), EXIT(7, 7, RBX, 0));
	/* The other encoding of mov, and through r15 back. */
	CHECK_POINTS(1, CODE(0x48, 0x8b, 0xdf, 0x31, 0xff, 0x31, 0xc0, 0xc3), EXIT(7, 7, RBX, 0));
	CHECK_POINTS(1,
		     CODE(0x49, 0x89, 0xff, 0x31, 0xff, 0x4c, 0x89, 0xfe, 0x45, 0x31, 0xff, 0x31,
			  0xc0, 0xc3),
		     EXIT(13, 13, RSI, 0));
}
END_TEST

START_TEST(half_a_copy_or_a_sum_is_no_copy)
{
	/* mov %edi, %ebx; movzbl %dil, %ebx; lea (%rdi), %rbx; xchg %rdi, %rbx; movslq %edi, %rbx
	 */
	CHECK_POINTS(1, CODE(0x89, 0xfb, 0x31, 0xff, 0x31, 0xc0, 0xc3), LOST(2, RDI, 0),
		     EXIT_UNREADABLE(6));
	CHECK_POINTS(1, CODE(0x40, 0x0f, 0xb6, 0xdf, 0x31, 0xff, 0x31, 0xc0, 0xc3), LOST(4, RDI, 0),
		     EXIT_UNREADABLE(8));
	CHECK_POINTS(1, CODE(0x48, 0x8d, 0x1f, 0x31, 0xff, 0x31, 0xc0, 0xc3), LOST(3, RDI, 0),
		     EXIT_UNREADABLE(7));
	CHECK_POINTS(1, CODE(0x48, 0x87, 0xfb, 0x31, 0xc0, 0xc3), LOST(0, RDI, 0),
		     EXIT_UNREADABLE(5));
	CHECK_POINTS(1, CODE(0x48, 0x63, 0xdf, 0x31, 0xff, 0x31, 0xc0, 0xc3), LOST(3, RDI, 0),
		     EXIT_UNREADABLE(7));
	/* A copy of something else over the copy: mov %rdi, %rbx; mov %rsi, %rbx; xor %edi, %edi */
	CHECK_POINTS(1, CODE(0x48, 0x89, 0xfb, 0x48, 0x89, 0xf3, 0x31, 0xff, 0x31, 0xc0, 0xc3),
		     LOST(6, RDI, 0), EXIT_UNREADABLE(10));
}
END_TEST

START_TEST(a_call_keeps_rbx_rbp_and_r12_to_r15)
{
	const uint8_t kept[] = {3, 5, 12, 13, 14, 15}, changed[] = {0, 1, 2, 6, 8, 9, 10, 11};
	for (size_t i = 0; i < sizeof kept + sizeof changed; i++) {
		bool keeps = i < sizeof kept;
		uint8_t number = keeps ? kept[i] : changed[i - sizeof kept];
		/* mov %rdi, %number; xor %edi, %edi; call; xor %eax, %eax; ret */
		uint8_t rex = 0x48 | number >> 3, modrm = 0xf8 | (number & 7);
		struct flat flat = CODE(rex, 0x89, modrm, 0x31, 0xff, 0xe8, 0x00, 0x10, 0x00, 0x00,
					0x31, 0xc0, 0xc3);
		if (keeps)
			CHECK_POINTS(1, flat, EXIT(12, 12, number, 0));
		else
			CHECK_POINTS(1, flat, LOST(5, number, 0), EXIT_UNREADABLE(12));
	}
}
END_TEST

START_TEST(the_exit_is_the_last_instruction_that_sees_the_argument_with_the_result_in_place)
{
	/* push %rbx; mov %rdi, %rbx; call; pop %rbx; ret */
	CHECK_POINTS(1, CODE(0x53, 0x48, 0x89, 0xfb, 0xe8, 0x00, 0x10, 0x00, 0x00, 0x5b, 0xc3),
		     EXIT(9, 10, RBX, 8));
	/* pop of it, then of others */
	CHECK_POINTS(1,
		     CODE(0x41, 0x54, 0x55, 0x53, 0x48, 0x89, 0xfb, 0xe8, 0x00, 0x10, 0x00, 0x00,
			  0x5b, 0x5d, 0x41, 0x5c, 0xc3),
		     EXIT(12, 16, RBX, 24));
	/* xor %edi, %edi; xor %eax, %eax; ret: the result is not yet there */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0x31, 0xc0, 0xc3), LOST(0, RDI, 0), EXIT_UNREADABLE(4));
	/* xor %edi, %edi; mov $1, %al; ret: nor in part */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0xb0, 0x01, 0xc3), LOST(0, RDI, 0), EXIT_UNREADABLE(4));
	/* xchg %rax, %rdi; ret: the overwriting instruction makes the result */
	CHECK_POINTS(1, CODE(0x48, 0x97, 0xc3), LOST(0, RDI, 0), EXIT_UNREADABLE(2));
	/* call; ret: the call makes the result */
	CHECK_POINTS(1, CODE(0xe8, 0x00, 0x10, 0x00, 0x00, 0xc3), LOST(0, RDI, 0),
		     EXIT_UNREADABLE(5));
	/* xor %edi, %edi; syscall; ret: the kernel makes the result */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0x0f, 0x05, 0xc3), LOST(0, RDI, 0), EXIT_UNREADABLE(4));
	/* xor %edi, %edi; test; ret $8: one stop */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0x85, 0xc0, 0xc2, 0x08, 0x00), EXIT(0, 4, RDI, 0));
}
END_TEST

START_TEST(an_exit_stands_before_no_jump_and_no_jump_leads_behind_it)
{
	/* xor %edi, %edi; je 1f; 1: ret */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0x74, 0x00, 0xc3), LOST(0, RDI, 0), EXIT_UNREADABLE(4));
	/* xor %edi, %edi; jmp 1f; nop; 1: ret */
	CHECK_POINTS(1, CODE(0x31, 0xff, 0xeb, 0x01, 0x90, 0xc3), LOST(0, RDI, 0),
		     EXIT_UNREADABLE(5));
	/* je 1f; xor %edi, %edi; 1: ret: another path comes to the ret with it */
	CHECK_POINTS(1, CODE(0x74, 0x02, 0x31, 0xff, 0xc3), LOST(2, RDI, 0), EXIT(4, 4, RDI, 0));
	/* xor %edi, %edi; je 1f; xor %ecx, %ecx; 1: nop; ret, for rcx: a jump leads behind the xor
	 */
	CHECK_POINTS(4, CODE(0x31, 0xc9, 0x74, 0x02, 0x31, 0xd2, 0x90, 0xc3), LOST(0, RCX, 0),
		     EXIT_UNREADABLE(7));
	/* je 1f; xor %edi, %edi; 1: xor %edi, %edi; ret: a jump to the exit itself is none behind
	 * it */
	CHECK_POINTS(1, CODE(0x74, 0x02, 0x31, 0xff, 0x31, 0xff, 0xc3), LOST(2, RDI, 0),
		     EXIT(4, 6, RDI, 0));
	/* loop 1f; 1: ret: losing by a branch */
	CHECK_POINTS(4, CODE(0xe2, 0x00, 0xc3), LOST(0, RCX, 0), EXIT_UNREADABLE(2));
}
END_TEST

START_TEST(paths_that_lost_it_all_around_a_jump_into_the_line_have_an_unreadable_exit)
{
	/* je 1f; xor %edi, %edi; jmp 2f; 1: xor %edi, %edi; 2: nop; ret */
	CHECK_POINTS(1, CODE(0x74, 0x04, 0x31, 0xff, 0xeb, 0x02, 0x31, 0xff, 0x90, 0xc3),
		     LOST(2, RDI, 0), LOST(6, RDI, 0), EXIT_UNREADABLE(9));
}
END_TEST

START_TEST(every_return_has_its_exit)
{
	/* test; je 1f; xor %edi, %edi; ret; 1: push %rbx; pop %rbx; ret */
	CHECK_POINTS(1, CODE(0x74, 0x03, 0x31, 0xff, 0xc3, 0x53, 0x5b, 0xc3), EXIT(2, 4, RDI, 0),
		     EXIT(7, 7, RDI, 0));
}
END_TEST

START_TEST(paths_that_meet_must_hold_it_in_one_place)
{
	/* je 1f; mov %rdi, %rbx; xor %edi, %edi; jmp 2f; 1: mov %rdi, %rcx; xor %edi, %edi; 2: ret
	 */
	check_refused(CODE(0x74, 0x07, 0x48, 0x89, 0xfb, 0x31, 0xff, 0xeb, 0x05, 0x48, 0x89, 0xf9,
			   0x31, 0xff, 0xc3),
		      "is reached with the argument in different places");
	/* The same with a common copy in r8 before. */
	CHECK_POINTS(1,
		     CODE(0x49, 0x89, 0xf8, 0x74, 0x07, 0x48, 0x89, 0xfb, 0x31, 0xff, 0xeb, 0x05,
			  0x48, 0x89, 0xf9, 0x31, 0xff, 0xc3),
		     EXIT(17, 17, 8, 0));
	/* A path that has lost it constrains nothing: je 1f; xor %edi, %edi; 1: nop; ret */
	CHECK_POINTS(1, CODE(0x74, 0x02, 0x31, 0xff, 0x90, 0xc3), LOST(2, RDI, 0),
		     EXIT(5, 5, RDI, 0));
	/* mov %rdi, %rbx; je 1f; xor %edi, %edi; 1: xor %ebx, %ebx; xor %eax, %eax; ret */
	CHECK_POINTS(1,
		     CODE(0x48, 0x89, 0xfb, 0x74, 0x02, 0x31, 0xff, 0x31, 0xdb, 0x31, 0xc0, 0xc3),
		     LOST(7, RBX, 0), EXIT_UNREADABLE(11));
}
END_TEST

START_TEST(a_loop_keeps_what_its_body_keeps)
{
	/* 1: dec %rsi; jne 1b; ret */
	CHECK_POINTS(1, CODE(0x48, 0xff, 0xce, 0x75, 0xfb, 0xc3), EXIT(5, 5, RDI, 0));
	/* 1: dec %rdi; jne 1b; ret: read before the first round */
	CHECK_POINTS(1, CODE(0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3), LOST(0, RDI, 0),
		     EXIT_UNREADABLE(5));
	/* mov %rdi, %rbx; 1: mov %rbx, %rcx; xor %edi, %edi; dec %rsi; jne 1b; ret */
	CHECK_POINTS(1,
		     CODE(0x48, 0x89, 0xfb, 0x48, 0x89, 0xd9, 0x31, 0xff, 0x48, 0xff, 0xce, 0x75,
			  0xf6, 0xc3),
		     EXIT(13, 13, RCX, 0));
	/* mov %rdi, %rbx; 1: mov %rdi, %rcx; xor %edi, %edi; jne 1b: rdi is lost in the second
	 * round, rcx, too */
	CHECK_POINTS(1,
		     CODE(0x48, 0x89, 0xfb, 0x48, 0x89, 0xf9, 0x31, 0xff, 0x48, 0xff, 0xce, 0x75,
			  0xf6, 0xc3),
		     EXIT(13, 13, RBX, 0));
}
END_TEST

START_TEST(a_jump_to_the_entry_comes_with_what_it_holds)
{
	/* nop; jne entry; ret */
	CHECK_POINTS(1, CODE(0x90, 0x75, 0xfd, 0xc3), EXIT(3, 3, RDI, 0));
	/* mov %rdi, %rbx; xor %edi, %edi; jne entry; ret */
	check_refused(CODE(0x48, 0x89, 0xfb, 0x31, 0xff, 0x75, 0xf9, 0xc3),
		      "is reached with the argument in different places");
	/* push %rax; jne entry; pop %rax; ret */
	check_refused(CODE(0x50, 0x75, 0xfd, 0x58, 0xc3), "is reached with different stack depths");
}
END_TEST

START_TEST(the_return_address_is_depth_bytes_above_the_stack_pointer)
{
	/* sub $0x18, %rsp; push %rbx; push $1; push $0x12345678; push (%rdi); 0x1000 more; a loss;
	 * and back */
	CHECK_POINTS(1,
		     CODE(0x48, 0x83, 0xec, 0x18, 0x53, 0x6a, 0x01, 0x68, 0x78, 0x56, 0x34, 0x12,
			  0xff, 0x37, 0x48, 0x81, 0xec, 0x00, 0x10, 0x00, 0x00, 0x31, 0xff, 0x48,
			  0x81, 0xc4, 0x38, 0x10, 0x00, 0x00, 0xc3),
		     EXIT(21, 30, RDI, 0x1038));
	/* sub $-128, %rsp would leave the stack; add $-128, %rsp grows it: gcc's shorter form. */
	CHECK_POINTS(1, CODE(0x48, 0x83, 0xc4, 0x80, 0x31, 0xff, 0x48, 0x83, 0xec, 0x80, 0xc3),
		     EXIT(4, 10, RDI, 128));
	/* push %fs; xor %edi, %edi; pop (%rsi); ret */
	CHECK_POINTS(1, CODE(0x0f, 0xa0, 0x31, 0xff, 0x8f, 0x06, 0xc3), EXIT(2, 6, RDI, 8));
	/* push %r12; pop %rdi; nop; ret: what is popped over the argument is not it */
	CHECK_POINTS(1, CODE(0x41, 0x54, 0x5f, 0x90, 0xc3), EXIT(2, 4, RDI, 8));
}
END_TEST

START_TEST(a_stack_pointer_that_is_not_followed_is_refused)
{
	const char *reason = "moves the stack pointer in a way that is not followed";
	check_refused(CODE(0x66, 0x50, 0xc3), reason);			 /* push %ax */
	check_refused(CODE(0x66, 0x6a, 0x00, 0xc3), reason);		 /* pushw $0 */
	check_refused(CODE(0x66, 0x0f, 0xa0, 0xc3), reason);		 /* pushw %fs */
	check_refused(CODE(0x54, 0xc3), reason);			 /* push %rsp */
	check_refused(CODE(0x5c, 0xc3), reason);			 /* pop %rsp */
	check_refused(CODE(0x9c, 0x9d, 0xc3), reason);			 /* pushfq; popfq */
	check_refused(CODE(0xc9, 0xc3), reason);			 /* leave */
	check_refused(CODE(0xc8, 0x10, 0x00, 0x00, 0xc3), reason);	 /* enter */
	check_refused(CODE(0x48, 0x29, 0xc4, 0xc3), reason);		 /* sub %rax, %rsp */
	check_refused(CODE(0x48, 0x03, 0x27, 0xc3), reason);		 /* add (%rdi), %rsp */
	check_refused(CODE(0x83, 0xec, 0x08, 0xc3), reason);		 /* sub $8, %esp */
	check_refused(CODE(0x66, 0x83, 0xec, 0x08, 0xc3), reason);	 /* sub $8, %sp */
	check_refused(CODE(0x48, 0x83, 0xe4, 0xf0, 0xc3), reason);	 /* and $-16, %rsp */
	check_refused(CODE(0x48, 0x89, 0xec, 0xc3), reason);		 /* mov %rbp, %rsp */
	check_refused(CODE(0x48, 0x8d, 0x64, 0x24, 0x08, 0xc3), reason); /* lea 8(%rsp), %rsp */
	check_refused(CODE(0x48, 0x87, 0xe3, 0xc3), reason);		 /* xchg %rsp, %rbx */
	check_refused(CODE(0x48, 0xff, 0xc4, 0xc3), reason);		 /* inc %rsp */
	check_refused(CODE(0x48, 0x0f, 0x44, 0xe0, 0xc3), reason);	 /* cmove %rax, %rsp */
	/* sub $0x7fffffff, %rsp */
	check_refused(CODE(0x48, 0x81, 0xec, 0xff, 0xff, 0xff, 0x7f, 0xc3), reason);
}
END_TEST

START_TEST(a_stack_that_pops_its_return_address_or_grows_without_end_is_refused)
{
	const char *reason = "leaves the stack of its function";
	check_refused(CODE(0x58, 0x50, 0xc3), reason); /* pop %rax; push %rax; ret */
	check_refused(CODE(0x48, 0x83, 0xc4, 0x08, 0x48, 0x83, 0xec, 0x08, 0xc3), reason);
	/* pop %rax; hlt: also where nothing returns from */
	check_refused(CODE(0x74, 0x02, 0x58, 0xf4, 0xc3), reason);
	/* sub $0x100000, %rsp once is the most. */
	CHECK_POINTS(1,
		     CODE(0x48, 0x81, 0xec, 0x00, 0x00, 0x10, 0x00, 0x31, 0xff, 0x48, 0x81, 0xc4,
			  0x00, 0x00, 0x10, 0x00, 0xc3),
		     EXIT(7, 16, RDI, 0x100000));
	static uint8_t deep[7 * 4000 + 1];
	for (size_t i = 0; i < 4000; i++)
		memcpy(deep + 7 * i, "\x48\x81\xec\x00\x00\x10\x00", 7);
	deep[7 * 4000] = 0xc3;
	check_refused((struct flat){.base = BASE,
				    .bytes = deep,
				    .count = sizeof deep,
				    .bounds_start = BASE,
				    .bounds_end = BASE + sizeof deep},
		      reason);
}
END_TEST

START_TEST(a_return_to_a_pushed_address_is_refused)
{
	check_refused(CODE(0x57, 0xc3), "returns to an address it has pushed");
	check_refused(CODE(0x48, 0x83, 0xec, 0x08, 0xc3), "returns to an address it has pushed");
}
END_TEST

START_TEST(paths_that_meet_must_have_one_stack_depth)
{
	/* je 1f; push %rax; 1: ret */
	check_refused(CODE(0x74, 0x01, 0x50, 0xc3), "is reached with different stack depths");
	/* The same where both have lost the argument: xor %edi, %edi first. */
	check_refused(CODE(0x31, 0xff, 0x74, 0x01, 0x50, 0xc3),
		      "is reached with different stack depths");
	/* 1: push %rax; jmp 1b */
	check_refused(CODE(0x90, 0x50, 0xeb, 0xfd), "is reached with different stack depths");
}
END_TEST

START_TEST(what_leaves_the_function_part_is_refused)
{
	const char *reason = "leaves its function part";
	check_refused(CODE(0xeb, 0x10), reason);
	check_refused(CODE(0xeb, 0xf0), reason);
	check_refused(CODE(0x74, 0x10, 0xc3), reason);
	check_refused(CODE(0x74, 0x01, 0xc3), reason); /* to its very end */
	check_refused(CODE(0x90), reason);
	check_refused(CODE(0xff, 0x25, 0x00, 0x00, 0x00, 0x00), "in a way that is not followed");
	check_refused(CODE(0xff, 0xe7), "in a way that is not followed");
	check_refused(CODE(0xcb), "in a way that is not followed");
	check_refused(CODE(0x66, 0xc3), "in a way that is not followed");
}
END_TEST

START_TEST(a_call_that_ends_its_part_does_not_return)
{
	/* je 1f; ret; 1: call */
	CHECK_POINTS(1, CODE(0x74, 0x01, 0xc3, 0xe8, 0x00, 0x10, 0x00, 0x00), EXIT(2, 2, RDI, 0),
		     LOST(3, RDI, 0));
	CHECK_POINTS(1, CODE(0x74, 0x01, 0xc3, 0xff, 0xd0), EXIT(2, 2, RDI, 0), LOST(3, RDI, 0));
}
END_TEST

START_TEST(a_recursion_is_a_call_and_a_call_into_the_function_is_refused)
{
	/* nop; call entry; ret */
	CHECK_POINTS(1, CODE(0x90, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xc3), LOST(1, RDI, 0),
		     EXIT_UNREADABLE(6));
	/* call 1f; 1: pop %rax; ret */
	check_refused(CODE(0xe8, 0x00, 0x00, 0x00, 0x00, 0x58, 0xc3),
		      "calls into its own function");
	/* A retpoline: call 1f; 0: pause; jmp 0b; 1: mov %rax, (%rsp); ret */
	check_refused(CODE(0xe8, 0x04, 0x00, 0x00, 0x00, 0xf3, 0x90, 0xeb, 0xfc, 0x48, 0x89, 0x04,
			   0x24, 0xc3),
		      "calls into its own function");
	/* The same as the last instruction of its part: je 1f; ret; 1: call 2b */
	check_refused(CODE(0x74, 0x02, 0x90, 0xc3, 0xe8, 0xf9, 0xff, 0xff, 0xff),
		      "calls into its own function");
}
END_TEST

START_TEST(code_that_no_jump_leads_to_is_refused_and_padding_is_not)
{
	const char *reason = "no jump leads to the instruction at";
	/* ret; then a landing pad's xor %eax, %eax; ret */
	check_refused(CODE(0xc3, 0x31, 0xc0, 0xc3), reason);
	check_refused(CODE(0xeb, 0x01, 0x50, 0xc3), reason);
	check_refused(CODE(0xc3, 0x90, 0x90, 0x50), reason);
	/* nopw; nopl; xchg %ax, %ax; int3; ud2 */
	CHECK_POINTS(1,
		     CODE(0xeb, 0x0f, 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x0f, 0x1f, 0x00, 0x66,
			  0x90, 0x90, 0xcc, 0x0f, 0x0b, 0xc3, 0x90, 0xcc),
		     EXIT(17, 17, RDI, 0));
	/* What stands before the entry. */
	uint8_t before[] = {0x90, 0xc3};
	struct flat flat = {.base = BASE - 1,
			    .bytes = before,
			    .count = 2,
			    .bounds_start = BASE - 1,
			    .bounds_end = BASE + 1};
	CHECK_POINTS(1, flat, EXIT(0, 0, RDI, 0));
	before[0] = 0x50;
	check_refused(flat, reason);
	/* Padding that runs over an instruction: ret inside a nop's displacement */
	check_refused(CODE(0xeb, 0x03, 0x0f, 0x1f, 0x40, 0xc3), reason);
	/* Nops without end. */
	flat = CODE(0xc3);
	flat.bounds_end = UINT64_MAX;
	check_refused(flat, "cannot be read");
}
END_TEST

START_TEST(instructions_that_overlap_are_refused)
{
	/* je 1f; lock; 1: cmpxchg %ecx, (%rdi); ret: an int3 at 1 would change the locked one */
	check_refused(CODE(0x74, 0x01, 0xf0, 0x0f, 0xb1, 0x0f, 0xc3), "or to a part of it");
	/* An instruction that runs over the end of the part: je 1f; ret; 1: call of which a byte is
	 * outside */
	struct flat flat = CODE(0x74, 0x01, 0xc3, 0xe8, 0x00, 0x10, 0x00, 0x00);
	flat.bounds_end--;
	check_refused(flat, "or to a part of it");
}
END_TEST

START_TEST(a_function_without_a_return_is_refused)
{
	check_refused(CODE(0xeb, 0xfe), "has no return");
	check_refused(CODE(0x0f, 0x0b), "has no return");
	check_refused(CODE(0xe8, 0x00, 0x10, 0x00, 0x00), "has no return");
}
END_TEST

START_TEST(traps_end_a_path_and_what_hands_over_is_refused)
{
	CHECK_POINTS(1, CODE(0x74, 0x02, 0x0f, 0x0b, 0xc3), EXIT(4, 4, RDI, 0));
	CHECK_POINTS(1, CODE(0x74, 0x01, 0xf4, 0xc3), EXIT(3, 3, RDI, 0));
	const char *reason = "hands over to what is not known";
	check_refused(CODE(0xcc, 0xc3), reason);
	check_refused(CODE(0xcd, 0x80, 0xc3), reason);
	check_refused(CODE(0xf1, 0xc3), reason);
	check_refused(CODE(0x0f, 0x01, 0xc1, 0xc3), reason);
	check_refused(CODE(0xf3, 0x41, 0x90, 0xc3), "is read in different ways");
}
END_TEST

START_TEST(code_that_cannot_be_read_or_has_no_bounds_is_refused)
{
	struct flat flat = CODE(0xc3);
	flat.bounds_end = 0;
	check_refused(flat, "the bounds of the function are not known");
	flat = CODE(0x90);
	flat.bounds_end = BASE + 2;
	check_refused(flat, "cannot be read");
	check_refused(CODE(0x06, 0xc3), "no instruction decodes");
}
END_TEST

START_TEST(a_function_of_4096_instructions_is_the_longest)
{
	static uint8_t bytes[4097];
	memset(bytes, 0xf8, sizeof bytes); /* clc */
	bytes[4096] = 0xc3;
	struct flat flat = {.base = BASE,
			    .bytes = bytes,
			    .count = sizeof bytes,
			    .bounds_start = BASE,
			    .bounds_end = BASE + sizeof bytes};
	check_refused(flat, "more than 4096 instructions");
	flat.bytes++;
	flat.count--;
	flat.bounds_end--;
	CHECK_POINTS(1, flat, EXIT(4095, 4095, RDI, 0));
}
END_TEST

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (*seed * 0x2545f4914f6cdd1du) >> 20;
}

static void fill(uint64_t *seed, uint8_t *bytes, size_t count)
{
	static const uint8_t likely[] = {0x50, 0x53, 0x58, 0x5b, 0x48, 0x89, 0xfb, 0xdf, 0x31,
					 0xff, 0xc0, 0xe8, 0x00, 0x74, 0x02, 0x75, 0xfb, 0xeb,
					 0xc3, 0xc3, 0x90, 0x83, 0xec, 0x08, 0xc4, 0xf3, 0xa4};
	for (size_t i = 0; i < count; i++) {
		uint64_t word = random_word(seed);
		bytes[i] = word % 8 ? likely[(word >> 8) % sizeof likely] : (uint8_t)(word >> 8);
	}
}

static void check_invariants(const struct survival *survival, const struct flat *flat)
{
	size_t exits = 0;
	for (size_t i = 0; i < survival->count; i++) {
		const struct survival_point *point = &survival->points[i];
		ck_assert(point->address.v - flat->base < flat->count);
		ck_assert_uint_lt(point->register_number, 16);
		ck_assert_uint_ne(point->register_number, 4);
		ck_assert_ptr_eq(point_at(survival, point->address.v), point);
		ck_assert(point->kind == SURVIVAL_LOST || exits == i);
		exits += point->kind == SURVIVAL_EXIT;
		if (point->kind == SURVIVAL_EXIT)
			ck_assert(point->returns_at.v >= point->address.v &&
				  point->returns_at.v - flat->base < flat->count);
		else
			ck_assert(point->readable);
	}
	ck_assert_uint_gt(exits, 0);
}

START_TEST(random_bytes_neither_crash_nor_hang)
{
	uint64_t seed = 0x0123456789abcdefu;
	size_t found = 0;
	for (int i = 0; i < HOSTILE_STRINGS; i++) {
		size_t count = 1 + random_word(&seed) % (i % 4 ? 12 : 200);
		/* Of the heap and of exact size, so that a sanitizer sees a read behind it. */
		_cleanup_free_ uint8_t *bytes = malloc(count);
		ck_assert_ptr_nonnull(bytes);
		fill(&seed, bytes, count);
		if (i % 2)
			bytes[count - 1] = 0xc3;
		uint64_t base = i % 3 ? 0x400000 : UINT64_MAX - count + 1 - (i % 2);
		struct flat flat = {.base = base, .bytes = bytes, .count = count};
		flat.bounds_start = base;
		flat.bounds_end = i % 5 ? base + count : base + random_word(&seed) % (2 * count);
		struct code_reader reader = flat_reader(&flat);
		_cleanup_survival_ struct survival survival = {0};
		_cleanup_error_ struct error *err =
			survival_find(&reader, (target_addr){base + (i % 11 == 0)},
				      1 + (unsigned)i % 6, &survival);
		ck_assert(!err || error_kind_of(err) == ERROR_UNSUPPORTED);
		ck_assert(!err || !survival.points);
		if (!err)
			check_invariants(&survival, &flat);
		found += !err;
	}
	if (getenv("VERBOSE"))
		printf("%zu of %d random strings accepted\n", found, HOSTILE_STRINGS);
	ck_assert_uint_gt(found, HOSTILE_STRINGS / 100);
}
END_TEST

/* Bounds that do not even hold the address, over memory without end. */
static bool lying_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	uint64_t kind = *(const uint8_t *)context % 4;
	start->v = kind == 0 ? address.v + 100 : kind == 1 ? 0 : address.v;
	end->v = kind == 2 ? address.v : UINT64_MAX;
	return true;
}

static bool endless_read(void *context, target_addr address, void *bytes, size_t count)
{
	const uint8_t *pattern = context;
	for (size_t i = 0; i < count; i++)
		((uint8_t *)bytes)[i] = pattern[(address.v + i) % 4096];
	return true;
}

static bool no_pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	(void)slot;
	(void)ret;
	return false;
}

START_TEST(code_without_end_is_given_up)
{
	uint64_t seed = 0xfedcba9876543210u;
	uint8_t pattern[4096];
	struct code_reader reader = {endless_read, lying_bounds, no_pointer, pattern};
	for (int i = 0; i < 500; i++) {
		if (i % 2)
			fill(&seed, pattern, sizeof pattern);
		else
			memset(pattern, i % 4 ? 0x90 : 0xf8, sizeof pattern);
		pattern[0] = (uint8_t)i;
		struct survival survival = {0};
		_cleanup_error_ struct error *err = survival_find(
			&reader, (target_addr){i % 3 ? random_word(&seed) : UINT64_MAX - 20}, 1,
			&survival);
		if (!err)
			survival_deinit(&survival);
		else
			ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	}
}
END_TEST

static void add_rules(TCase *tests)
{
	tcase_add_test(tests, the_six_arguments_come_in_the_registers_of_the_psabi);
	tcase_add_test(tests, registers_are_numbered_as_they_are_encoded);
	tcase_add_loop_test(tests,
			    an_instruction_loses_the_arguments_it_changes_even_in_part_or_perhaps,
			    0, sizeof changes / sizeof *changes);
	tcase_add_test(tests, a_whole_copy_carries_the_argument_on);
	tcase_add_test(tests, half_a_copy_or_a_sum_is_no_copy);
	tcase_add_test(tests, a_call_keeps_rbx_rbp_and_r12_to_r15);
	tcase_add_test(
		tests,
		the_exit_is_the_last_instruction_that_sees_the_argument_with_the_result_in_place);
	tcase_add_test(tests, an_exit_stands_before_no_jump_and_no_jump_leads_behind_it);
	tcase_add_test(tests,
		       paths_that_lost_it_all_around_a_jump_into_the_line_have_an_unreadable_exit);
	tcase_add_test(tests, every_return_has_its_exit);
	tcase_add_test(tests, paths_that_meet_must_hold_it_in_one_place);
	tcase_add_test(tests, a_loop_keeps_what_its_body_keeps);
	tcase_add_test(tests, a_jump_to_the_entry_comes_with_what_it_holds);
	tcase_add_test(tests, the_return_address_is_depth_bytes_above_the_stack_pointer);
}

static void add_refusals(TCase *tests)
{
	tcase_add_test(tests, a_stack_pointer_that_is_not_followed_is_refused);
	tcase_add_test(tests, a_stack_that_pops_its_return_address_or_grows_without_end_is_refused);
	tcase_add_test(tests, a_return_to_a_pushed_address_is_refused);
	tcase_add_test(tests, paths_that_meet_must_have_one_stack_depth);
	tcase_add_test(tests, what_leaves_the_function_part_is_refused);
	tcase_add_test(tests, a_call_that_ends_its_part_does_not_return);
	tcase_add_test(tests, a_recursion_is_a_call_and_a_call_into_the_function_is_refused);
	tcase_add_test(tests, code_that_no_jump_leads_to_is_refused_and_padding_is_not);
	tcase_add_test(tests, instructions_that_overlap_are_refused);
	tcase_add_test(tests, a_function_without_a_return_is_refused);
	tcase_add_test(tests, traps_end_a_path_and_what_hands_over_is_refused);
	tcase_add_test(tests, code_that_cannot_be_read_or_has_no_bounds_is_refused);
	tcase_add_test(tests, a_function_of_4096_instructions_is_the_longest);
}

int main(void)
{
	Suite *suite = suite_create("survival");
	TCase *tests = tcase_create("survival");
	tcase_set_timeout(tests, 120);
	add_rules(tests);
	add_refusals(tests);
	tcase_add_test(tests, random_bytes_neither_crash_nor_hang);
	tcase_add_test(tests, code_without_end_is_given_up);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
