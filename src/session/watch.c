/* SPDX-License-Identifier: MIT */
#include "session/watch.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "session/place.h"
#include "session/space.h"

struct error *watches_init(struct watches *watches, const struct session_options *options)
{
	*watches = (struct watches){.items = options->watches, .count = options->watch_count};
	watches->found = calloc(watches->count + 1, sizeof *watches->found);
	return watches->found ? NULL : error_no_memory();
}

void watches_deinit(struct watches *watches)
{
	free(watches->found);
	*watches = (struct watches){0};
}

static bool is_asked_for(const struct session_watch *watch, const struct module *module)
{
	const char *path = image_path(module->image), *slash = strrchr(path, '/');
	return !watch->module || fnmatch(watch->module, path, 0) == 0 ||
	       fnmatch(watch->module, slash ? slash + 1 : path, 0) == 0;
}

static struct error *find(const struct session_watch *watch, const struct module *module,
			  target_addr *entry_ret, bool *found_ret)
{
	*found_ret = false;
	return is_asked_for(watch, module)
		       ? place_find_entry(module, watch->function, entry_ret, found_ret)
		       : NULL;
}

static struct error *insert(struct session_space *space, const struct module *module,
			    unsigned number, target_addr address)
{
	const struct probe_request request = {.purpose = PROBE_WATCH,
					      .watch = number,
					      .entry = address,
					      .text_start = module->start,
					      .text_end = module->end,
					      .image = module->image_id,
					      .bias = module->bias};
	if (jumps_cover(space->jumps, address))
		return error_new(ERROR_UNSUPPORTED, "it is an allocator's function");
	return probe_insert(space->probes, &request);
}

/* A way out that goes on in another function would be missed, and so would the moment. */
static struct error *insert_exits(struct session_space *space, const struct module *module,
				  unsigned number, target_addr entry)
{
	_cleanup_code_exits_ struct code_exits exits = {0};
	struct error *err =
		code_find_exits(probe_set_reader(space->probes), entry, NULL, NULL, &exits);
	if (!err && (exits.departure_count || !exits.return_count))
		err = error_new(ERROR_UNSUPPORTED, "it does not end by returning");
	for (size_t i = 0; !err && i < exits.return_count; i++)
		err = insert(space, module, number, exits.returns[i]);
	return err;
}

static struct error *place(struct session_space *space, const struct module *module,
			   unsigned number)
{
	struct watches *watches = &space->probe_list->watches;
	const struct session_watch *watch = &watches->items[number];
	target_addr entry;
	bool found;
	struct error *err = find(watch, module, &entry, &found);
	if (!err && !found)
		return NULL;
	if (!err)
		err = watch->at_exit ? insert_exits(space, module, number, entry)
				     : insert(space, module, number, entry);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err)
		log_write(space->log, LOG_WARNING, "process %d: '%s' in \"%s\" is not watched: %s",
			  space->target->pid, watch->function, image_path(module->image),
			  error_message(err));
	watches->found[number] = true; /* or told of */
	space->watched |= !err;
	error_free(err);
	return NULL;
}

struct error *watches_place(struct session_space *space, const struct module *module)
{
	struct error *err = NULL;
	if (space->examined)
		return NULL;
	for (unsigned i = 0; !err && i < space->probe_list->watches.count; i++)
		err = place(space, module, i);
	return err;
}

static bool is_loaded(const struct session_space *space, const struct session_watch *watch)
{
	bool found = false;
	for (size_t i = 0; !found && i < space->modules.count; i++) {
		target_addr entry;
		error_free(find(watch, &space->modules.items[i], &entry, &found));
	}
	return found;
}

struct error *watches_check(const struct session_space *space)
{
	const struct watches *watches = &space->probe_list->watches;
	for (size_t i = 0; i < watches->count; i++) {
		const struct session_watch *watch = &watches->items[i];
		if (!watch->module && !is_loaded(space, watch))
			return error_new(ERROR_NOT_FOUND,
					 "process %d has no function '%s': for one of a module "
					 "that is loaded later give 'MODULE:%s'",
					 space->target->pid, watch->function, watch->function);
	}
	return NULL;
}

const struct session_watch *watches_next_missing(const struct watches *watches, size_t *index)
{
	for (; *index < watches->count; ++*index)
		if (!watches->found[*index])
			return &watches->items[(*index)++];
	return NULL;
}
