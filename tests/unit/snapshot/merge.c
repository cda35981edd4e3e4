/* SPDX-License-Identifier: MIT */
/* Several snapshots as one. */
#include "snapshot/merge.h"

#include "snapshot/file.h"
#include "snapshot/query.h"
#include "unit/snapshot/sample.h"

enum { PARTS = 4 };

static struct snapshot *merge(struct snapshot *const *parts, size_t count)
{
	struct snapshot *whole;
	struct error *err = merge_snapshots((const struct snapshot *const *)parts, count, &whole);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	err = snapshot_check(whole);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	return whole;
}

START_TEST(figures_add_up_and_everything_stays)
{
	struct snapshot *parts[PARTS];
	struct total_counters sums = {0};
	size_t sites = 0, probes = 0;
	for (size_t i = 0; i < PARTS; i++) {
		parts[i] = sample_random(i + 1, 50 * i);
		sums.peak_bytes += parts[i]->totals.peak_bytes;
		sums.total_bytes += parts[i]->totals.total_bytes;
		sums.events += parts[i]->totals.events;
		sites += parts[i]->site_count;
		probes += parts[i]->probe_count;
	}
	struct snapshot *whole = merge(parts, PARTS);
	ck_assert_uint_eq(whole->part_count, PARTS);
	ck_assert_uint_eq(whole->totals.peak_bytes, sums.peak_bytes);
	ck_assert_uint_eq(whole->totals.total_bytes, sums.total_bytes);
	ck_assert_uint_eq(whole->totals.events, sums.events);
	ck_assert_uint_eq(whole->lost_events, 10 * PARTS);
	ck_assert_uint_eq(whole->cost.stops, 2 * PARTS);
	ck_assert_uint_eq(whole->cost.install_freeze_ns, 3);
	ck_assert_uint_eq(whole->site_count, sites);
	ck_assert_uint_eq(whole->probe_count, probes);
	ck_assert_uint_eq(whole->process_count, 2 * PARTS);
	ck_assert_uint_eq(whole->pid, 0);
	ck_assert_uint_eq(whole->command_count, 0);
	ck_assert_uint_eq(whole->timeline_count, 0);
	for (size_t i = 0; i < PARTS; i++)
		snapshot_destroy(parts[i]);
	/* It owns all it has. */
	struct query query = {.show = QUERY_TOTAL, .group_by = QUERY_TRACEBACK, .top = 10000};
	struct table table;
	ck_assert_ptr_null(query_run(whole, &query, &table));
	ck_assert_uint_eq(table.shown_bytes, sums.total_bytes);
	table_deinit(&table);
	snapshot_destroy(whole);
}
END_TEST

START_TEST(sites_keep_their_stacks_and_their_process)
{
	struct snapshot *parts[] = {sample_random(1, 30), sample_random(2, 40)};
	struct snapshot *whole = merge(parts, 2);
	for (size_t i = 0, at = 0; i < 2; i++) {
		for (size_t k = 0; k < parts[i]->site_count; k++, at++) {
			const struct snapshot_site *one = &parts[i]->sites[k];
			const struct snapshot_site *kept = &whole->sites[at];
			ck_assert_uint_eq(one->frame_count, kept->frame_count);
			for (size_t f = 0; f < one->frame_count; f++)
				ck_assert(sample_same_frame(snapshot_site_frame(parts[i], one, f),
							    snapshot_site_frame(whole, kept, f)));
			if (one->process == SNAPSHOT_NO_PROCESS)
				ck_assert_uint_eq(kept->process, SNAPSHOT_NO_PROCESS);
			else
				ck_assert_uint_eq(kept->process, one->process + 2 * i);
		}
	}
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(whole->processes[i].tree / 2, i / 2);
		ck_assert_str_eq(whole->processes[i].host, "host");
	}
	for (size_t i = 0; i < 2; i++)
		snapshot_destroy(parts[i]);
	snapshot_destroy(whole);
}
END_TEST

START_TEST(equal_rows_of_two_parts_are_one)
{
	struct snapshot *parts[] = {sample_random(3, 60), sample_random(3, 60)};
	struct snapshot *whole = merge(parts, 2);
	ck_assert_uint_eq(whole->frame_count, parts[0]->frame_count);
	ck_assert_uint_le(whole->module_count, parts[0]->module_count);
	struct query query = {.show = QUERY_CURRENT, .top = 10000};
	struct table one, both;
	ck_assert_ptr_null(query_run(parts[0], &query, &one));
	ck_assert_ptr_null(query_run(whole, &query, &both));
	ck_assert_uint_eq(one.row_count, both.row_count);
	for (size_t i = 0; i < one.row_count; i++) {
		ck_assert_str_eq(one.rows[i].label, both.rows[i].label);
		ck_assert_uint_eq(2 * one.rows[i].bytes, both.rows[i].bytes);
		ck_assert_uint_eq(2 * one.rows[i].blocks, both.rows[i].blocks);
	}
	table_deinit(&one);
	table_deinit(&both);
	for (size_t i = 0; i < 2; i++)
		snapshot_destroy(parts[i]);
	snapshot_destroy(whole);
}
END_TEST

static struct snapshot *session(int64_t started_ns, uint64_t duration_ns, const char *host,
				const char *text)
{
	struct snapshot *snapshot;
	struct snapshot_source_line line = {"a.c", text, 1};
	ck_assert_ptr_null(snapshot_create(&snapshot));
	snapshot->started_unix_ns = started_ns;
	snapshot->duration_ns = duration_ns;
	snapshot->machine.host = host;
	snapshot->machine.system = "Linux";
	ck_assert_ptr_null(snapshot_add_source_line(snapshot, &line));
	return snapshot;
}

START_TEST(times_span_all_parts_and_what_differs_is_not_told)
{
	struct snapshot *parts[] = {session(100, 50, "one", "text"), session(80, 10, "two", "text"),
				    session(120, 60, "one", "other text")};
	struct snapshot *two = merge(parts, 2), *three = merge(parts, 3);
	ck_assert_int_eq(two->started_unix_ns, 80);
	ck_assert_uint_eq(two->duration_ns, 70);
	ck_assert_uint_eq(three->duration_ns, 100);
	ck_assert_ptr_null(three->machine.host);
	ck_assert_str_eq(three->machine.system, "Linux");
	ck_assert_str_eq(snapshot_source_text(two, "a.c", 1), "text");
	ck_assert_ptr_null(snapshot_source_text(three, "a.c", 1));
	ck_assert_int_eq(three->origin, SNAPSHOT_RUN);
	parts[1]->origin = SNAPSHOT_ATTACH;
	snapshot_destroy(two);
	two = merge(parts, 2);
	ck_assert_int_eq(two->origin, SNAPSHOT_ATTACH);
	for (size_t i = 0; i < 3; i++)
		snapshot_destroy(parts[i]);
	snapshot_destroy(two);
	snapshot_destroy(three);
}
END_TEST

START_TEST(times_at_the_end_of_their_range_do_not_wrap)
{
	struct snapshot *parts[] = {session(INT64_MIN, UINT64_MAX, "one", ""),
				    session(INT64_MAX, UINT64_MAX, "one", "")};
	struct snapshot *whole = merge(parts, 2);
	ck_assert_int_eq(whole->started_unix_ns, INT64_MIN);
	ck_assert_uint_eq(whole->duration_ns, UINT64_MAX);
	for (size_t i = 0; i < 2; i++)
		snapshot_destroy(parts[i]);
	snapshot_destroy(whole);
}
END_TEST

START_TEST(one_part_merged_or_a_merged_one_saved_comes_back)
{
	struct snapshot *parts[] = {sample_random(5, 20), sample_random(6, 20)};
	struct snapshot *whole = merge(parts, 2), *loaded;
	_cleanup_buffer_ struct buffer bytes = {0};
	ck_assert_ptr_null(file_encode(whole, &bytes));
	ck_assert_ptr_null(file_decode(bytes.bytes, bytes.count, &loaded));
	sample_expect_same(whole, loaded);
	struct snapshot *again = merge((struct snapshot *[]){loaded, parts[0]}, 2);
	ck_assert_uint_eq(again->part_count, 3);
	for (size_t i = 0; i < 2; i++)
		snapshot_destroy(parts[i]);
	snapshot_destroy(whole);
	snapshot_destroy(loaded);
	snapshot_destroy(again);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("merge");
	TCase *cases = tcase_create("merge");
	tcase_add_test(cases, figures_add_up_and_everything_stays);
	tcase_add_test(cases, sites_keep_their_stacks_and_their_process);
	tcase_add_test(cases, equal_rows_of_two_parts_are_one);
	tcase_add_test(cases, times_span_all_parts_and_what_differs_is_not_told);
	tcase_add_test(cases, times_at_the_end_of_their_range_do_not_wrap);
	tcase_add_test(cases, one_part_merged_or_a_merged_one_saved_comes_back);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
