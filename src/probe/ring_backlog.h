/* SPDX-License-Identifier: MIT */
/*
 * Words of a ring that were copied out of it because they could not be decoded in time: a program
 * that allocates in bursts need not wait for its events to be worked off, as long as on the whole
 * they are.
 *
 * Owns: the copies, and the pool of pieces that all backlogs of one agent_shared have in common. A
 * piece that was read goes back and is written next: to touch new memory takes longer than to copy
 * into it, so that there is never more of it than words were behind at once. Does not: know
 * records, or when it is time. Called by: rings, ring_merge and ring_reader.
 */
#ifndef PROBE_RING_BACKLOG_H
#define PROBE_RING_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RING_PIECES = 64, /* so many threads at once may be behind */
	RING_PIECE_WORDS = 1 << 18,
	RING_BACKLOG_WORDS = RING_PIECES * RING_PIECE_WORDS, /* of all backlogs together */
};

/* words[p - first] is the word at position p of the ring, first <= p < end. */
struct ring_piece {
	uint64_t *words;
	uint64_t first, end;
	struct ring_piece *next; /* younger; of a free one: freed before */
};

/*
 * Invariant: each of pieces is in `free` or in one backlog; bit i of touched: pieces[i] may have
 * memory. words NULL: never needed.
 */
struct ring_pool {
	uint64_t *words;
	struct ring_piece *free;
	uint64_t touched;
	struct ring_piece pieces[RING_PIECES];
};

/* oldest NULL: empty. Else the positions of the pieces from oldest to youngest ascend up to end. */
struct ring_backlog {
	struct ring_pool *pool;
	struct ring_piece *oldest, *youngest;
	uint64_t end; /* of the last words that were added, decoded or not */
};

void ring_pool_init(struct ring_pool *pool);
void ring_pool_deinit(struct ring_pool *pool);

/* Gives the memory of all free pieces but one back to the system. */
void ring_pool_trim(struct ring_pool *pool);

/*
 * Copies the words of positions [from, to) out of a ring of that capacity, at most
 * RING_PIECE_WORDS; from is where the last ones ended, if there are any. What was added at once
 * stays together. False: there is no room, or no memory, and nothing was copied.
 */
bool ring_backlog_add(struct ring_backlog *backlog, const uint64_t *words, uint64_t capacity,
		      uint64_t from, uint64_t to);

/* All up to `position` was decoded. */
void ring_backlog_drop(struct ring_backlog *backlog, uint64_t position);

/* All of it was decoded, or never will be. */
void ring_backlog_clear(struct ring_backlog *backlog);

#endif
