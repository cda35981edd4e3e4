/* SPDX-License-Identifier: MIT */
#include "probe/ring_backlog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	/* A record that seems to begin with the last word is looked at before it is known to be cut
	   off. */
	BEHIND_WORDS = 2,
	HUGE_PAGE_BYTES = 2 << 20,
	KEPT_WORDS = HUGE_PAGE_BYTES / sizeof(uint64_t),
};

static const size_t allocated_bytes =
	RING_BACKLOG_WORDS * sizeof(uint64_t) + HUGE_PAGE_BYTES; /* BEHIND_WORDS */

/* Huge pages: to touch a gigabyte a second in small ones would take longer than to fill them. */
static uint64_t *allocate(void)
{
	uint64_t *items = aligned_alloc(HUGE_PAGE_BYTES, allocated_bytes);
	if (items)
		madvise(items, allocated_bytes, MADV_HUGEPAGE);
	return items;
}

void ring_backlog_deinit(struct ring_backlog *backlog)
{
	free(backlog->items);
}

bool ring_backlog_add(struct ring_backlog *backlog, const uint64_t *words, uint64_t capacity,
		      uint64_t from, uint64_t to)
{
	uint64_t used = ring_backlog_count(backlog), start = from & (capacity - 1);
	uint64_t count = to - from, whole = capacity - start;
	if (!backlog->items)
		backlog->items = allocate();
	if (!backlog->items || count > RING_BACKLOG_WORDS - used)
		return false;
	if (!used)
		backlog->first = from;
	if (whole > count)
		whole = count;
	memcpy(backlog->items + used, words + start, whole * sizeof *words);
	memcpy(backlog->items + used + whole, words, (count - whole) * sizeof *words);
	memset(backlog->items + used + count, 0, BEHIND_WORDS * sizeof *words);
	backlog->end = to;
	return true;
}

void ring_backlog_clear(struct ring_backlog *backlog)
{
	/* What a burst has needed is not kept for the next one: others have theirs, too. */
	if (ring_backlog_count(backlog) > KEPT_WORDS)
		madvise(backlog->items, allocated_bytes, MADV_DONTNEED);
	backlog->first = backlog->end = 0;
}
