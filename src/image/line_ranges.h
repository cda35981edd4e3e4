/* SPDX-License-Identifier: MIT */
/*
 * Which owner (unit, function, inlined call) an address belongs to: a table of address ranges.
 *
 * Used in two steps: ranges are added in any order, then settled once; look-ups come after that.
 * Owns the table. Does not know what an owner is. Called by lines.c and line_unit.c; one thread.
 */
#ifndef IMAGE_LINE_RANGES_H
#define IMAGE_LINE_RANGES_H

#include <elfutils/libdw.h>

#include "image/private.h"

#define LINE_NONE UINT32_MAX /* no owner, no scope */

struct line_range {
	uint64_t start;
	uint64_t end;
	uint32_t owner;
};

/* Invariant, once settled: items[i].start < items[i].end <= items[i + 1].start */
struct line_ranges {
	struct line_range *items;
	size_t count;
	size_t capacity;
};

/*
 * What every range of one image is checked against. budget counts down with each range added: in a
 * hostile file a million entries can name the same long list, so the product has to be bounded.
 */
struct line_limits {
	const struct image *image;
	uint64_t bias; /* image address + bias = address in the Dwarf */
	size_t budget;
};

void line_ranges_deinit(struct line_ranges *ranges);

/*
 * Adds the ranges of a DIE (DW_AT_low_pc/high_pc or DW_AT_ranges; DWARF 5, 2.17) under owner. What
 * does not start in an executable segment is left out: linkers leave discarded functions behind at
 * address 0 or thereabouts. Malformed lists end where they become so. Errors: out of memory.
 */
struct error *line_ranges_add(struct line_ranges *ranges, Dwarf_Die *die, uint32_t owner,
			      struct line_limits *limits);

/* Which owner wins where two ranges are equal. */
enum line_tie {
	LINE_TIE_FIRST, /* the lesser: of units, as a linker keeps the first copy of a function */
	LINE_TIE_LAST,	/* the greater: of scopes, which are numbered outer before inner */
};

/*
 * Makes the table ready for look-ups: where ranges overlap, the one that starts last wins, of those
 * that start together the shorter, of equal ones what tie says. Errors: out of memory.
 */
struct error *line_ranges_settle(struct line_ranges *ranges, enum line_tie tie);

/* The owner at address, LINE_NONE if none. */
uint32_t line_ranges_find(const struct line_ranges *ranges, uint64_t address);

#endif
