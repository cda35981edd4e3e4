/* SPDX-License-Identifier: MIT */
/*
 * The few live blocks of a space that its buckets cannot hold.
 *
 * Owns: copies of these blocks. Does not: decide which they are.
 * Called by: live_table.c, from the ledger's thread.
 *
 * Blocks are kept by a hash of their address that is different for different addresses (the
 * caller's, with a seed the target does not know), so a target cannot choose addresses that
 * collide.
 *
 * Equation: by_hash holds as many values as blocks were put and not removed, each of its own
 * memory.
 */
#ifndef LEDGER_LIVE_REST_H
#define LEDGER_LIVE_REST_H

#include "base/error.h"
#include "base/map.h"
#include "ledger/live_block.h"

struct live_rest {
	struct map by_hash;
};

void live_rest_deinit(struct live_rest *rest);

/* The block of this hash, or NULL. */
static inline struct live_block *live_rest_find(const struct live_rest *rest, uint64_t hash)
{
	return __builtin_expect(rest->by_hash.count != 0, 0) ? map_get(&rest->by_hash, hash) : NULL;
}

/* Keeps a copy of a block; none of this hash is there. Errors: no memory. */
struct error *live_rest_put(struct live_rest *rest, uint64_t hash, const struct live_block *block);

/* Removes the block of this hash, where there is one. */
void live_rest_remove(struct live_rest *rest, uint64_t hash);

/*
 * The first block at or after *cursor, which moves past it; NULL at the end. Start with 0. The rest
 * must not change between calls.
 */
const struct live_block *live_rest_next(const struct live_rest *rest, size_t *cursor);

uint64_t live_rest_memory_bytes(const struct live_rest *rest);

#endif
