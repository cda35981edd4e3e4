/* SPDX-License-Identifier: MIT */
/*
 * The bucket: half a cache line in which a table keeps where six of its blocks are.
 *
 * Owns: the shape. Does not: know how buckets make a table, or what a block is. Pure.
 * Called by: the other files of this folder.
 *
 * The head of a bucket is one number, always read and written whole: a byte written and the whole
 * read soon after would have to wait for each other, and that is what a block does that is created
 * and released at once.
 */
#ifndef LEDGER_LIVE_BUCKET_H
#define LEDGER_LIVE_BUCKET_H

#include <stddef.h>
#include <stdint.h>

enum {
	LIVE_BUCKET_BLOCKS = 6,
	LIVE_BUCKET_BYTES = 32,
	HEAD_GENERATION_SHIFT = 8 * LIVE_BUCKET_BLOCKS,
	HEAD_PASSING_SHIFT = HEAD_GENERATION_SHIFT + LIVE_BUCKET_BLOCKS,
	HEAD_PASSING_MAX = (1 << (64 - HEAD_PASSING_SHIFT)) - 1,
};

/*
 * head: from the lowest byte on
 *     a tag for each block: some bits of its hash, never 0; 0 means that there is no block
 *     a bit for each block: the generation of the table when it was placed (live_table.h)
 *     10 bits: `passing`, the blocks that were on their way through this bucket and stand later
 */
struct live_bucket {
	uint64_t head;
	uint32_t ids[LIVE_BUCKET_BLOCKS]; /* of the blocks in the store */
} __attribute__((aligned(LIVE_BUCKET_BYTES)));
_Static_assert(sizeof(struct live_bucket) == LIVE_BUCKET_BYTES, "half a cache line");

/* The slots of a head whose tag is this one: bit 7 of byte i stands for slot i. */
static inline uint64_t head_match(uint64_t head, uint8_t tag)
{
	const uint64_t lows = 0x7f7f7f7f7f7f7f7f;
	const uint64_t slots = 0x808080808080;
	uint64_t difference = head ^ tag * UINT64_C(0x010101010101);
	/* A carry out of the low seven bits says that they are not 0, and reaches no other byte. */
	return ~(((difference & lows) + lows) | difference) & slots;
}

static inline uint64_t head_free(uint64_t head)
{
	return head_match(head, 0);
}

/* The first slot of what head_match gave (not 0). */
static inline unsigned head_slot(uint64_t match)
{
	return (unsigned)__builtin_ctzll(match) / 8;
}

/* How many slots head_match gave. The multiplication adds up the bytes. */
static inline size_t head_count(uint64_t match)
{
	return (match >> 7) * UINT64_C(0x010101010101) >> 40 & 0xff;
}

/* 0: the slot is empty. */
static inline uint8_t head_tag(uint64_t head, unsigned slot)
{
	return (uint8_t)(head >> (8 * slot));
}

static inline unsigned head_passing(uint64_t head)
{
	return (unsigned)(head >> HEAD_PASSING_SHIFT);
}

static inline unsigned head_generation(uint64_t head, unsigned slot)
{
	return head >> (HEAD_GENERATION_SHIFT + slot) & 1;
}

/* The head with another tag and generation in this slot; tag 0 empties it. */
static inline uint64_t head_with(uint64_t head, unsigned slot, uint8_t tag, unsigned generation)
{
	uint64_t cleared = head & ~(UINT64_C(0xff) << (8 * slot) |
				    UINT64_C(1) << (HEAD_GENERATION_SHIFT + slot));
	return cleared | (uint64_t)tag << (8 * slot) |
	       (uint64_t)generation << (HEAD_GENERATION_SHIFT + slot);
}

#endif
