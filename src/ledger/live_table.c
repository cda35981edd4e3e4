/* SPDX-License-Identifier: MIT */
#include "ledger/live_table.h"

#include "ledger/live_access.h"

void live_table_init(struct live_table *table, uint64_t seed)
{
	*table = (struct live_table){.seed = seed};
	live_store_init(&table->store);
}

void live_table_deinit(struct live_table *table)
{
	live_memory_free(&table->memory);
	live_store_deinit(&table->store);
	live_rest_deinit(&table->rest);
	*table = (struct live_table){0};
}

bool live_table_find(const struct live_table *table, uint64_t address, struct live_block *ret)
{
	if (!table->buckets)
		return false;
	uint64_t hash = live_table_hash(table->seed, address);
	const struct live_block *apart = live_rest_find(&table->rest, hash);
	if (apart) {
		*ret = *apart;
		return true;
	}
	struct live_home home = live_array_home(table, hash);
	struct live_spot spot = live_array_find(table, address, hash, home.bucket);
	if (spot.slot == LIVE_NO_SLOT)
		return false;
	*ret = live_block_unpack(live_array_block(table, spot));
	return true;
}

/* Another block in the place of one in the array. */
static struct error *replace(struct live_table *table, size_t home, uint64_t hash,
			     struct live_spot spot, const struct live_block *block)
{
	if (live_block_fits(block)) {
		live_block_pack(block, live_array_block(table, spot));
		return NULL;
	}
	struct error *err = live_rest_put(&table->rest, hash, block);
	if (!err)
		live_array_remove(table, home, spot);
	return err;
}

struct error *live_table_put_unusual(struct live_table *table, const struct live_block *block,
				     struct live_block *old_ret, bool *stood_ret)
{
	uint64_t hash = live_table_hash(table->seed, block->address);
	struct live_block *apart = live_rest_find(&table->rest, hash);
	*stood_ret = apart != NULL;
	if (apart) {
		*old_ret = *apart;
		*apart = *block;
		return NULL;
	}
	struct live_home home = live_array_home(table, hash);
	struct live_spot spot = live_array_find(table, block->address, hash, home.bucket);
	if (spot.slot == LIVE_NO_SLOT)
		return live_rest_put(&table->rest, hash, block);
	*stood_ret = true;
	*old_ret = live_block_unpack(live_array_block(table, spot));
	return replace(table, home.bucket, hash, spot, block);
}

struct error *live_table_put(struct live_table *table, const struct live_block *block,
			     struct live_block *old_ret, bool *stood_ret)
{
	return live_access_put(table, block, old_ret, stood_ret);
}

bool live_table_take(struct live_table *table, uint64_t address, struct live_block *ret)
{
	return live_access_take(table, address, ret);
}

bool live_table_take_unusual(struct live_table *table, uint64_t address, struct live_block *ret)
{
	uint64_t hash = live_table_hash(table->seed, address);
	const struct live_block *apart = live_rest_find(&table->rest, hash);
	if (!apart)
		return false;
	*ret = *apart;
	live_rest_remove(&table->rest, hash);
	return true;
}

enum { SMALL_TABLE_BYTES = 1 << 20 };

void live_table_prefetch(const struct live_table *table, const uint64_t *addresses, size_t count)
{
	uint64_t hashes[LIVE_TABLE_AHEAD];
	/* What is in the processor's caches anyhow costs more to fetch than to wait for. */
	if (table->memory.bytes + table->store.memory.bytes < SMALL_TABLE_BYTES)
		return;
	for (size_t i = 0; i < count && i < LIVE_TABLE_AHEAD; i++) {
		hashes[i] = live_table_hash(table->seed, addresses[i]);
		live_array_prefetch(table, live_array_home(table, hashes[i]).bucket);
	}
	/* The first of these has arrived when the last has been asked for. */
	for (size_t i = 0; i < count && i < LIVE_TABLE_AHEAD; i++)
		live_array_prefetch_tagged(table, live_array_home(table, hashes[i]).bucket,
					   live_array_tag(hashes[i]));
}

bool live_table_next(const struct live_table *table, size_t *cursor, struct live_block *ret)
{
	const struct packed_block *block = live_store_next(&table->store, cursor);
	if (block) {
		*ret = live_block_unpack(block);
		return true;
	}
	size_t in_rest = *cursor - table->store.used;
	const struct live_block *apart = live_rest_next(&table->rest, &in_rest);
	*cursor = table->store.used + in_rest;
	if (apart)
		*ret = *apart;
	return apart != NULL;
}

uint64_t live_table_memory_bytes(const struct live_table *table)
{
	return table->memory.bytes + table->store.memory.bytes +
	       live_rest_memory_bytes(&table->rest);
}
