/* SPDX-License-Identifier: MIT */
#include "snapshot/query.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct snapshot *snapshot;

static void setup(void)
{
	ck_assert_ptr_null(snapshot_create(&snapshot));
}

static void teardown(void)
{
	snapshot_destroy(snapshot);
}

/* A site of one frame; its figures: current bytes, as many again ended, ten times as many at peak.
 */
static void add(struct snapshot_frame frame, uint64_t bytes, uint64_t blocks)
{
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = bytes,
			     .current_blocks = blocks,
			     .ended_bytes = bytes,
			     .ended_blocks = blocks,
			     .total_bytes = 2 * bytes,
			     .total_blocks = 2 * blocks,
			     .peak_bytes = 10 * bytes,
			     .peak_blocks = 10 * blocks,
			     .largest_bytes = bytes},
	};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

static struct snapshot_frame at(const char *file, const char *label, uint32_t line,
				const char *function)
{
	return (struct snapshot_frame){.file = file,
				       .label = label,
				       .line = line,
				       .function = function,
				       .module = "/usr/bin/prog"};
}

static struct table ask(struct query query)
{
	struct table table;
	ck_assert_ptr_null(query_run(snapshot, &query, &table));
	return table;
}

static void expect_row(const struct table *table, size_t i, const char *label, uint64_t bytes,
		       uint64_t blocks)
{
	ck_assert_uint_lt(i, table->row_count);
	ck_assert_str_eq(table->rows[i].label, label);
	ck_assert_uint_eq(table->rows[i].bytes, bytes);
	ck_assert_uint_eq(table->rows[i].blocks, blocks);
	ck_assert_uint_eq(table->rows[i].rank, i + 1);
}

START_TEST(sites_of_one_line_are_one_row_and_equal_labels_of_two_files_are_two)
{
	add(at("/a/x.c", "x.c", 5, "f"), 10, 1);
	add(at("/b/x.c", "x.c", 5, "f"), 25, 2);
	add(at("/a/x.c", "x.c", 5, "g"), 20, 3);
	add(at("/a/x.c", "x.c", 6, "g"), 1, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 10});
	ck_assert_uint_eq(table.row_count, 3);
	expect_row(&table, 0, "x.c:5", 30, 4);
	expect_row(&table, 1, "x.c:5", 25, 2);
	expect_row(&table, 2, "x.c:6", 1, 1);
	ck_assert_str_eq(table.rows[0].file, "/a/x.c");
	ck_assert_str_eq(table.rows[1].file, "/b/x.c");
	ck_assert_ptr_null(table.rows[0].function); /* f and g */
	ck_assert_str_eq(table.rows[1].function, "f");
	ck_assert_uint_eq(table.rows[0].counters.largest_bytes, 20);
	ck_assert_uint_eq(table.rows[0].counters.peak_bytes, 300);
	table_deinit(&table);
}
END_TEST

START_TEST(each_quantity_shows_its_own_figures)
{
	add(at("/a/x.c", "x.c", 5, "f"), 10, 3);
	static const struct {
		enum query_show show;
		uint64_t bytes, blocks;
	} wants[] = {{QUERY_PEAK, 100, 30},
		     {QUERY_CURRENT, 10, 3},
		     {QUERY_TOTAL, 20, 6},
		     {QUERY_LEAKED, 20, 6},
		     {QUERY_COUNT, 20, 6}};
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		struct table table = ask((struct query){.show = wants[i].show, .top = 1});
		expect_row(&table, 0, "x.c:5", wants[i].bytes, wants[i].blocks);
		ck_assert_uint_eq(table.shown_bytes, wants[i].bytes);
		ck_assert_uint_eq(table.shown_blocks, wants[i].blocks);
		table_deinit(&table);
	}
}
END_TEST

START_TEST(rows_without_the_quantity_are_left_out_but_empty_blocks_are_kept)
{
	add(at("/a/x.c", "x.c", 1, "f"), 0, 0);
	add(at("/a/x.c", "x.c", 2, "f"), 0, 4);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 10});
	ck_assert_uint_eq(table.row_count, 1);
	expect_row(&table, 0, "x.c:2", 0, 4);
	table_deinit(&table);
}
END_TEST

START_TEST(rows_are_ordered_by_figure_then_other_figure_then_label_biggest_first)
{
	add(at("/a/x.c", "x.c", 9, "f"), 50, 1);
	add(at("/a/x.c", "x.c", 10, "f"), 50, 1);
	add(at("/a/x.c", "x.c", 11, "f"), 50, 2);
	add(at("/a/y.c", "y.c", 1, "f"), 50, 1);
	add(at("/a/x.c", "x.c", 12, "f"), 60, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 10});
	expect_row(&table, 0, "x.c:12", 60, 1);
	expect_row(&table, 1, "x.c:11", 50, 2);
	expect_row(&table, 2, "y.c:1", 50, 1);
	expect_row(&table, 3, "x.c:10", 50, 1);
	expect_row(&table, 4, "x.c:9", 50, 1);
	table_deinit(&table);
	table = ask((struct query){.show = QUERY_COUNT, .top = 10});
	expect_row(&table, 0, "x.c:11", 100, 4);
	expect_row(&table, 1, "x.c:12", 120, 2);
	table_deinit(&table);
}
END_TEST

START_TEST(what_is_cut_is_added_up)
{
	for (uint32_t i = 1; i <= 20; i++)
		add(at("/a/x.c", "x.c", i, "f"), i, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 3});
	ck_assert_uint_eq(table.row_count, 3);
	ck_assert_uint_eq(table.other_count, 17);
	ck_assert_uint_eq(table.other_bytes, 210 - 20 - 19 - 18);
	ck_assert_uint_eq(table.other_blocks, 17);
	ck_assert_uint_eq(table.shown_bytes, 210);
	table_deinit(&table);
	table = ask((struct query){.show = QUERY_CURRENT, .top = 0});
	ck_assert_uint_eq(table.row_count, 0);
	ck_assert_uint_eq(table.other_count, 20);
	table_deinit(&table);
}
END_TEST

START_TEST(without_a_line_the_label_is_function_and_module_or_a_place)
{
	add((struct snapshot_frame){.function = "f", .module = "/usr/lib/liba.so", .offset = 1}, 60,
	    1);
	add((struct snapshot_frame){.function = "f", .module = "/usr/lib/liba.so", .offset = 2}, 1,
	    1);
	add((struct snapshot_frame){.module = "/usr/lib/liba.so", .offset = 0x1234}, 50, 1);
	add((struct snapshot_frame){.module = "/usr/lib/liba.so", .offset = 0x1235}, 40, 1);
	add((struct snapshot_frame){.function = "jitted"}, 30, 1);
	add((struct snapshot_frame){.offset = 0x7f0012345678}, 20, 1);
	add((struct snapshot_frame){0}, 10, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 10});
	expect_row(&table, 0, "f (liba.so)", 61, 2);
	expect_row(&table, 1, "liba.so+0x1234", 50, 1);
	expect_row(&table, 2, "liba.so+0x1235", 40, 1);
	expect_row(&table, 3, "jitted", 30, 1);
	expect_row(&table, 4, "0x7f0012345678", 20, 1);
	expect_row(&table, 5, "<unknown>", 10, 1);
	ck_assert_uint_eq(table.lineless_sites, 7);
	ck_assert_ptr_null(table.rows[0].file);
	table_deinit(&table);
}
END_TEST

START_TEST(a_site_without_frames_is_charged_to_the_unknown)
{
	add(at("/a/x.c", "x.c", 5, "f"), 10, 1);
	snapshot->sites[0].frame_count = 0;
	for (enum query_group by = QUERY_LINE; by <= QUERY_MODULE; by++) {
		struct table table =
			ask((struct query){.show = QUERY_CURRENT, .group_by = by, .top = 10});
		expect_row(&table, 0, "<unknown>", 10, 1);
		table_deinit(&table);
	}
}
END_TEST

START_TEST(files_functions_and_modules_group_by_what_they_are)
{
	add(at("/a/x.c", "x.c", 5, "f"), 10, 1);
	add(at("/a/x.c", "x.c", 6, "g"), 20, 1);
	add(at("/b/x.c", "x.c", 6, "g"), 5, 1);
	add((struct snapshot_frame){.function = "g", .module = "/usr/lib/liba.so"}, 4, 1);
	add((struct snapshot_frame){.module = "/usr/lib/liba.so", .offset = 7}, 3, 1);
	add((struct snapshot_frame){.module = "/usr/lib/liba.so", .offset = 8}, 3, 1);

	struct query query = {.show = QUERY_CURRENT, .group_by = QUERY_FILE, .top = 10};
	struct table table = ask(query);
	ck_assert_uint_eq(table.row_count, 3);
	expect_row(&table, 0, "x.c", 30, 2);
	expect_row(&table, 1, "/usr/lib/liba.so", 10, 3);
	expect_row(&table, 2, "x.c", 5, 1);
	ck_assert_str_eq(table.rows[2].file, "/b/x.c");
	ck_assert_uint_eq(table.rows[0].line, 0);
	table_deinit(&table);

	query.group_by = QUERY_FUNCTION;
	table = ask(query);
	ck_assert_uint_eq(table.row_count, 5);
	expect_row(&table, 0, "g (x.c)", 20, 1);
	expect_row(&table, 1, "f (x.c)", 10, 1);
	expect_row(&table, 2, "<unknown> (liba.so)", 6, 2);
	expect_row(&table, 3, "g (x.c)", 5, 1);
	expect_row(&table, 4, "g (liba.so)", 4, 1);
	table_deinit(&table);

	query.group_by = QUERY_MODULE;
	table = ask(query);
	ck_assert_uint_eq(table.row_count, 2);
	expect_row(&table, 0, "/usr/bin/prog", 35, 3);
	expect_row(&table, 1, "/usr/lib/liba.so", 10, 3);
	table_deinit(&table);
}
END_TEST

START_TEST(sums_stop_at_their_end_instead_of_wrapping)
{
	add(at("/a/x.c", "x.c", 5, "f"), UINT64_MAX / 20, 1);
	for (int i = 0; i < 30; i++)
		add(at("/a/x.c", "x.c", 5, "f"), UINT64_MAX / 20, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 10});
	expect_row(&table, 0, "x.c:5", UINT64_MAX, 31);
	ck_assert_uint_eq(table.shown_bytes, UINT64_MAX);
	table_deinit(&table);
}
END_TEST

START_TEST(random_sites_group_as_a_naive_sum_says)
{
	enum { SITES = 5000, FILES = 7, LINES = 13 };
	static const char *const files[FILES] = {"/s/a.c", "/s/b.c", "/s/c.c", "/s/d.c",
						 "/s/e.c", "/s/f.c", "/s/g.c"};
	uint64_t sums[FILES][LINES] = {{0}};
	uint64_t state = 1;
	for (int i = 0; i < SITES; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		size_t file = state >> 40 & 0xffff, line = state >> 20 & 0xffff;
		uint64_t bytes = state >> 33 & 0xfff;
		file %= FILES;
		line %= LINES;
		add(at(files[file], files[file], (uint32_t)line + 1, "f"), bytes, 1);
		sums[file][line] += bytes;
	}
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = 1000});
	ck_assert_uint_eq(table.row_count, FILES * LINES);
	for (size_t i = 0; i < table.row_count; i++) {
		const struct table_row *row = &table.rows[i];
		size_t file = 0;
		while (strcmp(files[file], row->file))
			file++;
		ck_assert_uint_eq(row->bytes, sums[file][row->line - 1]);
		ck_assert(i == 0 || table.rows[i - 1].bytes >= row->bytes);
	}
	table_deinit(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query");
	TCase *cases = tcase_create("query");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, sites_of_one_line_are_one_row_and_equal_labels_of_two_files_are_two);
	tcase_add_test(cases, each_quantity_shows_its_own_figures);
	tcase_add_test(cases, rows_without_the_quantity_are_left_out_but_empty_blocks_are_kept);
	tcase_add_test(cases,
		       rows_are_ordered_by_figure_then_other_figure_then_label_biggest_first);
	tcase_add_test(cases, what_is_cut_is_added_up);
	tcase_add_test(cases, without_a_line_the_label_is_function_and_module_or_a_place);
	tcase_add_test(cases, a_site_without_frames_is_charged_to_the_unknown);
	tcase_add_test(cases, files_functions_and_modules_group_by_what_they_are);
	tcase_add_test(cases, sums_stop_at_their_end_instead_of_wrapping);
	tcase_add_test(cases, random_sites_group_as_a_naive_sum_says);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
