/* SPDX-License-Identifier: MIT */
/*
 * Words of a ring that were copied out of it because they could not be decoded in time: a program
 * that allocates in bursts need not wait for its events to be worked off, as long as on the whole
 * they are.
 *
 * Owns: the copy. Does not: know records, or when it is time. Called by ring_reader.
 */
#ifndef PROBE_RING_BACKLOG_H
#define PROBE_RING_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

enum { RING_BACKLOG_WORDS = 16 << 20 }; /* of one ring, and of all of one agent_shared together */

/* items[p - first] is the word at position p of the ring, first <= p < end. NULL: never needed. */
struct ring_backlog {
	uint64_t *items;
	uint64_t first, end;
};

void ring_backlog_deinit(struct ring_backlog *backlog);

/* Words that are in it, decoded or not, until ring_backlog_clear. */
static inline uint64_t ring_backlog_count(const struct ring_backlog *backlog)
{
	return backlog->end - backlog->first;
}

/*
 * Copies the words of positions [from, to) out of a ring of that capacity; from is where the last
 * ones ended, if there are any. False: there is no room, or no memory, and nothing was copied.
 */
bool ring_backlog_add(struct ring_backlog *backlog, const uint64_t *words, uint64_t capacity,
		      uint64_t from, uint64_t to);

/* All of it was decoded. */
void ring_backlog_clear(struct ring_backlog *backlog);

#endif
