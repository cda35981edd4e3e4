/* SPDX-License-Identifier: MIT */
/*
 * What of each site passes the filters of a query.
 *
 * Owns: what each filter said of each frame, kept while a question is answered. Called by: the
 * other files of this folder and report, from one thread.
 */
#ifndef SNAPSHOT_FILTER_H
#define SNAPSHOT_FILTER_H

#include "snapshot/query.h"

/* answers[filter * snapshot->frame_count + frame]: not asked yet, no, yes. */
struct filter {
	const struct snapshot *snapshot;
	const struct query *query;
	uint8_t *answers; /* NULL where there are no filters */
};

/* Snapshot and query must outlive it. Errors: no memory. */
struct error *filter_init(struct filter *filter, const struct snapshot *snapshot,
			  const struct query *query);
void filter_deinit(struct filter *filter);

/*
 * The counters of what passes of a site, zeroes where nothing does; charged is its charged frame as
 * charge_frame gives it. Where ages are asked for that is a part of current and ended alone.
 * Errors: no memory.
 */
struct error *filter_counters(struct filter *filter, const struct snapshot_site *site,
			      size_t charged, struct site_counters *ret);

#define _cleanup_filter_ __attribute__((__cleanup__(filter_deinit)))

#endif
