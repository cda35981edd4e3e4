/* SPDX-License-Identifier: MIT */
/* Random snapshots: what is selected is what a table of the same question sums up. */
#include "snapshot/selection.h"

#include "unit/snapshot/sample.h"

enum { ROUNDS = 40, SITES = 300 };

static const struct query_filter filters[] = {
	{.inclusive = true, .kind = FILTER_FUNCTION, .pattern = "function-1*"},
	{.kind = FILTER_FILE, .pattern = "file-3*"}};
static const struct query questions[] = {
	{.show = QUERY_TOTAL, .top = SIZE_MAX},
	{.show = QUERY_CURRENT, .charge = QUERY_CHARGE_CALLEE, .top = SIZE_MAX},
	{.show = QUERY_LEAKED, .filters = filters, .filter_count = 1, .top = SIZE_MAX},
	{.show = QUERY_PEAK,
	 .filters = filters,
	 .filter_count = 2,
	 .all_frames = true,
	 .top = SIZE_MAX},
};

START_TEST(a_selection_has_the_sums_of_the_table)
{
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct snapshot *snapshot = sample_random(round + 1, SITES);
		struct selection selection;
		struct table table;
		uint64_t bytes, blocks;
		ck_assert_ptr_null(selection_make(snapshot, &questions[_i], &selection));
		ck_assert_ptr_null(query_run(snapshot, &questions[_i], &table));
		struct site_counters sums = selection_sums(&selection);
		query_quantity(questions[_i].show, &sums, &bytes, &blocks);
		ck_assert_uint_gt(table.shown_bytes, 0);
		ck_assert_uint_eq(bytes, table.shown_bytes);
		ck_assert_uint_eq(blocks, table.shown_blocks);
		table_deinit(&table);
		selection_deinit(&selection);
		snapshot_destroy(snapshot);
	}
}
END_TEST

static bool same_stack(const struct selection_stack *a, const struct selection_stack *b)
{
	return a->frame_count == b->frame_count && a->process == b->process &&
	       a->truncated == b->truncated &&
	       (!a->frame_count ||
		!memcmp(a->frames, b->frames, a->frame_count * sizeof *a->frames));
}

START_TEST(no_stack_is_there_twice_and_innermost_frames_are_rows_of_the_table)
{
	struct query query = {.show = QUERY_TOTAL, .group_by = QUERY_TRACEBACK, .top = SIZE_MAX};
	struct snapshot *snapshot = sample_random(7, SITES);
	struct selection selection;
	struct table table;
	size_t named = 0;
	ck_assert_ptr_null(selection_make(snapshot, &query, &selection));
	ck_assert_ptr_null(query_run(snapshot, &query, &table));
	for (size_t i = 0; i < selection.count; i++) {
		for (size_t j = 0; j < i; j++)
			ck_assert(!same_stack(&selection.stacks[i], &selection.stacks[j]));
		for (size_t j = 0; j < table.row_count; j++)
			named += table.rows[j].frame_count && selection.stacks[i].frame_count &&
				 table.rows[j].stack[0] == selection.stacks[i].frames[0];
	}
	ck_assert_uint_gt(named, 0);
	ck_assert_uint_ge(selection.count, table.row_count);
	table_deinit(&table);
	selection_deinit(&selection);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(every_site_that_passes_names_its_stack)
{
	struct snapshot *snapshot = sample_random(11, SITES);
	struct selection selection;
	size_t passed = 0, kept_out = 0;
	ck_assert_ptr_null(selection_make(snapshot, &questions[2], &selection));
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		size_t at = selection.stack_of_site[i];
		if (at == SELECTION_NO_STACK) {
			kept_out++;
			continue;
		}
		struct selection_stack *stack = &selection.stacks[at];
		ck_assert_uint_lt(at, selection.count);
		ck_assert_uint_eq(stack->process, site->process);
		for (size_t k = 1; k <= stack->frame_count; k++)
			ck_assert_uint_eq(
				stack->frames[stack->frame_count - k],
				snapshot->stacks[site->first_frame + site->frame_count - k]);
		stack->counters.total_bytes -= site->counters.total_bytes;
		passed++;
	}
	ck_assert_uint_gt(passed, 0);
	ck_assert_uint_gt(kept_out, 0);
	for (size_t i = 0; i < selection.count; i++)
		ck_assert_uint_eq(selection.stacks[i].counters.total_bytes, 0);
	selection_deinit(&selection);
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("selection");
	TCase *cases = tcase_create("selection");
	tcase_add_loop_test(cases, a_selection_has_the_sums_of_the_table, 0,
			    sizeof questions / sizeof *questions);
	tcase_add_test(cases, no_stack_is_there_twice_and_innermost_frames_are_rows_of_the_table);
	tcase_add_test(cases, every_site_that_passes_names_its_stack);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
