/* SPDX-License-Identifier: MIT */
#include "ledger/reach_index.h"

#include <stdlib.h>

#include "base/array.h"

static bool is_small(const struct reach_extent *extent)
{
	return extent->end - extent->start <= REACH_NEAR_BYTES;
}

static uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(REACH_PAGE_BYTES - 1);
}

/* The end of the stretch that block `first` begins. */
static uint32_t stretch_end(const struct reach_extent *extents, uint32_t first, uint32_t count)
{
	uint32_t end = first + 1;
	if (!is_small(&extents[first]))
		return end;
	while (end < count && is_small(&extents[end]) &&
	       extents[end].start - extents[end - 1].end <= REACH_NEAR_BYTES)
		end++;
	return end;
}

static struct error *fill_pages(struct reach_index *index, struct reach_stretch *stretch)
{
	size_t count = (stretch->end - stretch->start + REACH_PAGE_BYTES - 1) / REACH_PAGE_BYTES;
	stretch->first_page = index->page_count;
	if (!array_reserve(&index->pages, &index->page_capacity, index->page_count + count,
			   sizeof *index->pages))
		return error_no_memory();
	uint32_t block = stretch->first_block;
	for (size_t page = 0; page < count; page++) {
		uint64_t start = stretch->start + page * REACH_PAGE_BYTES;
		while (block < stretch->end_block && index->extents[block].end <= start)
			block++;
		index->pages[index->page_count++] = block;
	}
	return NULL;
}

static struct error *add_stretch(struct reach_index *index, uint32_t first, uint32_t end)
{
	if (!array_reserve(&index->stretches, &index->stretch_capacity, index->stretch_count + 1,
			   sizeof *index->stretches))
		return error_no_memory();
	struct reach_stretch *stretch = &index->stretches[index->stretch_count++];
	*stretch = (struct reach_stretch){.start = index->extents[first].start,
					  .end = index->extents[end - 1].end,
					  .first_block = first,
					  .end_block = end,
					  .single = end == first + 1};
	if (stretch->single)
		return NULL;
	stretch->start = page_of(stretch->start);
	return fill_pages(index, stretch);
}

struct error *reach_index_build(struct reach_index *index, const struct reach_extent *extents,
				uint32_t count)
{
	*index = (struct reach_index){.extents = extents, .low = UINT64_MAX};
	for (uint32_t first = 0; first < count;) {
		uint32_t end = stretch_end(extents, first, count);
		struct error *err = add_stretch(index, first, end);
		if (err)
			return err;
		first = end;
	}
	if (count) {
		index->low = extents[0].start;
		index->high = extents[count - 1].end;
	}
	return NULL;
}

void reach_index_deinit(struct reach_index *index)
{
	free(index->stretches);
	free(index->pages);
	*index = (struct reach_index){0};
}

/* The first stretch that ends after address; stretch_count if none does. */
static size_t find_stretch(const struct reach_index *index, uint64_t address)
{
	size_t low = 0, high = index->stretch_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (index->stretches[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t reach_index_after(const struct reach_index *index, uint64_t address, uint32_t count)
{
	size_t i = find_stretch(index, address);
	if (i == index->stretch_count)
		return count;
	const struct reach_stretch *stretch = &index->stretches[i];
	if (stretch->single || address < stretch->start)
		return stretch->first_block;
	size_t page = (address - stretch->start) / REACH_PAGE_BYTES;
	uint32_t low = index->pages[stretch->first_page + page], high = stretch->end_block;
	if (address + REACH_PAGE_BYTES < stretch->end) {
		uint32_t next = index->pages[stretch->first_page + page + 1];
		high = next < high ? next + 1 : high;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (index->extents[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool reach_index_find(const struct reach_index *index, uint64_t address, uint32_t *ret)
{
	if (address < index->low || address >= index->high)
		return false;
	*ret = reach_index_after(index, address, UINT32_MAX);
	return *ret != UINT32_MAX && index->extents[*ret].start <= address;
}
