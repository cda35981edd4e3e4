/* SPDX-License-Identifier: MIT */
#include "snapshot/sum.h"

void sum_site(struct site_counters *sums, const struct site_counters *one)
{
	sum_add(&sums->current_bytes, one->current_bytes);
	sum_add(&sums->current_blocks, one->current_blocks);
	sum_add(&sums->total_bytes, one->total_bytes);
	sum_add(&sums->total_blocks, one->total_blocks);
	sum_add(&sums->released_bytes, one->released_bytes);
	sum_add(&sums->released_blocks, one->released_blocks);
	sum_add(&sums->ended_bytes, one->ended_bytes);
	sum_add(&sums->ended_blocks, one->ended_blocks);
	sum_add(&sums->peak_bytes, one->peak_bytes);
	sum_add(&sums->peak_blocks, one->peak_blocks);
	sum_add(&sums->temporary_blocks, one->temporary_blocks);
	sum_add(&sums->lifetime_ns, one->lifetime_ns);
	sum_add(&sums->failed_calls, one->failed_calls);
	sum_add(&sums->waste_bytes, one->waste_bytes);
	sum_reach(&sums->unreachable, &one->unreachable);
	if (one->largest_bytes > sums->largest_bytes)
		sums->largest_bytes = one->largest_bytes;
}
