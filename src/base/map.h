/* SPDX-License-Identifier: MIT */
/*
 * A small open-addressing map from uint64_t to a pointer, for tables of objects (threads, probe
 * sites, modules). Not for live blocks: ledger has its own table, made for scale.
 *
 * Keys are unique; a value is never NULL. Invariant: count <= capacity * 3/4, capacity 0 or 2^n.
 * Not thread-safe.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	uint64_t key;
	void *value; /* NULL: the entry is free */
};

struct map {
	struct map_entry *entries;
	size_t count;
	size_t capacity;
};

void map_deinit(struct map *map);

/* The value of key, or NULL. */
void *map_get(const struct map *map, uint64_t key);

/* Sets key to value (not NULL), replacing. False without memory. */
bool map_put(struct map *map, uint64_t key, void *value);

/* Removes key and returns its value, NULL if there was none. */
void *map_remove(struct map *map, uint64_t key);

/*
 * The first used entry at or after *cursor, which moves past it; NULL at the end. Start with 0.
 * The map must not change between calls.
 */
struct map_entry *map_next(const struct map *map, size_t *cursor);

#endif
