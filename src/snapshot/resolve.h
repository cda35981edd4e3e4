/* SPDX-License-Identifier: MIT */
/*
 * Symbols put into a snapshot that was recorded without them (KEPT_RAW).
 *
 * Does not: look symbols up; whoever calls it does. Called by: cli, from one thread.
 */
#ifndef SNAPSHOT_RESOLVE_H
#define SNAPSHOT_RESOLVE_H

#include "snapshot/snapshot.h"

struct resolver {
	/*
	 * Adds what a frame without symbols stands for to the snapshot (snapshot_add_frame), the
	 * innermost first; at least one.
	 */
	struct error *(*add)(void *context, struct snapshot *snapshot,
			     const struct snapshot_frame *frame);
	void *context;
};

/*
 * Replaces every frame by what the resolver makes of it, each asked for once. After an error the
 * snapshot is good for nothing but snapshot_destroy. Errors: those of the resolver, no memory.
 */
struct error *resolve_snapshot(struct snapshot *snapshot, const struct resolver *resolver);

#endif
