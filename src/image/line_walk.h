/* SPDX-License-Identifier: MIT */
/*
 * A pass over the DIEs of one unit that can hold code: parents before children, in file order.
 *
 * Descends into functions, blocks, namespaces and types, not into what cannot hold a function.
 * Takes O(DIEs) time whatever the producer: LLVM writes no DW_AT_sibling, and skipping children
 * that were just visited would make the pass quadratic in the nesting depth. Owns nothing. Called
 * by line_unit.c; one thread.
 */
#ifndef IMAGE_LINE_WALK_H
#define IMAGE_LINE_WALK_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

/* Compilers nest inlined calls and blocks some hundred deep; deeper children are passed over. */
enum { LINE_DEPTH_MAX = 1024 };

/* Invariant: depth < LINE_DEPTH_MAX; die.addr grows with every step, so that the pass must end. */
struct line_walk {
	Dwarf_Die die; /* the DIE visited */
	size_t depth;  /* 0: a child of the unit's DIE */
	bool begun;
	Dwarf_Die parents[LINE_DEPTH_MAX];
};

void line_walk_init(struct line_walk *walk, const Dwarf_Die *unit);

/* Whether DIEs of that tag may hold code, so that a pass descends into them. */
bool line_walk_descends(unsigned int tag);

/* Steps to the next DIE. False at the end, and where the DIEs turn out malformed. */
bool line_walk_next(struct line_walk *walk);

#endif
