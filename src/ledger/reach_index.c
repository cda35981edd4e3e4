/* SPDX-License-Identifier: MIT */
#include "ledger/reach_index.h"

#include <stdlib.h>

#include "base/array.h"

static bool is_small(const struct reach_extent *extent)
{
	return extent->end - extent->start <= REACH_NEAR_BYTES;
}

static unsigned shift_for(uint64_t span_bytes, uint32_t count)
{
	enum { LEAST = 6, MOST = 12 };
	unsigned shift = LEAST;
	while (shift < MOST && span_bytes >> shift > 2 * (uint64_t)count)
		shift++;
	return shift;
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

static struct error *fill_grains(struct reach_index *index, struct reach_stretch *stretch)
{
	uint64_t span_bytes = stretch->end - stretch->start;
	stretch->shift = shift_for(span_bytes, stretch->end_block - stretch->first_block);
	size_t count = (span_bytes >> stretch->shift) + 1;
	stretch->first_grain = index->grain_count;
	if (!array_reserve(&index->grains, &index->grain_capacity, index->grain_count + count,
			   sizeof *index->grains))
		return error_no_memory();
	uint32_t block = stretch->first_block;
	for (size_t grain = 0; grain < count; grain++) {
		uint64_t start = stretch->start + (grain << stretch->shift);
		while (block < stretch->end_block && index->extents[block].end <= start)
			block++;
		index->grains[index->grain_count++] = block;
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
	return stretch->single ? NULL : fill_grains(index, stretch);
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
	free(index->grains);
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

/* Of the blocks [low, high) the first whose end lies after address; high if there is none. */
static uint32_t search(const struct reach_index *index, uint32_t low, uint32_t high,
		       uint64_t address)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (index->extents[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const uint32_t *grain_of(const struct reach_index *index,
				const struct reach_stretch *stretch, uint64_t address)
{
	return &index->grains[stretch->first_grain +
			      ((address - stretch->start) >> stretch->shift)];
}

/* The same in a stretch that ends after address and does not begin after it. */
static uint32_t search_grain(const struct reach_index *index, const struct reach_stretch *stretch,
			     uint64_t address)
{
	const uint32_t *grain = grain_of(index, stretch, address);
	uint32_t high = stretch->end_block;
	uint64_t last = (stretch->end - stretch->start) >> stretch->shift;
	if ((address - stretch->start) >> stretch->shift < last && grain[1] < high)
		high = grain[1] + 1;
	return search(index, grain[0], high, address);
}

uint32_t reach_index_after(const struct reach_index *index, uint64_t address, uint32_t count)
{
	size_t i = find_stretch(index, address);
	if (i == index->stretch_count)
		return count;
	const struct reach_stretch *stretch = &index->stretches[i];
	if (stretch->single || address < stretch->start)
		return stretch->first_block;
	return search_grain(index, stretch, address);
}

/* The stretch that holds address, NULL if none does; most often that of the address before. */
static const struct reach_stretch *stretch_of(const struct reach_index *index, uint64_t address,
					      const struct reach_stretch *before)
{
	if (before && address >= before->start && address < before->end)
		return before;
	size_t i = find_stretch(index, address);
	return i < index->stretch_count && index->stretches[i].start <= address
		       ? &index->stretches[i]
		       : NULL;
}

void reach_index_find(const struct reach_index *index, const uint64_t *addresses, size_t count,
		      uint32_t ret[REACH_BATCH])
{
	const struct reach_stretch *stretches[REACH_BATCH], *last = NULL;
	for (size_t i = 0; i < count; i++) {
		stretches[i] = stretch_of(index, addresses[i], last);
		last = stretches[i] ? stretches[i] : last;
		if (stretches[i] && !stretches[i]->single)
			__builtin_prefetch(grain_of(index, stretches[i], addresses[i]));
	}
	for (size_t i = 0; i < count; i++) {
		if (!stretches[i])
			continue;
		ret[i] = stretches[i]->single ? stretches[i]->first_block
					      : *grain_of(index, stretches[i], addresses[i]);
		__builtin_prefetch(&index->extents[ret[i]]);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t block = REACH_NO_BLOCK;
		if (stretches[i])
			block = stretches[i]->single
					? ret[i]
					: search_grain(index, stretches[i], addresses[i]);
		bool holds = block != REACH_NO_BLOCK &&
			     index->extents[block].start <= addresses[i] &&
			     addresses[i] < index->extents[block].end;
		ret[i] = holds ? block : REACH_NO_BLOCK;
	}
}
