/* SPDX-License-Identifier: MIT */
#include "session/space.h"

#include <stdlib.h>
#include <string.h>

#include "allocator/catalogue.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "session/place.h"
#include "target/proc.h"

enum { PAGE_BYTES = 4096 };

static bool read_memory(void *context, target_addr address, void *bytes, size_t count)
{
	const struct session_space *space = context;
	if (target_read_some(space->target, address, bytes, count) != count)
		return false;
	if (space->jumps)
		jumps_undo(space->jumps, address, bytes, count);
	return true;
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
				       struct space_probes *probe_list, enum session_engine engine,
				       const struct log *log)
{
	struct session_space *space = calloc(1, sizeof *space);
	if (space)
		*space = (struct session_space){.target = target,
						.registry = registry,
						.probe_list = probe_list,
						.engine = engine,
						.log = log};
	return space;
}

static void cleanup_spacep(struct session_space **space)
{
	space_destroy(*space);
}
#define _cleanup_space_ __attribute__((__cleanup__(cleanup_spacep)))

struct error *space_create(struct target_space *target, struct registry *registry,
			   struct space_probes *probe_list, const struct session_options *options,
			   struct session_space **ret)
{
	_cleanup_space_ struct session_space *space =
		space_new(target, registry, probe_list, options->engine, options->log);
	if (!space)
		return error_no_memory();
	space->maps = options->mmap;
	struct code_reader reader = reader_of(space);
	struct error *err = probe_set_create(&probe_breakpoint, target, &reader, &space->probes);
	if (!err)
		err = jumps_create(target, probe_set_reader(space->probes), &probe_list->precedents,
				   &space->jumps);
	if (err)
		return err;
	*ret = take_ptr(space);
	return NULL;
}

struct error *space_copy(const struct session_space *parent, struct target_space *target,
			 struct session_space **ret)
{
	_cleanup_space_ struct session_space *space = space_new(
		target, parent->registry, parent->probe_list, parent->engine, parent->log);
	if (!space)
		return error_no_memory();
	struct code_reader reader = reader_of(space);
	struct error *err = modules_copy(&parent->modules, &space->modules);
	if (!err)
		err = probe_set_copy(parent->probes, target, &reader, &space->probes);
	if (!err)
		err = jumps_copy(parent->jumps, target, probe_set_reader(space->probes),
				 &space->jumps);
	if (err)
		return err;
	space->allocator_functions = parent->allocator_functions;
	space->breakpoints_because = parent->breakpoints_because;
	space->unwinder_refusal = parent->unwinder_refusal;
	space->watched = parent->watched;
	space->maps = parent->maps;
	err = static_semaphores_copy(&parent->semaphores, &space->semaphores);
	if (err)
		return err;
	*ret = take_ptr(space);
	return NULL;
}

void space_destroy(struct session_space *space)
{
	if (!space)
		return;
	jumps_destroy(space->jumps);
	probe_set_destroy(space->probes);
	free(space->plans);
	static_semaphores_deinit(&space->semaphores);
	modules_deinit(&space->modules);
	free(space);
}

void space_probes_deinit(struct space_probes *probes)
{
	for (size_t i = 0; i < probes->count; i++)
		free(probes->items[i].reason);
	free(probes->items);
	precedents_deinit(&probes->precedents);
	pools_deinit(&probes->pools);
	watches_deinit(&probes->watches);
	static_probes_deinit(&probes->static_probes);
	*probes = (struct space_probes){0};
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

static void forget_module(void *context, const struct module *module)
{
	struct session_space *space = context;
	probe_set_forget(space->probes, module->start, module->end);
	jumps_forget(space->jumps, module->start, module->end);
	static_probes_forget(space, module);
}

static struct error *read_modules(struct session_space *space, bool *changed_ret)
{
	return modules_refresh(&space->modules, space->registry, space->target->pid, forget_module,
			       space, changed_ret);
}

/* Whether a module is the executable of the process. */
static bool is_program(const struct module *module, const char *program)
{
	return program && strcmp(image_path(module->image), program) == 0;
}

/* What rules mean in each module; ret has room for as many families as there are modules. */
static struct error *find_pools(struct session_space *space, const struct allocator_family **ret)
{
	_cleanup_free_ char *program = NULL;
	struct error *err = proc_program(space->target->pid, &program);
	if (error_catch(&err, ERROR_SYSTEM) || error_catch(&err, ERROR_GONE))
		program = NULL;
	for (size_t i = 0; !err && i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		err = pools_family(&space->probe_list->pools, module, is_program(module, program),
				   &ret[i]);
	}
	return err;
}

static bool has_allocator(const struct session_space *space)
{
	for (size_t i = 0; i < space->modules.count; i++)
		if (place_family_of(space->modules.items[i].image))
			return true;
	return false;
}

/*
 * A program that has just begun has not loaded what its functions call: with the allocator they are
 * placed, so that both go one way. One without any has nothing to wait for.
 */
static bool is_loading(const struct session_space *space)
{
	enum { PROGRAM_LINKER_AND_VDSO = 3 };
	return space->modules.count <= PROGRAM_LINKER_AND_VDSO &&
	       image_interpreter(space->modules.items[0].image) && !has_allocator(space);
}

static struct error *probe_pools(struct session_space *space)
{
	size_t count = space->modules.count;
	if (!space->probe_list->pools.rules || !count || is_loading(space))
		return NULL;
	_cleanup_free_ const struct allocator_family **families = calloc(count, sizeof *families);
	if (!families)
		return error_no_memory();
	struct error *err = find_pools(space, families);
	for (size_t i = 0; !err && i < count; i++) {
		const struct module *module = &space->modules.items[i];
		if (families[i] && !place_is_done(space, module, families[i]))
			err = place_pools(space, module, families[i]);
	}
	return err;
}

static struct error *probe_modules(struct session_space *space)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = add_slack(space, &space->modules.items[i]);
	if (!err)
		err = place_unwinders(space);
	/* Breakpoints are in at once: what is hidden inside a pool's call must not be seen before.
	 */
	if (!err && space->engine == SESSION_ENGINE_BREAKPOINT)
		err = probe_pools(space);
	for (size_t i = 0; !err && i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		const struct allocator_family *family = place_family_of(module->image);
		if (family && !place_is_done(space, module, family))
			err = place_family(space, module, family);
	}
	if (!err && space->engine != SESSION_ENGINE_BREAKPOINT)
		err = probe_pools(space);
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = place_mappings(space, &space->modules.items[i]);
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = place_linker(space, &space->modules.items[i]);
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = watches_place(space, &space->modules.items[i]);
	for (size_t i = 0; !err && i < space->modules.count; i++)
		err = static_probes_place(space, &space->modules.items[i]);
	return err || !space->watched ? err : place_signals(space);
}

void space_note_remote(const struct session_space *space)
{
	target_addr call = space->target->remote_call, restore = space->target->remote_restore;
	const struct module *module = modules_find(&space->modules, call);
	if (module && module == modules_find(&space->modules, restore))
		space->probe_list->remote = (struct space_remote){.image = module->image_id,
								  {call.v - module->bias},
								  {restore.v - module->bias}};
}

/* Looked for anew it would cost more than all else: half of libc's text is read. */
static void recall_remote(struct session_space *space)
{
	const struct space_remote *remote = &space->probe_list->remote;
	for (size_t i = 0; i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		if (module->image_id.v != remote->image.v)
			continue;
		space->target->remote_call.v = remote->call.v + module->bias;
		space->target->remote_restore.v = remote->restore.v + module->bias;
	}
}

struct error *space_update(struct session_space *space, bool *changed_ret)
{
	struct error *err = read_modules(space, changed_ret);
	if (error_catch(&err, ERROR_GONE))
		*changed_ret = false;
	if (err || !*changed_ret)
		return err;
	recall_remote(space);
	return probe_modules(space);
}

static const char *sanitizer_of(struct image *image)
{
	static const struct {
		const char *library, *symbol, *name;
	} kinds[] = {
		{"libasan.so.", "__asan_init", "AddressSanitizer"},
		{"libhwasan.so.", "__hwasan_init", "HWAddressSanitizer"},
		{"libtsan.so.", "__tsan_init", "ThreadSanitizer"},
		{"liblsan.so.", "__lsan_init", "LeakSanitizer"},
		{"libclang_rt.", "__msan_init", "MemorySanitizer"},
	};
	const char *soname = image_soname(image);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct image_symbol symbol;
		if (soname ? strncmp(soname, kinds[i].library, strlen(kinds[i].library)) == 0
			   : image_needs(image, kinds[i].library))
			return kinds[i].name;
		if (soname)
			continue;
		_cleanup_error_ struct error *err =
			image_symbol_find(image, kinds[i].symbol, &symbol);
		if (!err)
			return kinds[i].name;
	}
	return NULL;
}

struct error *space_sanitizer(struct registry *registry, pid_t pid, const char **ret)
{
	_cleanup_modules_ struct modules modules = {0};
	bool changed;
	*ret = NULL;
	struct error *err = modules_refresh(&modules, registry, pid, NULL, NULL, &changed);
	for (size_t i = 0; !err && !*ret && i < modules.count; i++)
		*ret = sanitizer_of(modules.items[i].image);
	return err;
}

/* Whether rules mean anything in the modules. */
static struct error *check_pools(struct session_space *space, bool *found_ret)
{
	size_t count = space->modules.count;
	*found_ret = false;
	if (!space->probe_list->pools.rules || !count)
		return NULL;
	_cleanup_free_ const struct allocator_family **families = calloc(count, sizeof *families);
	if (!families)
		return error_no_memory();
	struct error *err = find_pools(space, families);
	for (size_t i = 0; !err && i < count; i++)
		*found_ret |= families[i] != NULL;
	return err;
}

struct error *space_check(struct session_space *space)
{
	bool changed, found;
	struct error *err = read_modules(space, &changed);
	if (!err)
		err = check_pools(space, &found);
	if (err)
		return err;
	if (found || has_allocator(space)) {
		err = watches_check(space);
		/* Unread again, so that space_update finds everything new. */
		modules_deinit(&space->modules);
		return err;
	}
	return error_new(
		ERROR_NOT_FOUND,
		"no allocator found in process %d: none of its modules has a function malloc, or "
		"one of the others in tracealloc(1) (a static program needs its symbols): name its "
		"functions by --alloc",
		space->target->pid);
}
