/* SPDX-License-Identifier: MIT */
/* The comparison of two snapshots, row by row. */
#include <stdlib.h>

#include "base/array.h"
#include "snapshot/groups.h"
#include "snapshot/query.h"
#include "snapshot/table.h"

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Biggest difference first, then the biggest figure. */
static int compare_bytes(const struct table_row *a, const struct table_row *b)
{
	int order = compare_numbers(difference(b->bytes, b->old_bytes),
				    difference(a->bytes, a->old_bytes));
	return order ? order : compare_numbers(b->bytes, a->bytes);
}

static int compare_blocks(const struct table_row *a, const struct table_row *b)
{
	int order = compare_numbers(difference(b->blocks, b->old_blocks),
				    difference(a->blocks, a->old_blocks));
	return order ? order : compare_numbers(b->blocks, a->blocks);
}

static int compare_groups(const void *left, const void *right, void *context)
{
	const struct groups *groups = context;
	const struct group *a = left, *b = right;
	bool by_blocks = groups->query->show == QUERY_COUNT;
	int order = by_blocks ? compare_blocks(&a->row, &b->row) : compare_bytes(&a->row, &b->row);
	if (!order)
		order = by_blocks ? compare_bytes(&a->row, &b->row)
				  : compare_blocks(&a->row, &b->row);
	return order ? order : groups_compare(groups, b, a);
}

static struct error *append(struct groups *groups, const struct group *group)
{
	if (!array_reserve(&groups->items, &groups->capacity, groups->count + 1,
			   sizeof *groups->items))
		return error_no_memory();
	groups->items[groups->count++] = *group;
	return NULL;
}

/* A row that is in the old snapshot alone: what it had is gone. */
static struct group vanished(const struct group *old)
{
	struct group group = *old;
	group.row.bytes = group.row.blocks = 0;
	group.row.counters = (struct site_counters){0};
	group.row.old_bytes = old->row.bytes;
	group.row.old_blocks = old->row.blocks;
	return group;
}

/* Merges both lists, which are in the order of their keys. */
static struct error *pair(const struct groups *old, const struct groups *new, struct groups *ret)
{
	size_t i = 0, k = 0;
	while (i < old->count || k < new->count) {
		int order = i == old->count   ? 1
			    : k == new->count ? -1
					      : groups_compare(new, &old->items[i], &new->items[k]);
		struct group group = order < 0 ? vanished(&old->items[i]) : new->items[k];
		if (order == 0) {
			group.row.old_bytes = old->items[i].row.bytes;
			group.row.old_blocks = old->items[i].row.blocks;
		}
		i += order <= 0;
		k += order >= 0;
		struct error *err = append(ret, &group);
		if (err)
			return err;
	}
	return NULL;
}

static bool is_shown(const struct table *table, const struct table_row *row)
{
	return table->row_count < table->query.top &&
	       difference(row->bytes, row->old_bytes) >= table->query.min_bytes;
}

struct error *query_compare(const struct snapshot *old, const struct snapshot *new,
			    const struct query *query, struct table *ret)
{
	_cleanup_groups_ struct groups before = {.query = query, .portable = true};
	_cleanup_groups_ struct groups after = {.query = query, .portable = true};
	_cleanup_groups_ struct groups both = {.query = query, .portable = true};
	_cleanup_table_ struct table old_table = {0}, table = {.query = *query, .old = old};
	struct error *err = groups_collect(&before, old, &old_table);
	if (!err)
		err = groups_collect(&after, new, &table);
	if (!err)
		err = pair(&before, &after, &both);
	if (err)
		return err;
	table.old_shown_bytes = old_table.shown_bytes;
	table.old_shown_blocks = old_table.shown_blocks;
	if (both.count)
		qsort_r(both.items, both.count, sizeof *both.items, compare_groups, &both);
	err = table_cut(&table, &both, is_shown);
	if (err)
		return err;
	*ret = table;
	table = (struct table){0};
	return NULL;
}
