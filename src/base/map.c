/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <stdlib.h>

static size_t map_slot(const struct map *map, uint64_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15u;
	return (size_t)(hash ^ hash >> 32) & (map->capacity - 1);
}

static struct map_entry *map_find(const struct map *map, uint64_t key)
{
	size_t slot = map_slot(map, key);
	while (map->entries[slot].value && map->entries[slot].key != key)
		slot = (slot + 1) & (map->capacity - 1);
	return &map->entries[slot];
}

static bool map_grow(struct map *map)
{
	struct map old = *map;
	size_t capacity = old.capacity ? old.capacity * 2 : 16;
	struct map_entry *entries = calloc(capacity, sizeof *entries);
	if (!entries)
		return false;
	map->entries = entries;
	map->capacity = capacity;
	for (size_t i = 0; i < old.capacity; i++)
		if (old.entries[i].value)
			*map_find(map, old.entries[i].key) = old.entries[i];
	free(old.entries);
	return true;
}

void map_deinit(struct map *map)
{
	free(map->entries);
	*map = (struct map){0};
}

void *map_get(const struct map *map, uint64_t key)
{
	return map->count ? map_find(map, key)->value : NULL;
}

bool map_put(struct map *map, uint64_t key, void *value)
{
	if ((map->count + 1) * 4 > map->capacity * 3 && !map_grow(map))
		return false;
	struct map_entry *entry = map_find(map, key);
	if (!entry->value)
		map->count++;
	*entry = (struct map_entry){key, value};
	return true;
}

void *map_remove(struct map *map, uint64_t key)
{
	if (!map->count)
		return NULL;
	struct map_entry *entry = map_find(map, key);
	void *value = entry->value;
	if (!value)
		return NULL;
	map->count--;
	/* Backward-shift deletion keeps every probe sequence unbroken without tombstones. */
	size_t mask = map->capacity - 1;
	size_t hole = (size_t)(entry - map->entries);
	for (size_t next = (hole + 1) & mask; map->entries[next].value; next = (next + 1) & mask) {
		size_t home = map_slot(map, map->entries[next].key);
		if (((next - home) & mask) >= ((next - hole) & mask)) {
			map->entries[hole] = map->entries[next];
			hole = next;
		}
	}
	map->entries[hole].value = NULL;
	return value;
}

struct map_entry *map_next(const struct map *map, size_t *cursor)
{
	while (*cursor < map->capacity) {
		struct map_entry *entry = &map->entries[(*cursor)++];
		if (entry->value)
			return entry;
	}
	return NULL;
}
