/* SPDX-License-Identifier: MIT */
/* The source text around the lines that most is charged to. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/html.h"

/* Bounds of a page that has a session of millions of lines behind it. */
enum { PLACES_MAX = 2000, TEXT_MAX_BYTES = 8 << 20, LINE_MAX_BYTES = 1024 };

struct place {
	const char *file;
	uint32_t line;
	uint64_t weight;
};

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = a->file == b->file ? 0 : strcmp(a->file, b->file);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

static int compare_weights(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return compare_places(left, right);
}

/* Sorts places and makes one of equal ones, with their weights added. */
static size_t join(struct place *places, size_t count)
{
	size_t kept = 0;
	if (count)
		qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 0; i < count; i++) {
		struct place *last = kept ? &places[kept - 1] : NULL;
		if (!last || compare_places(last, &places[i]) != 0)
			places[kept++] = places[i];
		else if (__builtin_add_overflow(last->weight, places[i].weight, &last->weight))
			last->weight = UINT64_MAX;
	}
	return kept;
}

/* The lines that sites are charged to, those first to which most is. */
static struct error *charged_places(const struct html_page *page, struct place **places_ret,
				    size_t *count_ret)
{
	struct place *places = calloc(page->site_count + 1, sizeof *places);
	size_t count = 0;
	if (!places)
		return error_no_memory();
	for (size_t i = 0; i < page->site_count; i++) {
		const struct html_site *one = &page->sites[i];
		const struct snapshot_frame *frame =
			one->charged == SIZE_MAX
				? NULL
				: snapshot_site_frame(page->snapshot, one->site, one->charged);
		uint64_t bytes, blocks;
		query_quantity(page->query->show, &one->counters, &bytes, &blocks);
		if (frame && frame->file && frame->line)
			places[count++] = (struct place){frame->file, frame->line, bytes};
	}
	count = join(places, count);
	if (count)
		qsort(places, count, sizeof *places, compare_weights);
	*places_ret = places;
	*count_ret = count;
	return NULL;
}

/* A place becomes the lines around it. */
static size_t widen(const struct place *place, struct place *lines)
{
	size_t count = 0;
	for (int64_t away = -REPORT_SOURCE_AROUND; away <= REPORT_SOURCE_AROUND; away++) {
		int64_t line = (int64_t)place->line + away;
		if (line > 0 && line <= UINT32_MAX)
			lines[count++] = (struct place){place->file, (uint32_t)line, 0};
	}
	return count;
}

static void put_line(struct html_page *page, const struct place *place, size_t *room_bytes,
		     size_t *put)
{
	const struct report_source *source = page->source;
	const char *text = source->line(source->context, place->file, place->line);
	size_t bytes = text ? strlen(text) + 1 : 0;
	if (!text || bytes > LINE_MAX_BYTES || bytes > *room_bytes)
		return;
	*room_bytes -= bytes;
	buffer_printf(page->json.out, "%s[%u,%u,", (*put)++ ? "," : "",
		      html_json_number_of(&page->json, place->file), place->line);
	html_json_text(page->json.out, text);
	buffer_char(page->json.out, ']');
}

struct error *html_source(struct html_page *page)
{
	_cleanup_free_ struct place *places = NULL, *lines = NULL;
	size_t count = 0, line_count = 0, room_bytes = TEXT_MAX_BYTES, put = 0;
	struct error *err = charged_places(page, &places, &count);
	if (err)
		return err;
	if (count > PLACES_MAX)
		count = PLACES_MAX;
	lines = calloc(count * (2 * REPORT_SOURCE_AROUND + 1) + 1, sizeof *lines);
	if (!lines)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		line_count += widen(&places[i], lines + line_count);
	line_count = join(lines, line_count);
	html_json_key(&page->json, "source");
	buffer_char(page->json.out, '[');
	for (size_t i = 0; i < line_count && page->source; i++)
		put_line(page, &lines[i], &room_bytes, &put);
	buffer_char(page->json.out, ']');
	return NULL;
}
