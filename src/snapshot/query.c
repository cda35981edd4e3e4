/* SPDX-License-Identifier: MIT */
#include "snapshot/query.h"

#include <stdlib.h>

#include "snapshot/groups.h"
#include "snapshot/histogram.h"
#include "snapshot/sum.h"
#include "snapshot/table.h"

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By mean lifetime, without dividing. */
static int compare_lifetimes(const struct table_row *a, const struct table_row *b)
{
	unsigned __int128 left = a->counters.lifetime_ns, right = b->counters.lifetime_ns;
	left *= b->counters.released_blocks;
	right *= a->counters.released_blocks;
	return (left > right) - (left < right);
}

/* Less than 0 where a comes first: biggest first. */
static int compare_figures(enum query_show show, const struct table_row *a,
			   const struct table_row *b)
{
	int bytes = compare_numbers(b->bytes, a->bytes);
	int blocks = compare_numbers(b->blocks, a->blocks);
	int lifetimes = show == QUERY_LIFETIME ? compare_lifetimes(b, a) : 0;
	if (lifetimes)
		return lifetimes;
	if (show == QUERY_COUNT || show == QUERY_TEMPORARY)
		return blocks ? blocks : bytes;
	return bytes ? bytes : blocks;
}

static int compare_groups(const void *left, const void *right, void *context)
{
	const struct groups *groups = context;
	const struct group *a = left, *b = right;
	int order = compare_figures(groups->query->show, &a->row, &b->row);
	return order ? order : groups_compare(groups, b, a);
}

static bool is_shown(const struct table *table, const struct table_row *row)
{
	return table->row_count < table->query.top && row->bytes >= table->query.min_bytes;
}

struct error *query_run(const struct snapshot *snapshot, const struct query *query,
			struct table *ret)
{
	_cleanup_groups_ struct groups groups = {.query = query};
	_cleanup_table_ struct table table = {.query = *query};
	struct error *err = groups_collect(&groups, snapshot, &table);
	if (err)
		return err;
	if (groups.count)
		qsort_r(groups.items, groups.count, sizeof *groups.items, compare_groups, &groups);
	err = table_cut(&table, &groups, is_shown);
	if (!err)
		err = histogram_collect(snapshot, query, &table.histogram);
	if (err)
		return err;
	*ret = table;
	table = (struct table){0};
	return NULL;
}
