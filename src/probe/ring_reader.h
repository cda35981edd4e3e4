/* SPDX-License-Identifier: MIT */
/*
 * One ring's words (agent/ring.h) become records, in the order they were written.
 *
 * Owns: how far a ring was read, what its stack numbers mean, the records that were decoded and not
 * given out yet. Does not: order rings among each other (ring_merge) or give anything out but
 * stacks and look-aheads. Trusts nothing: a ring with a word that cannot be is closed, and what was
 * decoded before stays. Called by: rings and ring_merge, from the thread that takes.
 */
#ifndef PROBE_RING_READER_H
#define PROBE_RING_READER_H

#include "agent/abi.h"
#include "agent/ring.h"
#include "probe/ring_backlog.h"
#include "probe/rings.h"

enum {
	RING_PENDING_MAX = 64,
	RING_SCALE_BITS = 40,
};

struct ring_record {
	struct event event;
	uint64_t stamp; /* its place among other rings' records; 0: as early as its ring allows */
	uint8_t kind;	/* enum ring_kind */
	int8_t effect;	/* on its address: +1 live from here on, -1 no longer, 0 none */
	bool suspect;	/* out of step with its address, its stamp may be wrong (ring_merge) */
	bool delayed;	/* its stamp was put right */
};

/* What the readers of one `rings` share. */
struct ring_context {
	struct rings_sink sink;
	struct rings_clock clock;
	uint64_t ns_scale;    /* nanoseconds a tick, times 2^RING_SCALE_BITS */
	uint64_t floor_ns;    /* when the last take began: what it did not find came later */
	uint64_t latest;      /* a stamp after this cannot be: it would lie in the future */
	uint64_t taken_words; /* of this take */
	uint64_t frames[AGENT_DEPTH_MAX];
};

/* Where decoding stands. Between two calls a stamp or a size may wait for its record. */
struct ring_cursor {
	uint64_t position;
	uint64_t time_ns; /* of the last record */
	uint64_t stamp;	  /* of a RING_TIME whose record has not come yet, 0: none */
	uint64_t wide;	  /* the same for RING_WIDE */
};

/* Where the words at the cursor stand, up to position `end`: in the ring or in a piece of it. */
struct ring_view {
	const uint64_t *words;
	uint64_t first, mask;
	uint64_t end;
};

/*
 * Equations:
 *     released <= max(at.position, backlog.end) <= head in the ring <= released + capacity
 *     at.position <= head     (words, ever)
 *     first + count <= RING_PENDING_MAX
 *     released == what agent_ring.tail was last set to
 *     woken == what it was when the agent was last woken
 * items[first .. first + count) are decoded and not given out. A closed reader has
 * at.position == head for good, and tail is not moved any more.
 */
struct ring_reader {
	struct agent_ring *ring;
	const uint64_t *words;
	uint64_t capacity; /* a power of two */
	uint64_t head;
	uint64_t released;
	uint64_t woken;
	struct ring_backlog backlog;
	struct ring_view view;
	struct ring_cursor at;
	space_id space; /* of the thread that writes now */
	uint32_t thread;
	bool closed;
	uint32_t first, count;
	struct ring_record items[RING_PENDING_MAX];
	uint32_t sites[RING_STACKS]; /* by stack number; UINT32_MAX: not defined */
};

/*
 * The reader of level `level` (below AGENT_LEVELS) of an area, with a backlog in that pool. Errors:
 * no memory.
 */
struct error *ring_reader_create(struct agent_thread *area, unsigned level, struct ring_pool *pool,
				 struct ring_reader **ret);
void ring_reader_destroy(struct ring_reader *reader);

/* Another thread writes from here on: no stack is defined. The ring is empty. */
void ring_reader_assign(struct ring_reader *reader, space_id space, uint32_t thread);

/* Lets the reader go on to head, as it was read from the ring. Closes the ring if it cannot be. */
void ring_reader_advance(struct ring_reader *reader, uint64_t head);

/*
 * Decodes until `want` records (at most RING_PENDING_MAX) are pending or the ring is at its end,
 * and releases words now and then, waking the agent when half of the ring is free. Errors: the
 * sink's for a stack, which is then asked for again.
 */
struct error *ring_reader_fill(struct ring_reader *reader, struct ring_context *context,
			       uint32_t want);

/* Tells the agent what was taken, and wakes it if it waits for any of that (futex(2)). */
void ring_reader_release(struct ring_reader *reader);

/*
 * Takes the words that the agent has written out of the ring, if they are many, to be decoded
 * later. False: there was nothing to be done, or no room.
 */
bool ring_reader_relieve(struct ring_reader *reader);

/* A stamp as the session's time. Stamps from before the session are its begin. */
static inline uint64_t ring_context_time(const struct ring_context *context, uint64_t stamp)
{
	int64_t ticks = (int64_t)(stamp - ring_time_of(context->clock.base_ticks));
	unsigned __int128 scaled =
		(unsigned __int128)(uint64_t)(ticks > 0 ? ticks : 0) * context->ns_scale;
	return context->clock.base_ns + (uint64_t)(scaled >> RING_SCALE_BITS);
}

/* The address a record is about, 0 if none. */
static inline target_addr ring_record_address(const struct ring_record *record)
{
	const struct event *event = &record->event;
	return event->address.v ? event->address : event->old_address;
}

/* Nothing is pending and nothing more was seen in the ring. */
static inline bool ring_reader_empty(const struct ring_reader *reader)
{
	return reader->count == 0 && reader->at.position == reader->head;
}

/* The oldest pending record; there must be one. */
static inline struct ring_record *ring_reader_front(struct ring_reader *reader)
{
	return &reader->items[reader->first];
}

static inline void ring_reader_pop(struct ring_reader *reader)
{
	reader->first++;
	reader->count--;
}

#endif
