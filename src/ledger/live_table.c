/* SPDX-License-Identifier: MIT */
#include "ledger/live_table.h"

#include "ledger/live_array.h"
#include "ledger/live_growth.h"

void live_table_init(struct live_table *table, uint64_t seed)
{
	*table = (struct live_table){.seed = seed};
}

void live_table_deinit(struct live_table *table)
{
	live_memory_free(&table->memory);
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

static bool place(struct live_table *table, struct live_home home, uint64_t hash,
		  const struct live_block *block)
{
	struct packed_block *slot =
		live_block_fits(block) ? live_array_place(table, home, hash) : NULL;
	if (slot)
		live_block_pack(block, slot);
	return slot != NULL;
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
		live_array_erase(table, home, spot);
	return err;
}

struct error *live_table_put(struct live_table *table, const struct live_block *block,
			     struct live_block *old_ret, bool *stood_ret)
{
	struct error *err = live_growth_is_due(table) ? live_growth_step(table) : NULL;
	if (err)
		return err;
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
	if (spot.slot != LIVE_NO_SLOT) {
		*stood_ret = true;
		*old_ret = live_block_unpack(live_array_block(table, spot));
		return replace(table, home.bucket, hash, spot, block);
	}
	if (place(table, home, hash, block))
		return NULL;
	return live_rest_put(&table->rest, hash, block);
}

bool live_table_take(struct live_table *table, uint64_t address, struct live_block *ret)
{
	if (!table->buckets)
		return false;
	uint64_t hash = live_table_hash(table->seed, address);
	struct live_home home = live_array_home(table, hash);
	struct live_spot spot = live_array_find(table, address, hash, home.bucket);
	if (spot.slot != LIVE_NO_SLOT) {
		*ret = live_block_unpack(live_array_block(table, spot));
		live_array_erase(table, home.bucket, spot);
		return true;
	}
	const struct live_block *apart = live_rest_find(&table->rest, hash);
	if (!apart)
		return false;
	*ret = *apart;
	live_rest_remove(&table->rest, hash);
	return true;
}

enum { SMALL_TABLE_BYTES = 512 << 10 };

void live_table_prefetch(const struct live_table *table, uint64_t address)
{
	/* What is in the processor's caches anyhow costs more to fetch than to wait for. */
	if (live_array_buckets(table) * sizeof(struct live_bucket) < SMALL_TABLE_BYTES)
		return;
	uint64_t hash = live_table_hash(table->seed, address);
	live_array_prefetch(table, live_array_home(table, hash).bucket);
}

bool live_table_next(const struct live_table *table, size_t *cursor, struct live_block *ret)
{
	size_t slots = live_array_buckets(table) * LIVE_BUCKET_BLOCKS;
	while (*cursor < slots) {
		struct live_spot spot = {*cursor / LIVE_BUCKET_BLOCKS,
					 (unsigned)(*cursor % LIVE_BUCKET_BLOCKS)};
		++*cursor;
		if (!head_tag(table->buckets[spot.bucket].head, spot.slot))
			continue;
		*ret = live_block_unpack(live_array_block(table, spot));
		return true;
	}
	size_t in_rest = *cursor - slots;
	const struct live_block *apart = live_rest_next(&table->rest, &in_rest);
	*cursor = slots + in_rest;
	if (apart)
		*ret = *apart;
	return apart != NULL;
}

uint64_t live_table_memory_bytes(const struct live_table *table)
{
	return table->memory.bytes + live_rest_memory_bytes(&table->rest);
}
