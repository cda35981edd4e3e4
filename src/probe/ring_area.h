/* SPDX-License-Identifier: MIT */
/*
 * One thread's area in the shared memory (struct agent_thread): whose it is, its rings, the stacks
 * its agent was told of.
 *
 * Owns: the readers of its rings, what was counted in it. Does not: order records. Called by:
 * rings, from the thread that takes.
 */
#ifndef PROBE_RING_AREA_H
#define PROBE_RING_AREA_H

#include "probe/ring_merge.h"

/*
 * heads[l] is what level l's head was when last read; of these words everything was given out if
 * it equals done[l]. readers[l] is NULL as long as a level has held nothing.
 */
struct ring_area {
	struct agent_thread *shared;
	uint64_t heads[AGENT_LEVELS];
	uint64_t done[AGENT_LEVELS];
	bool claimed;
	bool known; /* space and thread were read */
	bool ended; /* to be given back when it is empty */
	uint32_t thread;
	space_id space;
	uint64_t lost; /* agent_thread.lost as last read */
	unsigned oldest_bounds;
	struct ring_pool *pool; /* for backlogs */
	struct ring_reader *readers[AGENT_LEVELS];
};

void ring_area_init(struct ring_area *area, struct agent_thread *shared, struct ring_pool *pool);
void ring_area_deinit(struct ring_area *area);

/* Somebody has claimed it; who, is read when it matters (the agent writes it afterwards). */
void ring_area_claim(struct ring_area *area);

/*
 * Reads whose it is, if that is not known yet. To be called once the agent was seen to have written
 * something into it: an agent that is just claiming has perhaps written the half of it.
 */
bool ring_area_identify(struct ring_area *area);

/* Whether it is this thread's. Asked about a thread that has ended, or does not claim just now. */
bool ring_area_belongs(const struct ring_area *area, space_id space, uint32_t thread);

/* Reads the heads. *moved_ret is set where one has moved since last time. Errors: no memory. */
struct error *ring_area_read_heads(struct ring_area *area, bool *moved_ret);

/* Adds the rings that hold something, as of the heads that were read last, to merge. */
void ring_area_list(const struct ring_area *area, struct ring_merge *merge);

/* After a take: releases its words, and notes which rings are done. */
void ring_area_settle(struct ring_area *area);

/* Gives it back to the agents (*state is its area_state) if its thread has ended and it is empty.
 */
bool ring_area_give_back(struct ring_area *area, uint32_t *state);

/* Events lost since the last time. */
uint64_t ring_area_lost(struct ring_area *area);

uint64_t ring_area_closed_rings(const struct ring_area *area);

/* The stack its agent asks about, 0: none. */
uint64_t ring_area_unknown_sp(const struct ring_area *area);

/* The answer: bounds, if there are any, replace those they overlap, or the oldest. */
void ring_area_answer(struct ring_area *area, uint64_t sp, struct agent_bounds bounds);

#endif
