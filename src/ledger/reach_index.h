/* SPDX-License-Identifier: MIT */
/*
 * From an address to the block that holds it: the index of the marker, built once over sorted
 * blocks.
 *
 * Small blocks that lie close together form a stretch, which has a table of its grains, about two a
 * block: for each the first block that ends in or after it. A large block is a stretch by itself
 * and needs no table. So a word that is no pointer costs a comparison, and one that is a look at
 * the table and at a block or two. These are in no cache where there are many blocks: so many words
 * are looked up at once, and what the next step needs is fetched for all of them. Private to
 * reach.c.
 *
 * Equations:
 *     stretches are sorted and do not overlap; every block lies in one
 *     grains[first_grain + g] = first block of the stretch with end > start + (g << shift)
 *     6 <= shift <= 12; a stretch has at most twice as many grains as blocks where shift < 12
 */
#ifndef LEDGER_REACH_INDEX_H
#define LEDGER_REACH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	REACH_NEAR_BYTES = 65536, /* the largest gap in a stretch, and the largest small block */
};

/* [start, end) as pointers see it, before the next block begins. */
struct reach_extent {
	uint64_t start;
	uint64_t end;
};

struct reach_stretch {
	uint64_t start; /* of its first block */
	uint64_t end;	/* of its last block */
	uint32_t first_block;
	uint32_t end_block;
	size_t first_grain;
	unsigned shift;
	bool single;
};

struct reach_index {
	const struct reach_extent *extents; /* of the blocks, sorted; the marker's */
	struct reach_stretch *stretches;
	size_t stretch_count, stretch_capacity;
	uint32_t *grains;
	size_t grain_count, grain_capacity;
	uint64_t low, high; /* no pointer lies outside */
};

struct error *reach_index_build(struct reach_index *index, const struct reach_extent *extents,
				uint32_t count);
void reach_index_deinit(struct reach_index *index);

/* The first block whose end lies after address; count if there is none. */
uint32_t reach_index_after(const struct reach_index *index, uint64_t address, uint32_t count);

/* Whether a word may be a pointer to a block. */
static inline bool reach_index_may_hold(const struct reach_index *index, uint64_t word)
{
	return word - index->low < index->high - index->low;
}

/*
 * The blocks that hold these addresses, for each of which reach_index_may_hold; REACH_NO_BLOCK:
 * none does.
 */
#define REACH_NO_BLOCK UINT32_MAX
enum { REACH_BATCH = 64 };
void reach_index_find(const struct reach_index *index, const uint64_t *addresses, size_t count,
		      uint32_t ret[REACH_BATCH]);

#endif
