/* SPDX-License-Identifier: MIT */
/*
 * From an address to the block that holds it: the index of the marker, built once over sorted
 * blocks.
 *
 * Small blocks that lie close together form a stretch, which has a table of its pages: for each the
 * first block that ends in or after it. A large block is a stretch by itself and needs no table. So
 * a word that is no pointer costs a comparison, and one that is a search among the blocks of a
 * page. Private to reach.c.
 *
 * Equations:
 *     stretches are sorted and do not overlap; every block lies in one
 *     pages[first_page + p] = first block of the stretch with end > start + p * 4096
 */
#ifndef LEDGER_REACH_INDEX_H
#define LEDGER_REACH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	REACH_PAGE_BYTES = 4096,
	REACH_NEAR_BYTES = 65536, /* the largest gap in a stretch, and the largest small block */
};

/* [start, end) as pointers see it, before the next block begins. */
struct reach_extent {
	uint64_t start;
	uint64_t end;
};

struct reach_stretch {
	uint64_t start; /* of the page its first block begins in */
	uint64_t end;	/* of its last block */
	uint32_t first_block;
	uint32_t end_block;
	size_t first_page;
	bool single;
};

struct reach_index {
	const struct reach_extent *extents; /* of the blocks, sorted; the marker's */
	struct reach_stretch *stretches;
	size_t stretch_count, stretch_capacity;
	uint32_t *pages;
	size_t page_count, page_capacity;
	uint64_t low, high; /* no pointer lies outside */
};

struct error *reach_index_build(struct reach_index *index, const struct reach_extent *extents,
				uint32_t count);
void reach_index_deinit(struct reach_index *index);

/* The first block whose end lies after address; count if there is none. */
uint32_t reach_index_after(const struct reach_index *index, uint64_t address, uint32_t count);

/* The block that holds address; false: none does. */
bool reach_index_find(const struct reach_index *index, uint64_t address, uint32_t *ret);

#endif
