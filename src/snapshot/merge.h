/* SPDX-License-Identifier: MIT */
/*
 * Several snapshots as one: processes of a tree, or of a fleet.
 *
 * Called by: cli, from one thread. Pure.
 */
#ifndef SNAPSHOT_MERGE_H
#define SNAPSHOT_MERGE_H

#include "snapshot/snapshot.h"

/*
 * A new snapshot of all parts (at least one). Sites, processes, probes and modules of all stay side
 * by side; figures of the sessions are added, those at the peak too, although the peaks were at
 * different times. It begins with the first session and ends with the last; without a time line,
 * command and pid. It is of `run` only if every part is. Source lines of which the parts have
 * different texts are left out. Errors: no memory.
 */
struct error *merge_snapshots(const struct snapshot *const *parts, size_t count,
			      struct snapshot **ret);

#endif
