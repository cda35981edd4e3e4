/* SPDX-License-Identifier: MIT */
/*
 * The store: packed blocks one behind the other, in the order in which they came.
 *
 * Owns: their memory, and which places are free. Does not: find a block by its address.
 * Called by: the other files of this folder, from the ledger's thread.
 *
 * A place that was given back is the next one taken, so what is created and released in turns stays
 * in the processor's caches, and blocks made one after the other lie side by side.
 *
 * Equations:
 *     used <= bytes of memory / sizeof(struct packed_block), used <= LIVE_STORE_NONE
 *     the places below used are those taken and those on the list that begins at `free`
 *     a place on the list holds in `where` the number of the next, LIVE_STORE_NONE in the last,
 *     with PACKED_FREE, which no other place has
 */
#ifndef LEDGER_LIVE_STORE_H
#define LEDGER_LIVE_STORE_H

#include "base/error.h"
#include "ledger/live_block.h"
#include "ledger/live_memory.h"

#define LIVE_STORE_NONE UINT32_MAX

struct live_store {
	struct packed_block *blocks; /* what memory holds; moves when it grows */
	uint32_t used;
	uint32_t free;
	struct live_memory memory;
};

void live_store_init(struct live_store *store);
void live_store_deinit(struct live_store *store);

/* Makes room for one more where there is none. Errors: no memory, or no more numbers. */
struct error *live_store_grow(struct live_store *store);

static inline bool live_store_is_full(const struct live_store *store)
{
	return store->free == LIVE_STORE_NONE &&
	       store->used == store->memory.bytes / sizeof *store->blocks;
}

/* Takes a place; the caller fills it in at once. The store is not full. */
static inline uint32_t live_store_take(struct live_store *store)
{
	uint32_t id = store->free;
	if (id == LIVE_STORE_NONE)
		return store->used++;
	store->free = (uint32_t)store->blocks[id].where;
	/* What was given back long ago, all of a large structure perhaps, is in no cache. */
	__builtin_prefetch(&store->blocks[store->free == LIVE_STORE_NONE ? id : store->free], 1);
	return id;
}

/* Gives a place back. */
static inline void live_store_give(struct live_store *store, uint32_t id)
{
	store->blocks[id].where = store->free | PACKED_FREE;
	store->free = id;
}

/* The first place at or after *cursor that is taken, which moves past it; NULL at the end. */
static inline const struct packed_block *live_store_next(const struct live_store *store,
							 size_t *cursor)
{
	while (*cursor < store->used) {
		const struct packed_block *block = &store->blocks[(*cursor)++];
		if (!(block->where & PACKED_FREE))
			return block;
	}
	return NULL;
}

/* Number of places taken. O(places given back). For tests. */
size_t live_store_count(const struct live_store *store);

#endif
