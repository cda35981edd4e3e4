/* SPDX-License-Identifier: MIT */
#include "unwind/cache.h"

enum {
	WORD_BYTES = 8,
	UNIT_BYTES = 4,
	PLACE_BITS = 19, /* of a stamp */
	LAPS = 1 << (32 - PLACE_BITS),
	SET_SHIFT = 52,
	CHECK_SHIFT = 20,
	LEVELS_MAX = 12, /* sets that one stack is looked for in */
	BLOCK_ITEMS = 4, /* compared with one branch */
};
_Static_assert(UNWIND_CACHE_UNITS < 1 << PLACE_BITS, "a place fits, with one added");
_Static_assert(UNWIND_CACHE_SETS == 1 << (64 - SET_SHIFT), "the hash's upper bits are the set");

/* Packed, so that the comparison of a stack runs through as few cache lines as can be. */
struct item {
	uint32_t offset; /* words above sp */
	uint64_t word;
} __attribute__((packed, aligned(4), may_alias));

/* Invariant: count > 0 is a multiple of BLOCK_ITEMS; what lacks are copies of items[0]. */
struct entry {
	uint32_t extent; /* words from sp to the end of the highest that was read */
	uint16_t count;
	bool bp_matters;
	bool high_matters;
	uint64_t bp;
	uint64_t high;
	struct item items[];
} __attribute__((packed, aligned(4), may_alias));
_Static_assert(UNWIND_READS_MAX + BLOCK_ITEMS <= UINT16_MAX, "count fits");
_Static_assert(sizeof(struct entry) + UNWIND_READS_MAX * sizeof(struct item) <
		       UNWIND_CACHE_UNITS / 8 * UNIT_BYTES,
	       "one entry leaves others alone");

/* Odd numbers without a pattern: the upper bits of the sum depend on all bits of both. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
	return hash * UINT64_C(0x9e3779b97f4a7c15) + word * UINT64_C(0xd6e8feb86659fd93);
}

static uint32_t check_of(uint64_t hash)
{
	return (uint32_t)(hash >> CHECK_SHIFT);
}

static uint32_t place_of(uint32_t stamp)
{
	return (stamp - 1) & ((UINT32_C(1) << PLACE_BITS) - 1);
}

static const struct entry *entry_at(const struct unwind_cache *cache, uint32_t stamp)
{
	return (const struct entry *)&cache->units[place_of(stamp)];
}

static bool splits(const struct unwind_cache *cache, const struct unwind_cache_set *set,
		   uint64_t hash)
{
	return set->split.hash == hash && set->split.stamp > cache->oldest;
}

static bool matches(const struct entry *entry, const struct unwind_registers *registers,
		    const uint64_t *words, uint64_t bytes)
{
	if (entry->extent > bytes / WORD_BYTES)
		return false;
	if (entry->bp_matters && (registers->bp_lost || registers->bp != entry->bp))
		return false;
	if (entry->high_matters && entry->high != registers->sp + bytes)
		return false;
	const struct item *item = entry->items;
	const struct item *end = item + entry->count;
	do {
		uint64_t difference = words[item[0].offset] ^ item[0].word;
		difference |= words[item[1].offset] ^ item[1].word;
		difference |= words[item[2].offset] ^ item[2].word;
		difference |= words[item[3].offset] ^ item[3].word;
		if (difference != 0)
			return false;
		item += BLOCK_ITEMS;
	} while (item < end);
	return true;
}

int32_t unwind_cache_find(const struct unwind_cache *cache, struct unwind_registers registers,
			  const void *stack, uint64_t bytes)
{
	const uint64_t *words = stack;
	if (bytes < WORD_BYTES || registers.sp % WORD_BYTES != 0)
		return UNWIND_CACHE_NONE;
	uint64_t hash = mix(registers.sp, words[0]);
	for (int level = 0; level < LEVELS_MAX; level++) {
		uint32_t index = (uint32_t)(hash >> SET_SHIFT);
		const struct unwind_cache_set *set = &cache->sets[index];
		for (uint32_t i = 0; i < UNWIND_CACHE_WAYS; i++) {
			const struct unwind_cache_way *way = &set->ways[i];
			if (way->sp == registers.sp && way->check == check_of(hash) &&
			    way->stamp > cache->oldest &&
			    matches(entry_at(cache, way->stamp), &registers, words, bytes))
				return (int32_t)(index * UNWIND_CACHE_WAYS + i);
		}
		if (!splits(cache, set, hash) || set->split.offset >= bytes / WORD_BYTES)
			break;
		hash = mix(hash, words[set->split.offset]);
	}
	return UNWIND_CACHE_NONE;
}

/* What is to be stored, and where: the set that `hash` leads to. */
struct store {
	struct unwind_cache *cache;
	const struct unwind_reads *reads;
	uint64_t sp;
	uint64_t hash;
	struct unwind_cache_set *set;
	uint32_t stamp;
};

static uint32_t offset_of(const struct store *store, uint32_t i)
{
	return (uint32_t)((store->reads->items[i].address - store->sp) / WORD_BYTES);
}

static void go(struct store *store, uint64_t word)
{
	store->hash = mix(store->hash, word);
	store->set = &store->cache->sets[store->hash >> SET_SHIFT];
}

/* True if the stack has an item at offset, and so the same word there whenever it is met. */
static bool find_word(const struct store *store, uint32_t offset, uint64_t *ret)
{
	for (uint32_t i = 0; i < store->reads->count; i++)
		if (offset_of(store, i) == offset) {
			*ret = store->reads->items[i].value;
			return true;
		}
	return false;
}

/*
 * The first item in which the stack differs from an entry, if it is at the same place in both. All
 * stacks that are the same so far have an item there: where it is follows from those before it.
 */
static bool find_difference(const struct store *store, const struct entry *entry, uint32_t *ret)
{
	uint32_t count = store->reads->count < entry->count ? store->reads->count : entry->count;
	for (uint32_t i = 0; i < count; i++) {
		if (offset_of(store, i) != entry->items[i].offset)
			return false;
		if (store->reads->items[i].value != entry->items[i].word) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool live_here(const struct store *store, const struct unwind_cache_way *way)
{
	return way->sp == store->sp && way->check == check_of(store->hash) &&
	       way->stamp > store->cache->oldest;
}

/*
 * Makes a split where the set is full and several of its entries have this hash. They are given up:
 * each is stored once more when it is met again, behind the split. That is cheaper than to look for
 * every stack at both places.
 */
static bool split(struct store *store)
{
	struct unwind_cache *cache = store->cache;
	struct unwind_cache_set *set = store->set;
	uint32_t same = 0, first = UINT32_MAX;
	if (set->split.stamp > cache->oldest)
		return false;
	for (uint32_t i = 0; i < UNWIND_CACHE_WAYS; i++) {
		uint32_t item;
		if (set->ways[i].stamp <= cache->oldest)
			return false;
		if (!live_here(store, &set->ways[i]))
			continue;
		same++;
		if (find_difference(store, entry_at(cache, set->ways[i].stamp), &item) &&
		    item < first)
			first = item;
	}
	if (same < 2 || first == UINT32_MAX)
		return false;
	for (uint32_t i = 0; i < UNWIND_CACHE_WAYS; i++)
		if (live_here(store, &set->ways[i]))
			set->ways[i].stamp = 0;
	set->split.hash = store->hash;
	set->split.offset = offset_of(store, first);
	return true;
}

/* Goes from the set of sp and return address through all splits, the last perhaps a new one. */
static void find_set(struct store *store)
{
	store->hash = store->sp;
	go(store, store->reads->items[0].value);
	for (int level = 1; level < LEVELS_MAX; level++) {
		uint64_t word;
		if (!splits(store->cache, store->set, store->hash) && !split(store))
			return;
		store->set->split.stamp = store->stamp;
		if (!find_word(store, store->set->split.offset, &word))
			return;
		go(store, word);
	}
}

static struct unwind_cache_way *oldest_way(struct unwind_cache_set *set)
{
	struct unwind_cache_way *oldest = &set->ways[0];
	for (uint32_t i = 1; i < UNWIND_CACHE_WAYS; i++)
		if (set->ways[i].stamp < oldest->stamp)
			oldest = &set->ways[i];
	return oldest;
}

static void forget_sets(struct unwind_cache *cache)
{
	for (uint32_t i = 0; i < UNWIND_CACHE_SETS; i++) {
		for (uint32_t way = 0; way < UNWIND_CACHE_WAYS; way++)
			cache->sets[i].ways[way].stamp = 0;
		cache->sets[i].split.stamp = 0;
	}
}

/* Makes room for one entry behind those there are, or at the start, and tells its stamp. */
static uint32_t take_room(struct unwind_cache *cache, uint32_t units)
{
	if (UNWIND_CACHE_UNITS - cache->used < units) {
		cache->used = 0;
		cache->lap++;
		if (cache->lap == LAPS) {
			forget_sets(cache);
			cache->lap = 0;
			cache->oldest = 0;
		}
	}
	uint32_t stamp = (cache->lap << PLACE_BITS | cache->used) + 1;
	cache->used += units;
	if (cache->lap > 0) {
		uint32_t oldest = (cache->lap - 1) << PLACE_BITS | cache->used;
		if (oldest > cache->oldest)
			cache->oldest = oldest;
	}
	return stamp;
}

/* False if the stack cannot be told by offsets of 32 bits. */
static bool find_extent(const struct store *store, uint32_t *ret)
{
	uint64_t top = store->reads->top;
	uint64_t highest = top > store->sp ? (top - store->sp) / WORD_BYTES : 0;
	if (highest > UINT32_MAX)
		return false;
	*ret = (uint32_t)highest;
	for (uint32_t i = 0; i < store->reads->count; i++) {
		uint64_t words = (store->reads->items[i].address - store->sp) / WORD_BYTES;
		if (words >= UINT32_MAX)
			return false;
		if (words >= *ret)
			*ret = (uint32_t)words + 1;
	}
	return true;
}

static void fill(const struct store *store, struct item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t from = i < store->reads->count ? i : 0;
		items[i].offset = offset_of(store, from);
		items[i].word = store->reads->items[from].value;
	}
}

int32_t unwind_cache_store(struct unwind_cache *cache, struct unwind_registers registers,
			   const struct unwind_reads *reads)
{
	struct store store = {.cache = cache, .reads = reads, .sp = registers.sp};
	uint32_t extent;
	if (reads->incomplete || reads->count == 0 || reads->items[0].address != registers.sp ||
	    (reads->bp_used && registers.bp_lost) || !find_extent(&store, &extent))
		return UNWIND_CACHE_NONE;
	uint32_t count = (reads->count + BLOCK_ITEMS - 1) / BLOCK_ITEMS * BLOCK_ITEMS;
	uint64_t bytes = sizeof(struct entry) + count * sizeof(struct item);
	store.stamp = take_room(cache, (uint32_t)(bytes / UNIT_BYTES));
	find_set(&store);

	struct entry *entry = (struct entry *)&cache->units[place_of(store.stamp)];
	entry->extent = extent;
	entry->count = (uint16_t)count;
	entry->bp_matters = reads->bp_used;
	entry->high_matters = reads->high_used;
	entry->bp = registers.bp;
	entry->high = reads->high;
	fill(&store, entry->items, count);
	struct unwind_cache_way *way = oldest_way(store.set);
	way->sp = registers.sp;
	way->stamp = store.stamp;
	way->check = check_of(store.hash);
	return (int32_t)((store.set - cache->sets) * UNWIND_CACHE_WAYS + (way - store.set->ways));
}

void unwind_cache_clear(struct unwind_cache *cache)
{
	cache->oldest = cache->lap << PLACE_BITS | cache->used;
	unwind_rules_clear(&cache->rules);
}
