/* SPDX-License-Identifier: MIT */
#include "snapshot/timeline.h"

#include "snapshot/sum.h"

static struct error *check_sites(const struct snapshot *snapshot, size_t i)
{
	const struct snapshot_detail_point *point = &snapshot->detail_points[i];
	const struct snapshot_detail_site *sites = snapshot->detail_sites + point->first_site;
	uint64_t bytes = 0, blocks = 0;
	for (size_t k = 0; k < point->site_count; k++) {
		bool rises = !k || sites[k].site > sites[k - 1].site;
		if (!rises || sites[k].site >= snapshot->site_count)
			return error_new(ERROR_BAD_INPUT, "snapshot: a site of detail %zu", i);
		sum_add(&bytes, sites[k].bytes);
		sum_add(&blocks, sites[k].blocks);
	}
	bool bytes_hold =
		bytes <= point->current_bytes || snapshot->totals.total_bytes == UINT64_MAX;
	if (!bytes_hold || blocks > point->current_blocks)
		return error_new(ERROR_BAD_INPUT, "snapshot: the %s of detail %zu",
				 bytes_hold ? "blocks" : "bytes", i);
	return NULL;
}

struct error *timeline_check_details(const struct snapshot *snapshot)
{
	const struct snapshot_detail_point *points = snapshot->detail_points;
	for (size_t i = 0; i < snapshot->detail_point_count; i++) {
		size_t first = points[i].first_site;
		if (first > snapshot->detail_site_count ||
		    points[i].site_count > snapshot->detail_site_count - first)
			return error_new(ERROR_BAD_INPUT,
					 "snapshot: the sites of detail %zu are outside", i);
		if (i && points[i].time_ns <= points[i - 1].time_ns)
			return error_new(ERROR_BAD_INPUT, "snapshot: detail %zu is out of time", i);
		struct error *err = check_sites(snapshot, i);
		if (err)
			return err;
	}
	return NULL;
}
