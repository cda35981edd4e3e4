/* SPDX-License-Identifier: MIT */
#include "ledger/live_growth.h"

#include "ledger/live_array.h"

enum {
	BYTES_SMALLEST = 4096,
	/*
	 * Homes moved a put. An array that doubles is through after capacity / 4 puts, before the
	 * homes that move last have become crowded.
	 */
	MOVE_STEP = 4,
	LIVE_BUCKETS_A_LINE = 2,
	/* Blocks of one home: they stand within so many buckets. */
	MOVERS_MOST = LIVE_TABLE_PROBES * LIVE_BUCKET_BLOCKS,
};

/* The blocks of one home that are about to move, and the range of their new homes. */
struct movers {
	size_t home;
	size_t first_home;
	size_t last_home;
	size_t count;
	struct mover {
		struct live_spot spot;
		uint64_t hash;
	} items[MOVERS_MOST];
};

static void add(struct movers *movers, struct live_spot spot, uint64_t hash, size_t new_home)
{
	if (movers->count == 0 || new_home < movers->first_home)
		movers->first_home = new_home;
	if (movers->count == 0 || new_home > movers->last_home)
		movers->last_home = new_home;
	movers->items[movers->count++] = (struct mover){spot, hash};
}

/* Adds the movers in bucket i; the number of blocks there whose homes are before theirs. */
static size_t collect_bucket(const struct live_table *table, size_t i, struct movers *movers)
{
	size_t earlier = 0;
	uint64_t head = table->buckets[i].head;
	for (unsigned slot = 0; slot < LIVE_BUCKET_BLOCKS; slot++) {
		struct live_spot spot = {i, slot};
		if (!head_tag(head, slot) || head_generation(head, slot) == table->generation)
			continue;
		uint64_t hash = live_table_hash(
			table->seed, packed_block_address(live_array_block(table, spot)));
		size_t home = live_table_home(hash, table->old_capacity);
		if (home == movers->home)
			add(movers, spot, hash, live_table_home(hash, table->capacity));
		earlier += home < movers->home;
	}
	return earlier;
}

/*
 * Finds all blocks of the topmost home that counts by the old capacity. How many stand after it
 * follows from what passed it and its neighbour, so that the search need not go on to the end of a
 * crowded stretch.
 */
static void collect(const struct live_table *table, struct movers *movers)
{
	movers->count = 0;
	movers->home = table->border - 1;
	size_t earlier = collect_bucket(table, movers->home, movers);
	size_t passing = head_passing(table->buckets[movers->home].head);
	size_t arrived = movers->home ? head_passing(table->buckets[movers->home - 1].head) : 0;
	size_t total = movers->count + passing + earlier - arrived;
	for (size_t i = movers->home + 1; movers->count < total; i++)
		collect_bucket(table, i, movers);
}

/* Is there room for all movers where each of them may go, however many of them pass others? */
static bool has_room(const struct live_table *table, const struct movers *movers)
{
	size_t end = live_array_buckets(table);
	if (end - movers->first_home > LIVE_TABLE_PROBES)
		end = movers->first_home + LIVE_TABLE_PROBES;
	size_t room = 0;
	for (size_t i = movers->first_home; i < end && room < movers->count; i++) {
		uint64_t head = table->buckets[i].head;
		if (head_passing(head) + movers->count > HEAD_PASSING_MAX)
			return false;
		room += i < movers->last_home ? 0 : head_count(head_free(head));
	}
	return room >= movers->count;
}

/* Copies all movers into the rest, or none. Their places in the store stay. */
static struct error *copy_to_rest(struct live_table *table, const struct movers *movers)
{
	for (size_t i = 0; i < movers->count; i++) {
		const struct mover *mover = &movers->items[i];
		struct live_block block = live_block_unpack(live_array_block(table, mover->spot));
		struct error *err = live_rest_put(&table->rest, mover->hash, &block);
		if (!err)
			continue;
		while (i-- > 0)
			live_rest_remove(&table->rest, movers->items[i].hash);
		return err;
	}
	return NULL;
}

/* Moves the topmost home that still counts by the old capacity. */
static struct error *move_home(struct live_table *table)
{
	struct movers movers;
	collect(table, &movers);
	bool stay = has_room(table, &movers);
	struct error *err = stay ? NULL : copy_to_rest(table, &movers);
	if (err)
		return err;
	for (size_t i = 0; i < movers.count; i++) {
		const struct mover *mover = &movers.items[i];
		uint32_t id = table->buckets[mover->spot.bucket].ids[mover->spot.slot];
		struct live_home to = {live_table_home(mover->hash, table->capacity),
				       table->generation};
		live_array_erase(table, movers.home, mover->spot);
		if (!stay || !live_array_place(table, to, mover->hash, id))
			live_store_give(&table->store, id);
	}
	table->border--;
	return NULL;
}

/*
 * The homes that move at the next steps, where they move to, and the blocks whose hashes that will
 * need: all but the blocks lie in order.
 */
static void fetch_next(const struct live_table *table)
{
	size_t first = table->border > 2 * MOVE_STEP ? table->border - 2 * MOVE_STEP : 0;
	size_t shift = table->capacity - table->old_capacity;
	size_t to = first + (size_t)((unsigned __int128)first * shift / table->old_capacity);
	for (size_t i = 0; i < MOVE_STEP; i += LIVE_BUCKETS_A_LINE) {
		live_array_prefetch(table, first + i);
		live_array_prefetch(table, to + i);
	}
	for (size_t i = first + MOVE_STEP; i < table->border; i++)
		live_array_prefetch_bucket(table, i);
}

static struct error *begin(struct live_table *table)
{
	struct error *err = live_memory_grow(
		&table->memory, table->memory.bytes ? table->memory.bytes * 2 : BYTES_SMALLEST);
	if (err)
		return err;
	table->buckets = table->memory.start;
	size_t buckets = live_array_buckets(table);
	size_t spare = buckets / 4 < LIVE_TABLE_PROBES ? buckets / 4 : LIVE_TABLE_PROBES;
	table->old_capacity = table->capacity;
	table->border = table->capacity;
	table->capacity = buckets - spare;
	table->generation ^= 1;
	return NULL;
}

struct error *live_growth_step(struct live_table *table)
{
	if (table->border == 0)
		return live_growth_is_due(table) ? begin(table) : NULL;
	struct error *err = NULL;
	for (int i = 0; i < MOVE_STEP && table->border && !err; i++)
		err = move_home(table);
	if (table->border)
		fetch_next(table);
	return err;
}
