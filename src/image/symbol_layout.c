/* SPDX-License-Identifier: MIT */
#include "image/symbol_layout.h"

#include <string.h>

#include "base/cleanup.h"
#include "image/private.h"

static size_t count_underscores(const char *name)
{
	return strspn(name, "_");
}

/* Negative if a is the worse name for the address both start at. */
static int compare_worth(const struct image_symbol *a, const struct image_symbol *b)
{
	if ((a->size_bytes != 0) != (b->size_bytes != 0))
		return a->size_bytes != 0 ? 1 : -1;
	if (a->exported != b->exported)
		return a->exported ? 1 : -1;
	size_t left = count_underscores(a->name);
	size_t right = count_underscores(b->name);
	if (left == right) {
		left = strlen(a->name);
		right = strlen(b->name);
	}
	return left < right ? 1 : left > right ? -1 : 0;
}

/* By start; at one start the best last, and of equals the one that stands first in its table. */
static int compare_starts(const void *a, const void *b, void *context)
{
	const struct image_symbol *all = context;
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;
	if (all[left].start.v != all[right].start.v)
		return all[left].start.v < all[right].start.v ? -1 : 1;
	int worth = compare_worth(&all[left], &all[right]);
	return worth ? worth : left > right ? -1 : left < right;
}

/* Where functions[i] ends; they are sorted by start. */
static uint64_t end_of(const struct image *image, const struct image_symbol *all,
		       const uint32_t *functions, size_t count, size_t i)
{
	const struct image_symbol *symbol = &all[functions[i]];
	if (symbol->size_bytes != 0)
		return symbol->start.v + symbol->size_bytes;
	const struct image_segment *segment = image_code_segment(image, symbol->start);
	uint64_t end = segment->start.v + segment->memory_bytes;
	size_t low = i + 1;
	size_t high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (all[functions[middle]].start.v <= symbol->start.v)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < count && all[functions[low]].start.v < end)
		end = all[functions[low]].start.v;
	return end;
}

/*
 * A layout under work. `open` is a stack of the functions begun, the topmost started last; all
 * addresses below position are laid out.
 */
struct work {
	struct symbol_layout *layout;
	struct symbol_range *open;
	size_t open_count;
	uint64_t position;
};

static void lay_out_until(struct work *work, uint64_t limit)
{
	while (work->open_count > 0 && work->position < limit) {
		const struct symbol_range *top = &work->open[work->open_count - 1];
		uint64_t end = top->end < limit ? top->end : limit;
		if (end > work->position) {
			work->layout->ranges[work->layout->count++] =
				(struct symbol_range){work->position, end, top->symbol};
			work->position = end;
		}
		if (top->end <= work->position)
			work->open_count--;
	}
}

struct error *symbol_layout_init(struct symbol_layout *layout, const struct image *image,
				 struct image_symbol *all, uint32_t *functions, size_t count)
{
	qsort_r(functions, count, sizeof *functions, compare_starts, all);
	_cleanup_free_ struct symbol_range *open = calloc(count + 1, sizeof *open);
	/* a range ends at some function's start or end, so twice their number suffices */
	_cleanup_free_ struct symbol_range *ranges = calloc(2 * count + 1, sizeof *ranges);
	if (!open || !ranges)
		return error_no_memory();
	*layout = (struct symbol_layout){.ranges = take_ptr(ranges)};
	struct work work = {.layout = layout, .open = open};
	for (size_t i = 0; i < count; i++) {
		uint64_t start = all[functions[i]].start.v;
		uint64_t end = end_of(image, all, functions, count, i);
		lay_out_until(&work, start);
		work.position = start;
		open[work.open_count++] = (struct symbol_range){start, end, functions[i]};
	}
	lay_out_until(&work, UINT64_MAX);
	return NULL;
}

void symbol_layout_deinit(struct symbol_layout *layout)
{
	free(layout->ranges);
	*layout = (struct symbol_layout){0};
}

bool symbol_layout_find(const struct symbol_layout *layout, image_addr address, uint32_t *ret)
{
	size_t low = 0;
	size_t high = layout->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (layout->ranges[middle].end <= address.v)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == layout->count || layout->ranges[low].start > address.v)
		return false;
	*ret = layout->ranges[low].symbol;
	return true;
}
