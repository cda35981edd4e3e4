/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/agent/rig.h"

/*
 * A stack that was defined. (This file asserts by hand: each of check's own assertions leaves a
 * mark in a file, which would take more time than all the rest.)
 */
struct definition {
	enum unwind_stop stop;
	size_t count;
	uint64_t *frames;
};

struct pending {
	uint64_t time;
	uint64_t wide;
};

/* A ring on its way to be read. */
struct cursor {
	const uint64_t *words;
	uint64_t mask;
	uint64_t at, end;
};

static uint64_t next_word(struct cursor *cursor)
{
	if (cursor->at == cursor->end)
		ck_abort_msg("a record is cut off at word %lu", cursor->at);
	return cursor->words[cursor->at++ & cursor->mask];
}

static void read_definition(struct cursor *cursor, uint64_t word, struct definition *defined)
{
	uint64_t number = ring_number_of(word);
	uint32_t stack = number & ((1u << RING_STACK_BITS) - 1);
	uint32_t count = ring_extra_of(word);
	uint64_t stop = number >> RING_STACK_BITS;
	if (stack >= RING_STACKS || count == 0 || count > AGENT_DEPTH_MAX ||
	    stop > UNWIND_STOP_LOST)
		ck_abort_msg("word %016lx defines no stack", word);
	/* Records already given out keep the frames of an earlier definition: it stays, behind. */
	uint64_t *block = calloc(1 + count, sizeof *block);
	if (!block)
		ck_abort_msg("no memory");
	block[0] = (uint64_t)(uintptr_t)defined[stack].frames;
	defined[stack].frames = block + 1;
	defined[stack].count = count;
	defined[stack].stop = (enum unwind_stop)stop;
	for (uint32_t i = 0; i < count; i++)
		defined[stack].frames[i] = next_word(cursor);
}

static void read_stack(struct cursor *cursor, const struct definition *defined,
		       struct rig_record *record, uint64_t wide)
{
	uint64_t word = next_word(cursor);
	record->size_bytes = ring_size_of(word) | wide << RING_SIZE_BITS;
	record->stack = ring_stack_of(word);
	if (record->stack >= RING_STACKS || !defined[record->stack].frames)
		ck_abort_msg("stack %u is used and was not defined", record->stack);
	record->frames = defined[record->stack].frames;
	record->frame_count = defined[record->stack].count;
	record->stop = defined[record->stack].stop;
}

/* False for what only prepares the next record. */
static bool read_one(struct cursor *cursor, struct definition *defined, struct pending *pending,
		     struct rig_record *record)
{
	uint64_t word = next_word(cursor);
	record->kind = ring_kind_of(word);
	record->address = ring_number_of(word);
	switch (record->kind) {
	case RING_TIME:
		if (pending->time)
			ck_abort_msg("two times for one record");
		pending->time = ring_time_of(word);
		return false;
	case RING_WIDE:
		if (pending->wide)
			ck_abort_msg("two upper halves for one size");
		pending->wide = ring_number_of(word);
		return false;
	case RING_STACK:
		read_definition(cursor, word, defined);
		return false;
	case RING_RESIZE_END:
		record->new_address = next_word(cursor);
		read_stack(cursor, defined, record, pending->wide);
		break;
	case RING_CREATE:
	case RING_FAILED:
	case RING_RELEASE_INNER:
		read_stack(cursor, defined, record, pending->wide);
		break;
	case RING_RELEASE:
	case RING_RESIZE_BEGIN:
	case RING_RESIZE_RELEASED:
	case RING_RESIZE_CANCELLED:
		break;
	default:
		ck_abort_msg("word %016lx is no record", word);
	}
	record->time = pending->time;
	*pending = (struct pending){0};
	return true;
}

static struct definition *definitions(uint32_t area, int level)
{
	static struct definition *all[AGENT_AREAS][AGENT_LEVELS];
	if (!all[area][level])
		all[area][level] = calloc(RING_STACKS, sizeof(struct definition));
	if (!all[area][level])
		ck_abort_msg("no memory");
	return all[area][level];
}

static void add(struct rig_records *records, const struct rig_record *record)
{
	if (records->count == records->capacity) {
		records->capacity = records->capacity ? 2 * records->capacity : 1024;
		records->items =
			realloc(records->items, records->capacity * sizeof *records->items);
		if (!records->items)
			ck_abort_msg("no memory");
	}
	records->items[records->count++] = *record;
}

static void move_tail(struct agent_ring *ring, uint64_t tail)
{
	__atomic_store_n(&ring->tail, tail, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&ring->waiting, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &ring->tail, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void read_ring(struct rig *rig, uint32_t area, int level, struct rig_records *records)
{
	enum { MOVE_EVERY_WORDS = 4096 };
	struct agent_ring *ring = &rig_area(rig, area)->rings[level];
	uint64_t capacity = level == 0 ? AGENT_RING_WORDS : AGENT_INNER_RING_WORDS;
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	struct cursor cursor = {rig_words(rig, area, level), capacity - 1, ring->tail, head};
	struct pending pending = {0};
	if (head - ring->tail > capacity)
		ck_abort_msg("more than %lu words in a ring", capacity);
	while (cursor.at != head) {
		struct rig_record record = {.area = area, .level = level};
		if (read_one(&cursor, definitions(area, level), &pending, &record))
			add(records, &record);
		if (cursor.at - ring->tail >= MOVE_EVERY_WORDS)
			move_tail(ring, cursor.at);
	}
	if (pending.time || pending.wide)
		ck_abort_msg("a prefix has no record");
	if (ring->tail != head)
		move_tail(ring, head);
}

void rig_read(struct rig *rig, struct rig_records *records)
{
	for (uint32_t area = 0; area < AGENT_AREAS; area++)
		if (__atomic_load_n(&rig->shared->area_state[area], __ATOMIC_ACQUIRE))
			for (int level = 0; level < AGENT_LEVELS; level++)
				read_ring(rig, area, level, records);
}

void rig_forget(struct rig *rig, struct rig_records *records)
{
	rig_read(rig, records);
	records->count = 0;
}

uint64_t rig_count(const struct rig_records *records, enum ring_kind kind)
{
	uint64_t count = 0;
	for (size_t i = 0; i < records->count; i++)
		count += records->items[i].kind == kind;
	return count;
}

static void *keep_reading(void *context)
{
	struct rig_reader *reader = context;
	struct rig_records records = {0};
	bool last = false;
	while (!last) {
		last = __atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE);
		reader->rig->shared->beat++;
		rig_read(reader->rig, &records);
		for (size_t i = 0; i < records.count; i++)
			reader->counts[records.items[i].kind]++;
		if (records.count == 0)
			sched_yield();
		records.count = 0;
		rig_tell_bounds(reader->rig);
	}
	free(records.items);
	return NULL;
}

void rig_reader_start(struct rig *rig, struct rig_reader *reader)
{
	*reader = (struct rig_reader){.rig = rig};
	ck_assert_int_eq(pthread_create(&reader->thread, NULL, keep_reading, reader), 0);
}

void rig_reader_stop(struct rig_reader *reader)
{
	__atomic_store_n(&reader->stop, true, __ATOMIC_RELEASE);
	pthread_join(reader->thread, NULL);
}
