/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <dwarf.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "image/line_names.h"
#include "image/line_unit.h"

enum {
	POSITIONS_MAX = 256,	  /* inlined calls within each other at one address */
	RANGES_BUDGET = 32 << 20, /* in all units that are ever opened */
};

/* What was found at an address; kept, as a program allocates from the same places again and again.
 */
struct answer {
	size_t count;
	struct image_position positions[];
};

/* Invariant: an owner in ranges is an index of units. */
struct image_lines {
	struct line_limits limits;
	struct line_unit *units;
	size_t unit_count;
	size_t unit_capacity;
	struct line_ranges ranges;
	struct line_names names;
	struct map answers; /* image address to struct answer */
};

void image_lines_destroy(struct image_lines *lines)
{
	if (!lines)
		return;
	for (size_t i = 0; i < lines->unit_count; i++)
		line_unit_deinit(&lines->units[i]);
	free(lines->units);
	line_ranges_deinit(&lines->ranges);
	line_names_deinit(&lines->names);
	struct map_entry *entry;
	for (size_t cursor = 0; (entry = map_next(&lines->answers, &cursor));)
		free(entry->value);
	map_deinit(&lines->answers);
	free(lines);
}

static void cleanup_linesp(struct image_lines **lines)
{
	image_lines_destroy(*lines);
}

/*
 * Sorts all units by their own ranges: .debug_aranges cannot be relied on, as clang and rustc leave
 * it out.
 */
static struct error *read_units(struct image_lines *lines, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	uint8_t type;
	Dwarf_Die die;
	while (dwarf_get_units(dwarf, unit, &unit, NULL, &type, &die, NULL) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		size_t before = lines->ranges.count;
		struct error *err = line_ranges_add(&lines->ranges, &die,
						    (uint32_t)lines->unit_count, &lines->limits);
		if (err)
			return err;
		if (lines->ranges.count == before)
			continue;
		if (!array_reserve(&lines->units, &lines->unit_capacity, lines->unit_count + 1,
				   sizeof *lines->units))
			return error_no_memory();
		lines->units[lines->unit_count++] = (struct line_unit){
			.die = die,
			.skeleton = type == DW_UT_skeleton,
		};
	}
	return line_ranges_settle(&lines->ranges, LINE_TIE_FIRST);
}

/*
 * Whether strings end within their sections. libdw 0.188 reads on behind a .debug_line_str without
 * a NUL at its end.
 */
static bool strings_end(Dwarf *dwarf)
{
	static const char *const names[] = {".debug_str", ".debug_line_str"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const Elf_Data *data = image_section(dwarf_getelf(dwarf), names[i], NULL);
		if (data && ((const char *)data->d_buf)[data->d_size - 1])
			return false;
	}
	return true;
}

static struct error *lines_open(struct image *image)
{
	if (image->lines)
		return NULL;
	__attribute__((__cleanup__(cleanup_linesp))) struct image_lines *lines =
		calloc(1, sizeof *lines);
	if (!lines)
		return error_no_memory();
	Dwarf *dwarf;
	struct error *err = image_dwarf(image, &dwarf, &lines->limits.bias);
	if (err)
		return err;
	lines->limits.image = image;
	lines->limits.budget = RANGES_BUDGET;
	if (dwarf && strings_end(dwarf))
		err = read_units(lines, dwarf);
	if (!err)
		image->lines = take_ptr(lines);
	return err;
}

/* path == NULL leaves the file unknown. */
static struct error *set_file(struct line_unit *unit, const char *path,
			      struct image_position *position)
{
	if (!path)
		return NULL;
	const struct line_file *file;
	struct error *err = line_files_find(&unit->files, path, &file);
	if (err)
		return err;
	position->file = file->path;
	position->label = file->label;
	return NULL;
}

static struct error *set_row(struct line_unit *unit, uint64_t address,
			     struct image_position *position)
{
	Dwarf_Line *row = line_unit_row(unit, address);
	int line;
	if (!row)
		return NULL;
	if (dwarf_lineno(row, &line) == 0 && line > 0)
		position->line = (uint32_t)line;
	return set_file(unit, dwarf_linesrc(row, NULL, NULL), position);
}

static Dwarf_Word number(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) == 0 ? value : 0;
}

/* Where the inlined call stands in the function that it was inlined into (DWARF 5, 3.3.8.2). */
static struct error *set_call(struct line_unit *unit, Dwarf_Die *call,
			      struct image_position *position)
{
	Dwarf_Word line = number(call, DW_AT_call_line);
	if (line <= UINT32_MAX)
		position->line = (uint32_t)line;
	if (!unit->call_files || !dwarf_hasattr(call, DW_AT_call_file))
		return NULL;
	const char *path =
		dwarf_filesrc(unit->call_files, number(call, DW_AT_call_file), NULL, NULL);
	return set_file(unit, path, position);
}

static struct error *set_name(struct image_lines *lines, struct line_unit *unit, Dwarf_Die *die,
			      struct image_position *position)
{
	const struct line_name *name;
	struct error *err = line_names_of_die(&lines->names, unit, die, &name);
	if (err)
		return err;
	position->linkage = name->linkage;
	position->function = name->function;
	return NULL;
}

/*
 * Takes the name of the symbol at address for a function that debug information leaves without any,
 * or without a linkage name: static functions, and all of them under clang's -gline-tables-only,
 * which keeps no namespaces either. A symbol of another function (identical code folded) is told by
 * its name.
 */
static struct error *set_symbol(struct image *image, image_addr address,
				struct image_position *position)
{
	struct image_symbol symbol;
	if (!image_symbol_at(image, address, &symbol))
		return NULL;
	const struct line_name *name;
	struct error *err = line_names_of_symbol(&image->lines->names, symbol.name, &name);
	if (err || (position->function && !line_name_refines(name, position->function)))
		return err;
	position->linkage = name->linkage;
	position->function = name->function;
	return NULL;
}

/*
 * Fills positions from the innermost inlined call outwards; the first has its row already. Leaves
 * *count_ret at their number.
 */
static struct error *set_chain(struct image_lines *lines, struct line_unit *unit, uint32_t scope,
			       struct image_position *positions, size_t *count_ret)
{
	size_t last = 0;
	*count_ret = 1;
	while (scope != LINE_NONE) {
		Dwarf_Die die;
		if (!line_unit_die(unit, unit->scopes[scope].offset, &die))
			return NULL;
		struct error *err = set_name(lines, unit, &die, &positions[last]);
		if (err)
			return err;
		if (!unit->scopes[scope].inlined || last + 1 == POSITIONS_MAX)
			return NULL;
		positions[last++].inlined = true;
		*count_ret = last + 1;
		err = set_call(unit, &die, &positions[last]);
		if (err)
			return err;
		scope = unit->scopes[scope].parent;
	}
	return NULL;
}

static struct error *look_up(struct image *image, image_addr address,
			     struct image_position *positions, size_t *count_ret)
{
	struct image_lines *lines = image->lines;
	uint64_t at = address.v + lines->limits.bias;
	uint32_t index = line_ranges_find(&lines->ranges, at);
	struct error *err = NULL;
	*count_ret = 1;
	if (index != LINE_NONE) {
		struct line_unit *unit = &lines->units[index];
		err = line_unit_open(unit, &lines->limits);
		if (!err)
			err = set_row(unit, at, &positions[0]);
		if (!err)
			err = set_chain(lines, unit, line_unit_scope(unit, at), positions,
					count_ret);
	}
	struct image_position *outermost = &positions[*count_ret - 1];
	if (!err && !outermost->linkage)
		err = set_symbol(image, address, outermost);
	return err;
}

static struct error *answer_add(struct image *image, image_addr address, struct answer **ret)
{
	struct image_position positions[POSITIONS_MAX] = {0};
	size_t count;
	struct error *err = look_up(image, address, positions, &count);
	if (err)
		return err;
	size_t bytes = count * sizeof *positions;
	_cleanup_free_ struct answer *answer = malloc(sizeof *answer + bytes);
	if (!answer || !map_put(&image->lines->answers, address.v, answer))
		return error_no_memory();
	answer->count = count;
	memcpy(answer->positions, positions, bytes);
	*ret = take_ptr(answer);
	return NULL;
}

struct error *image_positions(struct image *image, image_addr address,
			      const struct image_position **positions_ret, size_t *count_ret)
{
	struct error *err = lines_open(image);
	if (err)
		return err;
	struct answer *answer = map_get(&image->lines->answers, address.v);
	if (!answer)
		err = answer_add(image, address, &answer);
	if (err)
		return err;
	*positions_ret = answer->positions;
	*count_ret = answer->count;
	return NULL;
}

bool image_has_lines(struct image *image)
{
	_cleanup_error_ struct error *err = lines_open(image);
	return !err && image->lines->ranges.count > 0;
}
