/* SPDX-License-Identifier: MIT */
#include "report/html.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "snapshot/charge.h"
#include "snapshot/filter.h"
#include "snapshot/needs.h"
#include "snapshot/sum.h"

/* By the snapshot's frames and sites. */
struct choice {
	uint8_t *own;	   /* whether the frame takes part in cumulative sums */
	uint32_t *numbers; /* the site's row on the page, UINT32_MAX: it does not stand there */
};

static void choice_deinit(struct choice *choice)
{
	free(choice->own);
	free(choice->numbers);
}

static void html_page_deinit(struct html_page *page)
{
	free(page->sites);
	html_json_deinit(&page->json);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_sites(const void *left, const void *right, void *context)
{
	const struct snapshot *snapshot = context;
	const struct snapshot_site *a = ((const struct html_site *)left)->site;
	const struct snapshot_site *b = ((const struct html_site *)right)->site;
	size_t i = a->frame_count, j = b->frame_count;
	while (i && j) {
		int order = compare_numbers(snapshot->stacks[a->first_frame + --i],
					    snapshot->stacks[b->first_frame + --j]);
		if (order)
			return order;
	}
	return i || j ? (i > 0) - (j > 0) : (int)a->truncated - (int)b->truncated;
}

/* Sites of one stack, told apart by threads or sizes, become one. */
static void join(struct html_page *page, struct choice *choice)
{
	size_t kept = 0;
	if (page->site_count)
		qsort_r(page->sites, page->site_count, sizeof *page->sites, compare_sites,
			(void *)page->snapshot);
	for (size_t i = 0; i < page->site_count; i++) {
		struct html_site *last = kept ? &page->sites[kept - 1] : NULL;
		size_t index = page->sites[i].index;
		if (last && compare_sites(last, &page->sites[i], (void *)page->snapshot) == 0)
			sum_site(&last->counters, &page->sites[i].counters);
		else
			page->sites[kept++] = page->sites[i];
		choice->numbers[index] = (uint32_t)(kept - 1);
	}
	page->site_count = kept;
}

static bool is_empty(const struct site_counters *c)
{
	return !c->total_blocks && !c->current_blocks && !c->ended_blocks && !c->failed_calls;
}

static struct error *add_site(struct html_page *page, struct choice *choice, struct charge *charge,
			      struct filter *filter, size_t i)
{
	const struct snapshot_site *site = &page->snapshot->sites[i];
	struct html_site one = {.site = site, .charged = charge_frame(charge, site), .index = i};
	struct error *err = filter_counters(filter, site, one.charged, &one.counters);
	choice->numbers[i] = UINT32_MAX;
	if (err || is_empty(&one.counters))
		return err;
	page->sites[page->site_count++] = one;
	for (size_t k = 0; k < site->frame_count; k++)
		choice->own[page->snapshot->stacks[site->first_frame + k]] =
			charge_counts(charge, site, k);
	return NULL;
}

/* Takes what passes the query's filters. */
static struct error *choose(struct html_page *page, struct choice *choice)
{
	_cleanup_charge_ struct charge charge = {0};
	_cleanup_filter_ struct filter filter = {0};
	const struct snapshot *snapshot = page->snapshot;
	page->sites = calloc(snapshot->site_count + 1, sizeof *page->sites);
	choice->own = calloc(snapshot->frame_count + 1, sizeof *choice->own);
	choice->numbers = calloc(snapshot->site_count + 1, sizeof *choice->numbers);
	if (!page->sites || !choice->own || !choice->numbers)
		return error_no_memory();
	struct error *err = needs_check(snapshot, page->query);
	if (!err)
		err = charge_init(&charge, snapshot, page->query);
	if (!err)
		err = filter_init(&filter, snapshot, page->query);
	for (size_t i = 0; !err && i < snapshot->site_count; i++)
		err = add_site(page, choice, &charge, &filter, i);
	if (!err)
		join(page, choice);
	return err;
}

static struct error *put_data(struct html_page *page, const struct choice *choice)
{
	struct buffer *out = page->json.out;
	buffer_string(out, "{\"version\":1,\n");
	html_session(page);
	buffer_string(out, ",\n");
	html_frames(page, choice->own);
	buffer_string(out, ",\n");
	struct error *err = html_stacks(page);
	buffer_string(out, ",\n");
	if (!err)
		err = html_source(page);
	if (err)
		return err;
	buffer_string(out, ",\n");
	html_timeline(page);
	buffer_string(out, ",\n");
	html_marks(page);
	buffer_string(out, ",\n");
	html_histograms(page);
	buffer_string(out, ",\n");
	html_details(page, choice->numbers);
	buffer_string(out, ",\n");
	html_json_strings(&page->json);
	buffer_string(out, "}\n");
	return page->json.failed ? error_no_memory() : NULL;
}

struct error *report_html(const struct snapshot *snapshot, const struct query *query,
			  const struct report_source *source, struct buffer *out)
{
	__attribute__((cleanup(html_page_deinit))) struct html_page page = {
		.snapshot = snapshot, .query = query, .source = source, .json.out = out};
	__attribute__((cleanup(choice_deinit))) struct choice choice = {0};
	const char *gap =
		memmem(html_page, html_page_bytes, HTML_PAGE_DATA, sizeof HTML_PAGE_DATA - 1);
	size_t before = gap ? (size_t)(gap - html_page) : html_page_bytes;
	size_t after = gap ? before + sizeof HTML_PAGE_DATA - 1 : html_page_bytes;
	struct error *err = choose(&page, &choice);
	if (err)
		return err;
	buffer_append(out, html_page, before);
	buffer_string(out, "<script type=\"application/json\" id=\"data\">");
	err = put_data(&page, &choice);
	if (err)
		return err;
	buffer_string(out, "</script>");
	buffer_append(out, html_page + after, html_page_bytes - after);
	return buffer_failed(out) ? error_no_memory() : NULL;
}
