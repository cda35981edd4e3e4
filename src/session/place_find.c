/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/place_private.h"

const enum allocator_role place_order[PLACE_ORDERS] = {ALLOCATOR_RELEASE, ALLOCATOR_RESIZE,
						       ALLOCATOR_HIDE, ALLOCATOR_CREATE};

/* Exec after exec the same functions are probed again: one line each in the report is enough. */
static bool is_listed(const struct session_space *space, const struct allocator_function *function,
		      image_id module, const char *kind)
{
	enum { LOOK_BACK = 256 }; /* in a tree of thousands of processes the list is long */
	size_t count = space->probe_list->count;
	for (size_t i = count > LOOK_BACK ? count - LOOK_BACK : 0; i < count; i++) {
		const struct space_probe *probe = &space->probe_list->items[i];
		if (probe->pid == space->target->pid && probe->function == function->name &&
		    probe->module.v == module.v && probe->kind == kind)
			return true;
	}
	return false;
}

struct error *place_list_probe(struct session_space *space,
			       const struct allocator_function *function, image_id module,
			       const char *kind, const char *reason)
{
	struct space_probes *list = space->probe_list;
	if (is_listed(space, function, module, kind))
		return NULL;
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items))
		return error_no_memory();
	char *text = reason ? strdup(reason) : NULL;
	if (reason && !text)
		return error_no_memory();
	list->items[list->count++] = (struct space_probe){.pid = space->target->pid,
							  .function = function->name,
							  .module = module,
							  .kind = kind,
							  .maps = function->maps,
							  .reason = text};
	return NULL;
}

bool place_has_marker(struct image *image, const char *name)
{
	struct image_symbol symbol;
	bool is_library = image_soname(image) != NULL;
	_cleanup_error_ struct error *err = is_library
						    ? image_symbol_find_here(image, name, &symbol)
						    : image_symbol_find(image, name, &symbol);
	return !err && (symbol.exported || !is_library);
}

/* The dynamic linker has a malloc of its own (until glibc 2.35 by that name), for itself. */
static bool is_linker(const char *soname)
{
	return soname && strncmp(soname, "ld-linux", strlen("ld-linux")) == 0;
}

const struct allocator_family *place_family_of(struct image *image)
{
	const char *soname = image_soname(image);
	const struct allocator_family *known = allocator_family_of_soname(soname);
	if (known || is_linker(soname))
		return known;
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	for (size_t i = 0; i < count; i++)
		for (const char *const *marker = families[i].markers; *marker; marker++)
			if (place_has_marker(image, *marker))
				return &families[i];
	return NULL;
}

struct error *place_find_entry(const struct module *module, const char *name,
			       target_addr *entry_ret, bool *found_ret)
{
	struct image_symbol symbol;
	struct error *err = image_symbol_find(module->image, name, &symbol);
	*found_ret = !err;
	if (error_catch(&err, ERROR_NOT_FOUND) || err)
		return err;
	if (symbol.ifunc)
		return error_new(ERROR_UNSUPPORTED, "it is chosen at run time (an IFUNC)");
	*entry_ret = (target_addr){symbol.start.v + module->bias};
	*found_ret = entry_ret->v >= module->start.v && entry_ret->v < module->end.v;
	return NULL;
}

struct error *place_find_function(const struct module *module,
				  const struct allocator_function *function, target_addr *entry_ret,
				  bool *found_ret)
{
	if (!function->address.v)
		return place_find_entry(module, function->name, entry_ret, found_ret);
	*entry_ret = (target_addr){function->address.v + module->bias};
	*found_ret = entry_ret->v >= module->start.v && entry_ret->v < module->end.v;
	return NULL;
}

struct probe_request place_request_of(const struct module *module, enum probe_purpose purpose,
				      const struct allocator_function *function, target_addr entry)
{
	return (struct probe_request){.purpose = purpose,
				      .function = function,
				      .entry = entry,
				      .text_start = module->start,
				      .text_end = module->end,
				      .image = module->image_id,
				      .bias = module->bias};
}
