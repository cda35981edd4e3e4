/* SPDX-License-Identifier: MIT */
/* Random stacks with much recursion: what costs add up to, against a count without any cleverness.
 */
#include "report/callgrind_costs.h"

#include "report/names.h"
#include "unit/snapshot/sample.h"

enum { ROUNDS = 30, SITES = 200 };

/* What a frame's function is called among those of the costs. */
static void name(struct buffer *out, const struct snapshot_frame *frame)
{
	buffer_escaped(out, frame->module ? frame->module : "???");
	buffer_char(out, '\n');
	buffer_escaped(out, frame->file ? frame->file : "???");
	buffer_char(out, '\n');
	names_function(out, frame);
}

static bool is_on(const struct selection *selection, const struct selection_stack *stack,
		  const char *function)
{
	static const struct snapshot_frame unknown = {0};
	bool found = false;
	for (size_t i = 0; i < stack->frame_count || i == 0; i++) {
		_cleanup_buffer_ struct buffer text = {0};
		name(&text, stack->frame_count ? selection_frame(selection, stack, i) : &unknown);
		found |= strcmp(buffer_text(&text), function) == 0;
	}
	return found;
}

static uint64_t naive(const struct selection *selection, const char *function)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < selection->count; i++)
		if (is_on(selection, &selection->stacks[i], function))
			sum += selection->stacks[i].counters.total_bytes;
	return sum;
}

static void expect_each_block_once(const struct selection *selection,
				   const struct callgrind_costs *costs)
{
	uint64_t all = selection_sums(selection).total_bytes, own = 0, compared = 0;
	for (size_t f = 0; f < costs->functions.count; f++) {
		uint64_t spent = 0, called = 0;
		for (size_t i = 0; i < costs->count; i++) {
			const struct callgrind_cost *cost = &costs->items[i];
			if (cost->function == f)
				spent += cost->counters.total_bytes;
			if (cost->callee == f + 1)
				called += cost->counters.total_bytes;
			if (cost->function == f && cost->callee == CALLGRIND_OWN)
				own += cost->counters.total_bytes;
		}
		ck_assert_uint_eq(spent, f ? called : all);
		if (f) {
			compared++;
			ck_assert_uint_eq(spent, naive(selection, texts_get(&costs->functions, f)));
		}
	}
	ck_assert_uint_eq(own, all);
	ck_assert_uint_gt(compared, 10);
}

START_TEST(a_function_spends_what_it_is_called_for_each_block_once)
{
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct snapshot *snapshot = sample_random(round + 1, SITES);
		struct query query = {.show = QUERY_TOTAL};
		struct selection selection;
		struct callgrind_costs costs;
		for (size_t i = 0; i < snapshot->frame_count; i++) {
			struct snapshot_frame *frame = &snapshot->frames[i];
			frame->function = frame->line % 4 ? "f" : frame->line % 3 ? "g" : "h";
			frame->file = NULL;
		}
		ck_assert_ptr_null(selection_make(snapshot, &query, &selection));
		ck_assert_ptr_null(callgrind_costs_make(&selection, &costs));
		expect_each_block_once(&selection, &costs);
		callgrind_costs_deinit(&costs);
		selection_deinit(&selection);
		snapshot_destroy(snapshot);
	}
}
END_TEST

START_TEST(costs_are_in_order_and_none_is_there_twice)
{
	struct snapshot *snapshot = sample_random(5, SITES);
	struct query query = {.show = QUERY_TOTAL};
	struct selection selection;
	struct callgrind_costs costs;
	ck_assert_ptr_null(selection_make(snapshot, &query, &selection));
	ck_assert_ptr_null(callgrind_costs_make(&selection, &costs));
	for (size_t i = 1; i < costs.count; i++) {
		const struct callgrind_cost *a = &costs.items[i - 1], *b = &costs.items[i];
		bool before =
			a->function < b->function ||
			(a->function == b->function && a->callee < b->callee) ||
			(a->function == b->function && a->callee == b->callee && a->line < b->line);
		ck_assert(before);
	}
	callgrind_costs_deinit(&costs);
	selection_deinit(&selection);
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("callgrind_costs");
	TCase *cases = tcase_create("callgrind_costs");
	tcase_add_test(cases, a_function_spends_what_it_is_called_for_each_block_once);
	tcase_add_test(cases, costs_are_in_order_and_none_is_there_twice);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
