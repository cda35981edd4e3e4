/* SPDX-License-Identifier: MIT */
/*
 * A live block, as it is handed around and as it is kept.
 *
 * Owns: the shapes and the packing. Does not: know where blocks are kept. Pure.
 * Called by: the other files of this folder.
 *
 * A block is packed into 24 bytes. What does not fit (an address beyond 47 bits, a size or site
 * beyond the bits left) is possible only for forged or extraordinary blocks; live_rest.h keeps
 * those. The bit that is left tells a place without a block from one with a block.
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
	PACKED_ADDRESS_BITS = 47,
	PACKED_THREAD_SHIFT = 48,
	PACKED_SIZE_BITS = 38,
	PACKED_SITE_BITS = 26,
};

struct packed_block {
	uint64_t where; /* address, PACKED_FREE, thread above */
	uint64_t born_ns;
	uint64_t what; /* size, site above */
};

#define PACKED_FREE (UINT64_C(1) << PACKED_ADDRESS_BITS)

_Static_assert(PACKED_SIZE_BITS + PACKED_SITE_BITS == 64, "size and site fill a word");

static inline bool live_block_fits(const struct live_block *block)
{
	return (block->address >> PACKED_ADDRESS_BITS | block->size_bytes >> PACKED_SIZE_BITS |
		block->site >> PACKED_SITE_BITS) == 0;
}

/* A block that fits. Into its place: a copy by way of the stack would be waited for, see above. */
static inline void live_block_pack(const struct live_block *block, struct packed_block *ret)
{
	ret->where = block->address | (uint64_t)block->thread << PACKED_THREAD_SHIFT;
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
		.thread = (uint16_t)(packed->where >> PACKED_THREAD_SHIFT),
	};
}

#endif
