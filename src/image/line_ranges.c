/* SPDX-License-Identifier: MIT */
#include "image/line_ranges.h"

#include "base/array.h"
#include "base/cleanup.h"

void line_ranges_deinit(struct line_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct line_ranges){0};
}

static struct error *append(struct line_ranges *ranges, struct line_range range)
{
	if (!array_reserve(&ranges->items, &ranges->capacity, ranges->count + 1,
			   sizeof *ranges->items))
		return error_no_memory();
	ranges->items[ranges->count++] = range;
	return NULL;
}

struct error *line_ranges_add(struct line_ranges *ranges, Dwarf_Die *die, uint32_t owner,
			      struct line_limits *limits)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t next = 0;
	while (limits->budget && (next = dwarf_ranges(die, next, &base, &start, &end)) > 0) {
		limits->budget--;
		if (start >= end || start == limits->bias ||
		    !image_code_segment(limits->image, (image_addr){start - limits->bias}))
			continue;
		struct error *err = append(ranges, (struct line_range){start, end, owner});
		if (err)
			return err;
	}
	return NULL;
}

/* Sorts what wins behind what it wins over. */
static int compare_last(const void *left, const void *right)
{
	const struct line_range *a = left, *b = right;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

static int compare_first(const void *left, const void *right)
{
	const struct line_range *a = left, *b = right;
	if (a->start == b->start && a->end == b->end)
		return compare_last(right, left);
	return compare_last(left, right);
}

/* Invariant: what lies below cursor is in out; open holds the ranges begun, last begun on top. */
struct sweep {
	struct line_ranges out;
	struct line_ranges open;
	uint64_t cursor;
};

/* Gives the top of the open ranges everything from the cursor to end. */
static struct error *advance(struct sweep *sweep, uint64_t end)
{
	if (end <= sweep->cursor)
		return NULL;
	uint64_t start = sweep->cursor;
	uint32_t owner = sweep->open.items[sweep->open.count - 1].owner;
	sweep->cursor = end;
	struct line_range *last = NULL;
	if (sweep->out.count)
		last = &sweep->out.items[sweep->out.count - 1];
	if (last && last->end == start && last->owner == owner) {
		last->end = end;
		return NULL;
	}
	return append(&sweep->out, (struct line_range){start, end, owner});
}

/* Ends the open ranges that end at or before limit. */
static struct error *close_until(struct sweep *sweep, uint64_t limit)
{
	struct error *err = NULL;
	while (!err && sweep->open.count) {
		uint64_t end = sweep->open.items[sweep->open.count - 1].end;
		if (end > limit)
			break;
		err = advance(sweep, end);
		sweep->open.count--;
	}
	return err;
}

static struct error *sweep_over(struct sweep *sweep, const struct line_ranges *sorted)
{
	for (size_t i = 0; i < sorted->count; i++) {
		struct line_range range = sorted->items[i];
		struct error *err = close_until(sweep, range.start);
		if (!err && sweep->open.count)
			err = advance(sweep, range.start);
		sweep->cursor = range.start;
		if (!err)
			err = append(&sweep->open, range);
		if (err)
			return err;
	}
	return close_until(sweep, UINT64_MAX);
}

struct error *line_ranges_settle(struct line_ranges *ranges, enum line_tie tie)
{
	if (!ranges->count)
		return NULL;
	qsort(ranges->items, ranges->count, sizeof *ranges->items,
	      tie == LINE_TIE_FIRST ? compare_first : compare_last);
	struct sweep sweep = {0};
	struct error *err = sweep_over(&sweep, ranges);
	line_ranges_deinit(&sweep.open);
	line_ranges_deinit(ranges);
	*ranges = sweep.out;
	return err;
}

uint32_t line_ranges_find(const struct line_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ranges->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= ranges->items[low - 1].end)
		return LINE_NONE;
	return ranges->items[low - 1].owner;
}
