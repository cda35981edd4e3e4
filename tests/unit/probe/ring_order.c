/* SPDX-License-Identifier: MIT */
/* The tournament against a plain search of all keys. */
#include "probe/ring_order.h"

#include <check.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t smallest_but(const uint64_t *keys, uint32_t count, uint32_t leaf)
{
	uint64_t smallest = RING_ORDER_NONE;
	for (uint32_t i = 0; i < count; i++)
		if (i != leaf && keys[i] < smallest)
			smallest = keys[i];
	return smallest;
}

START_TEST(first_and_second_are_those_of_a_plain_search)
{
	static const uint32_t counts[] = {1, 2, 3, 4, 5, 64, 65, 1536, RING_ORDER_MAX};
	uint32_t count = counts[_i];
	struct ring_order *order = malloc(sizeof *order);
	uint64_t *keys = malloc(count * sizeof *keys);
	uint64_t seed = count, wrong = 0;
	ring_order_begin(order, count);
	ck_assert_uint_eq(ring_order_first(order), RING_ORDER_NONE);
	for (uint32_t i = 0; i < count; i++)
		keys[i] = RING_ORDER_NONE;
	for (int step = 0; step < 3000; step++) {
		uint32_t leaf = (uint32_t)(next_random(&seed) % count);
		keys[leaf] = next_random(&seed) % 4 ? next_random(&seed) : RING_ORDER_NONE;
		ring_order_set(order, leaf, keys[leaf]);
		uint64_t first = smallest_but(keys, count, UINT32_MAX);
		wrong += ring_order_first(order) != first;
		for (uint32_t i = 0; first != RING_ORDER_NONE && i < count; i++)
			if (keys[i] == first)
				wrong +=
					ring_order_second(order, i) != smallest_but(keys, count, i);
	}
	ck_assert_uint_eq(wrong, 0);
	free(keys);
	free(order);
}
END_TEST

START_TEST(a_new_beginning_forgets_all_keys)
{
	struct ring_order *order = malloc(sizeof *order);
	ring_order_begin(order, 100);
	ring_order_set(order, 99, 5);
	ring_order_begin(order, 3);
	ck_assert_uint_eq(ring_order_first(order), RING_ORDER_NONE);
	ring_order_set(order, 2, 7);
	ck_assert_uint_eq(ring_order_first(order), 7);
	ck_assert_uint_eq(ring_order_second(order, 2), RING_ORDER_NONE);
	free(order);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("order of rings");
	TCase *order = tcase_create("tournament");
	tcase_set_timeout(order, 60);
	tcase_add_loop_test(order, first_and_second_are_those_of_a_plain_search, 0, 9);
	tcase_add_test(order, a_new_beginning_forgets_all_keys);
	suite_add_tcase(suite, order);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
