/* SPDX-License-Identifier: MIT */
/* The details of the timeline against a replay of the same events that recomputes everything. */
#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ledger/ledger.h"

enum { SLOTS = 4096 };

/* Creates a block in an empty slot and releases that of a full one, at strictly rising times. */
struct storm {
	uint64_t state;
	uint64_t now_ns;
	uint64_t held_bytes[SLOTS]; /* 0: the slot is empty */
	uint32_t held_site[SLOTS];
	uint32_t sites;
	uint64_t step_ns; /* the longest time between two events, most are shorter */
};

static uint64_t next(struct storm *storm, uint64_t limit)
{
	storm->state = storm->state * 6364136223846793005u + 1442695040888963407u;
	return (storm->state >> 33) % limit;
}

static struct event blow(struct storm *storm)
{
	size_t slot = next(storm, SLOTS);
	storm->now_ns += 1 + next(storm, 1 + next(storm, storm->step_ns));
	struct event event = {.time_ns = storm->now_ns, .address = {slot + 1}, .thread = 1};
	if (storm->held_bytes[slot]) {
		event.kind = EVENT_RELEASE;
		storm->held_bytes[slot] = 0;
	} else {
		/* Some sites hold much more than others, many the same. */
		storm->held_site[slot] = (uint32_t)next(storm, storm->sites);
		storm->held_bytes[slot] = 1 + storm->held_site[slot] % 7 + next(storm, 3) * 100;
		event.kind = EVENT_CREATE;
		event.site.v = storm->held_site[slot];
		event.size_bytes = storm->held_bytes[slot];
	}
	return event;
}

static void ok(struct error *err)
{
	if (err)
		ck_abort_msg("%s", error_message(err));
}

static struct ledger *blown(struct storm storm, size_t events)
{
	struct ledger *ledger;
	ok(ledger_create(&ledger));
	for (size_t i = 0; i < events; i++) {
		struct event event = blow(&storm);
		ok(ledger_record(ledger, &event));
	}
	ok(ledger_check(ledger));
	return ledger;
}

static int compare_held(const void *left, const void *right)
{
	const struct ledger_detail_site *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	if (a->blocks != b->blocks)
		return a->blocks < b->blocks ? 1 : -1;
	return (a->site.v > b->site.v) - (a->site.v < b->site.v);
}

static int compare_ids(const void *left, const void *right)
{
	const struct ledger_detail_site *a = left, *b = right;
	return (a->site.v > b->site.v) - (a->site.v < b->site.v);
}

/* What the storm's blocks say of the detail: the highest 256 of all sites, by their ids. */
static void expect_detail(const struct ledger_detail *detail, const struct storm *storm)
{
	_cleanup_free_ struct ledger_detail_site *want = calloc(storm->sites, sizeof *want);
	uint64_t bytes = 0, blocks = 0;
	size_t count = 0;
	for (uint32_t i = 0; i < storm->sites; i++)
		want[i].site.v = i;
	for (size_t slot = 0; slot < SLOTS; slot++) {
		bytes += storm->held_bytes[slot];
		blocks += storm->held_bytes[slot] != 0;
		want[storm->held_site[slot]].bytes += storm->held_bytes[slot];
		want[storm->held_site[slot]].blocks += storm->held_bytes[slot] != 0;
	}
	qsort(want, storm->sites, sizeof *want, compare_held);
	while (count < storm->sites && count < LEDGER_DETAIL_SITES && want[count].blocks)
		count++;
	qsort(want, count, sizeof *want, compare_ids);
	ck_assert_uint_eq(detail->current_bytes, bytes);
	ck_assert_uint_eq(detail->current_blocks, blocks);
	ck_assert_uint_eq(detail->site_count, count);
	for (size_t i = 0; i < count; i++)
		if (compare_held(&detail->sites[i], &want[i]) != 0)
			ck_abort_msg("site %u holds %llu bytes, not %llu of site %u",
				     detail->sites[i].site.v,
				     (unsigned long long)detail->sites[i].bytes,
				     (unsigned long long)want[i].bytes, want[i].site.v);
}

/* Every detail is what the storm had come to at its moment. */
static size_t expect_details(const struct ledger *ledger, struct storm storm, size_t events)
{
	size_t count, met = 0;
	const struct ledger_detail *details = ledger_details(ledger, &count);
	for (size_t i = 0; i < events && met < count; i++) {
		blow(&storm);
		if (storm.now_ns == details[met].time_ns)
			expect_detail(&details[met++], &storm);
	}
	ck_assert_uint_eq(met, count);
	return count;
}

START_TEST(every_detail_agrees_with_a_replay)
{
	static const struct {
		uint32_t sites;
		uint64_t step_ns;
		size_t events;
	} rows[] = {{3, 1000, 5000}, {200, 500, 50000}, {2000, 5000, 200000}, {256, 200, 40000}};
	struct storm storm = {.state = 11, .sites = rows[_i].sites, .step_ns = rows[_i].step_ns};
	struct ledger *ledger = blown(storm, rows[_i].events);
	ck_assert_uint_ge(expect_details(ledger, storm, rows[_i].events), 20);
	ledger_destroy(ledger);
}
END_TEST

START_TEST(however_long_the_run_the_points_are_bounded_and_spread_over_it)
{
	struct storm storm = {.state = 5, .sites = 20, .step_ns = 1000};
	for (size_t events = 1; events <= 262144; events *= 4) {
		size_t count;
		struct ledger *ledger = blown(storm, events);
		const struct ledger_detail *details = ledger_details(ledger, &count);
		const struct ledger_point *points = ledger_timeline(ledger, &(size_t){0});
		ck_assert_uint_le(count, LEDGER_DETAIL_POINTS);
		ck_assert_uint_ge(count, 1);
		uint64_t width = points[1].time_ns * 16;
		for (size_t i = 1; i < count; i++)
			ck_assert_uint_gt(details[i].time_ns / width,
					  details[i - 1].time_ns / width);
		if (events >= 4096)
			ck_assert_uint_ge(count, LEDGER_DETAIL_POINTS / 2);
		ledger_destroy(ledger);
	}
}
END_TEST

START_TEST(no_point_is_taken_before_as_many_events_came_as_there_are_sites)
{
	struct ledger *ledger;
	size_t count;
	ok(ledger_create(&ledger));
	/* Each event is a site of its own and, being far from the one before, due for a detail. */
	for (uint32_t i = 0; i < 1000; i++) {
		struct event event = {.kind = EVENT_CREATE,
				      .time_ns = (uint64_t)i << 30,
				      .address = {i + 1u},
				      .site = {i},
				      .size_bytes = 10};
		ok(ledger_record(ledger, &event));
	}
	const struct ledger_detail *details = ledger_details(ledger, &count);
	uint64_t looks = 0;
	for (size_t i = 0; i < count; i++) {
		looks += details[i].current_blocks;
		if (i)
			ck_assert_uint_ge(details[i].current_blocks,
					  2 * details[i - 1].current_blocks);
	}
	ck_assert_uint_le(looks, 2000);
	ck_assert_uint_ge(count, 3);
	ledger_destroy(ledger);
}
END_TEST

START_TEST(of_two_points_that_come_to_share_an_interval_the_higher_stays)
{
	struct ledger *ledger;
	size_t count;
	ok(ledger_create(&ledger));
	struct event events[] = {
		{.kind = EVENT_CREATE, .time_ns = 0, .address = {1}, .size_bytes = 10},
		{.kind = EVENT_CREATE, .time_ns = 20000, .address = {2}, .size_bytes = 90},
		{.kind = EVENT_RELEASE, .time_ns = 40000, .address = {2}},
		{.kind = EVENT_RELEASE, .time_ns = 1 << 21, .address = {1}},
	};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		ok(ledger_record(ledger, &events[i]));
	const struct ledger_detail *details = ledger_details(ledger, &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(details[0].time_ns, 20000);
	ck_assert_uint_eq(details[0].current_bytes, 100);
	ck_assert_uint_eq(details[0].sites[0].bytes, 100);
	ck_assert_uint_eq(details[1].time_ns, 1 << 21);
	ck_assert_uint_eq(details[1].site_count, 0);
	ledger_destroy(ledger);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("details");
	TCase *cases = tcase_create("details");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, every_detail_agrees_with_a_replay, 0, 4);
	tcase_add_test(cases, however_long_the_run_the_points_are_bounded_and_spread_over_it);
	tcase_add_test(cases, no_point_is_taken_before_as_many_events_came_as_there_are_sites);
	tcase_add_test(cases, of_two_points_that_come_to_share_an_interval_the_higher_stays);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
