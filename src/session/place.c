/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/place_private.h"
#include "session/pools.h"

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
		struct probe_request request = place_request_of(module, purpose, NULL, entry);
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
	struct error *err = place_find_function(module, function, &entry, &found);
	if (!err && !found)
		return NULL;
	struct probe_request request = place_request_of(module, PROBE_ALLOCATOR, function, entry);
	request.maps_inside = space->maps && !function->maps;
	if (!err && !space->examined)
		err = probe_insert(space->probes, &request);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	log_write(space->log, err ? LOG_WARNING : LOG_INFO, "process %d: %s in %s: %s",
		  space->target->pid, function->name, image_path(module->image),
		  err ? error_message(err) : "probed by breakpoints");
	struct error *failure =
		place_list_probe(space, function, module->image_id, err ? "none" : "breakpoint",
				 err ? error_message(err) : reason);
	if (!err && !function->maps)
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
		struct error *err = place_find_function(module, function, &entry, &found);
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
	for (size_t o = 0; !err && o < PLACE_ORDERS; o++) {
		const struct allocator_function *function = NULL;
		while (!err && (function = allocator_next(family, function)))
			if (function->role == place_order[o])
				err = break_function(space, module, function, reason);
	}
	return err;
}

struct error *place_mappings(struct session_space *space, const struct module *module)
{
	const struct allocator_family *family = allocator_mappings();
	return space->maps && place_has_marker(module->image, *family->markers)
		       ? break_family(space, module, family, NULL)
		       : NULL;
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
		error_free(place_find_function(module, function, &entry, &found));
		if (found)
			err = place_list_probe(space, function, module->image_id, "none", reason);
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
			: place_plan_family(space, module, family);
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
						     : place_plan_family(space, module, family);
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
	struct probe_request request = place_request_of(module, PROBE_LINKER, NULL, entry);
	if (space->engine != SESSION_ENGINE_BREAKPOINT) {
		err = jumps_plan(space->jumps, &request);
		if (!err)
			return place_note_plan(space, module, NULL);
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
		error_free(place_find_function(module, function, &entry, &found));
		struct error *err =
			found ? place_list_probe(space, function, module->image_id, "jump", NULL)
			      : NULL;
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
		error_free(place_find_function(module, function, &entry, &found));
		if (found && jumps_has(space->jumps, entry))
			return true;
	}
	return false;
}
