/* SPDX-License-Identifier: MIT */
/*
 * What glibc's allocator keeps where: malloc/malloc.c and malloc/arena.c of glibc 2.26 and later,
 * on 64-bit machines. Shapes are recognized by their contents, for they have no symbols.
 *
 * Does not: read a target's memory; words of it are given. What is recognized was checked, for a
 * target may hold anything. Pure.
 */
#ifndef ALLOCATOR_GLIBC_HEAP_H
#define ALLOCATOR_GLIBC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GLIBC_ARENA_BYTES = 0x898,	 /* struct malloc_state */
	GLIBC_HEAP_MAX_BYTES = 64 << 20, /* HEAP_MAX_SIZE: such heaps begin at multiples of it */
	GLIBC_HEAP_HEADER_BYTES = 0x30,	 /* struct heap_info of 2.35; before it had 0x20 */
	GLIBC_CHUNK_HEADER_BYTES = 16,	 /* before each block: size of the chunk before, own size */
};

/*
 * Looks for a struct malloc_state among words that stand at `address`: by its bins, of which most
 * are empty and then point to themselves. *at_ret: where it begins.
 */
bool glibc_heap_find_arena(const uint64_t *words, size_t count, uint64_t address, uint64_t *at_ret);

/*
 * Whether a mapping [start, end) is a heap of an arena that is not the main one, by the first four
 * words of it (struct heap_info).
 */
bool glibc_heap_is_heap(const uint64_t words[4], uint64_t start, uint64_t end);

/* Whether a block has a mapping of its own, by the size in the header before it. */
bool glibc_heap_is_mapped(uint64_t block, uint64_t size_word);

#endif
