/* SPDX-License-Identifier: MIT */
/*
 * The details of a snapshot's timeline: whether they are sound.
 *
 * Private to this folder.
 */
#ifndef SNAPSHOT_TIMELINE_H
#define SNAPSHOT_TIMELINE_H

#include "snapshot/snapshot.h"

/*
 * Times rise; a point's sites exist, stand in their order, and hold no more than all (unless sums
 * have stopped at UINT64_MAX). NULL when it is so, ERROR_BAD_INPUT.
 */
struct error *timeline_check_details(const struct snapshot *snapshot);

#endif
