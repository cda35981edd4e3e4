/* SPDX-License-Identifier: MIT */
#include "allocator/glibc_walk.h"

#include <stdlib.h>

#include "allocator/glibc_heap.h"
#include "base/cleanup.h"

enum {
	WINDOW_BYTES = 1 << 18,
	WORD_BYTES = 8,
	PAGE_BYTES = 4096,
	CHUNK_MIN_BYTES = 32,
	CHUNK_ALIGN = 16,
	FENCE_BYTES = 16, /* what ends a heap that another follows */
	IN_USE_BEFORE = 1,
	IS_MMAPPED = 2,
	OTHER_ARENA = 4,
	FLAGS = 7,
	LINKS_MAX = 1 << 20, /* of a list that a target may have made endless */
	CACHES_MAX = 65536,
	CACHE_BINS = 64,
	CACHE_CHUNK_BYTES = 0x290, /* struct tcache_perthread_struct since 2.30 */
	FAST_BINS = 10,
	FAST_OFFSET = 0x10,
	FAST_MIN_BYTES = 32,
	SAFE_LINK_SHIFT = 12,
};

struct walk {
	const struct glibc_memory *memory;
	const struct glibc_region *regions;
	size_t region_count;
	void (*visit_free)(void *context, uint64_t start, uint64_t end);
	void *context;
	struct glibc_census *census;
	uint64_t window_start;
	size_t window_bytes;
	uint64_t *caches; /* chunks of the size of a cache */
	size_t cache_count;
	uint8_t *window; /* WINDOW_BYTES */
};

/* ---- reading */

static bool read_bytes(const struct walk *walk, uint64_t address, void *bytes, size_t count)
{
	return walk->memory->read(walk->memory->context, address, bytes, count) == count;
}

/* By windows: chunks lie side by side. */
static bool read_word(struct walk *walk, uint64_t address, uint64_t *ret)
{
	if (address < walk->window_start ||
	    address + WORD_BYTES > walk->window_start + walk->window_bytes) {
		walk->window_start = address;
		walk->window_bytes = walk->memory->read(walk->memory->context, address,
							walk->window, WINDOW_BYTES);
		if (walk->window_bytes < WORD_BYTES)
			return false;
	}
	const uint8_t *at = walk->window + (address - walk->window_start);
	*ret = *(const uint64_t *)(const void *)at;
	return true;
}

/* ---- counting */

static void add_free(struct walk *walk, uint64_t chunk, uint64_t bytes)
{
	walk->census->free_bytes += bytes;
	if (walk->visit_free)
		walk->visit_free(walk->context, chunk, chunk + bytes);
}

static void add_used(struct walk *walk, uint64_t chunk, uint64_t bytes)
{
	/* The first word of the next chunk belongs to this one's block. */
	walk->census->used_bytes += bytes - WORD_BYTES;
	walk->census->overhead_bytes += WORD_BYTES;
	walk->census->used_blocks++;
	if (bytes == CACHE_CHUNK_BYTES && walk->cache_count < CACHES_MAX)
		walk->caches[walk->cache_count++] = chunk;
}

/* A chunk that was taken for one in use. */
static void take_back(struct walk *walk, uint64_t bytes)
{
	walk->census->used_bytes -= bytes - WORD_BYTES;
	walk->census->overhead_bytes -= WORD_BYTES;
	walk->census->used_blocks--;
}

/* ---- a heap */

/* Where the first chunk of a region is. */
static uint64_t first_chunk(const struct glibc_region *region)
{
	uint64_t at = region->start;
	if (region->main)
		return at;
	bool own = region->arena >= region->start && region->arena < region->end;
	at = own ? region->arena + GLIBC_ARENA_BYTES : at + GLIBC_HEAP_HEADER_BYTES;
	return (at + GLIBC_CHUNK_HEADER_BYTES + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN -
	       GLIBC_CHUNK_HEADER_BYTES;
}

static bool is_chunk_size(const struct glibc_region *region, uint64_t chunk, uint64_t word)
{
	uint64_t bytes = word & ~(uint64_t)FLAGS;
	return bytes >= CHUNK_MIN_BYTES && bytes % CHUNK_ALIGN == 0 &&
	       bytes <= region->end - chunk && !(word & IS_MMAPPED);
}

static bool walk_region(struct walk *walk, const struct glibc_region *region)
{
	uint64_t chunk = first_chunk(region), word, next_word;
	walk->census->overhead_bytes += chunk - region->start;
	walk->window_bytes = 0;
	if (chunk >= region->end || !read_word(walk, chunk + WORD_BYTES, &word))
		return false;
	while (is_chunk_size(region, chunk, word)) {
		uint64_t bytes = word & ~(uint64_t)FLAGS, next = chunk + bytes;
		/* The last one is free: what the heap has not given out yet. */
		if (next == region->end) {
			add_free(walk, chunk, bytes);
			walk->census->heap_bytes += next - region->start;
			return true;
		}
		if (!read_word(walk, next + WORD_BYTES, &next_word))
			return false;
		if (next_word & IN_USE_BEFORE)
			add_used(walk, chunk, bytes);
		else
			add_free(walk, chunk, bytes);
		chunk = next;
		word = next_word;
	}
	walk->census->heap_bytes += chunk - region->start;
	return !region->main && (word & ~(uint64_t)FLAGS) == FENCE_BYTES &&
	       region->end - chunk <= PAGE_BYTES;
}

/* ---- lists */

static bool is_in_heap(const struct walk *walk, uint64_t address)
{
	for (size_t i = 0; i < walk->region_count; i++)
		if (address >= walk->regions[i].start && address < walk->regions[i].end)
			return address % CHUNK_ALIGN == 0;
	return false;
}

/* A link at `at`: since 2.32 mixed with its own address. False: it is none. */
static bool follow(const struct walk *walk, uint64_t at, uint64_t *ret)
{
	uint64_t word;
	if (!read_bytes(walk, at, &word, sizeof word))
		return false;
	*ret = word ^ at >> SAFE_LINK_SHIFT;
	if (!*ret || is_in_heap(walk, *ret))
		return true;
	*ret = word;
	return !word || is_in_heap(walk, word);
}

/* Takes the chunks of a list from those in use; links stand offset bytes behind what they name. */
static bool take_list(struct walk *walk, uint64_t first, uint64_t bytes, size_t limit,
		      uint64_t link_offset, uint64_t chunk_offset)
{
	size_t count = 0;
	for (uint64_t at = first; at; count++) {
		uint64_t chunk = at - chunk_offset, word;
		if (count == limit || !is_in_heap(walk, at) ||
		    !read_bytes(walk, chunk + WORD_BYTES, &word, sizeof word) ||
		    (word & ~(uint64_t)FLAGS) != bytes || walk->census->used_blocks == 0)
			return false;
		take_back(walk, bytes);
		add_free(walk, chunk, bytes);
		if (!follow(walk, at + link_offset, &at))
			return false;
	}
	return true;
}

static bool walk_fast_bins(struct walk *walk, uint64_t arena)
{
	uint64_t bins[FAST_BINS];
	if (!arena)
		return true;
	if (!read_bytes(walk, arena + FAST_OFFSET, bins, sizeof bins))
		return false;
	for (size_t i = 0; i < FAST_BINS; i++)
		if (!take_list(walk, bins[i], FAST_MIN_BYTES + i * CHUNK_ALIGN, LINKS_MAX,
			       GLIBC_CHUNK_HEADER_BYTES, 0))
			return false;
	return true;
}

/* struct tcache_perthread_struct */
struct cache {
	uint16_t counts[CACHE_BINS];
	uint64_t entries[CACHE_BINS];
};

static bool is_cache(const struct walk *walk, const struct cache *cache)
{
	bool some = false;
	for (size_t i = 0; i < CACHE_BINS; i++) {
		if (!cache->counts[i] != !cache->entries[i] ||
		    (cache->entries[i] && !is_in_heap(walk, cache->entries[i])))
			return false;
		some |= cache->counts[i] != 0;
	}
	return some;
}

static bool walk_cache(struct walk *walk, uint64_t chunk)
{
	struct cache cache;
	if (!read_bytes(walk, chunk + GLIBC_CHUNK_HEADER_BYTES, &cache, sizeof cache))
		return false;
	if (!is_cache(walk, &cache))
		return true;
	take_back(walk, CACHE_CHUNK_BYTES);
	walk->census->overhead_bytes += CACHE_CHUNK_BYTES;
	for (size_t i = 0; i < CACHE_BINS; i++)
		if (!take_list(walk, cache.entries[i], CHUNK_MIN_BYTES + i * CHUNK_ALIGN,
			       cache.counts[i], 0, GLIBC_CHUNK_HEADER_BYTES))
			return false;
	return true;
}

/* ---- all of it */

static bool walk_all(struct walk *walk)
{
	for (size_t i = 0; i < walk->region_count; i++)
		if (!walk_region(walk, &walk->regions[i]))
			return false;
	for (size_t i = 0; i < walk->region_count; i++) {
		const struct glibc_region *region = &walk->regions[i];
		/* An arena's state is looked at once, with its first heap. */
		bool first = region->main ||
			     (region->arena >= region->start && region->arena < region->end);
		if (first && !walk_fast_bins(walk, region->arena))
			return false;
	}
	for (size_t i = 0; i < walk->cache_count; i++)
		if (!walk_cache(walk, walk->caches[i]))
			return false;
	return true;
}

bool glibc_walk(const struct glibc_memory *memory, const struct glibc_region *regions, size_t count,
		void (*visit_free)(void *context, uint64_t start, uint64_t end), void *context,
		struct glibc_census *ret)
{
	_cleanup_free_ uint8_t *window = malloc(WINDOW_BYTES);
	_cleanup_free_ uint64_t *caches = calloc(CACHES_MAX, sizeof *caches);
	struct walk walk = {.memory = memory,
			    .regions = regions,
			    .region_count = count,
			    .visit_free = visit_free,
			    .context = context,
			    .census = ret,
			    .caches = caches,
			    .window = window};
	*ret = (struct glibc_census){0};
	return window && caches && walk_all(&walk);
}

uint64_t glibc_walk_mapped(const uint64_t header[2], uint64_t start, uint64_t end)
{
	uint64_t bytes = header[1] & ~(uint64_t)FLAGS;
	bool fits = header[1] & IS_MMAPPED && bytes % PAGE_BYTES == 0 && bytes &&
		    header[0] % CHUNK_ALIGN == 0 && header[0] < bytes;
	return fits && bytes <= end - start ? bytes : 0;
}
