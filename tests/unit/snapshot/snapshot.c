/* SPDX-License-Identifier: MIT */
#include "snapshot/snapshot.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static struct snapshot *fresh(void)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	return snapshot;
}

START_TEST(equal_strings_are_kept_once_and_stay_where_they_are)
{
	enum { COUNT = 20000 };
	struct snapshot *snapshot = fresh();
	struct error *err = NULL;
	_cleanup_free_ const char **kept = calloc(COUNT, sizeof *kept);
	char text[64];
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof text, "/usr/src/a/rather/long/path/%d.c", i);
		kept[i] = snapshot_string(snapshot, text, &err);
	}
	size_t wrong = 0;
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof text, "/usr/src/a/rather/long/path/%d.c", i);
		wrong += strcmp(kept[i], text) != 0;
		wrong += snapshot_string(snapshot, text, &err) != kept[i];
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_ptr_null(err);
	ck_assert_ptr_null(snapshot_string(snapshot, NULL, &err));
	ck_assert_ptr_null(err);
	ck_assert_str_eq(snapshot_string(snapshot, "", &err), "");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(a_string_longer_than_any_piece_is_kept_whole)
{
	struct snapshot *snapshot = fresh();
	struct error *err = NULL;
	_cleanup_free_ char *big = malloc(1000001);
	memset(big, 'x', 1000000);
	big[1000000] = 0;
	const char *before = snapshot_string(snapshot, "before", &err);
	const char *kept = snapshot_string(snapshot, big, &err);
	ck_assert_str_eq(kept, big);
	ck_assert_ptr_eq(snapshot_string(snapshot, big, &err), kept);
	ck_assert_str_eq(before, "before");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(nothing_is_done_after_a_first_failure)
{
	struct snapshot *snapshot = fresh();
	struct error *err = error_no_memory();
	ck_assert_ptr_null(snapshot_string(snapshot, "text", &err));
	ck_assert_ptr_eq(err, error_no_memory());
	snapshot_destroy(snapshot);
}
END_TEST

static void add_site(struct snapshot *snapshot, size_t first, size_t count,
		     struct site_counters counters)
{
	struct snapshot_site site = {
		.first_frame = first, .frame_count = count, .counters = counters};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

static void expect_refused(const struct snapshot *snapshot)
{
	struct error *err = snapshot_check(snapshot);
	ck_assert_ptr_nonnull(err);
	error_free(err);
}

START_TEST(the_check_sees_sums_that_do_not_add_up)
{
	struct snapshot *snapshot = fresh();
	struct site_counters one = {.current_bytes = 10,
				    .current_blocks = 1,
				    .total_bytes = 30,
				    .total_blocks = 3,
				    .released_bytes = 20,
				    .released_blocks = 2,
				    .peak_bytes = 30,
				    .peak_blocks = 3};
	add_site(snapshot, 0, 0, one);
	expect_refused(snapshot);
	snapshot->totals = (struct total_counters){.current_bytes = 10,
						   .current_blocks = 1,
						   .total_bytes = 30,
						   .total_blocks = 3,
						   .released_bytes = 20,
						   .released_blocks = 2,
						   .peak_bytes = 30,
						   .peak_blocks = 3};
	ck_assert_ptr_null(snapshot_check(snapshot));
	snapshot->totals.peak_bytes++;
	expect_refused(snapshot);
	snapshot->totals.peak_bytes--;
	snapshot->sites[0].counters.released_blocks++;
	expect_refused(snapshot);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_check_sees_frames_that_lie_outside)
{
	struct snapshot *snapshot = fresh();
	struct snapshot_frame frame = {.line = 1};
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	add_site(snapshot, 1, 2, (struct site_counters){0});
	ck_assert_ptr_null(snapshot_check(snapshot));
	snapshot->sites[0].first_frame = 2;
	expect_refused(snapshot);
	snapshot->sites[0].first_frame = SIZE_MAX;
	expect_refused(snapshot);
	snapshot->sites[0].first_frame = 0;
	snapshot->sites[0].frame_count = SIZE_MAX;
	expect_refused(snapshot);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(everything_appended_is_there_in_order)
{
	struct snapshot *snapshot = fresh();
	for (uint32_t i = 0; i < 100; i++) {
		struct snapshot_process process = {.pid = i};
		struct snapshot_probe probe = {.pid = i, .kind = "jump"};
		struct snapshot_blind_module blind = {.sites = i};
		struct snapshot_timeline_point point = {.time_ns = i};
		ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
		ck_assert_ptr_null(snapshot_add_probe(snapshot, &probe));
		ck_assert_ptr_null(snapshot_add_blind_module(snapshot, &blind));
		ck_assert_ptr_null(snapshot_add_timeline_point(snapshot, &point));
	}
	ck_assert_uint_eq(snapshot->process_count, 100);
	for (uint32_t i = 0; i < 100; i++) {
		ck_assert_uint_eq(snapshot->processes[i].pid, i);
		ck_assert_uint_eq(snapshot->probes[i].pid, i);
		ck_assert_uint_eq(snapshot->blind_modules[i].sites, i);
		ck_assert_uint_eq(snapshot->timeline[i].time_ns, i);
	}
	snapshot_destroy(snapshot);
	snapshot_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *cases = tcase_create("snapshot");
	tcase_add_test(cases, equal_strings_are_kept_once_and_stay_where_they_are);
	tcase_add_test(cases, a_string_longer_than_any_piece_is_kept_whole);
	tcase_add_test(cases, nothing_is_done_after_a_first_failure);
	tcase_add_test(cases, the_check_sees_sums_that_do_not_add_up);
	tcase_add_test(cases, the_check_sees_frames_that_lie_outside);
	tcase_add_test(cases, everything_appended_is_there_in_order);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
