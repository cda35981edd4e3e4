/* SPDX-License-Identifier: MIT */
#include "session/heap.h"

#include <stdlib.h>
#include <string.h>

#include "allocator/glibc_heap.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "session/place.h"
#include "target/pages.h"

enum {
	TRIES = 3,
	WORD_BYTES = 8,
	DATA_MAX_BYTES = 4 << 20, /* no C library has more */
};
static const uint64_t HEAP_MAX_BYTES = UINT64_C(4) << 30; /* a walk takes about a second then */

static size_t read_memory(void *context, uint64_t address, void *bytes, size_t count)
{
	const struct session_space *space = context;
	return target_read_some(space->target, (target_addr){address}, bytes, count);
}

void heap_regions_deinit(struct heap_regions *regions)
{
	free(regions->items);
	*regions = (struct heap_regions){0};
}

static struct error *add_region(struct heap_regions *regions, struct glibc_region region)
{
	if (!array_reserve(&regions->items, &regions->capacity, regions->count + 1,
			   sizeof *regions->items))
		return error_no_memory();
	regions->items[regions->count++] = region;
	return NULL;
}

/* The state of the main arena, among the C library's data; 0: it is not there. */
static struct error *find_main_arena(const struct session_space *space,
				     const struct proc_maps *maps, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < maps->count && !*ret; i++) {
		const struct proc_mapping *mapping = &maps->items[i];
		uint64_t bytes = mapping->end - mapping->start;
		if (!mapping->inode || mapping->shared || !mapping->writable ||
		    bytes < GLIBC_ARENA_BYTES || bytes > DATA_MAX_BYTES)
			continue;
		_cleanup_free_ uint64_t *words = malloc(bytes);
		if (!words)
			return error_no_memory();
		if (read_memory((void *)space, mapping->start, words, bytes) != bytes ||
		    !glibc_heap_find_arena(words, bytes / WORD_BYTES, mapping->start, ret))
			*ret = 0;
	}
	return NULL;
}

/* After a fork what the heap grows by is a mapping of its own. */
static struct error *add_main(struct heap_regions *regions, const struct proc_mapping *mapping,
			      uint64_t arena)
{
	struct glibc_region *last = regions->count ? &regions->items[regions->count - 1] : NULL;
	if (last && last->main && last->end == mapping->start) {
		last->end = mapping->end;
		return NULL;
	}
	return add_region(regions, (struct glibc_region){.start = mapping->start,
							 .end = mapping->end,
							 .arena = arena,
							 .main = true});
}

static struct error *add_heap(struct heap_regions *regions, const struct proc_mapping *mapping)
{
	uint64_t words[4];
	if (mapping->inode || mapping->start % GLIBC_HEAP_MAX_BYTES != 0 ||
	    read_memory(regions->space, mapping->start, words, sizeof words) != sizeof words ||
	    !glibc_heap_is_heap(words, mapping->start, mapping->end))
		return NULL;
	return add_region(regions, (struct glibc_region){.start = mapping->start,
							 .end = mapping->start + words[2],
							 .arena = words[0]});
}

struct error *heap_find(struct session_space *space, const struct proc_maps *maps,
			struct heap_regions *ret)
{
	_cleanup_heap_regions_ struct heap_regions regions = {
		.space = space, .memory = {.read = read_memory, .context = space}};
	uint64_t arena;
	struct error *err = find_main_arena(space, maps, &arena);
	for (size_t i = 0; !err && arena && i < maps->count; i++) {
		const struct proc_mapping *mapping = &maps->items[i];
		if (strcmp(mapping->path, "[heap]") == 0)
			err = add_main(&regions, mapping, arena);
		else if (mapping->readable && mapping->writable)
			err = add_heap(&regions, mapping);
	}
	if (err)
		return err;
	*ret = regions;
	regions = (struct heap_regions){0};
	return NULL;
}

/* Large blocks have mappings of their own, one or more in a row. */
static void count_mapped(struct session_space *space, const struct proc_maps *maps,
			 struct glibc_census *census)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct proc_mapping *mapping = &maps->items[i];
		uint64_t at = mapping->start, header[2], bytes = 1;
		if (mapping->inode || mapping->shared || !mapping->readable || !mapping->writable ||
		    mapping->path[0])
			continue;
		for (; bytes && at < mapping->end; at += bytes) {
			if (read_memory(space, at, header, sizeof header) != sizeof header)
				break;
			bytes = glibc_walk_mapped(header, at, mapping->end);
			if (!bytes)
				break;
			census->heap_bytes += bytes;
			census->used_blocks++;
			census->used_bytes += bytes - header[0] - sizeof header;
			census->overhead_bytes += header[0] + sizeof header;
		}
	}
}

/* Whether another allocator has taken the C library's place: then its heap tells nothing. */
static struct error *is_replaced(struct session_space *space, bool *ret)
{
	_cleanup_modules_ struct modules modules = {0};
	const struct allocator_family *own = allocator_family_of_soname("libc.so.6");
	bool changed;
	struct error *err = modules_refresh(&modules, space->registry, space->target->pid, NULL,
					    NULL, &changed);
	*ret = false;
	for (size_t i = 0; !err && i < modules.count; i++) {
		const struct allocator_family *family = place_family_of(modules.items[i].image);
		*ret |= family && family != own && !family->wraps;
	}
	return err;
}

/* Memory that is no file's and no stack's, as far as it is there: what a heap may be made of. */
static uint64_t count_anonymous(const struct session_space *space, const struct proc_maps *maps)
{
	_cleanup_pages_ struct pages pages;
	uint64_t bytes = 0, start, end;
	pages_open(space->target->pid, &pages);
	for (size_t i = 0; i < maps->count; i++) {
		const struct proc_mapping *mapping = &maps->items[i];
		uint64_t at = mapping->start;
		if (mapping->inode || mapping->shared || !mapping->readable || !mapping->writable ||
		    strcmp(mapping->path, "[stack]") == 0)
			continue;
		for (; pages_next(&pages, at, mapping->end, &start, &end); at = end)
			bytes += end - start;
	}
	return bytes;
}

static uint64_t mapped_bytes(const struct heap_regions *regions)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < regions->count; i++)
		bytes += regions->items[i].end - regions->items[i].start;
	return bytes;
}

static struct error *count_once(struct session_space *space, struct glibc_census *ret,
				bool *known_ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_heap_regions_ struct heap_regions regions = {0};
	struct error *err = proc_maps_read(space->target->pid, &maps);
	if (!err)
		err = heap_find(space, &maps, &regions);
	if (err)
		return err;
	*known_ret = regions.count && mapped_bytes(&regions) <= HEAP_MAX_BYTES &&
		     glibc_walk(&regions.memory, regions.items, regions.count, NULL, NULL, ret);
	if (*known_ret)
		count_mapped(space, &maps, ret);
	return NULL;
}

static struct error *count_unknown(const struct session_space *space, struct glibc_census *ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct error *err = proc_maps_read(space->target->pid, &maps);
	if (!err)
		*ret = (struct glibc_census){.heap_bytes = count_anonymous(space, &maps)};
	return err;
}

struct error *heap_count(struct session_space *space, struct glibc_census *ret, bool *known_ret)
{
	bool replaced = false;
	struct error *err = is_replaced(space, &replaced);
	*known_ret = false;
	for (int try = 0; !err && !replaced && !*known_ret && try < TRIES; try++)
		err = count_once(space, ret, known_ret);
	return err || *known_ret ? err : count_unknown(space, ret);
}
