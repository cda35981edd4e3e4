/* SPDX-License-Identifier: MIT */
/*
 * The call stacks that a query lets through, for formats that hold whole stacks instead of a table.
 *
 * A stack begins at the frame its blocks are charged to, so that the innermost frame of every stack
 * is what the rows of a table are made of; what lies further in (allocators, what is skipped) is
 * left out. Of the query only charge, skip and filters count here.
 *
 * Owns: the array. Does not: group, order by figures or cut. Pure. Called by: cli and report, from
 * one thread.
 */
#ifndef SNAPSHOT_SELECTION_H
#define SNAPSHOT_SELECTION_H

#include "snapshot/query.h"

/* frame_count == 0: nothing is known of the stack. */
struct selection_stack {
	const uint32_t *frames; /* indices into the snapshot's frames, innermost first */
	size_t frame_count;
	size_t site;	  /* one of those that have it, index into the snapshot's */
	uint32_t process; /* as in snapshot_site */
	bool truncated;	  /* more frames would follow */
	struct site_counters counters;
};

/* Of a site that does not pass. */
#define SELECTION_NO_STACK SIZE_MAX

/*
 * Equation: the sums over stacks are those over the sites that pass. No two stacks have the same
 * frames, process and truncated; they are in the order of their frames from the outermost, so that
 * common callers lie side by side.
 */
struct selection {
	const struct snapshot *snapshot;
	const struct query *query;
	struct selection_stack *stacks;
	size_t count;
	size_t *stack_of_site; /* of each site of the snapshot */
};

/* Snapshot and query must outlive the selection. Errors as query_run. */
struct error *selection_make(const struct snapshot *snapshot, const struct query *query,
			     struct selection *ret);
void selection_deinit(struct selection *selection);

/* The i-th frame of a stack, from 0, the innermost. */
static inline const struct snapshot_frame *
selection_frame(const struct selection *selection, const struct selection_stack *stack, size_t i)
{
	return &selection->snapshot->frames[stack->frames[i]];
}

/* The sums over all stacks; each stops at UINT64_MAX. */
struct site_counters selection_sums(const struct selection *selection);

#define _cleanup_selection_ __attribute__((__cleanup__(selection_deinit)))

#endif
