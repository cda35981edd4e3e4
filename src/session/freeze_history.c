/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/cleanup.h"
#include "session/freeze.h"

static struct error *add_timeline(struct freeze *freeze)
{
	const struct ledger_point *points = freeze->frozen->timeline;
	for (size_t i = 0; i < freeze->frozen->timeline_count; i++) {
		struct snapshot_timeline_point point = {points[i].time_ns, points[i].current_bytes,
							points[i].current_blocks};
		struct error *err = snapshot_add_timeline_point(freeze->snapshot, &point);
		if (err)
			return err;
	}
	return NULL;
}

static int compare_detail_sites(const void *left, const void *right)
{
	const struct snapshot_detail_site *a = left, *b = right;
	return (a->site > b->site) - (a->site < b->site);
}

/* The sites of the snapshot are in another order than those of the ledger. */
static struct error *add_detail(struct freeze *freeze, const struct ledger_detail *detail)
{
	struct snapshot_detail_point point = {.time_ns = detail->time_ns,
					      .current_bytes = detail->current_bytes,
					      .current_blocks = detail->current_blocks};
	_cleanup_free_ struct snapshot_detail_site *sites =
		calloc(detail->site_count + 1, sizeof *sites);
	size_t count = 0;
	if (!sites)
		return error_no_memory();
	for (size_t i = 0; i < detail->site_count; i++) {
		uint32_t site = freeze->site_numbers[detail->sites[i].site.v];
		if (site != FREEZE_NO_SITE)
			sites[count++] = (struct snapshot_detail_site){
				.bytes = detail->sites[i].bytes,
				.blocks = detail->sites[i].blocks,
				.site = site,
			};
	}
	if (count && freeze->traits)
		qsort(sites, count, sizeof *sites, compare_detail_sites);
	for (size_t i = 0; i < count; i++) {
		struct error *err = snapshot_add_detail_site(freeze->snapshot, &sites[i]);
		if (err)
			return err;
	}
	return snapshot_add_detail_point(freeze->snapshot, &point);
}

static struct error *add_details(struct freeze *freeze)
{
	const struct frozen *frozen = freeze->frozen;
	for (size_t i = 0; i < frozen->detail_count; i++) {
		struct error *err = add_detail(freeze, &frozen->details[i]);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *add_marks(struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->frozen->mark_count; i++) {
		const struct mark *from = &freeze->frozen->marks[i];
		struct error *err = NULL;
		struct snapshot_mark mark = {
			.kind = from->kind,
			.time_ns = from->time_ns,
			.current_bytes = from->current_bytes,
			.name = freeze_keep(freeze, *from->name ? from->name : NULL, &err),
		};
		if (!err)
			err = snapshot_add_mark(freeze->snapshot, &mark);
		if (err)
			return err;
	}
	return NULL;
}

struct error *freeze_add_history(struct freeze *freeze)
{
	struct error *err = add_timeline(freeze);
	if (!err)
		err = add_details(freeze);
	return err ? err : add_marks(freeze);
}
