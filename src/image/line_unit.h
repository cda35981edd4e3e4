/* SPDX-License-Identifier: MIT */
/*
 * One compilation unit: which function or inlined call an address stands in, and its line table.
 *
 * Cheap until line_unit_open, which passes once over the unit's DIEs. Owns the indexes; the DWARF
 * belongs to the image. Does not make names (line_names.c). Called by lines.c and line_names.c; one
 * thread.
 */
#ifndef IMAGE_LINE_UNIT_H
#define IMAGE_LINE_UNIT_H

#include "image/line_files.h"
#include "image/line_ranges.h"

/* A function or an inlined call. Offsets count bytes from the root DIE: they fit 32 bits. */
struct line_scope {
	uint32_t offset;
	uint32_t parent; /* the scope whose DIE encloses this one's, LINE_NONE */
	bool inlined;
};

/* A DIE that gives its name to what stands inside: namespace, type, function. */
struct line_container {
	uint32_t offset;
	uint32_t end;
	uint32_t parent; /* LINE_NONE */
};

/*
 * Invariants: scopes[i].parent < i or LINE_NONE; the same for containers;
 * containers[i].offset < containers[i + 1].offset; offset < end.
 */
struct line_unit {
	Dwarf_Die die;	/* the unit in the image's Dwarf */
	Dwarf_Die root; /* where functions are described: the same, or the split unit's */
	bool skeleton;
	bool opened;
	bool mangles; /* its language has namespaces and mangled names */
	struct line_files files;
	struct line_ranges ranges;
	struct line_scope *scopes;
	size_t scope_count;
	size_t scope_capacity;
	Dwarf_Lines *rows; /* sorted by address; NULL: none */
	size_t row_count;
	Dwarf_Files *call_files; /* what DW_AT_call_file counts in; NULL: none */
	struct line_container *containers;
	size_t container_count;
	size_t container_capacity;
	bool contained; /* containers are known */
};

void line_unit_deinit(struct line_unit *unit);

/*
 * Reads the unit's functions, inlined calls and line table, unless that was done. What is malformed
 * is left out. Errors: out of memory.
 */
struct error *line_unit_open(struct line_unit *unit, struct line_limits *limits);

/*
 * The row of the line table that covers address (of the Dwarf), NULL if none: the last one at or
 * below it, in a sequence that has not ended before (DWARF 5, 6.2.5).
 */
Dwarf_Line *line_unit_row(const struct line_unit *unit, uint64_t address);

/* The innermost scope at address (of the Dwarf), LINE_NONE if none. */
uint32_t line_unit_scope(const struct line_unit *unit, uint64_t address);

/* The DIE at an offset from the root DIE. False if the file is malformed there. */
bool line_unit_die(const struct line_unit *unit, uint32_t offset, Dwarf_Die *ret);

/*
 * The innermost container around die. False if there is none, or die stands in another unit.
 * Passes once over the unit's DIEs when first asked. Errors: out of memory.
 */
struct error *line_unit_container(struct line_unit *unit, Dwarf_Die *die, Dwarf_Die *ret,
				  bool *found_ret);

#endif
