/* SPDX-License-Identifier: MIT */
#include "session/space.h"

#include <stdlib.h>
#include <string.h>

#include "allocator/catalogue.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "target/proc.h"

enum { PAGE_BYTES = 4096 };

static bool read_memory(void *context, target_addr address, void *bytes, size_t count)
{
	const struct session_space *space = context;
	return target_read_some(space->target, address, bytes, count) == count;
}

static bool function_bounds(void *context, target_addr address, target_addr *start_ret,
			    target_addr *end_ret)
{
	const struct session_space *space = context;
	const struct module *module = modules_find(&space->modules, address);
	image_addr start, end;
	if (!module || !image_function_bounds(module->image, (image_addr){address.v - module->bias},
					      &start, &end))
		return false;
	*start_ret = (target_addr){start.v + module->bias};
	*end_ret = (target_addr){end.v + module->bias};
	return true;
}

/* A slot that is still writable may yet be bound to something else. */
static bool read_slot(void *context, target_addr slot, target_addr *ret)
{
	const struct session_space *space = context;
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err = proc_maps_read(space->target->pid, &maps);
	const struct proc_mapping *mapping = err ? NULL : proc_maps_find(&maps, slot.v);
	return mapping && !mapping->writable && read_memory(context, slot, &ret->v, sizeof ret->v);
}

static struct code_reader reader_of(struct session_space *space)
{
	return (struct code_reader){read_memory, function_bounds, read_slot, space};
}

static struct session_space *space_new(struct target_space *target, struct registry *registry,
				       struct space_probes *probe_list, const struct log *log)
{
	struct session_space *space = calloc(1, sizeof *space);
	if (space)
		*space = (struct session_space){.target = target,
						.registry = registry,
						.probe_list = probe_list,
						.log = log};
	return space;
}

static void cleanup_spacep(struct session_space **space)
{
	space_destroy(*space);
}
#define _cleanup_space_ __attribute__((__cleanup__(cleanup_spacep)))

struct error *space_create(struct target_space *target, struct registry *registry,
			   struct space_probes *probe_list, const struct log *log,
			   struct session_space **ret)
{
	_cleanup_space_ struct session_space *space = space_new(target, registry, probe_list, log);
	if (!space)
		return error_no_memory();
	struct code_reader reader = reader_of(space);
	struct error *err = probe_set_create(&probe_breakpoint, target, &reader, &space->probes);
	if (err)
		return err;
	*ret = take_ptr(space);
	return NULL;
}

struct error *space_copy(const struct session_space *parent, struct target_space *target,
			 struct session_space **ret)
{
	_cleanup_space_ struct session_space *space =
		space_new(target, parent->registry, parent->probe_list, parent->log);
	if (!space)
		return error_no_memory();
	struct code_reader reader = reader_of(space);
	struct error *err = modules_copy(&parent->modules, &space->modules);
	if (!err)
		err = probe_set_copy(parent->probes, target, &reader, &space->probes);
	if (err)
		return err;
	space->allocator_functions = parent->allocator_functions;
	*ret = take_ptr(space);
	return NULL;
}

void space_destroy(struct session_space *space)
{
	if (!space)
		return;
	probe_set_destroy(space->probes);
	modules_deinit(&space->modules);
	free(space);
}

void space_probes_deinit(struct space_probes *probes)
{
	for (size_t i = 0; i < probes->count; i++)
		free(probes->items[i].reason);
	free(probes->items);
	*probes = (struct space_probes){0};
}

/* Exec after exec the same functions are probed again: one line each in the report is enough. */
static bool is_listed(const struct session_space *space, const struct allocator_function *function,
		      image_id module, bool placed)
{
	enum { LOOK_BACK = 256 }; /* in a tree of thousands of processes the list is long */
	size_t count = space->probe_list->count;
	for (size_t i = count > LOOK_BACK ? count - LOOK_BACK : 0; i < count; i++) {
		const struct space_probe *probe = &space->probe_list->items[i];
		if (probe->pid == space->target->pid && probe->function == function->name &&
		    probe->module.v == module.v && probe->placed == placed)
			return true;
	}
	return false;
}

static struct error *list_probe(struct session_space *space,
				const struct allocator_function *function, image_id module,
				const struct error *reason)
{
	struct space_probes *list = space->probe_list;
	if (is_listed(space, function, module, !reason))
		return NULL;
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items))
		return error_no_memory();
	char *text = reason ? strdup(error_message(reason)) : NULL;
	if (reason && !text)
		return error_no_memory();
	list->items[list->count++] = (struct space_probe){.pid = space->target->pid,
							  .function = function->name,
							  .module = module,
							  .placed = !reason,
							  .reason = text};
	return NULL;
}

/* The executable and the dynamic linker stay as long as the program does. */
static bool is_permanent(const struct image *image)
{
	const char *soname = image_soname(image);
	return image_interpreter(image) || !soname || strncmp(soname, "ld-", 3) == 0;
}

static struct error *add_slack(struct session_space *space, const struct module *module)
{
	size_t count;
	const struct image_segment *segments = image_segments(module->image, &count);
	for (size_t i = 0; i < count; i++) {
		uint64_t end = segments[i].start.v + segments[i].file_bytes + module->bias;
		if (segments[i].executable && segments[i].file_bytes == segments[i].memory_bytes &&
		    end > module->start.v && end <= module->end.v &&
		    module->end.v - end < PAGE_BYTES) {
			struct error *err = probe_set_add_slack(space->probes, module->start,
								(target_addr){end}, module->end,
								is_permanent(module->image));
			if (err)
				return err;
		}
	}
	return NULL;
}

/* The family whose functions an image holds, NULL if none. */
static const struct allocator_family *family_of(struct image *image)
{
	const char *soname = image_soname(image);
	if (soname)
		return allocator_family_of_soname(soname);
	size_t count;
	const struct allocator_family *families = allocator_families(&count);
	for (size_t i = 0; i < count; i++) {
		struct image_symbol symbol;
		if (!families[i].static_marker)
			continue;
		struct error *err = image_symbol_find(image, families[i].static_marker, &symbol);
		if (!err)
			return &families[i];
		error_free(err);
	}
	return NULL;
}

/* Where the module has the function; *found_ret false if it does not, or not in this mapping. */
static struct error *find_entry(const struct module *module, const char *name,
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

static struct error *insert_named(struct session_space *space, const struct module *module,
				  const char *name, struct probe_request *request, bool *found_ret)
{
	struct error *err = find_entry(module, name, &request->entry, found_ret);
	if (err || !*found_ret)
		return err;
	request->text_start = module->start;
	request->text_end = module->end;
	return probe_insert(space->probes, request);
}

static struct error *probe_function(struct session_space *space, const struct module *module,
				    const struct allocator_function *function)
{
	struct probe_request request = {.purpose = PROBE_ALLOCATOR, .function = function};
	bool found;
	struct error *err = insert_named(space, module, function->name, &request, &found);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (!found && !err)
		return NULL;
	log_write(space->log, LOG_INFO, "process %d: %s in %s: %s", space->target->pid,
		  function->name, image_path(module->image), err ? error_message(err) : "probed");
	struct error *failure = list_probe(space, function, module->image_id, err);
	if (!err)
		space->allocator_functions++;
	error_free(err);
	return failure;
}

static struct error *announce_family(struct session_space *space, const struct module *module,
				     const struct allocator_family *family)
{
	for (size_t i = 0; i < family->function_count; i++) {
		target_addr entry;
		bool found;
		struct error *err = find_entry(module, family->functions[i].name, &entry, &found);
		if (!err && found)
			err = probe_set_announce(space->probes, entry);
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		error_free(err); /* said again, and listed, when it is to be probed */
	}
	return NULL;
}

/*
 * Releases first, creations last: threads run meanwhile, and a block whose creation was seen must
 * have its release seen.
 */
static struct error *probe_family(struct session_space *space, const struct module *module,
				  const struct allocator_family *family)
{
	static const enum allocator_role order[] = {ALLOCATOR_RELEASE, ALLOCATOR_RESIZE,
						    ALLOCATOR_CREATE};
	struct error *failure = announce_family(space, module, family);
	if (failure)
		return failure;
	for (size_t o = 0; o < sizeof order / sizeof order[0]; o++)
		for (size_t i = 0; i < family->function_count; i++) {
			struct error *err =
				family->functions[i].role == order[o]
					? probe_function(space, module, &family->functions[i])
					: NULL;
			if (err)
				return err;
		}
	return NULL;
}

/* Functions that tell us something, in whichever module they stand. Not having them is no error. */
static struct error *probe_watched(struct session_space *space, const struct module *module,
				   bool is_libc)
{
	static const struct {
		const char *name;
		enum probe_purpose purpose;
	} watched[] = {
		{"_dl_debug_state", PROBE_LINKER},
		{"sigaction", PROBE_SIGACTION},
		{"pthread_sigmask", PROBE_SIGMASK},
	};
	for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
		struct probe_request request = {.purpose = watched[i].purpose};
		bool found;
		if (watched[i].purpose != PROBE_LINKER && !is_libc)
			continue;
		struct error *err = insert_named(space, module, watched[i].name, &request, &found);
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		if (err)
			log_write(space->log, LOG_WARNING, "process %d: %s is not watched: %s",
				  space->target->pid, watched[i].name, error_message(err));
		error_free(err);
	}
	return NULL;
}

static void forget_module(void *context, const struct module *module)
{
	struct session_space *space = context;
	probe_set_forget(space->probes, module->start, module->end);
}

static struct error *read_modules(struct session_space *space, bool *changed_ret)
{
	return modules_refresh(&space->modules, space->registry, space->target->pid, forget_module,
			       space, changed_ret);
}

struct error *space_update(struct session_space *space)
{
	bool changed;
	struct error *err = read_modules(space, &changed);
	if (error_catch(&err, ERROR_GONE) || err || !changed)
		return err;
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = add_slack(space, &space->modules.items[i]);
	for (size_t i = 0; !err && i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		const struct allocator_family *family = family_of(module->image);
		err = probe_watched(space, module, family != NULL);
		if (!err && family)
			err = probe_family(space, module, family);
	}
	return err;
}

struct error *space_check(struct session_space *space)
{
	bool changed;
	struct error *err = read_modules(space, &changed);
	if (err)
		return err;
	for (size_t i = 0; i < space->modules.count; i++)
		if (family_of(space->modules.items[i].image)) {
			/* Unread again, so that space_update finds everything new. */
			modules_deinit(&space->modules);
			return NULL;
		}
	return error_new(
		ERROR_NOT_FOUND,
		"no allocator found in process %d: neither a loaded libc.so.6 nor a static one "
		"with symbols",
		space->target->pid);
}
