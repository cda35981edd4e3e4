/* SPDX-License-Identifier: MIT */
/*
 * What the HTML page is made of: the page itself, a constant of the program, and the data in it.
 *
 * page.html, page.css and the scripts in src/report/html/ are put together by scripts/build-page
 * when tracealloc is built. html.c puts the data where they have a line HTML_PAGE_DATA; what is
 * computed from the data (rows, order, sums) is computed in the page.
 * Private to this folder; any thread.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "base/error.h"
#include "report/html_json.h"
#include "report/report.h"

#define HTML_PAGE_DATA "<!-- data -->"

extern const char html_page[];
extern const size_t html_page_bytes;

/* All that stands on the page of sites with one stack, and where in it they are charged. */
struct html_site {
	const struct snapshot_site *site; /* the first of them */
	size_t charged;			  /* SIZE_MAX: the stack has no frame */
	struct site_counters counters;
	size_t index; /* of a site not yet joined: where it stands in the snapshot */
};

struct html_page {
	const struct snapshot *snapshot;
	const struct query *query;
	const struct report_source *source; /* or NULL */
	struct html_site
		*sites; /* no two with the same stack; in its order from the outermost frame */
	size_t site_count;
	struct html_json json;
};

/*
 * One key and its value each, without the comma before it. Columns are arrays of equal length, one
 * value a row; strings are numbers in the table that html_json_strings writes at the end.
 *
 * "nodes" is the tree of all stacks, outermost frame first: `up` says how many rows above a node
 * its caller stands (0: it has none), `frame` which frame it is. "sites" name the node of their
 * innermost frame, and how many frames further out the charged one is. Errors: no memory.
 */
void html_session(struct html_page *page);
void html_timeline(struct html_page *page);
void html_marks(struct html_page *page);
void html_histograms(struct html_page *page);
void html_frames(struct html_page *page, const uint8_t *own);
struct error *html_stacks(struct html_page *page);
struct error *html_source(struct html_page *page);

/* The details of the timeline; numbers[i] is the row of the snapshot's site i, UINT32_MAX: none. */
void html_details(struct html_page *page, const uint32_t *numbers);

#endif
