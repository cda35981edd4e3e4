/* SPDX-License-Identifier: MIT */
/* Whatever a program keeps in registers and flags, the agent leaves it there. */
#include <check.h>
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/agent/poison.h"
#include "lib/agent/rig.h"

enum {
	ROUNDS = 10000,
	LONG_ROUNDS = 1000000,
	DRAIN_EVERY = 4096,
	RDX = 3, /* in poison.general; rdi, rsi as well */
	RSI = 4,
	RDI = 5,
};

static int rounds(void)
{
	return getenv("TRACEALLOC_LONG") ? LONG_ROUNDS : ROUNDS;
}

/* xorshift64, so that a failure can be seen again. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static bool is_kept(int i)
{
	return i == 1 || i == 6 || i >= 11;
}

static void fill(struct poison *poison, uint64_t *state)
{
	for (int i = 0; i < POISON_GENERAL; i++)
		poison->general[i] = next_random(state);
	poison->flags = 0x202 | (next_random(state) & POISON_FLAGS_MASK);
}

static void compare(const struct poison *is, const struct poison *expected, const char *where)
{
	static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
					    "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	for (int i = 0; i < POISON_GENERAL; i++)
		if (is->general[i] != expected->general[i])
			ck_abort_msg("%s %s is %lx, not %lx", where, names[i], is->general[i],
				     expected->general[i]);
	if ((is->flags ^ expected->flags) & (POISON_FLAGS_MASK | 0x400))
		ck_abort_msg("%s rflags is %lx, not %lx", where, is->flags, expected->flags);
}

/* Calls a stub of poison_spy with random registers, again and again. */
static void call_it(struct rig *rig, void *stub, void (*shape)(struct poison *in))
{
	struct rig_records records = {0};
	uint64_t state = 88172645463325252ull;
	for (int i = 0; i < rounds(); i++) {
		struct poison in, out, expected;
		fill(&in, &state);
		fill(&poison_result, &state);
		if (shape)
			shape(&in);
		expected = poison_result;
		for (int k = 0; k < POISON_GENERAL; k++)
			if (is_kept(k))
				expected.general[k] = in.general[k];
		uint64_t sp = poison_call(stub, &in, &out);
		compare(&poison_seen, &in, "at the entry");
		compare(&out, &expected, "after the return");
		if (poison_seen_sp % 16 != sp % 16)
			ck_abort_msg("rsp is %lx at the entry", poison_seen_sp);
		if (i % DRAIN_EVERY == 0) {
			rig_tell_bounds(rig);
			rig_forget(rig, &records);
		}
	}
	rig_read(rig, &records);
	if (rig->private->state == AGENT_ON && !rig->shared->linker_asked)
		ck_assert_uint_gt(records.count, 0);
	free(records.items);
}

/* Addresses that can be, for functions that store through one of them. */
static uint64_t stored_result;
static void point_to_result(struct poison *in)
{
	in->general[RDI] = (uint64_t)&stored_result;
	poison_result.general[0] &= ~UINT64_C(0xffffffff);
}

static void no_old_address(struct poison *in)
{
	in->general[RDI] = 0;
}

#define REGISTER_TEST(name, shape, ...)                                                            \
	START_TEST(name)                                                                           \
	{                                                                                          \
		struct rig rig;                                                                    \
		rig_create(&rig);                                                                  \
		struct rig_function function = {__VA_ARGS__};                                      \
		function.function = poison_spy;                                                    \
		call_it(&rig, rig_stub(&rig, &function), shape);                                   \
		rig.private->state = AGENT_OFF;                                                    \
		call_it(&rig, rig_stub(&rig, &function), shape);                                   \
		rig.private->state = AGENT_GAVE_UP;                                                \
		call_it(&rig, rig_stub(&rig, &function), shape);                                   \
	}                                                                                          \
	END_TEST

REGISTER_TEST(a_leaf_creation_keeps_registers, NULL, .role = AGENT_CREATE, .leaf = true,
	      .size_argument = 1, .count_argument = 2)
REGISTER_TEST(a_creation_keeps_registers, NULL, .role = AGENT_CREATE, .size_argument = 1)
REGISTER_TEST(a_storing_creation_keeps_registers, point_to_result, .role = AGENT_CREATE,
	      .result = AGENT_STORES_ADDRESS, .result_argument = 1, .size_argument = 3)
REGISTER_TEST(a_leaf_release_keeps_registers, NULL, .role = AGENT_RELEASE, .leaf = true,
	      .pointer_argument = 1)
REGISTER_TEST(a_release_keeps_registers, NULL, .role = AGENT_RELEASE, .pointer_argument = 1)
REGISTER_TEST(a_resize_keeps_registers, NULL, .role = AGENT_RESIZE, .pointer_argument = 1,
	      .size_argument = 2)
REGISTER_TEST(a_resize_of_nothing_keeps_registers, no_old_address, .role = AGENT_RESIZE,
	      .pointer_argument = 1, .size_argument = 2)

START_TEST(a_linkers_call_keeps_registers)
{
	struct rig rig;
	rig_create(&rig);
	/* The tracer has always looked already. */
	rig.shared->linker_served = 1u << 30;
	call_it(&rig,
		rig_stub(&rig,
			 &(struct rig_function){.role = AGENT_LINKER, .function = poison_spy}),
		NULL);
	ck_assert_uint_eq(rig.shared->linker_asked, rounds());
}
END_TEST

static __attribute__((naked)) void returns_argument(void)
{
	__asm__ volatile("mov %rdi, %rax\n"
			 "ret\n");
}

static bool has_avx(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AVX) && (c & bit_OSXSAVE);
}

/*
 * All but the header that tells which parts are in use: a part that holds zeroes may go out of use
 * whenever another thread runs (Intel SDM volume 1, 13.6), and reads as zeroes either way.
 */
static bool same_state(const uint8_t *a, const uint8_t *b)
{
	enum { HEADER = 512, HEADER_END = 576 };
	return memcmp(a, b, HEADER) == 0 &&
	       memcmp(a + HEADER_END, b + HEADER_END, POISON_VECTOR_BYTES - HEADER_END) == 0;
}

static void check_vectors(struct rig *rig, const struct rig_function *function)
{
	static _Alignas(64) uint8_t before[POISON_VECTOR_BYTES], after[POISON_VECTOR_BYTES];
	void *stub = rig_stub(rig, function);
	struct rig_records records = {0};
	uint64_t state = 2463534242u;
	uint64_t values[64];
	for (int i = 0; i < rounds() / 4; i++) {
		for (int k = 0; k < 64; k++)
			values[k] = next_random(&state);
		memset(before, 0, sizeof before);
		memset(after, 0, sizeof after);
		poison_vectors(stub, next_random(&state) >> 20, 100, values, before, after);
		if (!same_state(before, after))
			ck_abort_msg("a vector or x87 register has changed");
		if (i % DRAIN_EVERY == 0)
			rig_forget(rig, &records);
	}
	free(records.items);
}

START_TEST(vector_and_x87_registers_stay_as_they_are)
{
	struct rig rig;
	if (!has_avx())
		return;
	rig_create(&rig);
	check_vectors(&rig, &(struct rig_function){.role = AGENT_CREATE,
						   .leaf = true,
						   .size_argument = 1,
						   .function = returns_argument});
	check_vectors(&rig, &(struct rig_function){.role = AGENT_CREATE,
						   .size_argument = 1,
						   .function = returns_argument});
	check_vectors(&rig, &(struct rig_function){.role = AGENT_RELEASE,
						   .leaf = true,
						   .pointer_argument = 1,
						   .function = returns_argument});
	check_vectors(&rig, &(struct rig_function){.role = AGENT_RESIZE,
						   .pointer_argument = 1,
						   .size_argument = 2,
						   .function = returns_argument});
}
END_TEST

static Suite *registers_suite(void)
{
	Suite *suite = suite_create("agent registers");
	TCase *tests = tcase_create("registers");
	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, a_leaf_creation_keeps_registers);
	tcase_add_test(tests, a_creation_keeps_registers);
	tcase_add_test(tests, a_storing_creation_keeps_registers);
	tcase_add_test(tests, a_leaf_release_keeps_registers);
	tcase_add_test(tests, a_release_keeps_registers);
	tcase_add_test(tests, a_resize_keeps_registers);
	tcase_add_test(tests, a_resize_of_nothing_keeps_registers);
	tcase_add_test(tests, a_linkers_call_keeps_registers);
	tcase_add_test(tests, vector_and_x87_registers_stay_as_they_are);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(registers_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
