/* SPDX-License-Identifier: MIT */
#include "snapshot/selection.h"

#include <stdlib.h>

#include "snapshot/charge.h"
#include "snapshot/filter.h"
#include "snapshot/needs.h"
#include "snapshot/sum.h"
#include "snapshot/suppress.h"

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_stacks(const void *left, const void *right)
{
	const struct selection_stack *a = left, *b = right;
	size_t i = a->frame_count, j = b->frame_count;
	while (i && j) {
		int order = compare_numbers(a->frames[--i], b->frames[--j]);
		if (order)
			return order;
	}
	if (i || j)
		return i ? 1 : -1;
	int order = compare_numbers(a->process, b->process);
	return order ? order : (int)a->truncated - (int)b->truncated;
}

static void join(struct selection *selection)
{
	size_t kept = 0;
	if (selection->count)
		qsort(selection->stacks, selection->count, sizeof *selection->stacks,
		      compare_stacks);
	for (size_t i = 0; i < selection->count; i++) {
		struct selection_stack *last = kept ? &selection->stacks[kept - 1] : NULL;
		size_t site = selection->stacks[i].site;
		if (last && compare_stacks(last, &selection->stacks[i]) == 0)
			sum_site(&last->counters, &selection->stacks[i].counters);
		else
			selection->stacks[kept++] = selection->stacks[i];
		selection->stack_of_site[site] = kept - 1;
	}
	selection->count = kept;
}

/* What is asked of every site. */
struct questions {
	struct charge charge;
	struct filter filter;
	struct suppress suppress;
};

static void questions_deinit(struct questions *questions)
{
	charge_deinit(&questions->charge);
	filter_deinit(&questions->filter);
	suppress_deinit(&questions->suppress);
}

static struct error *add(struct selection *selection, struct questions *questions, size_t index)
{
	const struct snapshot_site *site = &selection->snapshot->sites[index];
	struct site_counters counters;
	selection->stack_of_site[index] = SELECTION_NO_STACK;
	size_t suppression;
	size_t charged = charge_frame(&questions->charge, site);
	struct error *err = filter_counters(&questions->filter, site, charged, &counters);
	if (err || suppress_site(&questions->suppress, site, &suppression) ||
	    (!counters.total_blocks && !counters.current_blocks && !counters.ended_blocks &&
	     !counters.failed_calls))
		return err;
	struct selection_stack *stack = &selection->stacks[selection->count++];
	*stack = (struct selection_stack){.site = index,
					  .process = site->process,
					  .truncated = site->truncated,
					  .counters = counters};
	if (charged != SIZE_MAX) {
		stack->frames = &selection->snapshot->stacks[site->first_frame + charged];
		stack->frame_count = site->frame_count - charged;
	}
	return NULL;
}

struct error *selection_make(const struct snapshot *snapshot, const struct query *query,
			     struct selection *ret)
{
	__attribute__((cleanup(questions_deinit))) struct questions questions = {0};
	_cleanup_selection_ struct selection selection = {.snapshot = snapshot, .query = query};
	struct error *err = needs_check(snapshot, query);
	if (!err)
		err = charge_init(&questions.charge, snapshot, query);
	if (!err)
		err = filter_init(&questions.filter, snapshot, query);
	if (!err)
		err = suppress_init(&questions.suppress, snapshot, query);
	if (err)
		return err;
	selection.stacks = calloc(snapshot->site_count + 1, sizeof *selection.stacks);
	selection.stack_of_site = calloc(snapshot->site_count + 1, sizeof *selection.stack_of_site);
	if (!selection.stacks || !selection.stack_of_site)
		return error_no_memory();
	for (size_t i = 0; !err && i < snapshot->site_count; i++)
		err = add(&selection, &questions, i);
	if (err)
		return err;
	join(&selection);
	*ret = selection;
	selection = (struct selection){0};
	return NULL;
}

void selection_deinit(struct selection *selection)
{
	free(selection->stacks);
	free(selection->stack_of_site);
	*selection = (struct selection){0};
}

struct site_counters selection_sums(const struct selection *selection)
{
	struct site_counters sums = {0};
	for (size_t i = 0; i < selection->count; i++)
		sum_site(&sums, &selection->stacks[i].counters);
	return sums;
}
