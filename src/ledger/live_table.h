/* SPDX-License-Identifier: MIT */
/*
 * The live blocks of one address space: start address -> size, site, birth, creating thread.
 *
 * Owns: the memory of its blocks. Does not: count anything but its blocks.
 * Called by: the other files of this folder, from the ledger's thread.
 *
 * Blocks lie in a store in the order in which they came; an array of buckets finds them. A block
 * stands in the first bucket from its home on that had room. Each bucket counts the blocks that
 * passed it (live_bucket.h), so a search ends at the first bucket that nobody passed, a removal
 * moves nothing, and neither guesses a branch: which of six slots it is comes out of the tags by
 * arithmetic. A block that finds no room within LIVE_TABLE_PROBES buckets, which does not happen by
 * chance, is kept in the rest.
 *
 * Growth of the array is in place. A home is monotone in the hash (home = hash * capacity / 2^64),
 * so in the lengthened array no home lies before the old one, and homes can move one at a time from
 * the top down: those below `border` still count by the old capacity. Growth costs a few buckets a
 * put, never a pause, and the blocks themselves never move. Arrays double and large stores
 * grow by a sixteenth: at most 40 bytes a block.
 *
 * Equations:
 *     count          = used slots of all buckets = places of the store that are taken
 *     an id stands in one slot only; rest.by_hash.count more blocks stand in the rest
 *     capacity      <= buckets of memory, border <= old_capacity <= capacity
 *     home of a hash = its home by old_capacity where that is below border, else that by capacity
 *     generation bit = table.generation ? the block's home is by capacity : by old_capacity
 *     passing of bucket b = blocks of the array with home <= b that stand after b
 *     0 <= b - home < LIVE_TABLE_PROBES for every block that stands in bucket b
 */
#ifndef LEDGER_LIVE_TABLE_H
#define LEDGER_LIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ledger/live_block.h"
#include "ledger/live_bucket.h"
#include "ledger/live_memory.h"
#include "ledger/live_rest.h"
#include "ledger/live_store.h"

/*
 * At the filling allowed a stretch of so many full buckets is less likely than 1e-15, even where
 * each region is full of blocks of 8 bytes.
 */
enum { LIVE_TABLE_PROBES = 512 };

struct live_table {
	struct live_bucket *buckets; /* what memory holds */
	size_t capacity;	     /* homes; the buckets after them are spare */
	size_t old_capacity;	     /* before the growth under way */
	size_t border;		     /* 0: no growth under way */
	size_t count;
	unsigned generation; /* 0 and 1 in turns, another with each growth */
	uint64_t seed; /* unknown to the target, so that it cannot choose colliding addresses */
	struct live_store store;
	struct live_rest rest;
	struct live_memory memory;
};

void live_table_init(struct live_table *table, uint64_t seed);
void live_table_deinit(struct live_table *table);

/* Copies the block that starts at address to *ret; false when there is none. */
bool live_table_find(const struct live_table *table, uint64_t address, struct live_block *ret);

/*
 * Puts a block (size_bytes <= LIVE_BLOCK_SIZE_MAX). Where one stood at its address, that one is
 * copied to *old_ret and replaced. Errors: no memory; the blocks are then as before.
 */
struct error *live_table_put(struct live_table *table, const struct live_block *block,
			     struct live_block *old_ret, bool *stood_ret);

/* Removes the block at address into *ret; false when there is none. */
bool live_table_take(struct live_table *table, uint64_t address, struct live_block *ret);

/*
 * Fetches the cache lines in which these (at most LIVE_TABLE_AHEAD) addresses stand or would stand.
 */
enum { LIVE_TABLE_AHEAD = 16 };
void live_table_prefetch(const struct live_table *table, const uint64_t *addresses, size_t count);

/*
 * Copies the first block at or after *cursor, which moves past it, to *ret; false at the end. Start
 * with 0. The table must not change between calls. Blocks come as they lie in memory, roughly in
 * the order in which they were made.
 */
bool live_table_next(const struct live_table *table, size_t *cursor, struct live_block *ret);

/* Bytes held, those of a growing table that were not used yet included. */
uint64_t live_table_memory_bytes(const struct live_table *table);

/* Verifies the equations above. For tests. */
struct error *live_table_check(const struct live_table *table);

/*
 * The hash that gives an address its home and tag: another one for every other address. Those of a
 * region of LIVE_REGION_BYTES, which many programs create and release one after the other, differ
 * in their lowest bits alone: they have one home, and are in the processor's caches together.
 */
enum { LIVE_REGION_BYTES = 128 };

static inline uint64_t live_table_hash(uint64_t seed, uint64_t address)
{
	const uint64_t inside = LIVE_REGION_BYTES - 1;
	uint64_t hash = ((address ^ seed) & ~inside) * 0x9e3779b97f4a7c15u;
	return (hash ^ (hash >> 32 & ~inside)) * 0xd6e8feb86659fd93u | (address & inside);
}

/* The home of a hash among `capacity` ones: monotone in the hash. */
static inline size_t live_table_home(uint64_t hash, size_t capacity)
{
	return (size_t)(((unsigned __int128)hash * capacity) >> 64);
}

#endif
