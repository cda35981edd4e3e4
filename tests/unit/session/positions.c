/* SPDX-License-Identifier: MIT */
#include "session/positions.h"

#include <check.h>

START_TEST(a_frame_is_found_with_the_run_that_was_noted_for_it_and_no_other)
{
	struct positions positions = {0};
	for (uint32_t image = 0; image < 40; image++)
		for (uint64_t address = 1; address < 50; address++)
			positions_note(&positions, &(struct frame){{image}, address << 20},
				       (struct positions_run){image * 1000 + address, address});
	for (uint32_t image = 0; image < 40; image++)
		for (uint64_t address = 1; address < 50; address++) {
			struct positions_run run =
				positions_find(&positions, &(struct frame){{image}, address << 20});
			ck_assert_uint_eq(run.first, image * 1000 + address);
			ck_assert_uint_eq(run.count, address);
			run = positions_find(&positions,
					     &(struct frame){{image}, (address << 20) + 1});
			ck_assert_uint_eq(run.count, 0);
		}
	positions_deinit(&positions);
}
END_TEST

START_TEST(what_does_not_fit_is_not_taken_for_anything_else)
{
	struct positions positions = {0};
	const struct positions_run run = {7, 3};
	const struct frame far = {{1}, UINT64_C(1) << 44}, neighbour = {{2}, 0};
	const struct frame many = {{1 << 20}, 5}, few = {{0}, 5};
	const struct frame usual = {{1}, 5};
	positions_note(&positions, &far, run);
	positions_note(&positions, &many, run);
	positions_note(&positions, &usual, (struct positions_run){7, 1 << 16});
	positions_note(&positions, &usual, (struct positions_run){7, 0});
	ck_assert_uint_eq(positions_find(&positions, &far).count, 0);
	ck_assert_uint_eq(positions_find(&positions, &neighbour).count, 0);
	ck_assert_uint_eq(positions_find(&positions, &many).count, 0);
	ck_assert_uint_eq(positions_find(&positions, &few).count, 0);
	ck_assert_uint_eq(positions_find(&positions, &usual).count, 0);
	positions_deinit(&positions);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("positions");
	TCase *cases = tcase_create("positions");
	tcase_add_test(cases, a_frame_is_found_with_the_run_that_was_noted_for_it_and_no_other);
	tcase_add_test(cases, what_does_not_fit_is_not_taken_for_anything_else);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
