/* SPDX-License-Identifier: MIT */
#include "ledger/live_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SLOTS_SMALLEST = 64,
	/* Below, memory does not matter and speed does: the table doubles and stays half empty. */
	SLOTS_LARGE = 1 << 17,
	/*
	 * A cluster at the last home may run this far. At the filling allowed here clusters of
	 * that length do not occur by chance (probability below 1e-18).
	 */
	SPARE_MOST = 2048,
	/*
	 * Slots moved a put. A large table has limit / 8 = capacity / 10 puts until it is full
	 * again, and 16 / 10 of its slots have moved by then.
	 */
	MOVE_STEP = 16,
};

#define HUGE_PAGE_BYTES (UINT64_C(1) << 21)

static size_t slots_end(const struct live_slots *slots)
{
	size_t spare = slots->capacity < SPARE_MOST ? slots->capacity : SPARE_MOST;
	return slots->capacity + spare;
}

static size_t slots_limit(size_t capacity)
{
	return capacity < SLOTS_LARGE ? capacity / 2 : capacity / 5 * 4;
}

static void slots_free(struct live_slots *slots)
{
	if (slots->mapped_bytes)
		munmap(slots->blocks, slots->mapped_bytes);
	else
		free(slots->blocks);
	*slots = (struct live_slots){0};
}

static struct error *slots_allocate(size_t capacity, struct live_slots *ret)
{
	struct live_slots slots = {.capacity = capacity, .limit = slots_limit(capacity)};
	size_t bytes;
	if (__builtin_mul_overflow(slots_end(&slots), sizeof *slots.blocks, &bytes))
		return error_no_memory();
	if (bytes < 2 * HUGE_PAGE_BYTES) {
		slots.blocks = calloc(1, bytes);
		if (!slots.blocks)
			return error_no_memory();
	} else {
		void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED)
			return error_no_memory();
		/* Advice: where the kernel has no huge pages the table is slower, not wrong. */
		madvise(memory, bytes, MADV_HUGEPAGE);
		slots.blocks = memory;
		slots.mapped_bytes = bytes;
	}
	*ret = slots;
	return NULL;
}

/* The slot of address, else the empty slot where it belongs, else the end (no room). */
static size_t slots_probe(const struct live_slots *slots, uint64_t hash, uint64_t address)
{
	size_t end = slots_end(slots);
	size_t i = live_table_home(hash, slots->capacity);
	while (i < end && slots->blocks[i].address != 0 && slots->blocks[i].address != address)
		i++;
	return i;
}

/* Empties slot i, moving later blocks of the cluster back so that no probe meets a gap. */
static void slots_remove(struct live_slots *slots, size_t i, uint64_t seed)
{
	size_t end = slots_end(slots);
	size_t hole = i;
	for (size_t next = i + 1; next < end && slots->blocks[next].address != 0; next++) {
		uint64_t hash = live_table_hash(seed, slots->blocks[next].address);
		if (live_table_home(hash, slots->capacity) <= hole) {
			slots->blocks[hole] = slots->blocks[next];
			hole = next;
		}
	}
	slots->blocks[hole].address = 0;
}

void live_table_init(struct live_table *table, uint64_t seed)
{
	*table = (struct live_table){.seed = seed};
}

void live_table_deinit(struct live_table *table)
{
	slots_free(&table->now);
	slots_free(&table->old);
	*table = (struct live_table){0};
}

/* The array in which a block of this hash stands or would stand. */
static const struct live_slots *slots_of(const struct live_table *table, uint64_t hash)
{
	if (table->old.blocks && live_table_home(hash, table->old.capacity) >= table->drained)
		return &table->old;
	return &table->now;
}

const struct live_block *live_table_find(const struct live_table *table, uint64_t address)
{
	if (!table->now.blocks)
		return NULL;
	uint64_t hash = live_table_hash(table->seed, address);
	const struct live_slots *slots = slots_of(table, hash);
	size_t i = slots_probe(slots, hash, address);
	return i < slots_end(slots) && slots->blocks[i].address ? &slots->blocks[i] : NULL;
}

/* Gives whole huge pages of the drained part back; a partial one would have to be split. */
static void drop_drained(struct live_table *table)
{
	uint64_t done = table->drained * sizeof *table->old.blocks;
	if (!table->old.mapped_bytes || done < table->dropped_bytes + HUGE_PAGE_BYTES)
		return;
	uintptr_t base = (uintptr_t)table->old.blocks;
	uintptr_t from = (base + table->dropped_bytes + HUGE_PAGE_BYTES - 1) & -HUGE_PAGE_BYTES;
	uintptr_t to = (base + done) & -HUGE_PAGE_BYTES;
	if (to <= from)
		return;
	madvise((void *)from, to - from, MADV_DONTNEED);
	table->dropped_bytes = to - base;
}

/* Copies the cluster that starts at slot first of old; *end_ret is the slot after it. */
static bool move_cluster(struct live_table *table, size_t first, size_t *end_ret)
{
	size_t end = slots_end(&table->old);
	size_t i = first;
	for (; i < end && table->old.blocks[i].address != 0; i++) {
		uint64_t address = table->old.blocks[i].address;
		uint64_t hash = live_table_hash(table->seed, address);
		size_t to = slots_probe(&table->now, hash, address);
		if (to == slots_end(&table->now))
			break;
		table->now.blocks[to] = table->old.blocks[i];
	}
	*end_ret = i;
	if (i == end || table->old.blocks[i].address == 0)
		return true;
	while (i-- > first) {
		uint64_t address = table->old.blocks[i].address;
		uint64_t hash = live_table_hash(table->seed, address);
		slots_remove(&table->now, slots_probe(&table->now, hash, address), table->seed);
	}
	return false;
}

/* Moves at least MOVE_STEP slots of old, always whole clusters. */
static struct error *move_some(struct live_table *table)
{
	size_t end = slots_end(&table->old);
	size_t goal = table->drained + MOVE_STEP;
	while (table->drained < end && table->drained < goal) {
		size_t after;
		if (!move_cluster(table, table->drained, &after))
			return error_no_memory();
		table->drained = after < end ? after + 1 : end;
	}
	if (table->drained < end) {
		drop_drained(table);
		return NULL;
	}
	slots_free(&table->old);
	table->drained = 0;
	table->dropped_bytes = 0;
	return NULL;
}

static struct error *begin_growth(struct live_table *table)
{
	size_t capacity = table->now.capacity;
	size_t larger = capacity == 0		 ? SLOTS_SMALLEST
			: capacity < SLOTS_LARGE ? capacity * 2
						 : capacity + capacity / 8;
	struct live_slots slots;
	struct error *err = slots_allocate(larger, &slots);
	if (err)
		return err;
	table->old = table->now;
	table->now = slots;
	return NULL;
}

struct error *live_table_put(struct live_table *table, uint64_t address, struct live_block **ret,
			     bool *stood_ret)
{
	struct error *err = NULL;
	if (table->old.blocks)
		err = move_some(table);
	else if (table->count >= table->now.limit)
		err = begin_growth(table);
	if (err)
		return err;
	uint64_t hash = live_table_hash(table->seed, address);
	const struct live_slots *slots = slots_of(table, hash);
	size_t i = slots_probe(slots, hash, address);
	if (i == slots_end(slots))
		return error_no_memory();
	struct live_block *block = &slots->blocks[i];
	*stood_ret = block->address != 0;
	table->count += !*stood_ret;
	block->address = address;
	*ret = block;
	return NULL;
}

bool live_table_take(struct live_table *table, uint64_t address, struct live_block *ret)
{
	if (!table->now.blocks)
		return false;
	uint64_t hash = live_table_hash(table->seed, address);
	bool in_old = slots_of(table, hash) == &table->old;
	struct live_slots *slots = in_old ? &table->old : &table->now;
	size_t i = slots_probe(slots, hash, address);
	if (i == slots_end(slots) || slots->blocks[i].address == 0)
		return false;
	*ret = slots->blocks[i];
	slots_remove(slots, i, table->seed);
	table->count--;
	return true;
}

const struct live_block *live_table_next(const struct live_table *table, size_t *cursor)
{
	size_t now_end = table->now.blocks ? slots_end(&table->now) : 0;
	for (; *cursor < now_end; (*cursor)++)
		if (table->now.blocks[*cursor].address)
			return &table->now.blocks[(*cursor)++];
	if (!table->old.blocks)
		return NULL;
	if (*cursor < now_end + table->drained)
		*cursor = now_end + table->drained;
	for (; *cursor - now_end < slots_end(&table->old); (*cursor)++)
		if (table->old.blocks[*cursor - now_end].address)
			return &table->old.blocks[(*cursor)++ - now_end];
	return NULL;
}

uint64_t live_table_memory_bytes(const struct live_table *table)
{
	if (!table->now.blocks)
		return 0;
	uint64_t now_bytes = slots_end(&table->now) * sizeof *table->now.blocks;
	if (!table->old.blocks)
		return now_bytes;
	uint64_t old_bytes = slots_end(&table->old) * sizeof *table->old.blocks;
	if (!table->old.mapped_bytes)
		return now_bytes + old_bytes;
	/* The new array is touched as far up as the old one has been drained. */
	double moved = (double)table->drained / (double)slots_end(&table->old);
	return (uint64_t)(moved * (double)now_bytes) + old_bytes - table->dropped_bytes;
}

/* Every block of an array is reachable from its home and belongs to this array. */
static struct error *check_slots(const struct live_table *table, const struct live_slots *slots,
				 size_t first, size_t *used_ret)
{
	size_t used = 0;
	for (size_t i = first; i < slots_end(slots); i++) {
		uint64_t address = slots->blocks[i].address;
		if (!address)
			continue;
		used++;
		if (live_table_find(table, address) != &slots->blocks[i])
			return error_new(ERROR_BAD_INPUT,
					 "live table: block 0x%llx in slot %zu is "
					 "not where it is looked for",
					 (unsigned long long)address, i);
	}
	*used_ret = used;
	return NULL;
}

struct error *live_table_check(const struct live_table *table)
{
	size_t in_now = 0, in_old = 0;
	struct error *err = NULL;
	if (table->now.blocks)
		err = check_slots(table, &table->now, 0, &in_now);
	if (!err && table->old.blocks)
		err = check_slots(table, &table->old, table->drained, &in_old);
	if (err)
		return err;
	if (in_now + in_old != table->count)
		return error_new(ERROR_BAD_INPUT, "live table: %zu blocks found, %zu counted",
				 in_now + in_old, table->count);
	if (table->count > table->now.limit)
		return error_new(ERROR_BAD_INPUT, "live table: %zu blocks above the limit %zu",
				 table->count, table->now.limit);
	if (!table->old.blocks && table->drained)
		return error_new(ERROR_BAD_INPUT, "live table: a border without an old array");
	return NULL;
}
