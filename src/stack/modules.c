/* SPDX-License-Identifier: MIT */
#include "stack/modules.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

void modules_deinit(struct modules *modules)
{
	free(modules->items);
	free(modules->unwind);
	*modules = (struct modules){0};
}

static struct error *append(struct modules *modules, const struct module *module)
{
	const struct unwind_table *table;
	if (!array_reserve(&modules->items, &modules->capacity, modules->count + 1,
			   sizeof *modules->items) ||
	    !array_reserve(&modules->unwind, &modules->unwind_capacity, modules->count + 1,
			   sizeof *modules->unwind))
		return error_no_memory();
	struct error *err = image_unwind_table(module->image, &table);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	modules->items[modules->count] = *module;
	modules->unwind[modules->count] = (struct unwind_module){
		.start = module->start.v,
		.end = module->end.v,
		.bias = module->bias,
		/* Unusable unwind data leaves the walk its fallbacks. */
		.table = err ? (struct unwind_table){0} : *table,
	};
	modules->count++;
	error_free(err);
	return NULL;
}

static struct error *read_modules(struct modules *ret, struct registry *registry, pid_t pid)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct error *err = proc_maps_read(pid, &maps);
	for (size_t i = 0; !err && i < maps.count; i++) {
		const struct proc_mapping *mapping = &maps.items[i];
		struct module module = {.start = {mapping->start}, .end = {mapping->end}};
		image_addr address;
		if (!mapping->executable || (!mapping->inode && !proc_is_vdso(mapping)))
			continue;
		err = registry_open(registry, pid, mapping, &module.image_id, &module.image);
		if (error_catch(&err, ERROR_NOT_FOUND) || error_catch(&err, ERROR_UNSUPPORTED))
			continue;
		if (err || !image_address_of_offset(module.image, mapping->file_offset, &address))
			continue;
		module.bias = mapping->start - address.v;
		err = append(ret, &module);
	}
	return err;
}

/* The same code at the same place; its mapping may have been split or merged. */
static bool same_module(const struct module *one, const struct module *other)
{
	return one->bias == other->bias && one->image_id.v == other->image_id.v;
}

struct error *modules_refresh(struct modules *modules, struct registry *registry, pid_t pid,
			      void (*removed)(void *context, const struct module *module),
			      void *context, bool *changed_ret)
{
	_cleanup_modules_ struct modules fresh = {0};
	struct error *err = read_modules(&fresh, registry, pid);
	if (err)
		return err;
	*changed_ret = fresh.count != modules->count;
	for (size_t i = 0; i < modules->count; i++) {
		const struct module *now = modules_find(&fresh, modules->items[i].start);
		if (now && same_module(now, &modules->items[i]))
			continue;
		*changed_ret = true;
		removed(context, &modules->items[i]);
	}
	struct modules old = *modules;
	*modules = fresh;
	fresh = old;
	return NULL;
}

struct error *modules_copy(const struct modules *modules, struct modules *ret)
{
	_cleanup_modules_ struct modules copy = {0};
	for (size_t i = 0; i < modules->count; i++) {
		struct error *err = append(&copy, &modules->items[i]);
		if (err)
			return err;
	}
	*ret = copy;
	copy = (struct modules){0};
	return NULL;
}

const struct module *modules_find(const struct modules *modules, target_addr address)
{
	size_t low = 0, high = modules->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (modules->items[middle].end.v <= address.v)
			low = middle + 1;
		else
			high = middle;
	}
	return low < modules->count && modules->items[low].start.v <= address.v
		       ? &modules->items[low]
		       : NULL;
}
