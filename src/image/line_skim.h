/* SPDX-License-Identifier: MIT */
/*
 * A pass over the DIEs of one unit that meets functions and inlined calls alone, and passes over
 * the bytes of all others without asking libdw about them: debug information is mostly types.
 *
 * Descends where line_walk.h does, in the same order. Owns what it knows of the unit's
 * abbreviations. Reads libdw's own bytes of the section, within bounds that it looks up itself.
 * Called by line_unit.c; one thread.
 */
#ifndef IMAGE_LINE_SKIM_H
#define IMAGE_LINE_SKIM_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "image/cursor.h"
#include "image/line_walk.h"

struct skim_abbreviation;
struct skim_form;

/*
 * Invariants: depth < LINE_DEPTH_MAX; enclosing[d] is what a DIE at depth d stands in, for d <=
 * depth. bytes.at grows with every step.
 */
struct line_skim {
	const uint8_t *unit; /* its header */
	struct cursor bytes; /* behind the DIE that was met last */
	uint8_t version, address_size, offset_size;
	struct skim_abbreviation *abbreviations; /* by their codes */
	size_t abbreviation_count, abbreviation_capacity;
	struct skim_form *forms;
	size_t form_count, form_capacity;
	size_t depth; /* of the DIE that comes next */
	uint32_t enclosing[LINE_DEPTH_MAX + 1];

	Dwarf_Die die;	  /* the one that was met: a DW_TAG_subprogram or _inlined_subroutine */
	bool inlined;	  /* the latter */
	uint32_t parent;  /* what it stands in */
	uint32_t *inside; /* what its children stand in: at first the same */
};

/*
 * Stands before the first child of the unit whose DIE is root; outermost: what that stands in.
 * *known_ret false: libdw keeps the bytes elsewhere than we can tell, or the unit is malformed; use
 * line_walk. Errors: no memory.
 */
struct error *line_skim_init(struct line_skim *skim, const Dwarf_Die *root, uint32_t outermost,
			     bool *known_ret);
void line_skim_deinit(struct line_skim *skim);

/* Meets the next one. False at the end, and where the bytes turn out malformed. */
bool line_skim_next(struct line_skim *skim);

#endif
