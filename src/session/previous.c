/* SPDX-License-Identifier: MIT */
#include "session/previous.h"

#include <stdlib.h>

#include "base/array.h"

/* Times as many as a stack has, are compared at most: recursion is like itself everywhere. */
enum { COMPARED_MAX = 8 };

void previous_deinit(struct previous *previous)
{
	free(previous->items);
}

static bool equal(const struct frame *a, const struct frame *b)
{
	return a->image.v == b->image.v && a->address == b->address;
}

/* The run whose outermost frames are frames[here_end - 1] and items[there_end - 1]. */
static struct previous_run run_up_to(const struct previous *previous, const struct frame *frames,
				     size_t here_end, size_t there_end)
{
	size_t most = here_end < there_end ? here_end : there_end, count = 0;
	while (count < most &&
	       equal(&frames[here_end - 1 - count], &previous->items[there_end - 1 - count].frame))
		count++;
	return (struct previous_run){here_end - count, there_end - count, count};
}

struct search {
	struct previous_run best;
	size_t compared; /* frames, one more for each try */
};

static void try(struct search *search, struct previous_run run)
{
	search->compared += run.count + 1;
	if (run.count > search->best.count)
		search->best = run;
}

struct previous_run previous_match(const struct previous *previous, const struct frame *frames,
				   size_t count)
{
	struct search search = {0};
	size_t most = count < previous->count ? count : previous->count;
	try(&search, run_up_to(previous, frames, count, previous->count));
	for (size_t cut = 1; cut < most && search.best.count < most - cut; cut++) {
		if (search.compared > COMPARED_MAX * most)
			break;
		try(&search, run_up_to(previous, frames, count, previous->count - cut));
		try(&search, run_up_to(previous, frames, count - cut, previous->count));
	}
	return search.best;
}

struct error *previous_begin(struct previous *previous, size_t count)
{
	previous->count = 0;
	return array_reserve(&previous->items, &previous->capacity, count, sizeof *previous->items)
		       ? NULL
		       : error_no_memory();
}

size_t previous_run_first(const struct previous *previous, const struct previous_run *run)
{
	return previous->items[run->there].first;
}

size_t previous_run_end(const struct previous *previous, const struct previous_run *run)
{
	size_t end = run->there + run->count;
	return end < previous->count ? previous->items[end].first : previous->end;
}
