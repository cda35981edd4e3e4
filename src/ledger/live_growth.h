/* SPDX-License-Identifier: MIT */
/*
 * The growth of a live table: more memory at its end, and blocks that move there bit by bit.
 *
 * Owns: when and how far a table grows. Called by: live_table.c, from the ledger's thread.
 */
#ifndef LEDGER_LIVE_GROWTH_H
#define LEDGER_LIVE_GROWTH_H

#include "ledger/live_table.h"

/* Of LIVE_BUCKET_BLOCKS slots a home: so many blocks a home are what a table has before it grows.
 */
enum { LIVE_FULL_BLOCKS = 5 };

/*
 * Before each put: begins to grow a table that is full, or moves a few homes of one that grows.
 * Errors: no memory; the blocks are then as before.
 */
struct error *live_growth_step(struct live_table *table);

/* Is there anything for live_growth_step to do? */
static inline bool live_growth_is_due(const struct live_table *table)
{
	return table->border != 0 || table->count >= table->capacity * LIVE_FULL_BLOCKS;
}

#endif
