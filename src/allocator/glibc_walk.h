/* SPDX-License-Identifier: MIT */
/*
 * A walk over heaps of glibc, chunk by chunk: what in them is in use by the program, what is free.
 *
 * Owns: nothing; memory is read through a function. Does not: trust what it reads: every size is
 * held against its neighbours and the heap's bounds, and every list ends; a heap that is not as
 * malloc/malloc.c (glibc 2.26 and later) keeps it gives false, never a guess. Pure.
 *
 * A chunk that a thread's cache or a fast bin holds looks like one in use: caches are known by
 * their contents, an allocated chunk of their size whose counts and lists agree.
 */
#ifndef ALLOCATOR_GLIBC_WALK_H
#define ALLOCATOR_GLIBC_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct glibc_memory {
	/* Reads up to count bytes and returns how many could be read. */
	size_t (*read)(void *context, uint64_t address, void *bytes, size_t count);
	void *context;
};

/* [start, end) is the mapping of a heap; arena is where its struct malloc_state is, 0: not known.
 */
struct glibc_region {
	uint64_t start, end;
	uint64_t arena;
	bool main; /* of the main arena: chunks from its start on */
};

/*
 * Equation: heap_bytes = used_bytes + free_bytes + overhead_bytes
 */
struct glibc_census {
	uint64_t heap_bytes; /* of all regions, as far as chunks reach */
	uint64_t used_bytes; /* of chunks in use what the program may write to */
	uint64_t used_blocks;
	uint64_t free_bytes;	 /* whole chunks: in bins, caches, and at the end of heaps */
	uint64_t overhead_bytes; /* headers of chunks in use, and the allocator's own state */
};

/*
 * Walks all regions; visit_free (NULL: none) is called for every free chunk, in no order. False
 * where a heap is not understood, or changes meanwhile; *ret is then not to be used.
 */
bool glibc_walk(const struct glibc_memory *memory, const struct glibc_region *regions, size_t count,
		void (*visit_free)(void *context, uint64_t start, uint64_t end), void *context,
		struct glibc_census *ret);

/*
 * The bytes of a chunk with a mapping of its own at the start of [start, end), 0 if there is none:
 * by the two words of its header. Several may stand one after the other in one mapping.
 */
uint64_t glibc_walk_mapped(const uint64_t header[2], uint64_t start, uint64_t end);

#endif
