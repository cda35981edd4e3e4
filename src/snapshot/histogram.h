/* SPDX-License-Identifier: MIT */
/*
 * The histogram of a query: sizes or lifetimes of blocks, of the whole session or of what passes
 * the filters.
 *
 * Private to this folder.
 */
#ifndef SNAPSHOT_HISTOGRAM_H
#define SNAPSHOT_HISTOGRAM_H

#include "snapshot/query.h"

/*
 * The snapshot has what needs_check asks for. Adds to ret's sizes or lifetimes, smallest first,
 * which the caller owns also on error. Errors: no memory.
 */
struct error *histogram_collect(const struct snapshot *snapshot, const struct query *query,
				struct snapshot_kept *ret);

#endif
