/* SPDX-License-Identifier: MIT */
#include "ledger/details.h"

#include <stdlib.h>

#include "ledger/sum.h"

/* log2 of the timeline's points in one interval. */
enum { INTERVAL_SHIFT = 4 };
_Static_assert(LEDGER_DETAIL_POINTS << INTERVAL_SHIFT == LEDGER_TIMELINE_POINTS,
	       "there is room for a point in every interval of the timeline");

struct error *details_init(struct details *details)
{
	*details = (struct details){0};
	details->sites =
		calloc((size_t)LEDGER_DETAIL_POINTS * LEDGER_DETAIL_SITES, sizeof *details->sites);
	if (!details->sites)
		return error_no_memory();
	for (size_t i = 0; i < LEDGER_DETAIL_POINTS; i++)
		details->points[i].sites = details->sites + i * LEDGER_DETAIL_SITES;
	return NULL;
}

void details_deinit(struct details *details)
{
	free(details->sites);
	*details = (struct details){0};
}

/* Exchanges two points; each keeps memory of its own. */
static void exchange(struct ledger_detail *a, struct ledger_detail *b)
{
	struct ledger_detail kept = *a;
	*a = *b;
	*b = kept;
}

/* Intervals have become longer: of the points of one the higher stays, the first of equals. */
static void thin(struct details *details, unsigned shift)
{
	struct ledger_detail *points = details->points;
	size_t kept = 0;
	details->shift = shift;
	for (size_t i = 0; i < details->count; i++) {
		bool shares =
			kept && points[i].time_ns >> shift == points[kept - 1].time_ns >> shift;
		if (!shares)
			exchange(&points[kept++], &points[i]);
		else if (points[i].current_bytes > points[kept - 1].current_bytes)
			exchange(&points[kept - 1], &points[i]);
	}
	details->count = kept;
}

/* Whether b is to stay where there is room for only one of them. */
static bool is_less(const struct ledger_detail_site *a, const struct ledger_detail_site *b)
{
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes;
	return a->blocks != b->blocks ? a->blocks < b->blocks : a->site.v > b->site.v;
}

/* Puts items[i] where it belongs in the heap below it, the least of which stands first. */
static void sift(struct ledger_detail_site *items, size_t count, size_t i)
{
	struct ledger_detail_site moved = items[i];
	for (size_t child; (child = 2 * i + 1) < count; i = child) {
		if (child + 1 < count && is_less(&items[child + 1], &items[child]))
			child++;
		if (!is_less(&items[child], &moved))
			break;
		items[i] = items[child];
	}
	items[i] = moved;
}

/* Adds one of the sites, in place of the least where there is no room. */
static void keep(struct ledger_detail *point, const struct ledger_detail_site *one)
{
	if (point->site_count < LEDGER_DETAIL_SITES) {
		point->sites[point->site_count++] = *one;
		for (size_t i = LEDGER_DETAIL_SITES / 2;
		     point->site_count == LEDGER_DETAIL_SITES && i-- > 0;)
			sift(point->sites, LEDGER_DETAIL_SITES, i);
	} else if (is_less(&point->sites[0], one)) {
		point->sites[0] = *one;
		sift(point->sites, LEDGER_DETAIL_SITES, 0);
	}
}

static int compare_sites(const void *left, const void *right)
{
	const struct ledger_detail_site *a = left, *b = right;
	return (a->site.v > b->site.v) - (a->site.v < b->site.v);
}

static void take(struct ledger_detail *point, uint64_t time_ns, const struct sites *sites)
{
	point->time_ns = time_ns;
	point->current_bytes = sites->totals.current_bytes;
	point->current_blocks = sites->totals.current_blocks;
	point->site_count = 0;
	for (uint32_t i = 0; i < sites->count; i++) {
		struct ledger_detail_site one = {.site = {i}};
		sites_current(sites, i, &one.bytes, &one.blocks);
		if (one.blocks)
			keep(point, &one);
	}
	qsort(point->sites, point->site_count, sizeof *point->sites, compare_sites);
}

void details_record(struct details *details, uint64_t time_ns, unsigned timeline_shift,
		    const struct sites *sites)
{
	unsigned shift = timeline_shift + INTERVAL_SHIFT;
	if (shift != details->shift)
		thin(details, shift);
	bool begins = !details->count ||
		      time_ns >> shift > details->points[details->count - 1].time_ns >> shift;
	if (!begins || sites->totals.events < details->next_events)
		return;
	take(&details->points[details->count++], time_ns, sites);
	details->next_events = sites->totals.events + sites->count;
}

uint64_t details_memory_bytes(void)
{
	return (uint64_t)LEDGER_DETAIL_POINTS * LEDGER_DETAIL_SITES *
	       sizeof(struct ledger_detail_site);
}

static struct error *check_point(const struct ledger_detail *point, size_t i)
{
	uint64_t bytes = 0, blocks = 0;
	for (size_t k = 0; k < point->site_count; k++) {
		if (k && point->sites[k].site.v <= point->sites[k - 1].site.v)
			return error_new(ERROR_BAD_INPUT, "details: the sites of point %zu", i);
		sum_add(&bytes, point->sites[k].bytes);
		blocks += point->sites[k].blocks;
	}
	bool all = point->site_count < LEDGER_DETAIL_SITES;
	bool bytes_hold = all ? bytes == point->current_bytes : bytes <= point->current_bytes;
	bool blocks_hold = all ? blocks == point->current_blocks : blocks <= point->current_blocks;
	if (!blocks_hold || (!bytes_hold && bytes != UINT64_MAX))
		return error_new(ERROR_BAD_INPUT, "details: the %s of point %zu do not add up",
				 blocks_hold ? "bytes" : "blocks", i);
	return NULL;
}

struct error *details_check(const struct details *details)
{
	const struct ledger_detail *points = details->points;
	for (size_t i = 0; i < details->count; i++) {
		if (i &&
		    points[i].time_ns >> details->shift <= points[i - 1].time_ns >> details->shift)
			return error_new(ERROR_BAD_INPUT, "details: point %zu is out of time", i);
		struct error *err = check_point(&points[i], i);
		if (err)
			return err;
	}
	return NULL;
}
