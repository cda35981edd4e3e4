/* SPDX-License-Identifier: MIT */
#include "probe/set.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Planning must see the code as it was: our own int3s are undone in what is read. */
static bool read_original(void *context, target_addr address, void *bytes, size_t count)
{
	struct probe_set *set = context;
	if (!set->reader.read(set->reader.context, address, bytes, count))
		return false;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&set->sites, &cursor))) {
		const struct site *site = entry->value;
		uint64_t offset = site->address.v - address.v;
		if (offset < count && site->armed)
			((uint8_t *)bytes)[offset] = site->original;
	}
	return true;
}

static bool read_bounds(void *context, target_addr address, target_addr *start_ret,
			target_addr *end_ret)
{
	struct probe_set *set = context;
	return set->reader.bounds(set->reader.context, address, start_ret, end_ret);
}

static bool read_pointer(void *context, target_addr slot, target_addr *ret)
{
	struct probe_set *set = context;
	return set->reader.pointer(set->reader.context, slot, ret);
}

struct error *probe_set_create(const struct probe_operations *operations,
			       const struct target_space *space, const struct code_reader *reader,
			       struct probe_set **ret)
{
	struct probe_set *set = calloc(1, sizeof *set);
	if (!set)
		return error_no_memory();
	set->operations = operations;
	set->space = space;
	set->reader = *reader;
	set->original_reader = (struct code_reader){
		.read = read_original,
		.bounds = read_bounds,
		.pointer = read_pointer,
		.context = set,
	};
	*ret = set;
	return NULL;
}

void probe_set_destroy(struct probe_set *set)
{
	if (!set)
		return;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&set->sites, &cursor)))
		free(entry->value);
	map_deinit(&set->sites);
	map_deinit(&set->announced);
	map_deinit(&set->inserted);
	map_deinit(&set->covered);
	free(set->slacks);
	free(set);
}

static void cleanup_setp(struct probe_set **set)
{
	probe_set_destroy(*set);
}

/*
 * The parent's sites may have changed between the fork and the news of it: where the child's memory
 * differs from the description, the description wins.
 */
static struct error *match_memory(const struct probe_set *set, const struct site *site)
{
	uint8_t is, should = site->armed ? CODE_BREAKPOINT : site->original;
	struct error *err = target_read(set->space, site->address, &is, 1);
	if (err || is == should)
		return err;
	err = target_write(set->space, site->slot_address, site->slot.bytes, site->slot.count);
	return err ? err : target_write(set->space, site->address, &should, 1);
}

/* Maps that serve as sets of addresses: any value but NULL will do. */
static bool copy_marks(const struct map *from, struct map *to, void *value)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(from, &cursor)))
		if (!map_put(to, entry->key, value))
			return false;
	return true;
}

static void forget_marks(struct map *marks, target_addr start, target_addr end)
{
	struct map_entry *entry;
	do {
		size_t cursor = 0;
		do
			entry = map_next(marks, &cursor);
		while (entry && (entry->key < start.v || entry->key >= end.v));
		if (entry)
			map_remove(marks, entry->key);
	} while (entry);
}

struct error *probe_set_copy(const struct probe_set *set, const struct target_space *space,
			     const struct code_reader *reader, struct probe_set **ret)
{
	__attribute__((__cleanup__(cleanup_setp))) struct probe_set *copy = NULL;
	struct error *err = probe_set_create(set->operations, space, reader, &copy);
	if (err)
		return err;
	copy->disarmed = set->disarmed;
	copy->slots_in_use = set->slots_in_use;
	if (!array_reserve(&copy->slacks, &copy->slack_capacity, set->slack_count,
			   sizeof *copy->slacks))
		return error_no_memory();
	if (set->slack_count)
		memcpy(copy->slacks, set->slacks, set->slack_count * sizeof *copy->slacks);
	copy->slack_count = set->slack_count;
	if (!copy_marks(&set->announced, &copy->announced, copy) ||
	    !copy_marks(&set->inserted, &copy->inserted, copy) ||
	    !copy_marks(&set->covered, &copy->covered, copy))
		return error_no_memory();
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&set->sites, &cursor))) {
		struct site *site = malloc(sizeof *site);
		if (!site || !map_put(&copy->sites, entry->key, site)) {
			free(site);
			return error_no_memory();
		}
		*site = *(const struct site *)entry->value;
		err = match_memory(copy, site);
		if (err)
			return err;
	}
	*ret = take_ptr(copy);
	return NULL;
}

struct error *probe_set_add_slack(struct probe_set *set, target_addr owner, target_addr start,
				  target_addr end, bool permanent)
{
	uint8_t bytes[4096];
	if (end.v <= start.v || end.v - start.v > sizeof bytes)
		return NULL;
	for (size_t i = 0; i < set->slack_count; i++)
		if (set->slacks[i].start.v == start.v)
			return NULL;
	if (!read_original(set, start, bytes, end.v - start.v))
		return NULL;
	for (size_t i = 0; i < end.v - start.v; i++)
		if (bytes[i])
			return NULL; /* not slack after all: somebody keeps something there */
	if (!array_reserve(&set->slacks, &set->slack_capacity, set->slack_count + 1,
			   sizeof *set->slacks))
		return error_no_memory();
	set->slacks[set->slack_count++] = (struct slack){owner, start, start, end, permanent};
	return NULL;
}

/* Whether our int3 is there no more. A program may have moved its text without unmapping it. */
static bool has_gone(const struct probe_set *set, const struct site *site)
{
	uint8_t byte = 0;
	return target_read_some(set->space, site->address, &byte, 1) != 1 ||
	       byte != CODE_BREAKPOINT;
}

void probe_set_forget(struct probe_set *set, target_addr start, target_addr end)
{
	bool found;
	do {
		found = false;
		size_t cursor = 0;
		struct map_entry *entry;
		while (!found && (entry = map_next(&set->sites, &cursor)))
			found = entry->key >= start.v && entry->key < end.v &&
				has_gone(set, entry->value);
		if (found)
			free(map_remove(&set->sites, entry->key));
	} while (found);
	forget_marks(&set->announced, start, end);
	forget_marks(&set->inserted, start, end);
	forget_marks(&set->covered, start, end);
	size_t kept = 0;
	for (size_t i = 0; i < set->slack_count; i++)
		if (set->slacks[i].start.v < start.v || set->slacks[i].start.v >= end.v)
			set->slacks[kept++] = set->slacks[i];
	set->slack_count = kept;
}

const struct code_reader *probe_set_reader(const struct probe_set *set)
{
	return &set->original_reader;
}

struct error *probe_set_remove_entry(struct probe_set *set, target_addr entry)
{
	struct site *site = map_get(&set->sites, entry.v);
	if (!site)
		return NULL;
	struct error *err = site->armed ? site_write(set, site, false) : NULL;
	if (err)
		return err;
	map_remove(&set->inserted, entry.v);
	free(map_remove(&set->sites, entry.v));
	return NULL;
}

bool probe_set_has_allocator(const struct probe_set *set)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&set->sites, &cursor))) {
		const struct site *site = entry->value;
		if (site->function && !site->function->maps)
			return true;
	}
	return false;
}

struct error *probe_set_announce(struct probe_set *set, target_addr entry)
{
	return map_put(&set->announced, entry.v, set) ? NULL : error_no_memory();
}

struct site *set_site_of_slot(const struct probe_set *set, uint64_t pc, size_t *offset_ret)
{
	bool inside = false;
	for (size_t i = 0; i < set->slack_count; i++)
		inside |= pc >= set->slacks[i].start.v && pc < set->slacks[i].next.v;
	size_t cursor = 0;
	struct map_entry *entry;
	while (inside && (entry = map_next(&set->sites, &cursor))) {
		struct site *site = entry->value;
		if (pc >= site->slot_address.v && pc < site->slot_address.v + site->slot.count) {
			*offset_ret = pc - site->slot_address.v;
			return site;
		}
	}
	return NULL;
}

static bool owns(const struct slack *slack, const struct site *site)
{
	return site->address.v >= slack->owner.v && site->address.v < slack->end.v;
}

/* The module's own slack first, then what never goes away, then that from however far. */
enum { SLACK_OWN, SLACK_PERMANENT, SLACK_FAR, SLACK_WAYS };

static struct error *place_slot(struct probe_set *set, struct site *site)
{
	struct error *reason = NULL;
	for (size_t n = 0; n < set->slack_count * SLACK_WAYS; n++) {
		struct slack *slack = &set->slacks[n % set->slack_count];
		size_t way = n / set->slack_count;
		if (way == SLACK_OWN ? !owns(slack, site) : !slack->permanent)
			continue;
		target_addr at = {(slack->next.v + 7) & ~7ul}; /* literals in slots are aligned */
		error_free(reason);
		reason = way == SLACK_FAR ? code_relocate_far(&set->original_reader, site->address,
							      at, &site->slot)
					  : code_relocate(&set->original_reader, site->address, at,
							  &site->slot);
		if (reason || at.v + site->slot.count > slack->end.v)
			continue;
		struct error *err =
			target_write(set->space, at, site->slot.bytes, site->slot.count);
		if (err)
			return err;
		site->slot_address = at;
		slack->next = target_addr_add(at, (int64_t)site->slot.count);
		return NULL;
	}
	return reason ? reason
		      : error_new(
				ERROR_UNSUPPORTED,
				"no unused executable memory in reach for relocated instructions");
}

struct error *set_add_site(struct probe_set *set, target_addr address, struct site **ret)
{
	_cleanup_free_ struct site *site = calloc(1, sizeof *site);
	if (!site)
		return error_no_memory();
	site->address = address;
	struct error *err = target_read(set->space, address, &site->original, 1);
	if (err)
		return err;
	if (site->original == CODE_BREAKPOINT)
		return error_new(
			ERROR_UNSUPPORTED,
			"another breakpoint stands at 0x%lx already: is a debugger at work, "
			"or was one killed?",
			address.v);
	err = place_slot(set, site);
	if (err)
		return err;
	if (!map_put(&set->sites, address.v, site))
		return error_no_memory();
	*ret = take_ptr(site);
	return NULL;
}

struct error *site_write(struct probe_set *set, struct site *site, bool armed)
{
	uint8_t byte = armed ? CODE_BREAKPOINT : site->original;
	struct error *err = target_write(set->space, site->address, &byte, 1);
	if (!err)
		site->armed = armed;
	return err;
}

struct error *probe_insert(struct probe_set *set, const struct probe_request *request)
{
	return set->operations->insert(set, request);
}

struct error *probe_on_trap(struct probe_set *set, struct target_thread *thread,
			    struct probe_thread *state, uint64_t region, struct probe_hit *ret)
{
	return set->operations->on_trap(set, thread, state, region, ret);
}

void probe_on_signal(struct probe_set *set, struct target_thread *thread,
		     struct probe_thread *state)
{
	set->operations->on_signal(set, thread, state);
}

struct error *probe_disarm(struct probe_set *set)
{
	return set->operations->disarm(set);
}

void probe_evacuate(struct probe_set *set, struct target_thread *thread)
{
	set->operations->evacuate(set, thread);
}

struct error *probe_erase(struct probe_set *set)
{
	return set->operations->erase(set);
}
