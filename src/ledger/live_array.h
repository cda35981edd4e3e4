/* SPDX-License-Identifier: MIT */
/*
 * The array of buckets inside a live table: where a block belongs, stands, comes and goes.
 *
 * Owns: the search and the `passing` counts. Does not: grow the array or know the rest.
 * Called by: live_table.c and live_growth.c, from the ledger's thread. Inline, because these are
 * what an event costs.
 */
#ifndef LEDGER_LIVE_ARRAY_H
#define LEDGER_LIVE_ARRAY_H

#include "ledger/live_table.h"

/* Where a block of some hash is looked for. */
struct live_home {
	size_t bucket;
	unsigned generation;
};

enum { LIVE_NO_SLOT = LIVE_BUCKET_BLOCKS };

/* Where a block stands. */
struct live_spot {
	size_t bucket;
	unsigned slot;
};

static inline size_t live_array_buckets(const struct live_table *table)
{
	return table->memory.bytes / sizeof *table->buckets;
}

static inline uint8_t live_array_tag(uint64_t hash)
{
	/* Of the place in the region what alignment leaves, and of the region. */
	uint8_t tag = (uint8_t)(hash >> 4);
	return tag ? tag : 1;
}

/* The table has buckets. */
static inline struct live_home live_array_home(const struct live_table *table, uint64_t hash)
{
	size_t bucket = live_table_home(hash, table->capacity);
	if (__builtin_expect(table->border == 0, 1))
		return (struct live_home){bucket, table->generation};
	size_t old_bucket = live_table_home(hash, table->old_capacity);
	bool is_old = old_bucket < table->border;
	return (struct live_home){is_old ? old_bucket : bucket, table->generation ^ is_old};
}

static inline struct packed_block *live_array_block(const struct live_table *table,
						    struct live_spot spot)
{
	return &table->store.blocks[table->buckets[spot.bucket].ids[spot.slot]];
}

/* Where the block of this address stands, whose hash and home are given; slot NO_SLOT: nowhere. */
static inline struct live_spot live_array_find(const struct live_table *table, uint64_t address,
					       uint64_t hash, size_t home)
{
	uint8_t tag = live_array_tag(hash);
	for (size_t i = home;; i++) {
		const struct live_bucket *bucket = &table->buckets[i];
		uint64_t match = head_match(bucket->head, tag);
		for (; match; match &= match - 1) {
			unsigned slot = head_slot(match);
			if (packed_block_address(&table->store.blocks[bucket->ids[slot]]) ==
			    address)
				return (struct live_spot){i, slot};
		}
		if (__builtin_expect(head_passing(bucket->head) == 0, 1))
			return (struct live_spot){i, LIVE_NO_SLOT};
	}
}

/* Lets a slot point to a block that is not there yet; false: there is none within reach. */
static inline bool live_array_place(struct live_table *table, struct live_home home, uint64_t hash,
				    uint32_t id)
{
	size_t end = live_array_buckets(table);
	if (end - home.bucket > LIVE_TABLE_PROBES)
		end = home.bucket + LIVE_TABLE_PROBES;
	size_t i = home.bucket;
	uint64_t free_slots;
	while (!(free_slots = head_free(table->buckets[i].head)))
		if (head_passing(table->buckets[i].head) == HEAD_PASSING_MAX || ++i == end)
			return false;
	for (size_t passed = home.bucket; passed < i; passed++)
		table->buckets[passed].head += UINT64_C(1) << HEAD_PASSING_SHIFT;
	struct live_bucket *bucket = &table->buckets[i];
	unsigned slot = head_slot(free_slots);
	bucket->head = head_with(bucket->head, slot, live_array_tag(hash), home.generation);
	bucket->ids[slot] = id;
	table->count++;
	return true;
}

/* gcc takes a function of nothing but prefetches for one without effect and drops its calls. */
static inline void live_array_fetch(const void *start)
{
	__asm__ volatile("" : : "r"(start));
	__builtin_prefetch(start, 1);
}

static inline void live_array_prefetch(const struct live_table *table, size_t bucket)
{
	live_array_fetch(&table->buckets[bucket]);
}

static inline void live_array_fetch_slots(const struct live_table *table, size_t bucket,
					  uint64_t match)
{
	for (; match; match &= match - 1)
		live_array_fetch(
			&table->store.blocks[table->buckets[bucket].ids[head_slot(match)]]);
}

/* Fetches the blocks of a home whose tags are this one, which stand there or soon after. */
static inline void live_array_prefetch_tagged(const struct live_table *table, size_t home,
					      uint8_t tag)
{
	enum { BUCKETS_MOST = 4 };
	for (size_t i = home; i < home + BUCKETS_MOST; i++) {
		uint64_t head = table->buckets[i].head;
		uint64_t match = head_match(head, tag);
		live_array_fetch_slots(table, i, match);
		if (match || head_passing(head) == 0)
			return;
	}
}

/* Fetches all blocks of a bucket. */
static inline void live_array_prefetch_bucket(const struct live_table *table, size_t bucket)
{
	const uint64_t all = 0x808080808080;
	live_array_fetch_slots(table, bucket, head_free(table->buckets[bucket].head) ^ all);
}

/* Takes the slot away whose home is given; the block's place in the store is the caller's. */
static inline void live_array_erase(struct live_table *table, size_t home, struct live_spot spot)
{
	for (size_t passed = home; passed < spot.bucket; passed++)
		table->buckets[passed].head -= UINT64_C(1) << HEAD_PASSING_SHIFT;
	struct live_bucket *bucket = &table->buckets[spot.bucket];
	bucket->head = head_with(bucket->head, spot.slot, 0, 0);
	table->count--;
}

#endif
