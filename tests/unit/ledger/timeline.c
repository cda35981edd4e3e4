/* SPDX-License-Identifier: MIT */
#include "ledger/timeline.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"

START_TEST(points_agree_with_a_naive_maximum_over_each_interval)
{
	enum { EVENTS = 20000 };
	_cleanup_free_ uint64_t *times = calloc(EVENTS, sizeof *times);
	_cleanup_free_ uint64_t *levels = calloc(EVENTS + 1, sizeof *levels);
	_cleanup_free_ struct timeline *timeline = calloc(1, sizeof *timeline);
	timeline_init(timeline);
	uint64_t state = 7, now = 0;
	for (size_t i = 0; i < EVENTS; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		/* Mostly short steps, at times a long silence. */
		now += state >> 40 & 0xfff;
		if ((state >> 33 & 0xfff) == 0)
			now += 30000000;
		times[i] = now;
		levels[i + 1] = state >> 20 & 0xffff;
		timeline_record(timeline, now, (struct timeline_level){levels[i], 0},
				(struct timeline_level){levels[i + 1], 0});
	}
	ck_assert_uint_le(timeline->count, LEDGER_TIMELINE_POINTS);
	ck_assert_uint_gt(timeline->count, LEDGER_TIMELINE_POINTS / 2 - 1);
	for (size_t p = 0; p < timeline->count; p++) {
		uint64_t from = (uint64_t)p << timeline->shift;
		uint64_t to = (uint64_t)(p + 1) << timeline->shift;
		/* The level at the interval's start, then every level reached within it. */
		uint64_t at_start = 0, highest = 0;
		for (size_t i = 0; i < EVENTS && times[i] < to; i++) {
			if (times[i] < from)
				at_start = levels[i + 1];
			else if (levels[i + 1] > highest)
				highest = levels[i + 1];
		}
		if (at_start > highest)
			highest = at_start;
		ck_assert_uint_eq(timeline->points[p].time_ns, from);
		ck_assert_uint_eq(timeline->points[p].current_bytes, highest);
	}
}
END_TEST

START_TEST(a_forged_time_at_the_end_of_all_days_is_survived)
{
	_cleanup_free_ struct timeline *timeline = calloc(1, sizeof *timeline);
	timeline_init(timeline);
	timeline_record(timeline, 5, (struct timeline_level){0, 0}, (struct timeline_level){9, 1});
	timeline_record(timeline, UINT64_MAX, (struct timeline_level){9, 1},
			(struct timeline_level){3, 1});
	timeline_record(timeline, 0, (struct timeline_level){3, 1}, (struct timeline_level){4, 2});
	ck_assert_uint_eq(timeline->count, LEDGER_TIMELINE_POINTS);
	ck_assert_uint_eq(timeline->points[0].current_bytes, 9);
	ck_assert_uint_eq(timeline->points[timeline->count - 1].current_bytes, 9);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *cases = tcase_create("timeline");
	tcase_add_test(cases, points_agree_with_a_naive_maximum_over_each_interval);
	tcase_add_test(cases, a_forged_time_at_the_end_of_all_days_is_survived);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
