/* SPDX-License-Identifier: MIT */
#include "allocator/glibc_heap.h"

enum {
	BINS = 127,
	BINS_OFFSET = 0x70,
	NEXT_OFFSET = 0x870,
	WORD_BYTES = 8,
	EMPTY_BINS_MIN = 32,
	PAGE_BYTES = 4096,
	IS_MMAPPED = 2,
	FLAGS = 7,
};

/* A bin is addressed as if it were a chunk: its two links stand where a chunk's would. */
static bool is_arena(const uint64_t *words, uint64_t address)
{
	size_t empty = 0;
	for (size_t bin = 0; bin < BINS; bin++) {
		size_t at = BINS_OFFSET / WORD_BYTES + 2 * bin;
		uint64_t itself = address + at * WORD_BYTES - GLIBC_CHUNK_HEADER_BYTES;
		if ((words[at] == itself) != (words[at + 1] == itself) || !words[at] ||
		    !words[at + 1])
			return false;
		empty += words[at] == itself;
	}
	uint64_t next = words[NEXT_OFFSET / WORD_BYTES];
	uint64_t behind = BINS_OFFSET + 2 * BINS * WORD_BYTES;
	/* Another bin there: the words are those of an arena that begins later. */
	if (words[behind / WORD_BYTES] == address + behind - GLIBC_CHUNK_HEADER_BYTES)
		return false;
	return empty >= EMPTY_BINS_MIN && next && next % WORD_BYTES == 0;
}

bool glibc_heap_find_arena(const uint64_t *words, size_t count, uint64_t address, uint64_t *at_ret)
{
	for (size_t i = 0; i + GLIBC_ARENA_BYTES / WORD_BYTES <= count; i++) {
		if (!is_arena(words + i, address + i * WORD_BYTES))
			continue;
		*at_ret = address + i * WORD_BYTES;
		return true;
	}
	return false;
}

bool glibc_heap_is_heap(const uint64_t words[4], uint64_t start, uint64_t end)
{
	uint64_t arena = words[0], size_bytes = words[2], usable_bytes = words[3];
	uint64_t arena_offset = arena % GLIBC_HEAP_MAX_BYTES;
	return start % GLIBC_HEAP_MAX_BYTES == 0 && end - start <= GLIBC_HEAP_MAX_BYTES &&
	       (arena_offset == 0x20 || arena_offset == GLIBC_HEAP_HEADER_BYTES) &&
	       size_bytes <= usable_bytes && usable_bytes == end - start &&
	       size_bytes % PAGE_BYTES == 0;
}

bool glibc_heap_is_mapped(uint64_t block, uint64_t size_word)
{
	uint64_t end = block - GLIBC_CHUNK_HEADER_BYTES + (size_word & ~(uint64_t)FLAGS);
	return size_word & IS_MMAPPED && end > block && end % PAGE_BYTES == 0;
}
