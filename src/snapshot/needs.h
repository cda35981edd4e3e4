/* SPDX-License-Identifier: MIT */
/*
 * What a query asks of a snapshot beyond the figures of stacks, and whether the snapshot has it.
 *
 * Called by: the other files of this folder and report; query.h declares what others may ask.
 */
#ifndef SNAPSHOT_NEEDS_H
#define SNAPSHOT_NEEDS_H

#include "snapshot/query.h"

/*
 * ERROR_UNSUPPORTED says what is missing and how to have it recorded, or that a border of a filter
 * is within a class of the snapshot; ERROR_USAGE: ages of blocks that need not live.
 */
struct error *needs_check(const struct snapshot *snapshot, const struct query *query);

/* Whether some filter is by age. */
bool needs_ages(const struct query *query);

#endif
