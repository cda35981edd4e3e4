/* SPDX-License-Identifier: MIT */
/* What a pair of calls costs with the agent: printed, not judged, but that all of it is recorded.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/agent/rig.h"

enum { PAIRS = 2000, ROUNDS = 1000, FRAMES = 10 };

static __attribute__((naked)) void *returns_argument(size_t size __attribute__((unused)))
{
	__asm__ volatile("mov %rdi, %rax\n"
			 "ret\n");
}

static __attribute__((naked)) void returns(void *address __attribute__((unused)))
{
	__asm__ volatile("ret\n");
}

struct pair {
	void *(*create)(size_t size);
	void (*release)(void *address);
};

static double now_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* At least `frames` deep, so that a stack as programs have them is compared. */
static __attribute__((noinline)) double run(const struct pair *pair, int frames)
{
	double taken = 0;
	if (frames > 0) {
		taken = run(pair, frames - 1);
		__asm__ volatile("" ::: "memory");
		return taken;
	}
	double begin = now_ns();
	for (size_t i = 1; i <= PAIRS; i++)
		pair->release(pair->create(i));
	return (now_ns() - begin) / PAIRS;
}

static double best_of(struct rig *rig, const struct pair *pair)
{
	struct rig_records records = {0};
	double best = 1e9;
	for (int i = 0; i < ROUNDS; i++) {
		double taken = run(pair, FRAMES);
		best = taken < best ? taken : best;
		rig_tell_bounds(rig);
		rig_read(rig, &records);
		if (rig->private->state == AGENT_ON)
			ck_assert_uint_eq(records.count, 2 * PAIRS);
		records.count = 0;
	}
	free(records.items);
	return best;
}

START_TEST(a_pair_of_calls_is_recorded_fast)
{
	struct rig rig;
	struct pair native = {returns_argument, returns};
	rig_create(&rig);
	struct pair traced = {
		rig_stub(&rig, &(struct rig_function){.role = AGENT_CREATE,
						      .leaf = true,
						      .size_argument = 1,
						      .function = returns_argument}),
		rig_stub(&rig, &(struct rig_function){.role = AGENT_RELEASE,
						      .leaf = true,
						      .pointer_argument = 1,
						      .function = returns}),
	};
	struct pair through = {
		rig_stub(&rig, &(struct rig_function){.role = AGENT_CREATE,
						      .size_argument = 1,
						      .function = returns_argument}),
		traced.release,
	};
	rig.private->state = AGENT_OFF;
	printf("native %.1f ns a pair, off %.1f", best_of(&rig, &native), best_of(&rig, &traced));
	rig.private->state = AGENT_ON;
	printf(", on %.1f", best_of(&rig, &traced));
	printf(", not leaf %.1f", best_of(&rig, &through));
	rig.shared->many = 1;
	printf(", with time stamps %.1f\n", best_of(&rig, &traced));
	fflush(stdout);
	rig_destroy(&rig);
}
END_TEST

static Suite *speed_suite(void)
{
	Suite *suite = suite_create("agent speed");
	TCase *tests = tcase_create("speed");
	tcase_add_test(tests, a_pair_of_calls_is_recorded_fast);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(speed_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
