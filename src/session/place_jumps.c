/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "arch/thread_word.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "session/place_private.h"
#include "session/pools.h"

/* A jump or breakpoint of somebody else's must not be mistaken for the function's own. */
static struct error *check_unpatched(struct session_space *space, const struct module *module,
				     target_addr entry)
{
	enum { LANDING_PAD_BYTES = 4 }; /* endbr64 */
	uint8_t there[LANDING_PAD_BYTES + CODE_JUMP_BYTES], file[sizeof there];
	const struct code_reader *reader = probe_set_reader(space->probes);
	struct error *err =
		image_read(module->image, (image_addr){entry.v - module->bias}, file, sizeof file);
	bool differs = !err && reader->read(reader->context, entry, there, sizeof there) &&
		       memcmp(there, file, sizeof file) != 0;
	error_free(err); /* a function that ends with its file's bytes is refused for its size */
	return differs ? error_new(ERROR_UNSUPPORTED,
				   "another's breakpoint or jump stands there already")
		       : NULL;
}

struct error *place_note_plan(struct session_space *space, const struct module *module,
			      const struct allocator_family *family)
{
	if (!array_reserve(&space->plans, &space->plan_capacity, space->plan_count + 1,
			   sizeof *space->plans))
		return error_no_memory();
	space->plans[space->plan_count++] = (struct space_plan){*module, family};
	return NULL;
}

static bool has_symbol(const struct module *module, const char *name)
{
	struct image_symbol symbol;
	if (!name)
		return false;
	_cleanup_error_ struct error *err = image_symbol_find(module->image, name, &symbol);
	return !err;
}

static struct error *plan_function(struct session_space *space, const struct module *module,
				   const struct allocator_function *function, bool marked)
{
	target_addr entry;
	bool found;
	struct error *err = place_find_function(module, function, &entry, &found);
	if (!err && !found)
		return NULL;
	struct probe_request request = place_request_of(module, PROBE_ALLOCATOR, function, entry);
	request.leaf = function->leaf || (function->leaf_if_marked && marked);
	if (!err && function->throws && space->unwinder_refusal)
		err = error_new(ERROR_UNSUPPORTED, "%s", space->unwinder_refusal);
	if (!err)
		err = check_unpatched(space, module, entry);
	if (!err)
		err = jumps_plan(space->jumps, &request);
	if (!err || error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	struct error *named = error_new(ERROR_UNSUPPORTED, "no jump in %s: %s", function->name,
					error_message(err));
	error_free(err);
	return named;
}

/* A process that gives up system calls must not be killed for those of its agent. */
static struct error *plan_confinement(struct session_space *space, const struct module *module)
{
	static const struct {
		const char *name;
		unsigned char number_argument, option_argument;
	} calls[] = {{"prctl", 0, 1}, {"syscall", 1, 2}};
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		target_addr entry;
		bool found;
		struct error *err = place_find_entry(module, calls[i].name, &entry, &found);
		if (!err && found) {
			struct probe_request request =
				place_request_of(module, PROBE_CONFINEMENT, NULL, entry);
			request.number_argument = calls[i].number_argument;
			request.option_argument = calls[i].option_argument;
			err = jumps_plan(space->jumps, &request);
		}
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		if (err)
			log_write(space->log, LOG_INFO, "process %d: %s is not watched: %s",
				  space->target->pid, calls[i].name, error_message(err));
		error_free(err);
	}
	return NULL;
}

static bool family_throws(const struct allocator_family *family)
{
	const struct allocator_function *function = NULL;
	while ((function = allocator_next(family, function)) && !function->throws)
		;
	return function;
}

/* Whether one of the families that are loaded may be left by exceptions, as whatever rules mean. */
static bool is_left_by_exceptions(const struct session_space *space)
{
	if (space->probe_list->pools.rules)
		return true;
	for (size_t i = 0; i < space->modules.count; i++) {
		const struct allocator_family *family =
			place_family_of(space->modules.items[i].image);
		if (family && family_throws(family))
			return true;
	}
	return false;
}

static struct error *plan_unwinder(struct session_space *space, const struct module *module)
{
	target_addr entry;
	bool found;
	struct error *err = place_find_entry(module, "_Unwind_Find_FDE", &entry, &found);
	if (!err && (!found || jumps_has(space->jumps, entry)))
		return NULL;
	struct probe_request request = place_request_of(module, PROBE_UNWINDER, NULL, entry);
	if (!err)
		err = check_unpatched(space, module, entry);
	if (!err)
		err = jumps_plan(space->jumps, &request);
	return err ? err : place_note_plan(space, module, NULL);
}

/* LLVM's library gives no way to tell it of code. */
static bool is_foreign_unwinder(const struct module *module)
{
	struct image_symbol symbol;
	_cleanup_error_ struct error *err =
		image_symbol_find_here(module->image, "__unw_init_local", &symbol);
	return !err;
}

struct error *place_unwinders(struct session_space *space)
{
	if (space->engine == SESSION_ENGINE_BREAKPOINT || !is_left_by_exceptions(space))
		return NULL;
	for (size_t i = 0; i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		struct image_symbol symbol;
		if (is_foreign_unwinder(module))
			space->unwinder_refusal =
				"exceptions are unwound by a library that is not libgcc";
		struct error *err =
			image_symbol_find_here(module->image, "_Unwind_Find_FDE", &symbol);
		if (!err)
			err = plan_unwinder(space, module);
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		if (err && error_kind_of(err) != ERROR_NOT_FOUND) {
			space->unwinder_refusal = "exceptions could not leave it past a jump";
			log_write(space->log, LOG_INFO, "process %d: no jump in the unwinder: %s",
				  space->target->pid, error_message(err));
		}
		error_free(err);
	}
	return NULL;
}

/*
 * Where the C library keeps thread ids. A thread that has only begun does not show it, and one that
 * is known by its thread pointer alone is taken for the next one that gets the same.
 */
static uint32_t tid_offset_of(const struct session_space *space, const struct module *module,
			      const struct allocator_family *family)
{
	const struct code_reader *reader = probe_set_reader(space->probes);
	uint8_t bytes[THREAD_WORD_BYTES];
	target_addr entry;
	uint32_t offset = 0;
	bool found = false;
	if (family->tid_offset)
		return family->tid_offset;
	error_free(place_find_entry(module, "gettid", &entry, &found));
	if (!found || !reader->read(reader->context, entry, bytes, sizeof bytes))
		return 0;
	return thread_word_read(bytes, sizeof bytes, &offset) ? offset : 0;
}

/* One function that cannot be jumped from would count apart from those that call it. */
struct error *place_plan_family(struct session_space *space, const struct module *module,
				const struct allocator_family *family)
{
	struct error *err = NULL;
	bool marked = has_symbol(module, family->leaf_marker);
	for (size_t o = 0; !err && o < PLACE_ORDERS; o++) {
		const struct allocator_function *function = NULL;
		while (!err && (function = allocator_next(family, function)))
			if (function->role == place_order[o])
				err = plan_function(space, module, function, marked);
	}
	if (!err)
		err = plan_confinement(space, module);
	if (!err)
		err = jumps_hint_threads(space->jumps, tid_offset_of(space, module, family));
	if (!err)
		return place_note_plan(space, module, family);
	jumps_withdraw(space->jumps, module->start, module->end);
	return err;
}
