/* SPDX-License-Identifier: MIT */
/* How much of the target's stack the agent takes, measured, and that it needs no more. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/agent/depth.h"
#include "lib/agent/rig.h"

/* What is promised; clang's frames are larger. */
#ifdef __clang__
enum { USUAL_BYTES = 256, ANY_BYTES = 640 };
#else
enum { USUAL_BYTES = 256, ANY_BYTES = 512 };
#endif
enum { PAGE_BYTES = 4096 };

static __attribute__((naked)) void returns_argument(void)
{
	__asm__ volatile("mov %rdi, %rax\n"
			 "ret\n");
}

static __attribute__((naked)) void returns_zero(void)
{
	__asm__ volatile("xor %eax, %eax\n"
			 "ret\n");
}

/* The deepest of what each way through the agent takes. */
struct depths {
	uint64_t usual, any;
};

static uint64_t deepest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

enum { WAYS = 4 };

static void make_stubs(struct rig *rig, void *ret[WAYS])
{
	ret[0] = rig_stub(rig, &(struct rig_function){.role = AGENT_CREATE,
						      .leaf = true,
						      .size_argument = 1,
						      .function = returns_argument});
	ret[1] = rig_stub(rig, &(struct rig_function){.role = AGENT_CREATE,
						      .size_argument = 1,
						      .count_argument = 2,
						      .function = returns_argument});
	ret[2] = rig_stub(rig, &(struct rig_function){.role = AGENT_RELEASE,
						      .leaf = true,
						      .pointer_argument = 1,
						      .function = returns_zero});
	ret[3] = rig_stub(rig, &(struct rig_function){.role = AGENT_RESIZE,
						      .pointer_argument = 1,
						      .size_argument = 2,
						      .function = returns_argument});
}

static void measure(struct rig *rig, struct depths *ret)
{
	enum { ROUNDS = 4 };
	struct rig_records records = {0};
	void *ways[WAYS];
	make_stubs(rig, ways);
	uint64_t frame = (uint64_t)__builtin_frame_address(0);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < WAYS; i++) {
			/* Without a frame pointer the same stack is the same again, and known. */
			uint64_t depth = depth_of_call(ways[i], 0x1000, 64, 0);
			ret->any = deepest(ret->any, depth);
			ret->any = deepest(ret->any, depth_of_call(ways[i], 0x1000, 64, frame));
			if (round == ROUNDS - 1)
				ret->usual = deepest(ret->usual, depth);
		}
		rig_tell_bounds(rig);
		rig_forget(rig, &records);
	}
	free(records.items);
}

START_TEST(the_stack_taken_keeps_to_its_limits)
{
	struct rig rig;
	struct depths depths = {0};
	rig_create(&rig);
	measure(&rig, &depths);
	printf("stack measured: %lu bytes usually, %lu at most\n", depths.usual, depths.any);
	fflush(stdout);
	ck_assert_uint_gt(depths.usual, sizeof(struct agent_frame));
	ck_assert_uint_le(depths.usual, USUAL_BYTES);
	ck_assert_uint_le(depths.any, ANY_BYTES);
}
END_TEST

/* A page that may be used, behind one that may not. */
static uint8_t *map_page(void)
{
	uint8_t *pages = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(pages, MAP_FAILED);
	ck_assert_int_eq(mprotect(pages, PAGE_BYTES, PROT_NONE), 0);
	return pages + PAGE_BYTES;
}

START_TEST(a_stack_with_just_that_much_left_is_enough)
{
	struct rig rig;
	struct rig_records records = {0};
	void *ways[WAYS];
	uint8_t *low = map_page();
	rig_create(&rig);
	make_stubs(&rig, ways);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < WAYS; i++)
			depth_call_on(low + ANY_BYTES, ways[i], 0x1000, 64);
		rig_read(&rig, &records);
		rig_tell_bounds(&rig);
	}
	ck_assert_uint_eq(rig_count(&records, RING_CREATE), 6);
	ck_assert_uint_eq(rig_count(&records, RING_RELEASE), 3);
	ck_assert_uint_eq(rig_count(&records, RING_RESIZE_END), 3);
	free(records.items);
}
END_TEST

static Suite *depth_suite(void)
{
	Suite *suite = suite_create("agent depth");
	TCase *tests = tcase_create("depth");
	tcase_add_test(tests, the_stack_taken_keeps_to_its_limits);
	tcase_add_test(tests, a_stack_with_just_that_much_left_is_enough);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(depth_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
