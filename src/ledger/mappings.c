/* SPDX-License-Identifier: MIT */
#include "ledger/mappings.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "ledger/sites_change.h"

static const uint64_t PAGE_BYTES = 4096;

/* One call's mapping. Invariant: pieces = the number of ranges that name it, > 0. */
struct mapping {
	uint32_t site;
	uint32_t pieces;
	uint64_t born_ns;
};

/* Invariant: start < end, both at pages. */
struct range {
	uint64_t start, end;
	struct mapping *mapping;
};

/* Ranges in the order of their addresses. */
struct ranges {
	struct range *items;
	size_t count, capacity;
};

/* Ranges that a thread is moving. */
struct move {
	uint32_t thread;
	struct ranges ranges;
};

struct mapping_space {
	struct ranges ranges;
	struct move *moves;
	size_t move_count, move_capacity;
};

struct mappings {
	struct map spaces; /* space id + 1 -> struct mapping_space */
	struct sites sites;
};

struct error *mappings_create(struct mappings **ret)
{
	struct mappings *mappings = calloc(1, sizeof *mappings);
	if (!mappings)
		return error_no_memory();
	sites_init(&mappings->sites);
	*ret = mappings;
	return NULL;
}

static void drop_piece(struct range *range)
{
	if (--range->mapping->pieces == 0)
		free(range->mapping);
}

static void ranges_free(struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		drop_piece(&ranges->items[i]);
	free(ranges->items);
}

static void space_free(struct mapping_space *space)
{
	for (size_t i = 0; i < space->move_count; i++)
		ranges_free(&space->moves[i].ranges);
	free(space->moves);
	ranges_free(&space->ranges);
	free(space);
}

void mappings_destroy(struct mappings *mappings)
{
	if (!mappings)
		return;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&mappings->spaces, &cursor)))
		space_free(entry->value);
	map_deinit(&mappings->spaces);
	sites_deinit(&mappings->sites);
	free(mappings);
}

static struct mapping_space *find_space(const struct mappings *mappings, space_id id)
{
	return map_get(&mappings->spaces, (uint64_t)id.v + 1);
}

static struct error *get_space(struct mappings *mappings, space_id id, struct mapping_space **ret)
{
	*ret = find_space(mappings, id);
	if (*ret)
		return NULL;
	_cleanup_free_ struct mapping_space *space = calloc(1, sizeof *space);
	if (!space || !map_put(&mappings->spaces, (uint64_t)id.v + 1, space))
		return error_no_memory();
	*ret = take_ptr(space);
	return NULL;
}

/* Whole pages; false for a range without bytes, or one that wraps around. */
static bool to_pages(target_addr address, uint64_t size_bytes, uint64_t *start_ret,
		     uint64_t *end_ret)
{
	uint64_t end;
	if (!size_bytes || __builtin_add_overflow(address.v, size_bytes, &end) ||
	    end > UINT64_MAX - PAGE_BYTES)
		return false;
	*start_ret = address.v & ~(PAGE_BYTES - 1);
	*end_ret = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	return true;
}

/* The first range that ends above address. */
static size_t find_range(const struct ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ranges->items[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct error *reserve(struct ranges *ranges, size_t more)
{
	return array_reserve(&ranges->items, &ranges->capacity, ranges->count + more,
			     sizeof *ranges->items)
		       ? NULL
		       : error_no_memory();
}

/* Into memory that is reserved. */
static void insert(struct ranges *ranges, size_t at, struct range range)
{
	memmove(ranges->items + at + 1, ranges->items + at,
		(ranges->count - at) * sizeof *ranges->items);
	ranges->items[at] = range;
	ranges->count++;
}

static void remove_at(struct ranges *ranges, size_t at)
{
	ranges->count--;
	memmove(ranges->items + at, ranges->items + at + 1,
		(ranges->count - at) * sizeof *ranges->items);
}

/* Makes address, inside of a range, the end of one piece and the start of another. */
static void split(struct ranges *ranges, uint64_t address)
{
	size_t at = find_range(ranges, address);
	if (at == ranges->count || ranges->items[at].start >= address)
		return;
	struct range upper = ranges->items[at];
	upper.start = address;
	upper.mapping->pieces++;
	ranges->items[at].end = address;
	insert(ranges, at + 1, upper);
}

/* A piece was given back; with the last one its mapping is gone. */
static void release(struct mappings *mappings, struct range *range, uint64_t time_ns)
{
	const struct mapping *mapping = range->mapping;
	uint64_t lifetime_ns = time_ns > mapping->born_ns ? time_ns - mapping->born_ns : 0;
	if (mapping->pieces == 1)
		sites_released(&mappings->sites, mapping->site, range->end - range->start,
			       lifetime_ns, false);
	else
		sites_shrunk(&mappings->sites, mapping->site, range->end - range->start,
			     lifetime_ns);
	drop_piece(range);
}

/*
 * Takes what lies in [start, end) out: into `taken`, or (NULL) into the books. The memory for it is
 * made before anything changes.
 */
static struct error *take_out(struct mappings *mappings, struct ranges *ranges, uint64_t start,
			      uint64_t end, struct ranges *taken, uint64_t time_ns)
{
	struct error *err = reserve(ranges, 2);
	if (!err && taken)
		err = reserve(taken, find_range(ranges, end) - find_range(ranges, start) + 2);
	if (err)
		return err;
	split(ranges, start);
	split(ranges, end);
	size_t at = find_range(ranges, start);
	while (at < ranges->count && ranges->items[at].start < end) {
		struct range range = ranges->items[at];
		remove_at(ranges, at);
		if (taken)
			insert(taken, taken->count, range);
		else
			release(mappings, &range, time_ns);
	}
	return NULL;
}

struct error *mappings_add(struct mappings *mappings, space_id space, site_id site,
			   target_addr address, uint64_t size_bytes, uint64_t time_ns)
{
	uint64_t start, end;
	struct mapping_space *in;
	if (!to_pages(address, size_bytes, &start, &end))
		return error_new(ERROR_BAD_INPUT, "a mapping of %llu bytes at 0x%llx",
				 (unsigned long long)size_bytes, (unsigned long long)address.v);
	struct error *err = sites_prepare(&mappings->sites, site.v);
	if (!err)
		err = get_space(mappings, space, &in);
	if (!err)
		err = take_out(mappings, &in->ranges, start, end, NULL, time_ns);
	if (!err)
		err = reserve(&in->ranges, 1);
	struct mapping *mapping = err ? NULL : malloc(sizeof *mapping);
	if (!mapping)
		return err ? err : error_no_memory();
	*mapping = (struct mapping){.site = site.v, .pieces = 1, .born_ns = time_ns};
	insert(&in->ranges, find_range(&in->ranges, start), (struct range){start, end, mapping});
	sites_created(&mappings->sites, site.v, end - start, time_ns);
	mappings->sites.totals.events++;
	return NULL;
}

struct error *mappings_remove(struct mappings *mappings, space_id space, target_addr address,
			      uint64_t size_bytes, uint64_t time_ns)
{
	uint64_t start, end;
	struct mapping_space *in = find_space(mappings, space);
	if (!in || !to_pages(address, size_bytes, &start, &end))
		return NULL;
	mappings->sites.totals.events++;
	return take_out(mappings, &in->ranges, start, end, NULL, time_ns);
}

/* ---- moves */

static struct move *find_move(struct mapping_space *space, uint32_t thread)
{
	for (size_t i = 0; i < space->move_count; i++)
		if (space->moves[i].thread == thread)
			return &space->moves[i];
	return NULL;
}

struct error *mappings_move(struct mappings *mappings, space_id space, uint32_t thread,
			    target_addr address, uint64_t size_bytes, uint64_t time_ns)
{
	uint64_t start, end;
	struct mapping_space *in = find_space(mappings, space);
	if (!in || !to_pages(address, size_bytes, &start, &end))
		return NULL;
	struct error *err = mappings_moved(mappings, space, thread, false, time_ns);
	if (!err &&
	    !array_reserve(&in->moves, &in->move_capacity, in->move_count + 1, sizeof *in->moves))
		err = error_no_memory();
	if (err)
		return err;
	struct move move = {.thread = thread};
	err = take_out(mappings, &in->ranges, start, end, &move.ranges, time_ns);
	if (move.ranges.count)
		in->moves[in->move_count++] = move;
	else
		free(move.ranges.items);
	return err;
}

/* Where others have mapped something meanwhile, they are believed. */
static struct error *put_back(struct mappings *mappings, struct mapping_space *space,
			      const struct range *range, uint64_t time_ns)
{
	struct error *err =
		take_out(mappings, &space->ranges, range->start, range->end, NULL, time_ns);
	if (!err)
		err = reserve(&space->ranges, 1);
	if (!err)
		insert(&space->ranges, find_range(&space->ranges, range->start), *range);
	return err;
}

struct error *mappings_moved(struct mappings *mappings, space_id space, uint32_t thread, bool done,
			     uint64_t time_ns)
{
	struct mapping_space *in = find_space(mappings, space);
	struct move *found = in ? find_move(in, thread) : NULL;
	struct error *err = NULL;
	if (!found)
		return NULL;
	struct move move = *found;
	*found = in->moves[--in->move_count];
	for (size_t i = 0; i < move.ranges.count; i++) {
		struct range *range = &move.ranges.items[i];
		struct error *lost = done ? NULL : put_back(mappings, in, range, time_ns);
		if (done || lost)
			release(mappings, range, time_ns);
		if (err)
			error_free(lost);
		else
			err = lost;
	}
	free(move.ranges.items);
	return err;
}

struct error *mappings_failed(struct mappings *mappings, site_id site)
{
	struct error *err = sites_prepare(&mappings->sites, site.v);
	if (err)
		return err;
	sites_failed(&mappings->sites, site.v);
	mappings->sites.totals.events++;
	return NULL;
}

/* ---- ends and answers */

static void end_ranges(struct mappings *mappings, struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++) {
		struct range *range = &ranges->items[i];
		uint64_t bytes = range->end - range->start;
		if (range->mapping->pieces == 1)
			sites_ended(&mappings->sites, range->mapping->site, bytes);
		else
			sites_ended_in_part(&mappings->sites, range->mapping->site, bytes);
		drop_piece(range);
	}
	ranges->count = 0;
}

void mappings_space_end(struct mappings *mappings, space_id id)
{
	struct mapping_space *space = map_remove(&mappings->spaces, (uint64_t)id.v + 1);
	if (!space)
		return;
	end_ranges(mappings, &space->ranges);
	for (size_t i = 0; i < space->move_count; i++)
		end_ranges(mappings, &space->moves[i].ranges);
	space_free(space);
}

void mappings_reset_peak(struct mappings *mappings, uint64_t time_ns)
{
	sites_reset_peak(&mappings->sites, time_ns);
}

const struct total_counters *mappings_totals(const struct mappings *mappings)
{
	return &mappings->sites.totals;
}

uint32_t mappings_site_count(const struct mappings *mappings)
{
	return mappings->sites.count;
}

struct site_counters mappings_site(const struct mappings *mappings, site_id site)
{
	return sites_get(&mappings->sites, site.v);
}

static uint64_t bytes_of(const struct ranges *ranges)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < ranges->count; i++)
		bytes += ranges->items[i].end - ranges->items[i].start;
	return bytes;
}

static bool is_ordered(const struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->items[i].start >= ranges->items[i].end ||
		    (i && ranges->items[i - 1].end > ranges->items[i].start))
			return false;
	return true;
}

struct error *mappings_check(const struct mappings *mappings)
{
	uint64_t bytes = 0;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&mappings->spaces, &cursor))) {
		const struct mapping_space *space = entry->value;
		bytes += bytes_of(&space->ranges);
		for (size_t i = 0; i < space->move_count; i++)
			bytes += bytes_of(&space->moves[i].ranges);
		if (!is_ordered(&space->ranges))
			return error_new(ERROR_BAD_INPUT, "mappings: ranges overlap");
	}
	const struct total_counters *totals = &mappings->sites.totals;
	if (totals->total_bytes != UINT64_MAX && totals->current_bytes != bytes)
		return error_new(ERROR_BAD_INPUT, "mappings: the ranges are not what is live");
	return sites_check(&mappings->sites);
}
