/* SPDX-License-Identifier: MIT */
/* Differences of two snapshots: what matches, what vanished, in which order. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/query.h"

static struct snapshot *old, *new;

static void setup(void)
{
	ck_assert_ptr_null(snapshot_create(&old));
	ck_assert_ptr_null(snapshot_create(&new));
}

static void teardown(void)
{
	snapshot_destroy(old);
	snapshot_destroy(new);
}

static void add(struct snapshot *snapshot, struct snapshot_frame frame, uint64_t bytes,
		uint64_t blocks)
{
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = bytes, .current_blocks = blocks}};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

static struct snapshot_frame at(const char *file, uint32_t line)
{
	return (struct snapshot_frame){
		.file = file, .label = file, .line = line, .function = "f", .module = "/bin/p"};
}

static struct table ask(struct query query)
{
	struct table table;
	query.show = query.show ? query.show : QUERY_CURRENT;
	query.top = query.top ? query.top : 100;
	ck_assert_ptr_null(query_compare(old, new, &query, &table));
	return table;
}

static void expect_row(const struct table *table, size_t i, const char *label, uint64_t old_bytes,
		       uint64_t bytes, uint64_t old_blocks, uint64_t blocks)
{
	ck_assert_uint_lt(i, table->row_count);
	const struct table_row *row = &table->rows[i];
	ck_assert_str_eq(row->label, label);
	ck_assert_uint_eq(row->rank, i + 1);
	ck_assert_uint_eq(row->old_bytes, old_bytes);
	ck_assert_uint_eq(row->bytes, bytes);
	ck_assert_uint_eq(row->old_blocks, old_blocks);
	ck_assert_uint_eq(row->blocks, blocks);
}

START_TEST(rows_that_came_went_grew_and_stayed_are_all_there)
{
	add(old, at("a.c", 1), 100, 1);
	add(old, at("a.c", 2), 1000, 2);
	add(old, at("a.c", 3), 50, 3);
	add(new, at("a.c", 1), 100, 1);
	add(new, at("a.c", 3), 350, 4);
	add(new, at("a.c", 4), 7, 5);
	struct table table = ask((struct query){0});
	ck_assert_ptr_eq(table.old, old);
	ck_assert_uint_eq(table.row_count, 4);
	expect_row(&table, 0, "a.c:2", 1000, 0, 2, 0);
	expect_row(&table, 1, "a.c:3", 50, 350, 3, 4);
	expect_row(&table, 2, "a.c:4", 0, 7, 0, 5);
	expect_row(&table, 3, "a.c:1", 100, 100, 1, 1);
	ck_assert_uint_eq(table.shown_bytes, 457);
	ck_assert_uint_eq(table.old_shown_bytes, 1150);
	ck_assert_uint_eq(table.old_shown_blocks, 6);
	ck_assert_uint_eq(table.rows[0].counters.current_bytes, 0);
	table_deinit(&table);
}
END_TEST

START_TEST(two_builds_in_other_directories_match)
{
	struct snapshot_frame one = {.file = "/home/a/src/x.c",
				     .label = "src/x.c",
				     .line = 5,
				     .function = "f",
				     .module = "/home/a/build/prog"};
	struct snapshot_frame other = {.file = "/srv/b/src/x.c",
				       .label = "src/x.c",
				       .line = 5,
				       .function = "f",
				       .module = "/srv/b/out/prog"};
	struct snapshot_frame library = {.function = "g", .module = "/usr/lib/libx.so.1"};
	struct snapshot_frame moved = {.function = "g", .module = "/opt/lib/libx.so.1"};
	static const char *const labels[][2] = {
		[QUERY_LINE] = {"src/x.c:5", "g (libx.so.1)"},
		[QUERY_FILE] = {"src/x.c", "libx.so.1"},
		[QUERY_FUNCTION] = {"f (src/x.c)", "g (libx.so.1)"},
		[QUERY_MODULE] = {"prog", "libx.so.1"},
		[QUERY_TRACEBACK] = {"src/x.c:5", "g (libx.so.1)"},
	};
	add(old, one, 10, 1);
	add(old, library, 3, 1);
	add(new, other, 50, 1);
	add(new, moved, 4, 1);
	for (enum query_group by = QUERY_LINE; by <= QUERY_TRACEBACK; by++) {
		struct table table = ask((struct query){.group_by = by});
		ck_assert_uint_eq(table.row_count, 2);
		expect_row(&table, 0, labels[by][0], 10, 50, 1, 1);
		expect_row(&table, 1, labels[by][1], 3, 4, 1, 1);
		table_deinit(&table);
	}
}
END_TEST

START_TEST(a_vanished_traceback_shows_the_old_frames)
{
	add(old, at("a.c", 1), 10, 1);
	add(new, at("b.c", 2), 1, 1);
	struct table table = ask((struct query){.group_by = QUERY_TRACEBACK});
	ck_assert_ptr_eq(table.rows[0].snapshot, old);
	ck_assert_uint_eq(old->frames[table.rows[0].stack[0]].line, 1);
	ck_assert_ptr_eq(table.rows[1].snapshot, new);
	ck_assert_uint_eq(new->frames[table.rows[1].stack[0]].line, 2);
	table_deinit(&table);
}
END_TEST

START_TEST(order_is_by_the_difference_then_the_size_then_the_blocks_then_the_label)
{
	static const struct {
		uint64_t old_bytes, bytes, old_blocks, blocks;
	} lines[] = {
		{10, 10, 1, 1}, {0, 5, 0, 1},	{100, 95, 1, 1}, {0, 5, 0, 2},
		{10, 15, 1, 1}, {10, 10, 1, 9}, {0, 5, 0, 1},
	};
	static const uint32_t by_bytes[] = {3, 5, 4, 7, 2, 6, 1};
	static const uint32_t by_blocks[] = {6, 4, 7, 2, 3, 5, 1};
	for (uint32_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		add(old, at("a.c", i + 1), lines[i].old_bytes, lines[i].old_blocks);
		add(new, at("a.c", i + 1), lines[i].bytes, lines[i].blocks);
	}
	struct table table = ask((struct query){0});
	for (size_t i = 0; i < table.row_count; i++)
		ck_assert_uint_eq(table.rows[i].line, by_bytes[i]);
	table_deinit(&table);
	for (size_t s = 0; s < 2; s++) {
		struct snapshot *one = s ? new : old;
		for (size_t i = 0; i < one->site_count; i++) {
			struct site_counters *c = &one->sites[i].counters;
			c->total_bytes = c->current_bytes;
			c->total_blocks = c->current_blocks;
		}
	}
	table = ask((struct query){.show = QUERY_COUNT});
	for (size_t i = 0; i < table.row_count; i++)
		ck_assert_uint_eq(table.rows[i].line, by_blocks[i]);
	table_deinit(&table);
}
END_TEST

START_TEST(small_differences_and_what_is_beyond_the_top_are_counted_as_other)
{
	for (uint32_t i = 1; i <= 6; i++) {
		add(old, at("a.c", i), 1000, 1);
		add(new, at("a.c", i), i % 2 ? 1000 + 10 * i : 1000 - 10 * i, 1);
	}
	struct table table = ask((struct query){.min_bytes = 30, .top = 3});
	ck_assert_uint_eq(table.row_count, 3);
	expect_row(&table, 0, "a.c:6", 1000, 940, 1, 1);
	expect_row(&table, 2, "a.c:4", 1000, 960, 1, 1);
	ck_assert_uint_eq(table.other_count, 3);
	table_deinit(&table);
}
END_TEST

START_TEST(processes_match_by_their_command)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct snapshot *one = i ? new : old;
		struct snapshot_process process = {.pid = 100 + i, .command = "prog x"};
		ck_assert_ptr_null(snapshot_add_process(one, &process));
		add(one, at("a.c", 1), 10 + 10 * i, 1);
		one->sites[0].process = 0;
	}
	struct table table = ask((struct query){.group_by = QUERY_PROCESS});
	ck_assert_uint_eq(table.row_count, 1);
	expect_row(&table, 0, "prog x (pid 101)", 10, 20, 1, 1);
	table_deinit(&table);
}
END_TEST

START_TEST(filters_hold_for_both)
{
	struct query_filter filter = {.inclusive = true, .kind = FILTER_FILE, .pattern = "a.c"};
	add(old, at("a.c", 1), 10, 1);
	add(old, at("b.c", 1), 1000, 1);
	add(new, at("a.c", 1), 20, 1);
	add(new, at("c.c", 1), 1000, 1);
	struct table table = ask((struct query){.filters = &filter, .filter_count = 1});
	ck_assert_uint_eq(table.row_count, 1);
	expect_row(&table, 0, "a.c:1", 10, 20, 1, 1);
	table_deinit(&table);
}
END_TEST

START_TEST(a_snapshot_does_not_differ_from_itself)
{
	for (uint32_t i = 1; i <= 50; i++) {
		add(old, at("a.c", i), i, 1);
		add(new, at("a.c", i), i, 1);
	}
	struct table table = ask((struct query){0});
	ck_assert_uint_eq(table.row_count, 50);
	for (size_t i = 0; i < table.row_count; i++)
		ck_assert_uint_eq(table.rows[i].bytes, table.rows[i].old_bytes);
	ck_assert_uint_eq(table.shown_bytes, table.old_shown_bytes);
	table_deinit(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compare");
	TCase *cases = tcase_create("compare");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, rows_that_came_went_grew_and_stayed_are_all_there);
	tcase_add_test(cases, two_builds_in_other_directories_match);
	tcase_add_test(cases, a_vanished_traceback_shows_the_old_frames);
	tcase_add_test(cases,
		       order_is_by_the_difference_then_the_size_then_the_blocks_then_the_label);
	tcase_add_test(cases, small_differences_and_what_is_beyond_the_top_are_counted_as_other);
	tcase_add_test(cases, processes_match_by_their_command);
	tcase_add_test(cases, filters_hold_for_both);
	tcase_add_test(cases, a_snapshot_does_not_differ_from_itself);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
