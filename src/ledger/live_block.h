/* SPDX-License-Identifier: MIT */
/*
 * A live block, and the bucket of two cache lines in which a table keeps five of them.
 *
 * Owns: the shapes and their packing. Does not: know how buckets make a table. Pure.
 * Called by: the other files of this folder.
 *
 * A block is packed into 24 bytes: five with their tags fill two cache lines, and a table filled as
 * far as a table may be for speed stays below 40 bytes a block. What does not fit (an address
 * beyond 48 bits, a size or site beyond the bits left) is possible only for forged or extraordinary
 * blocks; live_rest.h keeps those.
 *
 * The head of a bucket is one number, always read and written whole: a byte written and the whole
 * read soon after would have to wait for each other, and that is what a block does that is created
 * and released at once.
 */
#ifndef LEDGER_LIVE_BLOCK_H
#define LEDGER_LIVE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No address space holds a larger block (47 bits of addresses, 56 where asked for). */
#define LIVE_BLOCK_SIZE_MAX ((UINT64_C(1) << 48) - 1)

/*
 * Not in the order of struct event: neighbours there that are neighbours here would be copied as
 * one, and such a load has to wait until both have left the store buffer.
 */
struct live_block {
	uint64_t address;
	uint64_t size_bytes;
	uint32_t site;
	uint16_t thread; /* slot of the creating thread, as issued by threads.h */
	uint64_t born_ns;
};

enum {
	LIVE_BUCKET_BLOCKS = 5,
	PACKED_ADDRESS_BITS = 48,
	PACKED_SIZE_BITS = 38,
	PACKED_SITE_BITS = 26,
	HEAD_GENERATION_SHIFT = 8 * LIVE_BUCKET_BLOCKS,
	HEAD_PASSING_SHIFT = HEAD_GENERATION_SHIFT + 8,
};

struct packed_block {
	uint64_t where; /* address, thread above */
	uint64_t born_ns;
	uint64_t what; /* size, site above */
};

/*
 * head: from the lowest byte on
 *     a tag for each block: some bits of its hash, never 0; 0 means that there is no block
 *     a bit for each block: the generation of the table when it was placed (live_table.h)
 *     16 bits: `passing`, the blocks that were on their way through this bucket and stand later
 */
struct live_bucket {
	uint64_t head;
	struct packed_block blocks[LIVE_BUCKET_BLOCKS];
} __attribute__((aligned(128)));
_Static_assert(sizeof(struct live_bucket) == 128, "a bucket is two cache lines");
_Static_assert(PACKED_SIZE_BITS + PACKED_SITE_BITS == 64, "size and site fill a word");

static inline bool live_block_fits(const struct live_block *block)
{
	return (block->address >> PACKED_ADDRESS_BITS | block->size_bytes >> PACKED_SIZE_BITS |
		block->site >> PACKED_SITE_BITS) == 0;
}

/* A block that fits. Into its place: a copy by way of the stack would be waited for, see above. */
static inline void live_block_pack(const struct live_block *block, struct packed_block *ret)
{
	ret->where = block->address | (uint64_t)block->thread << PACKED_ADDRESS_BITS;
	ret->born_ns = block->born_ns;
	ret->what = block->size_bytes | (uint64_t)block->site << PACKED_SIZE_BITS;
}

static inline uint64_t packed_block_address(const struct packed_block *packed)
{
	return packed->where & ((UINT64_C(1) << PACKED_ADDRESS_BITS) - 1);
}

static inline struct live_block live_block_unpack(const struct packed_block *packed)
{
	return (struct live_block){
		.address = packed_block_address(packed),
		.born_ns = packed->born_ns,
		.size_bytes = packed->what & ((UINT64_C(1) << PACKED_SIZE_BITS) - 1),
		.site = (uint32_t)(packed->what >> PACKED_SIZE_BITS),
		.thread = (uint16_t)(packed->where >> PACKED_ADDRESS_BITS),
	};
}

/* The slots of a head whose tag is this one: bit 7 of byte i stands for slot i. */
static inline uint64_t head_match(uint64_t head, uint8_t tag)
{
	const uint64_t lows = 0x7f7f7f7f7f7f7f7f;
	const uint64_t slots = 0x8080808080;
	uint64_t difference = head ^ tag * UINT64_C(0x0101010101010101);
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
	return (match >> 7) * UINT64_C(0x0101010101) >> 32 & 0xff;
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
