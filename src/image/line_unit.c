/* SPDX-License-Identifier: MIT */
#include "image/line_unit.h"

#include <dwarf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "image/line_skim.h"
#include "image/line_walk.h"

/* Above what the largest units of real programs hold; a hostile one costs some 300 MiB for a while.
 */
enum { UNIT_RANGES_MAX = 4 << 20 };

void line_unit_deinit(struct line_unit *unit)
{
	line_ranges_deinit(&unit->ranges);
	line_files_deinit(&unit->files);
	free(unit->scopes);
	free(unit->containers);
}

static const char *string_attribute(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;
	return dwarf_formstring(dwarf_attr(die, name, &attribute));
}

/* False if path exists and is no regular file: libdw would open it, and block on a FIFO. */
static bool harmless(const char *directory, const char *name)
{
	_cleanup_buffer_ struct buffer path = {0};
	if (directory && name[0] != '/')
		buffer_printf(&path, "%s/", directory);
	buffer_string(&path, name);
	struct stat status;
	if (buffer_failed(&path))
		return false;
	return stat(buffer_text(&path), &status) < 0 || S_ISREG(status.st_mode);
}

/* The split unit (.dwo) of a skeleton, where it can be found beside the image or its build. */
static void find_split(struct line_unit *unit, const struct image *image)
{
	const char *name = string_attribute(&unit->die, DW_AT_dwo_name);
	if (!name)
		name = string_attribute(&unit->die, DW_AT_GNU_dwo_name);
	if (!name)
		return;
	_cleanup_free_ char *beside = strdup(image_path(image));
	char *slash = beside ? strrchr(beside, '/') : NULL;
	if (slash)
		*slash = 0;
	if (!harmless(unit->files.directory, name) || !harmless(slash ? beside : NULL, name))
		return;
	Dwarf_Die split = {0};
	if (dwarf_cu_info(unit->die.cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) == 0 &&
	    split.addr)
		unit->root = split;
}

static bool language_mangles(Dwarf_Die *root)
{
	switch (dwarf_srclang(root)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case DW_LANG_ObjC_plus_plus:
	case DW_LANG_Rust:
	case DW_LANG_D:
		return true;
	default:
		return false;
	}
}

/* False where it does not fit: a unit of more than 4 GiB, or a DIE of another unit. */
static bool offset_in(const struct line_unit *unit, const Dwarf_Die *die, uint32_t *ret)
{
	ptrdiff_t offset = (const char *)die->addr - (const char *)unit->root.addr;
	if (die->cu != unit->root.cu || offset < 0 || offset >= LINE_NONE)
		return false;
	*ret = (uint32_t)offset;
	return true;
}

/*
 * Adds die as a scope if it has code (declarations and abstract instances have none, and nobody
 * ever asks for them). *enclosing is what its children stand in.
 */
static struct error *add_scope(struct line_unit *unit, Dwarf_Die *die, bool inlined,
			       struct line_limits *limits, uint32_t *enclosing)
{
	struct line_scope scope = {.parent = *enclosing, .inlined = inlined};
	if (!offset_in(unit, die, &scope.offset))
		return NULL;
	size_t before = unit->ranges.count;
	uint32_t index = (uint32_t)unit->scope_count;
	struct error *err = line_ranges_add(&unit->ranges, die, index, limits);
	if (err || unit->ranges.count == before)
		return err;
	if (!array_reserve(&unit->scopes, &unit->scope_capacity, unit->scope_count + 1,
			   sizeof *unit->scopes))
		return error_no_memory();
	unit->scopes[unit->scope_count++] = scope;
	*enclosing = index;
	return NULL;
}

static struct error *skim_scopes(struct line_unit *unit, struct line_skim *skim,
				 struct line_limits *limits)
{
	while (line_skim_next(skim)) {
		*skim->inside = skim->parent;
		struct error *err =
			add_scope(unit, &skim->die, skim->inlined, limits, skim->inside);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *walk_scopes(struct line_unit *unit, struct line_limits *limits)
{
	/* enclosing[d]: the scope that a DIE at depth d stands in. */
	uint32_t enclosing[LINE_DEPTH_MAX + 1] = {LINE_NONE};
	struct line_walk walk;
	line_walk_init(&walk, &unit->root);
	while (line_walk_next(&walk)) {
		uint32_t *inside = &enclosing[walk.depth + 1];
		*inside = enclosing[walk.depth];
		int tag = dwarf_tag(&walk.die);
		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		struct error *err = add_scope(unit, &walk.die, tag == DW_TAG_inlined_subroutine,
					      limits, inside);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *read_scopes(struct line_unit *unit, struct line_limits *limits)
{
	struct line_limits own = *limits;
	if (own.budget > UNIT_RANGES_MAX)
		own.budget = UNIT_RANGES_MAX;
	size_t budget = own.budget;
	__attribute__((cleanup(line_skim_deinit))) struct line_skim skim;
	bool known;
	struct error *err = line_skim_init(&skim, &unit->root, LINE_NONE, &known);
	if (!err)
		err = known ? skim_scopes(unit, &skim, &own) : walk_scopes(unit, &own);
	if (err)
		return err;
	limits->budget -= budget - own.budget;
	return line_ranges_settle(&unit->ranges, LINE_TIE_LAST);
}

struct error *line_unit_open(struct line_unit *unit, struct line_limits *limits)
{
	if (unit->opened)
		return NULL;
	unit->opened = true;
	struct error *err =
		line_files_init(&unit->files, string_attribute(&unit->die, DW_AT_comp_dir));
	if (err)
		return err;
	unit->root = unit->die;
	if (unit->skeleton)
		find_split(unit, limits->image);
	unit->mangles = language_mangles(&unit->root);
	size_t count;
	if (dwarf_getsrclines(&unit->die, &unit->rows, &unit->row_count) != 0)
		unit->rows = NULL;
	if (dwarf_getsrcfiles(&unit->root, &unit->call_files, &count) != 0)
		unit->call_files = NULL;
	return read_scopes(unit, limits);
}

Dwarf_Line *line_unit_row(const struct line_unit *unit, uint64_t address)
{
	size_t low = 0, high = unit->rows ? unit->row_count : 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Addr start;
		if (dwarf_lineaddr(dwarf_onesrcline(unit->rows, middle), &start) != 0)
			return NULL;
		if (start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	Dwarf_Line *row = dwarf_onesrcline(unit->rows, low - 1);
	bool ended;
	if (dwarf_lineendsequence(row, &ended) != 0 || ended)
		return NULL;
	return row;
}

uint32_t line_unit_scope(const struct line_unit *unit, uint64_t address)
{
	return line_ranges_find(&unit->ranges, address);
}

bool line_unit_die(const struct line_unit *unit, uint32_t offset, Dwarf_Die *ret)
{
	Dwarf_Die root = unit->root;
	Dwarf *dwarf = dwarf_cu_getdwarf(root.cu);
	return dwarf_offdie(dwarf, dwarf_dieoffset(&root) + offset, ret) && ret->cu == root.cu;
}

static bool is_container(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_subprogram:
		return dwarf_haschildren(die) == 1;
	default:
		return false;
	}
}

/* Ends the containers that do not enclose a DIE at this offset; returns the one that does. */
static uint32_t close_before(struct line_unit *unit, const uint32_t *enclosing, size_t from,
			     size_t to, uint32_t offset)
{
	for (size_t depth = from; depth < to; depth++)
		if (enclosing[depth + 1] != enclosing[depth])
			unit->containers[enclosing[depth + 1]].end = offset;
	return enclosing[from];
}

static struct error *read_containers(struct line_unit *unit)
{
	uint32_t enclosing[LINE_DEPTH_MAX + 1] = {LINE_NONE};
	size_t deepest = 0;
	struct line_walk walk;
	line_walk_init(&walk, &unit->root);
	while (line_walk_next(&walk)) {
		uint32_t offset;
		if (!offset_in(unit, &walk.die, &offset))
			break;
		uint32_t parent = close_before(unit, enclosing, walk.depth, deepest, offset);
		deepest = walk.depth + 1;
		enclosing[deepest] = parent;
		if (!is_container(&walk.die))
			continue;
		if (!array_reserve(&unit->containers, &unit->container_capacity,
				   unit->container_count + 1, sizeof *unit->containers))
			return error_no_memory();
		enclosing[deepest] = (uint32_t)unit->container_count;
		unit->containers[unit->container_count++] =
			(struct line_container){offset, LINE_NONE, parent};
	}
	return NULL;
}

/* The last container that begins before offset, LINE_NONE if none. */
static uint32_t last_before(const struct line_unit *unit, uint32_t offset)
{
	size_t low = 0, high = unit->container_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (unit->containers[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? (uint32_t)(low - 1) : LINE_NONE;
}

struct error *line_unit_container(struct line_unit *unit, Dwarf_Die *die, Dwarf_Die *ret,
				  bool *found_ret)
{
	*found_ret = false;
	if (!unit->contained) {
		struct error *err = read_containers(unit);
		if (err)
			return err;
		unit->contained = true;
	}
	uint32_t offset;
	if (!offset_in(unit, die, &offset))
		return NULL;
	uint32_t index = last_before(unit, offset);
	while (index != LINE_NONE && unit->containers[index].end <= offset)
		index = unit->containers[index].parent;
	*found_ret = index != LINE_NONE && line_unit_die(unit, unit->containers[index].offset, ret);
	return NULL;
}
