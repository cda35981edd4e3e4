/* SPDX-License-Identifier: MIT */
#include "image/line_walk.h"

#include <dwarf.h>

void line_walk_init(struct line_walk *walk, const Dwarf_Die *unit)
{
	walk->die = *unit;
	walk->depth = 0;
	walk->begun = false;
}

bool line_walk_descends(unsigned int tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
	case DW_TAG_inlined_subroutine:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
		return true;
	default:
		return false;
	}
}

static bool step_into(struct line_walk *walk)
{
	Dwarf_Die child;
	if (walk->depth + 1 == LINE_DEPTH_MAX || dwarf_child(&walk->die, &child) != 0)
		return false;
	walk->parents[walk->depth++] = walk->die;
	walk->die = child;
	return true;
}

/*
 * The entry that follows the end mark of a list of children. False where it lies outside of the
 * unit. dwarf_tag of *ret is DW_TAG_invalid where it is an end mark itself.
 */
static bool entry_after(const Dwarf_Die *child, const void *mark, Dwarf_Die *ret)
{
	Dwarf_Die die = *child;
	ptrdiff_t distance = (const char *)mark - (const char *)child->addr;
	Dwarf_Off offset = dwarf_dieoffset(&die) + (Dwarf_Off)distance + 1;
	return dwarf_offdie(dwarf_cu_getdwarf(child->cu), offset, ret) && ret->cu == child->cu;
}

/*
 * Leaves a list of children whose end mark is known; there may be several end marks in a row. False
 * at the end of the unit.
 */
static bool step_out(struct line_walk *walk, const void *mark)
{
	Dwarf_Die next;
	while (walk->depth && entry_after(&walk->die, mark, &next)) {
		walk->depth--;
		if (dwarf_tag(&next) != DW_TAG_invalid) {
			walk->die = next;
			return true;
		}
		mark = next.addr;
	}
	return false;
}

static bool step_over(struct line_walk *walk)
{
	for (;;) {
		Dwarf_Die next = {0};
		int result = dwarf_siblingof(&walk->die, &next);
		if (result < 0)
			return false;
		if (result == 0) {
			bool onward = (const char *)next.addr > (const char *)walk->die.addr;
			walk->die = next;
			return onward;
		}
		/* libdw leaves the end mark's place here when there is no sibling. */
		if (next.addr)
			return step_out(walk, next.addr);
		if (!walk->depth)
			return false;
		walk->die = walk->parents[--walk->depth];
	}
}

bool line_walk_next(struct line_walk *walk)
{
	if (!walk->begun) {
		walk->begun = true;
		return dwarf_child(&walk->die, &walk->die) == 0;
	}
	return (line_walk_descends((unsigned int)dwarf_tag(&walk->die)) && step_into(walk)) ||
	       step_over(walk);
}
