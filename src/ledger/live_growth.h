/* SPDX-License-Identifier: MIT */
/*
 * The growth of a live table: more memory at its end, and blocks that move there bit by bit.
 *
 * Owns: when and how far a table grows. Called by: live_table.c, from the ledger's thread.
 */
#ifndef LEDGER_LIVE_GROWTH_H
#define LEDGER_LIVE_GROWTH_H

#include "ledger/live_table.h"

/*
 * Of LIVE_BUCKET_BLOCKS slots a home: a table grows when it has 9/2 blocks a home. More of them
 * would stand far from their homes, since neighbours come together; fewer would cost memory.
 */
enum { LIVE_FULL_HALVES = 9 };

/*
 * Before each put: begins to grow a table that is full, or moves a few homes of one that grows.
 * Errors: no memory; the blocks are then as before.
 */
struct error *live_growth_step(struct live_table *table);

/* Is there anything for live_growth_step to do? */
static inline bool live_growth_is_due(const struct live_table *table)
{
	return table->border != 0 || 2 * table->count >= table->capacity * LIVE_FULL_HALVES;
}

#endif
