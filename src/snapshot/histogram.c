/* SPDX-License-Identifier: MIT */
#include "snapshot/histogram.h"

#include "snapshot/charge.h"
#include "snapshot/filter.h"
#include "snapshot/sum.h"

/* A class of sizes lies within one power of two. */
static void add_site(struct snapshot_size_class *sizes, const struct snapshot_site *site,
		     const struct site_counters *counters)
{
	struct snapshot_size_class *to = &sizes[size_power_of(site->traits.size.high_bytes)];
	sum_add(&to->total_bytes, counters->total_bytes);
	sum_add(&to->total_blocks, counters->total_blocks);
	sum_add(&to->current_bytes, counters->current_bytes);
	sum_add(&to->current_blocks, counters->current_blocks);
}

static struct error *add_sites(const struct snapshot *snapshot, const struct query *query,
			       struct snapshot_size_class *sizes)
{
	_cleanup_charge_ struct charge charge = {0};
	_cleanup_filter_ struct filter filter = {0};
	struct error *err = charge_init(&charge, snapshot, query);
	if (!err)
		err = filter_init(&filter, snapshot, query);
	for (size_t i = 0; !err && i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		struct site_counters counters;
		err = filter_counters(&filter, site, charge_frame(&charge, site), &counters);
		if (!err)
			add_site(sizes, site, &counters);
	}
	return err;
}

static struct error *collect_passing(const struct snapshot *snapshot, const struct query *query,
				     struct snapshot_kept *ret)
{
	struct snapshot_size_class sizes[SIZE_POWER_COUNT] = {0};
	struct error *err = add_sites(snapshot, query, sizes);
	for (uint32_t i = 0; !err && i < SIZE_POWER_COUNT; i++) {
		sizes[i].size = size_power_range(i);
		if (sizes[i].total_blocks)
			err = kept_add_size(ret, &sizes[i]);
	}
	return err;
}

struct error *histogram_collect(const struct snapshot *snapshot, const struct query *query,
				struct snapshot_kept *ret)
{
	const struct snapshot_kept *kept = &snapshot->kept;
	struct error *err = NULL;
	switch (query->histogram) {
	case QUERY_NO_HISTOGRAM:
		return NULL;
	case QUERY_SIZE_HISTOGRAM:
		if (query->filter_count)
			return collect_passing(snapshot, query, ret);
		for (size_t i = 0; !err && i < kept->size_count; i++)
			err = kept_add_size(ret, &kept->sizes[i]);
		return err;
	case QUERY_LIFETIME_HISTOGRAM:
		for (size_t i = 0; !err && i < kept->lifetime_count; i++)
			err = kept_add_lifetime(ret, &kept->lifetimes[i]);
	}
	return err;
}
