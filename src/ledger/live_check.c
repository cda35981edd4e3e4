/* SPDX-License-Identifier: MIT */
#include "ledger/live_table.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "ledger/live_array.h"

/*
 * One block of the array against the equations; counts it as passing where it passed. As a
 * difference from bucket to bucket, so that a long way costs no more than a short one.
 */
static struct error *check_block(const struct live_table *table, struct live_spot spot,
				 int64_t *passing_steps)
{
	uint64_t head = table->buckets[spot.bucket].head;
	uint64_t address = packed_block_address(live_array_block(table, spot));
	uint64_t hash = live_table_hash(table->seed, address);
	struct live_home home = live_array_home(table, hash);
	struct live_spot found = live_array_find(table, address, hash, home.bucket);
	if (home.bucket > spot.bucket || spot.bucket - home.bucket >= LIVE_TABLE_PROBES ||
	    home.generation != head_generation(head, spot.slot) || found.bucket != spot.bucket ||
	    found.slot != spot.slot)
		return error_new(ERROR_BAD_INPUT,
				 "live table: block 0x%llx in bucket %zu is "
				 "not where it is looked for",
				 (unsigned long long)address, spot.bucket);
	passing_steps[home.bucket]++;
	passing_steps[spot.bucket]--;
	return NULL;
}

static struct error *check_passing(const struct live_table *table, const int64_t *passing_steps)
{
	int64_t passing = 0;
	for (size_t i = 0; i < live_array_buckets(table); i++) {
		passing += passing_steps[i];
		if (head_passing(table->buckets[i].head) != passing)
			return error_new(ERROR_BAD_INPUT,
					 "live table: %lld blocks passed bucket %zu, %u counted",
					 (long long)passing, i,
					 head_passing(table->buckets[i].head));
	}
	return NULL;
}

static struct error *check_blocks(const struct live_table *table, int64_t *passing_steps)
{
	size_t used = 0;
	for (size_t i = 0; i < live_array_buckets(table); i++) {
		uint64_t head = table->buckets[i].head;
		for (unsigned slot = 0; slot < LIVE_BUCKET_BLOCKS; slot++) {
			if (!head_tag(head, slot))
				continue;
			used++;
			struct error *err =
				check_block(table, (struct live_spot){i, slot}, passing_steps);
			if (err)
				return err;
		}
	}
	if (used != table->count)
		return error_new(ERROR_BAD_INPUT, "live table: %zu blocks found, %zu counted", used,
				 table->count);
	return check_passing(table, passing_steps);
}

struct error *live_table_check(const struct live_table *table)
{
	size_t buckets = live_array_buckets(table);
	if (table->capacity > buckets || table->old_capacity > table->capacity ||
	    table->border > table->old_capacity)
		return error_new(ERROR_BAD_INPUT,
				 "live table: border %zu, capacity %zu, before %zu, buckets %zu",
				 table->border, table->capacity, table->old_capacity, buckets);
	if (live_store_count(&table->store) != table->count)
		return error_new(ERROR_BAD_INPUT, "live table: %zu places taken by %zu blocks",
				 live_store_count(&table->store), table->count);
	size_t cursor = 0, taken = 0;
	while (live_store_next(&table->store, &cursor))
		taken++;
	if (taken != table->count)
		return error_new(ERROR_BAD_INPUT,
				 "live table: %zu places say that they are taken, "
				 "by %zu blocks",
				 taken, table->count);
	_cleanup_free_ int64_t *passing_steps = calloc(buckets + 1, sizeof *passing_steps);
	return passing_steps ? check_blocks(table, passing_steps) : error_no_memory();
}
