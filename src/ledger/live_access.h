/* SPDX-License-Identifier: MIT */
/*
 * Putting a block into a live table and taking it out, as a part of what is compiled here: so that
 * a block need not be written down to be handed over.
 *
 * Owns: nothing. Called by: live_table.c and ledger.c, from the ledger's thread. See live_table.h
 * for the contracts of live_table_put and live_table_take, which are these.
 */
#ifndef LEDGER_LIVE_ACCESS_H
#define LEDGER_LIVE_ACCESS_H

#include "ledger/live_array.h"
#include "ledger/live_growth.h"

/* The same where the block stands already, or cannot stand in the array. */
struct error *live_table_put_unusual(struct live_table *table, const struct live_block *block,
				     struct live_block *old_ret, bool *stood_ret);

/* The same of blocks that do not stand in the array. */
bool live_table_take_unusual(struct live_table *table, uint64_t address, struct live_block *ret);

/* Takes the slot and the place of a block away, whose home is given. */
static inline void live_array_remove(struct live_table *table, size_t home, struct live_spot spot)
{
	uint32_t id = table->buckets[spot.bucket].ids[spot.slot];
	live_array_erase(table, home, spot);
	live_store_give(&table->store, id);
}

/* Before each put: whatever has to grow grows. Errors: no memory; the blocks are as before. */
static inline struct error *live_access_prepare(struct live_table *table)
{
	struct error *err = NULL;
	if (__builtin_expect(live_growth_is_due(table), 0))
		err = live_growth_step(table);
	if (!err && __builtin_expect(live_store_is_full(&table->store), 0))
		err = live_store_grow(&table->store);
	return err;
}

/* Puts a usual block that does not stand yet; false: it is none, and nothing was changed. */
static inline __attribute__((always_inline)) bool live_access_add(struct live_table *table,
								  const struct live_block *block)
{
	uint64_t hash = live_table_hash(table->seed, block->address);
	struct live_home home = live_array_home(table, hash);
	if (!live_block_fits(block) || live_rest_find(&table->rest, hash) ||
	    live_array_find(table, block->address, hash, home.bucket).slot != LIVE_NO_SLOT)
		return false;
	uint32_t id = live_store_take(&table->store);
	if (__builtin_expect(!live_array_place(table, home, hash, id), 0)) {
		live_store_give(&table->store, id);
		return false;
	}
	live_block_pack(block, &table->store.blocks[id]);
	return true;
}

static inline struct error *live_access_put(struct live_table *table,
					    const struct live_block *block,
					    struct live_block *old_ret, bool *stood_ret)
{
	struct error *err = live_access_prepare(table);
	*stood_ret = false;
	if (err || __builtin_expect(live_access_add(table, block), 1))
		return err;
	/* Copies, here and below: what is pointed to by others cannot stay in registers. */
	struct live_block copy = *block;
	return live_table_put_unusual(table, &copy, old_ret, stood_ret);
}

static inline __attribute__((always_inline)) bool
live_access_take(struct live_table *table, uint64_t address, struct live_block *ret)
{
	if (!table->buckets)
		return false;
	uint64_t hash = live_table_hash(table->seed, address);
	struct live_home home = live_array_home(table, hash);
	struct live_spot spot = live_array_find(table, address, hash, home.bucket);
	if (__builtin_expect(spot.slot == LIVE_NO_SLOT, 0)) {
		struct live_block apart;
		bool stood = live_table_take_unusual(table, address, &apart);
		if (stood)
			*ret = apart;
		return stood;
	}
	*ret = live_block_unpack(live_array_block(table, spot));
	live_array_remove(table, home.bucket, spot);
	return true;
}

#endif
