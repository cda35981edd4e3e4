/* SPDX-License-Identifier: MIT */
#include "probe/ring_backlog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	HUGE_PAGE_BYTES = 2 << 20,
	PIECE_BYTES = RING_PIECE_WORDS * 8,
	/* A record that seems to begin with the last word is looked at before it is known to be cut
	   off. */
	BEHIND_BYTES = HUGE_PAGE_BYTES,
};
_Static_assert(PIECE_BYTES % HUGE_PAGE_BYTES == 0, "memory is given back in huge pages");
_Static_assert(RING_PIECES <= 64, "touched has a bit for each");

void ring_pool_init(struct ring_pool *pool)
{
	*pool = (struct ring_pool){0};
	for (size_t i = RING_PIECES; i-- > 0;) {
		pool->pieces[i].next = pool->free;
		pool->free = &pool->pieces[i];
	}
}

void ring_pool_deinit(struct ring_pool *pool)
{
	free(pool->words);
}

/* Huge pages: to touch a gigabyte a second in small ones would take longer than to fill them. */
static bool allocate(struct ring_pool *pool)
{
	size_t bytes = (size_t)RING_PIECES * PIECE_BYTES + BEHIND_BYTES;
	if (pool->words)
		return true;
	pool->words = aligned_alloc(HUGE_PAGE_BYTES, bytes);
	if (!pool->words)
		return false;
	madvise(pool->words, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < RING_PIECES; i++)
		pool->pieces[i].words = pool->words + i * RING_PIECE_WORDS;
	return true;
}

void ring_pool_trim(struct ring_pool *pool)
{
	if (!pool->free)
		return;
	for (struct ring_piece *piece = pool->free->next; piece; piece = piece->next) {
		uint64_t bit = UINT64_C(1) << (piece - pool->pieces);
		if (pool->touched & bit)
			madvise(piece->words, PIECE_BYTES, MADV_DONTNEED);
		pool->touched &= ~bit;
	}
}

static struct ring_piece *take_piece(struct ring_pool *pool, uint64_t first)
{
	struct ring_piece *piece = pool->free;
	if (!piece || !allocate(pool))
		return NULL;
	pool->free = piece->next;
	pool->touched |= UINT64_C(1) << (piece - pool->pieces);
	piece->next = NULL;
	piece->first = piece->end = first;
	return piece;
}

/* The piece that so many words more go into; NULL if there is none. */
static struct ring_piece *piece_for(struct ring_backlog *backlog, uint64_t from, uint64_t count)
{
	struct ring_piece *youngest = backlog->youngest;
	if (backlog->oldest && youngest->end - youngest->first + count <= RING_PIECE_WORDS)
		return youngest;
	struct ring_piece *piece = take_piece(backlog->pool, from);
	if (!piece)
		return NULL;
	if (backlog->oldest)
		youngest->next = piece;
	else
		backlog->oldest = piece;
	backlog->youngest = piece;
	return piece;
}

bool ring_backlog_add(struct ring_backlog *backlog, const uint64_t *words, uint64_t capacity,
		      uint64_t from, uint64_t to)
{
	uint64_t start = from & (capacity - 1), count = to - from, whole = capacity - start;
	struct ring_piece *piece =
		count <= RING_PIECE_WORDS ? piece_for(backlog, from, count) : NULL;
	if (!piece)
		return false;
	if (whole > count)
		whole = count;
	uint64_t *room = piece->words + (piece->end - piece->first);
	memcpy(room, words + start, whole * sizeof *words);
	memcpy(room + whole, words, (count - whole) * sizeof *words);
	piece->end = backlog->end = to;
	return true;
}

void ring_backlog_drop(struct ring_backlog *backlog, uint64_t position)
{
	while (backlog->oldest && backlog->oldest->end <= position) {
		struct ring_piece *piece = backlog->oldest;
		backlog->oldest = piece->next;
		piece->next = backlog->pool->free;
		backlog->pool->free = piece;
	}
}

void ring_backlog_clear(struct ring_backlog *backlog)
{
	ring_backlog_drop(backlog, UINT64_MAX);
	backlog->end = 0;
}
