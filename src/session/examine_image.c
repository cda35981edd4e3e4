/* SPDX-License-Identifier: MIT */
#include "session/examine_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "image/image.h"
#include "session/place.h"

struct error *examine_function(const char *function, const struct image *image, const char *kind,
			       const char *reason, struct session_findings *ret)
{
	if (!array_reserve(&ret->items, &ret->capacity, ret->count + 1, sizeof *ret->items))
		return error_no_memory();
	struct session_finding *finding = &ret->items[ret->count++];
	*finding = (struct session_finding){
		.function = strdup(function),
		.module = strdup(image ? image_path(image) : ""),
		.kind = kind,
		.reason = reason ? strdup(reason) : NULL,
	};
	bool whole = finding->function && finding->module && (finding->reason || !reason);
	return whole ? NULL : error_no_memory();
}

/* A function is "none" where it has no address of its own. */
static struct error *add_known(struct image *image, const char *name, bool found,
			       struct session_findings *ret)
{
	struct image_symbol symbol;
	struct error *err = image_symbol_find(image, name, &symbol);
	if (error_catch(&err, ERROR_NOT_FOUND))
		return examine_function(name, image, "missing", NULL, ret);
	if (err || !found)
		return err;
	return symbol.ifunc ? examine_function(name, image, "none",
					       "it is chosen at run time (an IFUNC)", ret)
			    : examine_function(name, image, "found", NULL, ret);
}

struct error *examine_family(struct image *image, bool found, struct session_findings *ret)
{
	const struct allocator_family *family = place_family_of(image);
	const struct allocator_function *function = family ? allocator_next(family, NULL) : NULL;
	struct error *err = NULL;
	for (; !err && function; function = allocator_next(family, function))
		err = add_known(image, function->name, found, ret);
	return err;
}

static struct session_module *add_module(struct session_findings *ret)
{
	if (!array_reserve(&ret->modules, &ret->module_capacity, ret->module_count + 1,
			   sizeof *ret->modules))
		return NULL;
	struct session_module *module = &ret->modules[ret->module_count++];
	*module = (struct session_module){0};
	return module;
}

static struct error *note_build_id(const struct image *image, struct session_module *module)
{
	size_t count;
	const uint8_t *id = image_build_id(image, &count);
	module->build_id = count ? calloc(count, 2 + 1) : NULL;
	for (size_t i = 0; module->build_id && i < count; i++)
		snprintf(module->build_id + 2 * i, 3, "%02x", id[i]);
	return module->build_id || !count ? NULL : error_no_memory();
}

static struct error *note_unwinding(struct image *image, struct session_module *module)
{
	const struct unwind_table *table;
	struct error *err = image_unwind_table(image, &table);
	if (!err)
		module->unwind_rows = table->count;
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	/* A malformed table is as good as none. */
	error_free(err);
	return NULL;
}

struct error *examine_image(struct image *image, struct session_findings *ret)
{
	struct session_module *module = add_module(ret);
	if (!module)
		return error_no_memory();
	module->path = strdup(image_path(image));
	module->lines = image_has_lines(image);
	const char *debug = image_debug_path(image);
	module->debug_file = debug ? strdup(debug) : NULL;
	if (!module->path || (debug && !module->debug_file))
		return error_no_memory();
	struct error *err = note_build_id(image, module);
	return err ? err : note_unwinding(image, module);
}

struct error *examine_absent(const char *name, struct session_findings *ret)
{
	struct session_module *module = add_module(ret);
	if (!module)
		return error_no_memory();
	module->absent = true;
	module->path = strdup(name);
	return module->path ? NULL : error_no_memory();
}
