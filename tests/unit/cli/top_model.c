/* SPDX-License-Identifier: MIT */
#include "cli/top_model.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top_text.h"

static struct top_model model;

static void setup(void)
{
	const struct query query = {.top = 10};
	top_model_init(&query, &model);
}

static void teardown(void)
{
	ck_assert(top_model_check(&model));
	top_model_deinit(&model);
}

static struct snapshot *moment(uint64_t seconds)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	snapshot->pid = 7;
	snapshot->duration_ns = seconds * 1000000000u;
	snapshot->totals.events = seconds * 500;
	snapshot->cost.tracer_cpu_ns = seconds * 20000000u;
	return snapshot;
}

/* A site of one frame at x.c:LINE in the function f, or of no line. */
static void add(struct snapshot *snapshot, uint32_t line, uint64_t bytes, uint64_t blocks,
		uint64_t total_bytes)
{
	struct snapshot_frame frame = {.file = line ? "/a/x.c" : NULL,
				       .label = line ? "x.c" : NULL,
				       .line = line,
				       .function = line ? "f" : NULL,
				       .offset = 0x12,
				       .module = "/usr/bin/prog"};
	struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS,
				     .counters = {.current_bytes = bytes,
						  .current_blocks = blocks,
						  .total_bytes = total_bytes,
						  .total_blocks = blocks + 1}};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	snapshot->totals.current_bytes += bytes;
}

static void take(struct snapshot *snapshot)
{
	ck_assert_ptr_null(top_model_take(&model, snapshot));
	ck_assert(top_model_check(&model));
}

/* Two lines: 5 grows from 100 to 150 bytes, 6 shrinks from 80 to nothing. */
static void take_two(void)
{
	struct snapshot *first = moment(1), *second = moment(3);
	add(first, 5, 100, 1, 100);
	add(first, 6, 80, 9, 80);
	take(first);
	add(second, 5, 150, 2, 1100);
	add(second, 6, 0, 0, 80);
	take(second);
}

static void expect_order(const char *labels)
{
	char seen[256] = "";
	for (size_t i = 0; i < model.count; i++) {
		strcat(seen, i ? " " : "");
		strcat(seen, model.rows[i].source->label);
	}
	ck_assert_str_eq(seen, labels);
}

static void order_by(enum top_order order)
{
	model.order = order;
	ck_assert_ptr_null(top_model_answer(&model));
}

START_TEST(rows_know_what_they_had_before_and_at_the_mark)
{
	take_two();
	struct snapshot *third = moment(4);
	add(third, 5, 130, 2, 1200);
	add(third, 6, 0, 0, 80);
	take(third);
	ck_assert_uint_eq(model.count, 2);
	ck_assert_uint_eq(model.rows[0].bytes, 130);
	ck_assert_uint_eq(model.rows[0].blocks, 2);
	ck_assert_uint_eq(model.rows[0].before_bytes, 150);
	ck_assert_uint_eq(model.rows[0].mark_bytes, 100);
	ck_assert_double_eq(model.rows[0].bytes_per_s, 100);
	/* What has shrunk to nothing since the mark is still worth a line. */
	ck_assert_uint_eq(model.rows[1].mark_bytes, 80);
}
END_TEST

START_TEST(rates_are_of_the_time_between_two_snapshots)
{
	take_two();
	ck_assert_double_eq(model.rows[0].bytes_per_s, 500); /* 1000 bytes in 2 s */
	ck_assert_double_eq(top_model_events_per_s(&model), 500);
	ck_assert_double_eq_tol(top_model_cpu_percent(&model), 2, 1e-9);
}
END_TEST

START_TEST(the_first_snapshot_has_no_rates)
{
	struct snapshot *first = moment(1);
	add(first, 5, 100, 1, 100);
	take(first);
	ck_assert_double_eq(top_model_events_per_s(&model), 0);
	ck_assert_double_eq(model.rows[0].bytes_per_s, 0);
	ck_assert_uint_eq(model.rows[0].mark_bytes, 100);
}
END_TEST

START_TEST(each_order_has_its_first)
{
	take_two();
	struct snapshot *third = moment(4);
	add(third, 5, 130, 2, 1200);
	add(third, 6, 60, 30, 200);
	take(third);
	expect_order("x.c:5 x.c:6");
	order_by(TOP_BY_BLOCKS);
	expect_order("x.c:6 x.c:5");
	order_by(TOP_BY_MARK); /* +30 and -20 */
	expect_order("x.c:5 x.c:6");
	order_by(TOP_BY_CHANGE); /* -20 and +60 */
	expect_order("x.c:6 x.c:5");
}
END_TEST

START_TEST(a_new_mark_makes_nothing_changed)
{
	take_two();
	ck_assert_ptr_null(top_model_mark(&model));
	ck_assert_uint_eq(model.rows[0].mark_bytes, 150);
	ck_assert_uint_eq(model.rows[0].before_bytes, 100);
}
END_TEST

START_TEST(rows_of_another_group_are_held_against_the_same_moments)
{
	take_two();
	model.query.group_by = QUERY_FILE;
	ck_assert_ptr_null(top_model_answer(&model));
	expect_order("x.c");
	ck_assert_uint_eq(model.rows[0].bytes, 150);
	ck_assert_uint_eq(model.rows[0].before_bytes, 180);
}
END_TEST

START_TEST(a_pattern_is_found_in_any_case_and_in_the_functions_name)
{
	take_two();
	strcpy(model.pattern, "X.C:6");
	ck_assert_ptr_null(top_model_answer(&model));
	expect_order("x.c:6");
	strcpy(model.pattern, "nowhere");
	ck_assert_ptr_null(top_model_answer(&model));
	ck_assert_uint_eq(model.count, 0);
	ck_assert(top_model_check(&model));
	top_model_move(&model, 3);
}
END_TEST

START_TEST(the_selection_stays_with_its_row)
{
	take_two();
	top_model_move(&model, 100);
	ck_assert_uint_eq(model.selected, 1);
	struct snapshot *third = moment(4);
	add(third, 5, 1, 1, 1200);
	add(third, 6, 900, 1, 980);
	take(third);
	expect_order("x.c:6 x.c:5");
	ck_assert_uint_eq(model.selected, 0);
	top_model_move(&model, -100);
	ck_assert_uint_eq(model.selected, 0);
}
END_TEST

/* Each stack belongs to exactly one row, whatever a row is. */
START_TEST(stacks_are_of_the_row_that_has_their_bytes)
{
	struct snapshot *snapshot = moment(1);
	model.query.group_by = (enum query_group)_i;
	add(snapshot, 5, 100, 1, 100);
	add(snapshot, 6, 80, 9, 80);
	add(snapshot, 0, 7, 1, 7);
	take(snapshot);
	struct table stacks;
	ck_assert_ptr_null(top_model_stacks(&model, &stacks));
	ck_assert_uint_eq(stacks.row_count, 3);
	for (model.selected = 0; model.selected < model.count; model.selected++) {
		uint64_t bytes = 0;
		for (size_t i = 0; i < stacks.row_count; i++)
			if (top_model_is_of_row(&model, &stacks.rows[i]))
				bytes += stacks.rows[i].bytes;
		ck_assert_uint_eq(bytes, model.rows[model.selected].bytes);
	}
	model.selected = 0;
	table_deinit(&stacks);
}
END_TEST

START_TEST(the_course_keeps_the_newest_totals)
{
	_cleanup_buffer_ struct buffer text = {0};
	for (uint64_t i = 0; i < TOP_HISTORY + 3; i++) {
		struct snapshot *snapshot = moment(i + 1);
		add(snapshot, 5, i, 1, i);
		take(snapshot);
	}
	ck_assert_uint_eq(model.history_count, TOP_HISTORY);
	ck_assert_uint_eq(model.history[TOP_HISTORY - 1], TOP_HISTORY + 2);
	ck_assert_uint_eq(model.history[0], 3);
	top_text_course(&model, 4, false, &text);
	ck_assert_str_eq(buffer_text(&text), "####");
}
END_TEST

START_TEST(a_line_of_text_is_columns_and_a_place)
{
	_cleanup_buffer_ struct buffer wide = {0}, narrow = {0};
	take_two();
	top_text_row(&model.rows[0], 100, &wide);
	ck_assert_str_eq(buffer_text(&wide), "       150 B           2       +50 B       +50 B"
					     "       500 B  x.c:5  f");
	top_text_row(&model.rows[0], 40, &narrow);
	ck_assert_str_eq(buffer_text(&narrow), "       150 B       +50 B  x.c:5  f");
}
END_TEST

START_TEST(a_long_path_keeps_its_end)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct table_row place = {.label = (char *)"/a/very/long/path/to/x.c:5", .line = 5};
	struct top_row row = {.source = &place};
	top_text_row(&row, 40, &text);
	ck_assert_str_eq(buffer_text(&text) + 26, "...th/to/x.c:5");
	ck_assert_uint_eq(text.count, 40);
}
END_TEST

START_TEST(a_frame_in_a_long_path_keeps_its_line)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct snapshot *snapshot = moment(1);
	struct snapshot_frame frame = {.file = "/a/very/long/path/to/x.c",
				       .line = 123,
				       .function = "f",
				       .inlined = true,
				       .module = "/usr/bin/prog"};
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = 5, .current_blocks = 1, .total_blocks = 1}};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	take(snapshot);
	struct table stacks;
	ck_assert_ptr_null(top_model_stacks(&model, &stacks));
	ck_assert_uint_eq(stacks.row_count, 1);
	top_text_stack(&stacks.rows[0], 30, &text);
	ck_assert_str_eq(buffer_text(&text), "5 B in 1 block\n    f (inlined)  ...to/x.c:123");
	buffer_clear(&text);
	top_text_stack(&stacks.rows[0], 100, &text);
	ck_assert_str_eq(buffer_text(&text),
			 "5 B in 1 block\n    f (inlined)  /a/very/long/path/to/x.c:123");
	table_deinit(&stacks);
}
END_TEST

START_TEST(names_from_a_target_are_escaped)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct table_row place = {.label = (char *)"a\033[2Jb\n"};
	struct top_row row = {.source = &place};
	top_text_row(&row, 100, &text);
	ck_assert_ptr_null(strchr(buffer_text(&text), '\033'));
	ck_assert_ptr_null(strchr(buffer_text(&text), '\n'));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "a\\x1b[2Jb\\x0a"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top_model");
	TCase *tests = tcase_create("top_model");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, rows_know_what_they_had_before_and_at_the_mark);
	tcase_add_test(tests, rates_are_of_the_time_between_two_snapshots);
	tcase_add_test(tests, the_first_snapshot_has_no_rates);
	tcase_add_test(tests, each_order_has_its_first);
	tcase_add_test(tests, a_new_mark_makes_nothing_changed);
	tcase_add_test(tests, rows_of_another_group_are_held_against_the_same_moments);
	tcase_add_test(tests, a_pattern_is_found_in_any_case_and_in_the_functions_name);
	tcase_add_test(tests, the_selection_stays_with_its_row);
	tcase_add_loop_test(tests, stacks_are_of_the_row_that_has_their_bytes, QUERY_LINE,
			    QUERY_MODULE + 1);
	tcase_add_test(tests, the_course_keeps_the_newest_totals);
	tcase_add_test(tests, a_line_of_text_is_columns_and_a_place);
	tcase_add_test(tests, a_long_path_keeps_its_end);
	tcase_add_test(tests, a_frame_in_a_long_path_keeps_its_line);
	tcase_add_test(tests, names_from_a_target_are_escaped);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
