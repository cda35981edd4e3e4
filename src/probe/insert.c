/* SPDX-License-Identifier: MIT */
#include "probe/insert.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "probe/text.h"

/* The site at address, made if need be, not armed yet. */
static struct error *ensure_site(struct probe_set *set, target_addr address, struct site **ret)
{
	*ret = map_get(&set->sites, address.v);
	return *ret ? NULL : set_add_site(set, address, ret);
}

static bool is_announced(void *context, target_addr address)
{
	const struct probe_set *set = context;
	return map_get(&set->announced, address.v) != NULL;
}

static struct error *arm(struct probe_set *set, target_addr address)
{
	struct site *site = map_get(&set->sites, address.v);
	return !site || site->armed ? NULL : site_write(set, site, true);
}

static struct error *insert_sites(struct probe_set *set, const target_addr *addresses, size_t count,
				  enum site_exit exit)
{
	for (size_t i = 0; i < count; i++) {
		struct site *site;
		if (map_get(&set->covered, addresses[i].v))
			continue; /* a sized exit stands on the straight line before it */
		struct error *err = ensure_site(set, addresses[i], &site);
		if (err)
			return err;
		if (site->exit == SITE_NO_EXIT)
			site->exit = exit;
	}
	struct error *err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = arm(set, addresses[i]);
	return err;
}

static struct error *insert_exits(struct probe_set *set, const struct code_exits *exits)
{
	struct error *err = insert_sites(set, exits->returns, exits->return_count, SITE_RETURN);
	return err ? err
		   : insert_sites(set, exits->departures, exits->departure_count, SITE_DEPARTURE);
}

static bool needs_exits(const struct probe_request *request)
{
	return request->purpose == PROBE_ALLOCATOR &&
	       !(request->function->role == ALLOCATOR_RELEASE && request->function->leaf);
}

/* A jump into the function from within one that is probed itself, whose call is then known. */
static bool comes_from_probed(void *context, target_addr jump)
{
	struct probe_set *set = context;
	target_addr start, end;
	return set->original_reader.bounds(set, jump, &start, &end) && is_announced(set, start);
}

static bool refuse_all(void *context, target_addr jump)
{
	(void)context;
	(void)jump;
	return false;
}

/*
 * Nobody may come to an exit of the function without having entered it, or being known; and nobody
 * at all between an exit point and its `ret`.
 */
static bool is_entered_elsewhere(struct probe_set *set, const struct survival *survival,
				 const struct window_survey *survey, target_addr start,
				 target_addr end)
{
	if (window_survey_is_entered(survey, start, end, comes_from_probed, set))
		return true;
	for (size_t i = 0; i < survival->count; i++) {
		const struct survival_point *point = &survival->points[i];
		if (point->kind == SURVIVAL_EXIT &&
		    window_survey_is_entered(survey, point->address,
					     target_addr_add(point->returns_at, 1), refuse_all,
					     NULL))
			return true;
	}
	return false;
}

static struct error *check_entered_alone(struct probe_set *set, const struct probe_request *request,
					 const struct survival *survival)
{
	target_addr start, end;
	_cleanup_text_ struct text text = {0};
	if (!set->original_reader.bounds(set, request->entry, &start, &end))
		return error_new(ERROR_UNSUPPORTED, "where the function ends is not known");
	struct error *err =
		text_load(&text, &set->original_reader, request->text_start, request->text_end);
	if (!err && is_entered_elsewhere(set, survival, &text.survey, start, end))
		err = error_new(ERROR_UNSUPPORTED, "others jump into the middle of it");
	return err;
}

/* Makes the site of a point one; the sites are there already, so that nothing is left half done. */
static struct error *mark_point(struct probe_set *set, const struct probe_request *request,
				const struct survival_point *point)
{
	struct site *site = map_get(&set->sites, point->address.v);
	site->exit = point->kind == SURVIVAL_EXIT ? SITE_SIZED_EXIT : SITE_SIZE_LOST;
	site->function = request->function;
	site->point = *point;
	if (point->kind == SURVIVAL_EXIT && point->returns_at.v != point->address.v &&
	    !map_put(&set->covered, point->returns_at.v, set))
		return error_no_memory();
	return NULL;
}

/*
 * One stop a call instead of two: where the size argument is proved to be readable at the exits,
 * the entry needs no probe: unless inner calls are to be told by it. ERROR_UNSUPPORTED where it is
 * not, with nothing armed.
 */
static struct error *insert_sized(struct probe_set *set, const struct probe_request *request)
{
	const struct allocator_function *function = request->function;
	_cleanup_survival_ struct survival survival = {0};
	if (request->purpose != PROBE_ALLOCATOR || function->role != ALLOCATOR_CREATE ||
	    function->whole || function->calls_others || request->maps_inside ||
	    function->count_argument || function->result != ALLOCATOR_RETURNS_ADDRESS)
		return error_new(ERROR_UNSUPPORTED, "more than the size is needed");
	struct error *err = survival_find(&set->original_reader, request->entry,
					  function->size_argument, &survival);
	if (!err)
		err = check_entered_alone(set, request, &survival);
	struct site *site;
	for (size_t i = 0; !err && i < survival.count; i++)
		err = ensure_site(set, survival.points[i].address, &site);
	for (size_t i = 0; !err && i < survival.count; i++)
		err = mark_point(set, request, &survival.points[i]);
	/* What notes a size comes before what would miss it. */
	for (size_t i = survival.count; !err && i-- > 0;)
		err = arm(set, survival.points[i].address);
	return err;
}

/* Exits first: an entry that is seen must find its exit armed. */
static struct error *insert_both_ends(struct probe_set *set, const struct probe_request *request)
{
	bool return_sites = false;
	if (needs_exits(request)) {
		_cleanup_code_exits_ struct code_exits exits = {0};
		struct error *err = code_find_exits(&set->original_reader, request->entry,
						    is_announced, set, &exits);
		return_sites = error_catch(&err, ERROR_UNSUPPORTED);
		if (!err && !return_sites)
			err = insert_exits(set, &exits);
		if (err)
			return err;
	}
	struct site *site;
	struct error *err = ensure_site(set, request->entry, &site);
	if (err)
		return err;
	site->entry = true;
	site->purpose = request->purpose;
	site->function = request->function;
	site->uses_return_sites = return_sites;
	return site->armed ? NULL : site_write(set, site, true);
}

/* A place that no call is followed from; any instruction. */
static struct error *insert_watch(struct probe_set *set, const struct probe_request *request)
{
	struct site *site = map_get(&set->sites, request->entry.v);
	if (site && site->entry && site->purpose == PROBE_WATCH && site->watch == request->watch)
		return NULL;
	if (site)
		return error_new(ERROR_UNSUPPORTED, "another probe stands there");
	struct error *err = set_add_site(set, request->entry, &site);
	if (err)
		return err;
	site->entry = true;
	site->purpose = PROBE_WATCH;
	site->watch = request->watch;
	return site_write(set, site, true);
}

struct error *insert_function(struct probe_set *set, const struct probe_request *request)
{
	if (request->purpose == PROBE_WATCH)
		return insert_watch(set, request);
	if (map_get(&set->inserted, request->entry.v))
		return NULL; /* an alias: one function, counted once */
	struct error *err = insert_sized(set, request);
	if (error_catch(&err, ERROR_UNSUPPORTED))
		err = insert_both_ends(set, request);
	if (!err && !map_put(&set->inserted, request->entry.v, set))
		err = error_no_memory();
	return err;
}

static struct error *try_return_site(struct probe_set *set, uint64_t stack)
{
	target_addr address;
	struct error *err = target_read(set->space, (target_addr){stack}, &address, sizeof address);
	if (err)
		return err;
	struct site *site;
	err = ensure_site(set, address, &site);
	if (err)
		return err;
	if (site->exit == SITE_NO_EXIT)
		site->exit = SITE_AFTER_RETURN;
	return site->armed ? NULL : site_write(set, site, true);
}

/*
 * The end of a call whose `ret` is not probed is seen where its caller goes on. Where that cannot
 * be, the call cannot be counted, but the target is none the worse.
 */
struct error *insert_return_site(struct probe_set *set, uint64_t stack)
{
	_cleanup_error_ struct error *err = try_return_site(set, stack);
	return err && error_kind_of(err) == ERROR_NO_MEMORY ? take_ptr(err) : NULL;
}
