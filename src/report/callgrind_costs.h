/* SPDX-License-Identifier: MIT */
/*
 * Costs of functions by line, of their own and of calls: from stacks to what a callgrind file
 * lists.
 *
 * A block is charged to the line of the innermost frame of its stack as that function's own cost,
 * and to the line of every other frame as the cost of a call. Of the frames of one function on one
 * stack (recursion) only the innermost counts, the others are passed by; and outermost functions
 * are called by one that stands for whoever called them. So what a function is called for, and what
 * it spends itself and in calls, are the same: what was allocated beneath it, each block once.
 *
 * Owns: functions and costs. Called by: callgrind.c.
 *
 * Equations: the sum over own costs is the sum over the stacks, and so is that over calls made by
 * function 0; for every other function the sum over all of its costs is that over calls of it.
 */
#ifndef REPORT_CALLGRIND_COSTS_H
#define REPORT_CALLGRIND_COSTS_H

#include "base/error.h"
#include "report/texts.h"
#include "snapshot/selection.h"

/* No callee: a function's own cost. It sorts before the others. */
#define CALLGRIND_OWN 0

struct callgrind_cost {
	size_t function; /* its number in callgrind_costs.functions */
	size_t callee;	 /* likewise + 1, or CALLGRIND_OWN */
	uint32_t line;	 /* 0: unknown */
	struct site_counters counters;
};

struct callgrind_costs {
	const struct selection *selection;
	/*
	 * Three lines each, escaped: module, source file, name; what is not known is "???". The
	 * first is the caller of outermost functions.
	 */
	struct texts functions;
	struct callgrind_cost *items; /* by function, callee, line; no two alike */
	size_t count, capacity;
};

/* Errors: no memory. The selection must outlive it. */
struct error *callgrind_costs_make(const struct selection *selection, struct callgrind_costs *ret);
void callgrind_costs_deinit(struct callgrind_costs *costs);

#define _cleanup_callgrind_costs_ __attribute__((__cleanup__(callgrind_costs_deinit)))

#endif
