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

static void add_site(struct snapshot *snapshot, struct site_counters counters)
{
	struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS, .counters = counters};
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
	add_site(snapshot, one);
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
	for (uint32_t i = 0; i < 3; i++) {
		struct snapshot_frame frame = {.line = i};
		ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	}
	add_site(snapshot, (struct site_counters){0});
	ck_assert_ptr_null(snapshot_check(snapshot));
	snapshot->sites[0].first_frame = 1;
	expect_refused(snapshot);
	snapshot->sites[0].first_frame = SIZE_MAX;
	expect_refused(snapshot);
	snapshot->sites[0].first_frame = 0;
	snapshot->sites[0].frame_count = SIZE_MAX;
	expect_refused(snapshot);
	snapshot->sites[0].frame_count = 3;
	snapshot->stacks[2] = 3;
	expect_refused(snapshot);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_check_sees_processes_that_are_not_there)
{
	struct snapshot *snapshot = fresh();
	struct snapshot_process process = {.pid = 1};
	add_site(snapshot, (struct site_counters){0});
	ck_assert_ptr_null(snapshot_check(snapshot));
	snapshot->sites[0].process = 0;
	expect_refused(snapshot);
	ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
	ck_assert_ptr_null(snapshot_check(snapshot));
	snapshot->processes[0].tree = 1;
	expect_refused(snapshot);
	snapshot_destroy(snapshot);
}
END_TEST

/* Frame i of n different ones, that differ in one member each. */
static struct snapshot_frame nth_frame(uint32_t i)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	return (struct snapshot_frame){.file = names[i % 5],
				       .label = names[i / 5 % 5],
				       .function = names[i / 25 % 5],
				       .linkage = names[i / 125 % 5],
				       .module = names[i / 625 % 5],
				       .line = i / 3125 % 2,
				       .inlined = i / 6250 % 2,
				       .offset = i / 12500};
}

START_TEST(equal_frames_are_kept_once_and_stacks_name_them_in_order)
{
	enum { COUNT = 20000, FRAMES = 3 };
	struct snapshot *snapshot = fresh();
	for (uint32_t i = 0; i < 2 * COUNT; i += FRAMES) {
		for (uint32_t k = i; k < i + FRAMES; k++) {
			struct snapshot_frame frame = nth_frame(k % COUNT);
			ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
		}
		add_site(snapshot, (struct site_counters){0});
	}
	ck_assert_uint_eq(snapshot->frame_count, COUNT);
	size_t wrong = 0;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		ck_assert_uint_eq(site->frame_count, FRAMES);
		for (size_t k = 0; k < FRAMES; k++) {
			struct snapshot_frame want = nth_frame((uint32_t)(i * FRAMES + k) % COUNT);
			const struct snapshot_frame *got = snapshot_site_frame(snapshot, site, k);
			wrong += got->file != want.file || got->label != want.label ||
				 got->function != want.function || got->linkage != want.linkage ||
				 got->module != want.module || got->line != want.line ||
				 got->inlined != want.inlined || got->offset != want.offset;
		}
	}
	ck_assert_uint_eq(wrong, 0);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(source_lines_are_found_by_file_and_line_unless_their_texts_differ)
{
	static const struct snapshot_source_line lines[] = {
		{"b.c", "b two", 2},   {"a.c", "a nine", 9},  {"a.c", "a ten", 10},
		{"b.c", "b two", 2},   {"b.c", "b three", 3}, {"b.c", "b other three", 3},
		{"a.c", "a first", 1},
	};
	struct snapshot *snapshot = fresh();
	ck_assert_ptr_null(snapshot_source_text(snapshot, "a.c", 1));
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		ck_assert_ptr_null(snapshot_add_source_line(snapshot, &lines[i]));
	snapshot_sort_source(snapshot);
	ck_assert_str_eq(snapshot_source_text(snapshot, "a.c", 1), "a first");
	ck_assert_str_eq(snapshot_source_text(snapshot, "a.c", 9), "a nine");
	ck_assert_str_eq(snapshot_source_text(snapshot, "a.c", 10), "a ten");
	ck_assert_str_eq(snapshot_source_text(snapshot, "b.c", 2), "b two");
	ck_assert_ptr_null(snapshot_source_text(snapshot, "b.c", 3));
	ck_assert_ptr_null(snapshot_source_text(snapshot, "b.c", 4));
	ck_assert_ptr_null(snapshot_source_text(snapshot, "c.c", 1));
	ck_assert_uint_eq(snapshot->source_line_count, 4);
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
	tcase_add_test(cases, the_check_sees_processes_that_are_not_there);
	tcase_add_test(cases, equal_frames_are_kept_once_and_stacks_name_them_in_order);
	tcase_add_test(cases, source_lines_are_found_by_file_and_line_unless_their_texts_differ);
	tcase_add_test(cases, everything_appended_is_there_in_order);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
