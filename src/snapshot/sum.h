/* SPDX-License-Identifier: MIT */
/*
 * Sums that stop at UINT64_MAX instead of wrapping, and the sum of two sites.
 *
 * Called by: the other files of this folder, and report.
 */
#ifndef SNAPSHOT_SUM_H
#define SNAPSHOT_SUM_H

#include "base/counters.h"

static inline void sum_add(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static inline void sum_reach(struct reach_counters *sums, const struct reach_counters *one)
{
	sum_add(&sums->direct_bytes, one->direct_bytes);
	sum_add(&sums->direct_blocks, one->direct_blocks);
	sum_add(&sums->indirect_bytes, one->indirect_bytes);
	sum_add(&sums->indirect_blocks, one->indirect_blocks);
}

/* Adds what one site did to the sums of several; largest_bytes is the larger of the two. */
void sum_site(struct site_counters *sums, const struct site_counters *one);

#endif
