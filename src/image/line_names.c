/* SPDX-License-Identifier: MIT */
#include "image/line_names.h"

#include <dwarf.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"

enum {
	ORIGINS_MAX = 16,    /* a DIE's chain of abstract origins and specifications */
	CONTAINERS_MAX = 32, /* parts of a qualified name */
	PART_MAX_BYTES = 4096,
};

void line_names_deinit(struct line_names *names)
{
	struct map_entry *entry;
	for (size_t cursor = 0; (entry = map_next(&names->functions, &cursor));) {
		struct line_name *name = entry->value;
		free(name->owned);
		free(name);
	}
	map_deinit(&names->functions);
}

/* Takes owned over, also on failure. */
static struct error *add_function(struct line_names *names, const void *place, const char *linkage,
				  const char *plain, char *owned, const struct line_name **ret)
{
	struct line_name *name = malloc(sizeof *name);
	if (!name || !map_put(&names->functions, (uintptr_t)place, name)) {
		free(name);
		free(owned);
		return error_no_memory();
	}
	*name = (struct line_name){linkage, owned ? owned : plain, owned};
	*ret = name;
	return NULL;
}

static const char *linkage_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *linkage =
		dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
	if (linkage)
		return linkage;
	return dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
}

static bool origin_of(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attribute;
	Dwarf_Attribute *found = dwarf_attr(die, DW_AT_abstract_origin, &attribute);
	if (!found)
		found = dwarf_attr(die, DW_AT_specification, &attribute);
	return found && dwarf_formref_die(found, ret);
}

/* inner is what stands inside of die. */
static const char *unnamed(Dwarf_Die *die, const char *inner)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_namespace:
		return "(anonymous namespace)";
	case DW_TAG_subprogram:
		return "{unnamed function}";
	default:
		return strcmp(inner, "operator()") ? "{unnamed type}" : "{lambda}";
	}
}

/* Appends the name of a container or function, and "::" in front of what is there already. */
static struct error *prepend_part(struct buffer *name, const char *part)
{
	_cleanup_buffer_ struct buffer longer = {0};
	buffer_append(&longer, part, strnlen(part, PART_MAX_BYTES));
	if (name->count) {
		buffer_string(&longer, "::");
		buffer_string(&longer, buffer_text(name));
	}
	if (buffer_failed(&longer))
		return error_no_memory();
	struct buffer shorter = *name;
	*name = longer;
	longer = shorter;
	return NULL;
}

/*
 * Builds the qualified name of a function without a linkage name (static, or in an anonymous
 * namespace) out of the DIEs around its declaration, as the demangler would have written it.
 */
static struct error *qualify(struct line_unit *unit, Dwarf_Die die, struct buffer *name)
{
	for (int parts = 0; parts < CONTAINERS_MAX; parts++) {
		const char *linkage = parts ? linkage_of(&die) : NULL;
		_cleanup_free_ char *demangled = linkage ? image_demangle(linkage) : NULL;
		if (demangled)
			return prepend_part(name, demangled);
		for (int i = 0; i < ORIGINS_MAX && origin_of(&die, &die); i++)
			;
		const char *part = dwarf_diename(&die);
		struct error *err =
			prepend_part(name, part ? part : unnamed(&die, buffer_text(name)));
		bool found = false;
		Dwarf_Die container;
		if (!err)
			err = line_unit_container(unit, &die, &container, &found);
		if (err || !found)
			return err;
		die = container;
	}
	return NULL;
}

static struct error *make_name(struct line_names *names, struct line_unit *unit, Dwarf_Die *die,
			       const struct line_name **ret)
{
	const char *plain = dwarf_diename(die);
	const char *linkage = linkage_of(die);
	if (linkage) {
		char *demangled = image_demangle(linkage);
		return add_function(names, die->addr, linkage, plain ? plain : linkage, demangled,
				    ret);
	}
	if (!plain || !unit->mangles)
		return add_function(names, die->addr, plain, plain, NULL, ret);
	_cleanup_buffer_ struct buffer name = {0};
	struct error *err = qualify(unit, *die, &name);
	if (err)
		return err;
	return add_function(names, die->addr, NULL, plain, take_ptr(name.bytes), ret);
}

struct error *line_names_of_die(struct line_names *names, struct line_unit *unit, Dwarf_Die *die,
				const struct line_name **ret)
{
	/* A function inlined in a thousand places has its name made once: at its abstract origin.
	 */
	Dwarf_Die at = *die;
	for (int i = 0; i < ORIGINS_MAX; i++) {
		Dwarf_Attribute attribute;
		if (dwarf_hasattr(&at, DW_AT_linkage_name) ||
		    !dwarf_attr(&at, DW_AT_abstract_origin, &attribute) ||
		    !dwarf_formref_die(&attribute, &at))
			break;
	}
	*ret = map_get(&names->functions, (uintptr_t)at.addr);
	return *ret ? NULL : make_name(names, unit, &at, ret);
}

struct error *line_names_of_symbol(struct line_names *names, const char *name,
				   const struct line_name **ret)
{
	*ret = map_get(&names->functions, (uintptr_t)name);
	if (*ret)
		return NULL;
	return add_function(names, name, name, name, image_demangle(name), ret);
}

bool line_name_refines(const struct line_name *name, const char *function)
{
	/* Without qualification and template arguments, which are not always written alike. */
	size_t count = strcspn(function, "<");
	size_t start = count;
	while (start && function[start - 1] != ':')
		start--;
	return name->owned &&
	       memmem(name->owned, strlen(name->owned), function + start, count - start);
}
