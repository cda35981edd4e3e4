/* SPDX-License-Identifier: MIT */
#include "report/callgrind_costs.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "report/names.h"
#include "snapshot/sum.h"

/* Costs that are kept before equal ones are joined for the first time. */
enum { JOIN_AT = 1 << 16 };

/* The function that calls outermost ones. */
enum { ROOT = 0 };

/* What is known while stacks are gone through. */
struct collection {
	struct callgrind_costs *costs;
	size_t *function_of; /* by frame of the snapshot: the function's number + 1, 0: not yet */
	size_t *seen_in;     /* by function: the last stack it was seen on, + 1 */
	size_t seen_capacity;
	size_t join_at;
};

static void collection_deinit(struct collection *collection)
{
	free(collection->function_of);
	free(collection->seen_in);
}

void callgrind_costs_deinit(struct callgrind_costs *costs)
{
	texts_deinit(&costs->functions);
	free(costs->items);
	*costs = (struct callgrind_costs){0};
}

static int compare_costs(const void *left, const void *right)
{
	const struct callgrind_cost *a = left, *b = right;
	if (a->function != b->function)
		return a->function < b->function ? -1 : 1;
	if (a->callee != b->callee)
		return a->callee < b->callee ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

static void join(struct callgrind_costs *costs)
{
	size_t kept = 0;
	if (costs->count)
		qsort(costs->items, costs->count, sizeof *costs->items, compare_costs);
	for (size_t i = 0; i < costs->count; i++) {
		struct callgrind_cost *last = kept ? &costs->items[kept - 1] : NULL;
		if (last && compare_costs(last, &costs->items[i]) == 0)
			sum_site(&last->counters, &costs->items[i].counters);
		else
			costs->items[kept++] = costs->items[i];
	}
	costs->count = kept;
}

/* Numbers the function of a frame and makes room for it in seen_in. */
static struct error *number_function(struct collection *collection,
				     const struct snapshot_frame *frame, size_t *ret)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct texts *functions = &collection->costs->functions;
	size_t capacity = collection->seen_capacity;
	buffer_escaped(&text, frame->module ? frame->module : "???");
	buffer_char(&text, '\n');
	buffer_escaped(&text, frame->file ? frame->file : "???");
	buffer_char(&text, '\n');
	names_function(&text, frame);
	size_t number = texts_add(functions, buffer_text(&text));
	if (buffer_failed(&text) || functions->failed ||
	    !array_reserve(&collection->seen_in, &collection->seen_capacity, number + 1,
			   sizeof *collection->seen_in))
		return error_no_memory();
	for (size_t i = capacity; i < collection->seen_capacity; i++)
		collection->seen_in[i] = 0;
	*ret = number;
	return NULL;
}

/* frame_index: UINT32_MAX for the unknown frame of an unknown stack. */
static struct error *find_function(struct collection *collection, uint32_t frame_index, size_t *ret)
{
	static const struct snapshot_frame unknown = {0};
	const struct snapshot *snapshot = collection->costs->selection->snapshot;
	if (frame_index == UINT32_MAX)
		return number_function(collection, &unknown, ret);
	size_t *known = &collection->function_of[frame_index];
	if (!*known) {
		struct error *err =
			number_function(collection, &snapshot->frames[frame_index], known);
		if (err)
			return err;
		++*known;
	}
	*ret = *known - 1;
	return NULL;
}

static struct error *add_cost(struct collection *collection, struct callgrind_cost cost)
{
	struct callgrind_costs *costs = collection->costs;
	if (!array_reserve(&costs->items, &costs->capacity, costs->count + 1, sizeof *costs->items))
		return error_no_memory();
	costs->items[costs->count++] = cost;
	if (costs->count < collection->join_at)
		return NULL;
	join(costs);
	collection->join_at = costs->count * 2 > JOIN_AT ? costs->count * 2 : JOIN_AT;
	return NULL;
}

static struct error *add_stack(struct collection *collection, size_t index)
{
	const struct snapshot *snapshot = collection->costs->selection->snapshot;
	const struct selection_stack *stack = &collection->costs->selection->stacks[index];
	struct callgrind_cost cost = {.callee = CALLGRIND_OWN, .counters = stack->counters};
	size_t count = stack->frame_count ? stack->frame_count : 1;
	struct error *err = NULL;
	for (size_t i = 0; !err && i < count; i++) {
		uint32_t frame = stack->frame_count ? stack->frames[i] : UINT32_MAX;
		err = find_function(collection, frame, &cost.function);
		if (err)
			return err;
		size_t *seen_in = &collection->seen_in[cost.function];
		if (*seen_in == index + 1)
			continue;
		*seen_in = index + 1;
		cost.line = frame == UINT32_MAX ? 0 : snapshot->frames[frame].line;
		err = add_cost(collection, cost);
		cost.callee = cost.function + 1;
	}
	cost.function = ROOT;
	cost.line = 0;
	return err ? err : add_cost(collection, cost);
}

struct error *callgrind_costs_make(const struct selection *selection, struct callgrind_costs *ret)
{
	_cleanup_callgrind_costs_ struct callgrind_costs costs = {.selection = selection};
	__attribute__((__cleanup__(collection_deinit))) struct collection collection = {
		.costs = &costs,
		.function_of = calloc(selection->snapshot->frame_count + 1, sizeof(size_t)),
		.join_at = JOIN_AT};
	if (!collection.function_of)
		return error_no_memory();
	texts_add(&costs.functions, "???\n???\n[root]");
	struct error *err = costs.functions.failed ? error_no_memory() : NULL;
	for (size_t i = 0; !err && i < selection->count; i++)
		err = add_stack(&collection, i);
	if (err)
		return err;
	join(&costs);
	*ret = costs;
	costs = (struct callgrind_costs){0};
	return NULL;
}
