/* SPDX-License-Identifier: MIT */
/*
 * The live blocks of one address space: start address -> size, site, birth, creating thread.
 *
 * Owns: the memory of its slots. Does not: count anything but its blocks.
 * Called by: the other files of this folder, from the ledger's thread.
 *
 * Linear probing in one array, where a block's home slot is monotone in its hash
 * (home = hash * capacity / 2^64) and nothing wraps round: a few spare slots follow the last home.
 * Because of that a larger array can be filled from the bottom up, cluster by cluster, while the
 * smaller one is given back to the system behind the border: growth costs a few slots per put,
 * never a pause, and the two arrays together are hardly larger than one. Large tables grow by an
 * eighth, so they are always well filled: at most 40 bytes a block.
 *
 * Equations:
 *     count         = used slots of now + used slots of old at or above drained
 *     count        <= now.limit <= now.capacity
 *     a block whose home in old is at or above drained stands in old, any other stands in now
 *     every slot between a block's home and the block is used
 *     old.blocks   == NULL ? drained == 0 : the slot before drained was empty when passed
 */
#ifndef LEDGER_LIVE_TABLE_H
#define LEDGER_LIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* No address space holds a larger block (47 bits of addresses, 56 where asked for). */
#define LIVE_BLOCK_SIZE_MAX ((UINT64_C(1) << 48) - 1)

/* 28 bytes: with the table's filling the limit of 40 bytes a block leaves no room for padding. */
struct live_block {
	uint64_t address; /* 0: the slot is empty */
	uint64_t born_ns;
	uint64_t size_bytes : 48;
	uint64_t thread : 16; /* slot of the creating thread, as issued by threads.h */
	uint32_t site;
} __attribute__((packed, aligned(4)));

struct live_slots {
	struct live_block *blocks; /* NULL: no array */
	size_t capacity;	   /* homes; the spare slots come on top */
	size_t limit;		   /* blocks at which a larger array is begun */
	size_t mapped_bytes;	   /* 0: from the heap, not from mmap(2) */
};

struct live_table {
	struct live_slots now;
	struct live_slots old; /* the smaller array while its blocks move */
	size_t drained;	       /* slots of old below this have moved */
	size_t dropped_bytes;  /* bytes of old given back to the system */
	size_t count;
	uint64_t seed; /* unknown to the target, so that it cannot choose colliding addresses */
};

void live_table_init(struct live_table *table, uint64_t seed);
void live_table_deinit(struct live_table *table);

/* The block that starts at address (not 0), or NULL. Valid until the next change. */
const struct live_block *live_table_find(const struct live_table *table, uint64_t address);

/*
 * The slot for address (not 0). Where a block stands there, the slot holds it; else the slot has
 * this address, is counted, and the caller fills in the rest before the next call. *ret is valid
 * until the next change. Errors: no memory; the table is then as before.
 */
struct error *live_table_put(struct live_table *table, uint64_t address, struct live_block **ret,
			     bool *stood_ret);

/* Removes the block at address (not 0) into *ret; false when there is none. */
bool live_table_take(struct live_table *table, uint64_t address, struct live_block *ret);

/*
 * The first block at or after *cursor, which moves past it; NULL at the end. Start with 0. The
 * table must not change between calls.
 */
const struct live_block *live_table_next(const struct live_table *table, size_t *cursor);

/* Bytes held, counting of the two arrays of a growing table only what is in use. */
uint64_t live_table_memory_bytes(const struct live_table *table);

/* Verifies the equations above. For tests. */
struct error *live_table_check(const struct live_table *table);

/* The hash that gives an address its home; here for tests that need collisions. */
static inline uint64_t live_table_hash(uint64_t seed, uint64_t address)
{
	uint64_t hash = (address ^ seed) * 0x9e3779b97f4a7c15u;
	return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* The home slot of a hash in an array of capacity homes: monotone in the hash. */
static inline size_t live_table_home(uint64_t hash, size_t capacity)
{
	return (size_t)(((unsigned __int128)hash * capacity) >> 64);
}

#endif
