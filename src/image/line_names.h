/* SPDX-License-Identifier: MIT */
/*
 * The names of functions, from DIEs and from symbols, each made once.
 *
 * Owns the strings it makes; others point into the image's Dwarf and symbol tables. Called by
 * lines.c; one thread.
 */
#ifndef IMAGE_LINE_NAMES_H
#define IMAGE_LINE_NAMES_H

#include "base/map.h"
#include "image/line_unit.h"

/* Both NULL: the DIE has no name. owned is what function points to, or NULL. */
struct line_name {
	const char *linkage;
	const char *function;
	char *owned;
};

/*
 * Keyed by place: of the DIE, or of the symbol's name. Those are never freed before the image is
 * closed, so a place stands for one name.
 */
struct line_names {
	struct map functions; /* to struct line_name */
};

void line_names_deinit(struct line_names *names);

/*
 * The name of the function that a subprogram or inlined DIE of unit stands for. Errors: out of
 * memory.
 */
struct error *line_names_of_die(struct line_names *names, struct line_unit *unit, Dwarf_Die *die,
				const struct line_name **ret);

/* The name of a symbol; name lives as long as the image. Errors: out of memory. */
struct error *line_names_of_symbol(struct line_names *names, const char *name,
				   const struct line_name **ret);

/*
 * Whether name, of a symbol, is a mangled one that stands for the function that debug information
 * calls function.
 */
bool line_name_refines(const struct line_name *name, const char *function);

#endif
