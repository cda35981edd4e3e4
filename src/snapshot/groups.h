/* SPDX-License-Identifier: MIT */
/*
 * The groups that sites fall into: from a snapshot and a query to the rows of all groups, in the
 * order of their keys.
 *
 * Owns: the array. Does not: order by figures, cut, or compare snapshots (query.c and compare.c
 * do). Private to this folder.
 */
#ifndef SNAPSHOT_GROUPS_H
#define SNAPSHOT_GROUPS_H

#include "snapshot/place.h"

/*
 * A group: its key, which is the place, for a traceback the row's stack, for a process the row's
 * process; and its row, which has no label yet.
 */
struct group {
	struct place place;
	struct table_row row;
};

/* items[0 .. count): sorted by key, no two keys equal. */
struct groups {
	const struct query *query;
	bool portable; /* keys match those of another build */
	struct group *items;
	size_t count, capacity;
};

/* Adds what was shown in sum to shown_*, lineless_sites of table. Errors: no memory. */
struct error *groups_collect(struct groups *groups, const struct snapshot *snapshot,
			     struct table *table);
void groups_deinit(struct groups *groups);

/* The order of keys: less than, equal to or greater than 0. */
int groups_compare(const struct groups *groups, const struct group *a, const struct group *b);

/* Makes the row's label. Errors: no memory. */
struct error *groups_label(const struct groups *groups, struct group *group);

#define _cleanup_groups_ __attribute__((__cleanup__(groups_deinit)))

#endif
