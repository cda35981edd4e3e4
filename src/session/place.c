/* SPDX-License-Identifier: MIT */
#include "session/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/pools.h"

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

static struct error *list_probe(struct session_space *space,
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
							  .reason = text};
	return NULL;
}

/*
 * A library's own functions may have common names; a program's are looked for wherever its symbols
 * are, since it may be linked statically.
 */
static bool has_marker(struct image *image, const char *name)
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

/* The family whose functions an image holds, NULL if none. */
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
			if (has_marker(image, *marker))
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

/* The same for a function of a family, which may know its address. */
static struct error *find_function(const struct module *module,
				   const struct allocator_function *function,
				   target_addr *entry_ret, bool *found_ret)
{
	if (!function->address.v)
		return place_find_entry(module, function->name, entry_ret, found_ret);
	*entry_ret = (target_addr){function->address.v + module->bias};
	*found_ret = entry_ret->v >= module->start.v && entry_ret->v < module->end.v;
	return NULL;
}

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

static struct probe_request request_of(const struct module *module, enum probe_purpose purpose,
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

/*
 * Releases first, creations last: threads may run meanwhile, and a block whose creation was seen
 * must have its release seen.
 */
static const enum allocator_role order[] = {ALLOCATOR_RELEASE, ALLOCATOR_RESIZE, ALLOCATOR_HIDE,
					    ALLOCATOR_CREATE};

/* ---- breakpoints */

/* Its end is of interest: how sigaction(2) and the like are followed is in target/sigtrap.h. */
static struct error *watch(struct session_space *space, const struct module *module,
			   const char *name, enum probe_purpose purpose)
{
	target_addr entry;
	bool found;
	if (space->examined)
		return NULL;
	struct error *err = place_find_entry(module, name, &entry, &found);
	if (!err && found) {
		struct probe_request request = request_of(module, purpose, NULL, entry);
		err = probe_insert(space->probes, &request);
	}
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err)
		log_write(space->log, LOG_WARNING, "process %d: %s is not watched: %s",
			  space->target->pid, name, error_message(err));
	error_free(err);
	return NULL;
}

struct error *place_signals(struct session_space *space)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < space->modules.count; i++) {
		const struct module *module = &space->modules.items[i];
		if (!place_family_of(module->image))
			continue;
		err = watch(space, module, "sigaction", PROBE_SIGACTION);
		if (!err)
			err = watch(space, module, "pthread_sigmask", PROBE_SIGMASK);
	}
	return err;
}

static struct error *break_function(struct session_space *space, const struct module *module,
				    const struct allocator_function *function, const char *reason)
{
	target_addr entry;
	bool found;
	struct error *err = find_function(module, function, &entry, &found);
	if (!err && !found)
		return NULL;
	struct probe_request request = request_of(module, PROBE_ALLOCATOR, function, entry);
	if (!err && !space->examined)
		err = probe_insert(space->probes, &request);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	log_write(space->log, err ? LOG_WARNING : LOG_INFO, "process %d: %s in %s: %s",
		  space->target->pid, function->name, image_path(module->image),
		  err ? error_message(err) : "probed by breakpoints");
	struct error *failure =
		list_probe(space, function, module->image_id, err ? "none" : "breakpoint",
			   err ? error_message(err) : reason);
	if (!err)
		space->allocator_functions++;
	error_free(err);
	return failure;
}

static struct error *announce_family(struct session_space *space, const struct module *module,
				     const struct allocator_family *family)
{
	const struct allocator_function *function = NULL;
	while ((function = allocator_next(family, function))) {
		target_addr entry;
		bool found;
		struct error *err = find_function(module, function, &entry, &found);
		if (!err && found)
			err = probe_set_announce(space->probes, entry);
		if (err && error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		error_free(err); /* said again, and listed, when it is to be probed */
	}
	return NULL;
}

static struct error *break_family(struct session_space *space, const struct module *module,
				  const struct allocator_family *family, const char *reason)
{
	struct error *err = place_signals(space);
	if (!err)
		err = announce_family(space, module, family);
	for (size_t o = 0; !err && o < sizeof order / sizeof order[0]; o++) {
		const struct allocator_function *function = NULL;
		while (!err && (function = allocator_next(family, function)))
			if (function->role == order[o])
				err = break_function(space, module, function, reason);
	}
	return err;
}

/* ---- jumps */

static struct error *note_plan(struct session_space *space, const struct module *module,
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
	struct error *err = find_function(module, function, &entry, &found);
	if (!err && !found)
		return NULL;
	struct probe_request request = request_of(module, PROBE_ALLOCATOR, function, entry);
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
				request_of(module, PROBE_CONFINEMENT, NULL, entry);
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
	struct probe_request request = request_of(module, PROBE_UNWINDER, NULL, entry);
	if (!err)
		err = check_unpatched(space, module, entry);
	if (!err)
		err = jumps_plan(space->jumps, &request);
	return err ? err : note_plan(space, module, NULL);
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

/* One function that cannot be jumped from would count apart from those that call it. */
static struct error *plan_family(struct session_space *space, const struct module *module,
				 const struct allocator_family *family)
{
	struct error *err = NULL;
	bool marked = has_symbol(module, family->leaf_marker);
	for (size_t o = 0; !err && o < sizeof order / sizeof order[0]; o++) {
		const struct allocator_function *function = NULL;
		while (!err && (function = allocator_next(family, function)))
			if (function->role == order[o])
				err = plan_function(space, module, function, marked);
	}
	if (!err)
		err = plan_confinement(space, module);
	if (!err)
		err = jumps_hint_threads(space->jumps, family->tid_offset);
	if (!err)
		return note_plan(space, module, family);
	jumps_withdraw(space->jumps, module->start, module->end);
	return err;
}

/*
 * What a rule means calls the allocator. By breakpoints, beside an allocator that has its jumps
 * already, the inner calls would be counted as well.
 */
static bool may_have_breakpoints(const struct session_space *space,
				 const struct allocator_family *family)
{
	if (space->engine == SESSION_ENGINE_JUMP)
		return false;
	return !pools_hold(&space->probe_list->pools, family) ||
	       !jumps_have_allocator(space->jumps);
}

static struct error *refuse_family(struct session_space *space, const struct module *module,
				   const struct allocator_family *family, const char *reason)
{
	bool is_pools = pools_hold(&space->probe_list->pools, family);
	if (may_have_breakpoints(space, family)) {
		if (is_pools)
			space->breakpoints_because = "functions of --alloc have breakpoints";
		return break_family(space, module, family, reason);
	}
	if (is_pools)
		log_write(space->log, LOG_WARNING,
			  "process %d: functions of --alloc in \"%s\" are not seen: %s; "
			  "--engine breakpoint sees them",
			  space->target->pid, image_path(module->image), reason);
	struct error *err = NULL;
	const struct allocator_function *function = NULL;
	while (!err && (function = allocator_next(family, function))) {
		target_addr entry;
		bool found = false;
		error_free(find_function(module, function, &entry, &found));
		if (found)
			err = list_probe(space, function, module->image_id, "none", reason);
	}
	return err;
}

struct error *place_family(struct session_space *space, const struct module *module,
			   const struct allocator_family *family)
{
	if (space->engine == SESSION_ENGINE_BREAKPOINT)
		return break_family(space, module, family, NULL);
	_cleanup_error_ struct error *err =
		space->breakpoints_because
			? error_new(ERROR_UNSUPPORTED, "%s", space->breakpoints_because)
			: plan_family(space, module, family);
	if (!err || error_kind_of(err) == ERROR_NO_MEMORY)
		return take_ptr(err);
	log_write(space->log, LOG_INFO, "process %d: %s: %s", space->target->pid,
		  image_path(module->image), error_message(err));
	/*
	 * By breakpoints it would be seen apart from the jumps that it leads on to, and its blocks
	 * counted twice.
	 */
	if (family->wraps && space->engine == SESSION_ENGINE_AUTO && !space->breakpoints_because) {
		space->breakpoints_because = "an allocator that may lead on to it takes no jumps";
		struct error *failure = place_plans_refused(space, space->breakpoints_because);
		if (failure)
			return failure;
	}
	return refuse_family(space, module, family, error_message(err));
}

/* Why nothing that a rule means can have jumps in this space, NULL: nothing is known against it. */
static const char *obstacle_of(const struct session_space *space)
{
	if (probe_set_has_allocator(space->probes))
		return "the allocator has breakpoints";
	return space->unwinder_refusal;
}

struct error *place_pools(struct session_space *space, const struct module *module,
			  const struct allocator_family *family)
{
	if (space->engine == SESSION_ENGINE_BREAKPOINT)
		return break_family(space, module, family, NULL);
	const char *obstacle = obstacle_of(space);
	_cleanup_error_ struct error *err = obstacle ? error_new(ERROR_UNSUPPORTED, "%s", obstacle)
						     : plan_family(space, module, family);
	if (!err || error_kind_of(err) == ERROR_NO_MEMORY)
		return take_ptr(err);
	struct error *failure = refuse_family(space, module, family, error_message(err));
	return failure || !space->breakpoints_because || !space->plan_count
		       ? failure
		       : place_plans_refused(space, error_message(err));
}

static struct error *find_linker(const struct module *module, target_addr *entry_ret,
				 bool *found_ret)
{
	return place_find_entry(module, "_dl_debug_state", entry_ret, found_ret);
}

/*
 * The linker's notification goes the way of the allocators: a jump where there is an agent or one
 * is planned, a breakpoint until then.
 */
struct error *place_linker(struct session_space *space, const struct module *module)
{
	target_addr entry;
	bool found;
	struct error *err = find_linker(module, &entry, &found);
	if (error_catch(&err, ERROR_UNSUPPORTED) || err || !found)
		return err;
	if (jumps_has(space->jumps, entry))
		return NULL;
	struct probe_request request = request_of(module, PROBE_LINKER, NULL, entry);
	if (space->engine != SESSION_ENGINE_BREAKPOINT) {
		err = jumps_plan(space->jumps, &request);
		if (!err)
			return note_plan(space, module, NULL);
		if (error_kind_of(err) == ERROR_NO_MEMORY)
			return err;
		log_write(space->log, LOG_INFO, "process %d: no jump in the linker: %s",
			  space->target->pid, error_message(err));
		error_free(err);
	}
	return watch(space, module, "_dl_debug_state", PROBE_LINKER);
}

struct error *place_make_way(struct session_space *space)
{
	for (size_t i = 0; i < space->plan_count; i++) {
		target_addr entry;
		bool found;
		if (space->plans[i].family)
			continue;
		struct error *err = find_linker(&space->plans[i].module, &entry, &found);
		if (!err && found)
			err = probe_set_remove_entry(space->probes, entry);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *list_family(struct session_space *space, const struct module *module,
				 const struct allocator_family *family)
{
	const struct allocator_function *function = NULL;
	while ((function = allocator_next(family, function))) {
		target_addr entry;
		bool found = false;
		error_free(find_function(module, function, &entry, &found));
		struct error *err =
			found ? list_probe(space, function, module->image_id, "jump", NULL) : NULL;
		if (err)
			return err;
		space->allocator_functions += found;
	}
	return NULL;
}

struct error *place_plans_written(struct session_space *space)
{
	struct error *err = NULL;
	space_note_remote(space);
	for (size_t i = 0; !err && i < space->plan_count; i++)
		if (space->plans[i].family)
			err = list_family(space, &space->plans[i].module, space->plans[i].family);
	space->plan_count = 0;
	return err;
}

static struct error *refuse_plan(struct session_space *space, const struct space_plan *plan,
				 const char *reason)
{
	return plan->family ? refuse_family(space, &plan->module, plan->family, reason)
			    : watch(space, &plan->module, "_dl_debug_state", PROBE_LINKER);
}

struct error *place_plans_refused(struct session_space *space, const char *reason)
{
	size_t count = space->plan_count;
	struct error *err = NULL;
	log_write(space->log, LOG_INFO, "process %d: no jumps: %s", space->target->pid, reason);
	space->plan_count = 0;
	for (size_t i = 0; i < count; i++)
		jumps_withdraw(space->jumps, space->plans[i].module.start,
			       space->plans[i].module.end);
	/* Those of rules before what they call. */
	for (size_t i = 0; !err && i < count; i++)
		if (pools_hold(&space->probe_list->pools, space->plans[i].family))
			err = refuse_plan(space, &space->plans[i], reason);
	for (size_t i = 0; !err && i < count; i++)
		if (!pools_hold(&space->probe_list->pools, space->plans[i].family))
			err = refuse_plan(space, &space->plans[i], reason);
	return err;
}

/* An allocator's module that was probed before and is still there is not looked at again. */
bool place_is_done(const struct session_space *space, const struct module *module,
		   const struct allocator_family *family)
{
	const struct allocator_function *function = NULL;
	while ((function = allocator_next(family, function))) {
		target_addr entry;
		bool found = false;
		error_free(find_function(module, function, &entry, &found));
		if (found && jumps_has(space->jumps, entry))
			return true;
	}
	return false;
}
