/* SPDX-License-Identifier: MIT */
/*
 * The memory of a live table: one run of zeroed bytes that can be lengthened and keeps its
 * contents.
 *
 * Owns: the bytes, from the heap while they are few, from mmap(2) on huge pages once they fill one.
 * Does not: know what stands in them. Called by: live_table.c, from the ledger's thread.
 *
 * A mapping is lengthened by mremap(2), which moves page tables and copies nothing: no page that
 * was touched is touched anew, and of the new ones each only when it is first used.
 *
 * Equations:
 *     start is aligned to LIVE_MEMORY_ALIGNMENT, or NULL when bytes == 0
 *     bytes >= LIVE_MEMORY_HUGE_PAGE_BYTES ? a multiple of it, start aligned to it, from mmap(2)
 *                                          : from the heap
 */
#ifndef LEDGER_LIVE_MEMORY_H
#define LEDGER_LIVE_MEMORY_H

#include <stddef.h>

#include "base/error.h"

enum {
	LIVE_MEMORY_ALIGNMENT = 128,
	LIVE_MEMORY_HUGE_PAGE_BYTES = 1 << 21,
};

struct live_memory {
	void *start;
	size_t bytes;
};

/*
 * Lengthens the memory (from nothing, too) to exactly `bytes`, which is more than it has and obeys
 * the equations: a multiple of the alignment, and of a huge page from there on. start may move.
 * Errors: no memory; the memory is then as before.
 */
struct error *live_memory_grow(struct live_memory *memory, size_t bytes);

/* Gives the memory back; it is then of 0 bytes. */
void live_memory_free(struct live_memory *memory);

#endif
