/* SPDX-License-Identifier: MIT */
#include "snapshot/needs.h"

bool query_is_by_frame(const struct query *query)
{
	return query->group_by == QUERY_LINE || query->group_by == QUERY_FILE ||
	       query->group_by == QUERY_FUNCTION || query->group_by == QUERY_MODULE;
}

bool needs_ages(const struct query *query)
{
	for (size_t i = 0; i < query->filter_count; i++)
		if (query->filters[i].kind == FILTER_AGE)
			return true;
	return false;
}

unsigned query_needs(const struct query *query)
{
	unsigned needs = 0;
	if (query->group_by == QUERY_SIZE)
		needs |= KEPT_SIZES;
	if (query->group_by == QUERY_THREAD)
		needs |= KEPT_THREADS;
	if (query->show == QUERY_WASTE)
		needs |= KEPT_WASTE;
	if (query->histogram == QUERY_SIZE_HISTOGRAM && query->filter_count)
		needs |= KEPT_SIZES;
	else if (query->histogram)
		needs |= KEPT_HISTOGRAMS;
	for (size_t i = 0; i < query->filter_count; i++) {
		if (query->filters[i].kind == FILTER_SIZE)
			needs |= KEPT_SIZES;
		if (query->filters[i].kind == FILTER_THREAD)
			needs |= KEPT_THREADS;
		if (query->filters[i].kind == FILTER_AGE)
			needs |= KEPT_AGES;
	}
	return needs;
}

unsigned query_wants(const struct query *query)
{
	return query_needs(query) | (query->group_by == QUERY_PROCESS ? KEPT_THREADS : 0u);
}

static struct error *check_kept(const struct snapshot *snapshot, const struct query *query)
{
	static const struct {
		unsigned flag;
		const char *message;
	} rows[] = {
		{KEPT_SIZES, "it does not tell sizes apart: record it with --keep size"},
		{KEPT_THREADS, "it does not tell threads apart: record it with --keep thread"},
		{KEPT_WASTE, "it does not know what is wasted: record it with --keep waste"},
		{KEPT_AGES,
		 "it does not know ages: it was recorded by an older tracealloc, or while "
		 "more than 1048576 blocks lived"},
		{KEPT_HISTOGRAMS,
		 "it has no histograms: it was recorded by an older tracealloc, or "
		 "while more than 1048576 blocks lived"},
	};
	unsigned missing = query_needs(query) & ~snapshot->kept.flags;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (missing & rows[i].flag)
			return error_new(ERROR_UNSUPPORTED, "the snapshot cannot answer: %s",
					 rows[i].message);
	return NULL;
}

static bool splits(uint64_t from, uint64_t low, uint64_t high)
{
	return low < from && from <= high;
}

/* The snapshot of another tracealloc may have other classes than ours. */
static struct error *check_borders(const struct snapshot *snapshot,
				   const struct query_filter *filter)
{
	bool within = false;
	if (filter->kind == FILTER_SIZE)
		for (size_t i = 0; i < snapshot->site_count; i++) {
			struct size_range size = snapshot->sites[i].traits.size;
			within |= splits(filter->size.low_bytes, size.low_bytes, size.high_bytes) ||
				  (filter->size.high_bytes >= size.low_bytes &&
				   filter->size.high_bytes < size.high_bytes);
		}
	if (filter->kind == FILTER_AGE)
		for (size_t i = 0; i < snapshot->kept.age_count; i++) {
			struct time_range age = snapshot->kept.ages[i].age;
			within |= splits(filter->age.low_ns, age.low_ns, age.high_ns - 1) ||
				  splits(filter->age.high_ns, age.low_ns, age.high_ns - 1);
		}
	return within ? error_new(ERROR_UNSUPPORTED,
				  "the snapshot cannot answer: '%s' divides one of its classes",
				  filter->pattern)
		      : NULL;
}

struct error *needs_check(const struct snapshot *snapshot, const struct query *query)
{
	struct error *err = check_kept(snapshot, query);
	if (!err && needs_ages(query) && query->show != QUERY_CURRENT &&
	    query->show != QUERY_LEAKED)
		return error_new(ERROR_USAGE, "age= is of blocks that live: give --show current or "
					      "--show leaked");
	for (size_t i = 0; !err && i < query->filter_count; i++)
		err = check_borders(snapshot, &query->filters[i]);
	return err;
}
