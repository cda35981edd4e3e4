/* SPDX-License-Identifier: MIT */
/*
 * Which blocks nothing points to any more: a conservative marker over words of memory.
 *
 * Owns: the list of blocks, sorted, and what points to what. Does not: read a target's memory, know
 * what is a root, or know the ledger; words and addresses are given to it. Pure.
 * Called by: session, from the thread that reads the target.
 *
 * The rules are those of LeakSanitizer (compiler-rt, lsan_common.cpp). A word points to a block if
 * it is an address in it, not only that of its beginning; a block of 0 bytes counts as one of 1,
 * and one of 8 bytes as one of 9, since `new T[0]` gives the address behind the count it stores
 * there. A block is reachable if a root points to it, or a reachable block does. Of the others, one
 * is indirectly lost if another of them points to it, else directly; so of a ring of blocks all are
 * indirectly lost.
 *
 * Memory: 36 bytes a block, 4 a pointer between blocks (REACH_POINTERS_MAX), and at most 128 bytes
 * a block for the index.
 *
 * Equations:
 *     start[i] <= start[i + 1], and no address is in two blocks: a block is cut where the next
 * begins edges of block i are targets[first_edge[i] .. first_edge[i + 1]), none to itself
 */
#ifndef LEDGER_REACH_H
#define LEDGER_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/types.h"

/* Pointers between blocks that are kept; with more of them nothing can be said. */
enum { REACH_POINTERS_MAX = 1u << 30 };

struct reach_block {
	uint64_t start;
	uint64_t size_bytes;
	site_id site;
};

enum reach_verdict { REACH_REACHABLE, REACH_DIRECT, REACH_INDIRECT };

struct reach;

/*
 * Begins with the live blocks, in any order: an array of malloc(3) that is the marker's from now
 * on, also after an error. Of several with one address all but one are taken to be reachable.
 * Errors: no memory; ERROR_UNSUPPORTED for 2^32 - 1 blocks or more.
 */
struct error *reach_create(struct reach_block *blocks, size_t count, struct reach **ret);
void reach_destroy(struct reach *reach);

/* Words that are in use and in no memory of the list: registers. */
void reach_add_roots(struct reach *reach, const uint64_t *words, size_t count);

/*
 * Words of memory at `address` (a multiple of 8), in ascending order from call to call. What stands
 * in a block is that block's; of the others, they are roots or nothing. Errors: no memory;
 * ERROR_UNSUPPORTED where there are more than REACH_POINTERS_MAX pointers.
 */
struct error *reach_add_memory(struct reach *reach, uint64_t address, const uint64_t *words,
			       size_t count, bool others_are_roots);

/* The start of the first block that lies, also in part, in [from, end); false if there is none. */
bool reach_next_block(const struct reach *reach, uint64_t from, uint64_t end, uint64_t *start_ret);

/*
 * The next range of [from, end) that blocks lie in, widened to whole pages of 4096 bytes; false if
 * there is none. What lies between need not be read where only blocks matter.
 */
bool reach_next_range(const struct reach *reach, uint64_t from, uint64_t end, uint64_t *start_ret,
		      uint64_t *end_ret);

/*
 * Says what became of every block, once all memory was given; the marker cannot be used any more.
 * Errors: no memory.
 */
struct error *reach_finish(struct reach *reach,
			   void (*visit)(void *context, const struct reach_block *block,
					 enum reach_verdict verdict),
			   void *context);

#define _cleanup_reach_ __attribute__((__cleanup__(reach_destroyp)))
static inline void reach_destroyp(struct reach **reach)
{
	reach_destroy(*reach);
}

#endif
