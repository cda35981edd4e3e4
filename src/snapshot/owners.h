/* SPDX-License-Identifier: MIT */
/*
 * Which process the blocks of a site are of: that of the thread which made them, where threads are
 * told apart, else the root of the site's tree.
 *
 * Owns: the processes of the threads, looked up once. Private to this folder. Pure.
 */
#ifndef SNAPSHOT_OWNERS_H
#define SNAPSHOT_OWNERS_H

#include "snapshot/snapshot.h"

struct owners {
	const struct snapshot *snapshot;
	/* By number of the thread, SNAPSHOT_NO_PROCESS where it is not known; NULL: nothing is. */
	uint32_t *of_thread;
};

/* Errors: no memory. */
struct error *owners_init(struct owners *owners, const struct snapshot *snapshot);
void owners_deinit(struct owners *owners);

/* NULL: the site belongs to no process. */
const struct snapshot_process *owners_of(const struct owners *owners,
					 const struct snapshot_site *site);

#endif
