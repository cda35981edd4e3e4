/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/image.h"
#include "report/report.h"
#include "snapshot/charge.h"

enum { LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 16 << 20 };

/* What comes first where there is not room for all. */
enum rank {
	CHARGED, /* a frame stands there that is charged by the caller or the callee rule */
	CALLED,	 /* a frame stands there */
	AROUND,	 /* near a charged line */
};

struct place {
	const char *file;
	uint32_t line;
	enum rank rank;
};

static void destroy_sourcesp(struct image_sources **sources)
{
	image_sources_destroy(*sources);
}

static struct error *note_charged(const struct snapshot *snapshot, enum query_charge rule,
				  enum rank *ranks)
{
	struct query query = {.charge = rule};
	_cleanup_charge_ struct charge charge;
	struct error *err = charge_init(&charge, snapshot, &query);
	if (err)
		return err;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		size_t charged = charge_frame(&charge, site);
		if (charged != SIZE_MAX)
			ranks[snapshot->stacks[site->first_frame + charged]] = CHARGED;
	}
	return NULL;
}

/* By rank; then by file, so that each file is read thrice at most. */
static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	int order = a->file == b->file ? 0 : strcmp(a->file, b->file);
	return order ? order : (a->line > b->line) - (a->line < b->line);
}

static struct error *keep_place(struct snapshot *snapshot, const struct place *place,
				const struct lookup *lookup, struct image_sources *sources,
				size_t *room_bytes)
{
	const char *text = lookup_source_line(lookup, sources, place->file, place->line, false);
	size_t bytes = text ? strlen(text) + 1 : 0;
	if (!text || bytes > LINE_MAX_BYTES || bytes > *room_bytes)
		return NULL;
	*room_bytes -= bytes;
	struct error *err = NULL;
	struct snapshot_source_line line = {
		.file = place->file,
		.text = snapshot_string(snapshot, text, &err),
		.line = place->line,
	};
	return err ? err : snapshot_add_source_line(snapshot, &line);
}

static struct error *keep_places(struct snapshot *snapshot, const struct place *places,
				 size_t count, const struct lookup *lookup)
{
	__attribute__((__cleanup__(destroy_sourcesp))) struct image_sources *sources = NULL;
	size_t room_bytes = TEXT_MAX_BYTES;
	struct error *err = image_sources_create(&sources);
	for (size_t i = 0; !err && i < count; i++)
		if (i == 0 || compare_places(&places[i - 1], &places[i]) != 0)
			err = keep_place(snapshot, &places[i], lookup, sources, &room_bytes);
	if (!err)
		snapshot_sort_source(snapshot);
	return err;
}

/* The line of a frame, and where it is charged those around it. */
static size_t add_places(const struct snapshot_frame *frame, enum rank rank, struct place *places)
{
	size_t count = 0;
	if (!frame->file || !frame->line)
		return 0;
	places[count++] = (struct place){frame->file, frame->line, rank};
	for (int64_t away = -REPORT_SOURCE_AROUND; away <= REPORT_SOURCE_AROUND; away++) {
		int64_t line = (int64_t)frame->line + away;
		if (rank == CHARGED && away != 0 && line > 0 && line <= UINT32_MAX)
			places[count++] = (struct place){frame->file, (uint32_t)line, AROUND};
	}
	return count;
}

/* The session has read it in a root of the target's. */
static bool has_text(const struct snapshot *snapshot, const struct snapshot_frame *frame)
{
	return frame->file && snapshot_source_text(snapshot, frame->file, frame->line);
}

struct error *sources_keep(struct snapshot *snapshot, const struct lookup *lookup)
{
	_cleanup_free_ enum rank *ranks = calloc(snapshot->frame_count + 1, sizeof *ranks);
	_cleanup_free_ struct place *places = NULL;
	size_t charged = 0, count = 0;
	if (!ranks)
		return error_no_memory();
	for (size_t i = 0; i < snapshot->frame_count; i++)
		ranks[i] = CALLED;
	struct error *err = note_charged(snapshot, QUERY_CHARGE_CALLER, ranks);
	if (!err)
		err = note_charged(snapshot, QUERY_CHARGE_CALLEE, ranks);
	if (err)
		return err;
	for (size_t i = 0; i < snapshot->frame_count; i++)
		charged += ranks[i] == CHARGED;
	places = calloc(snapshot->frame_count + charged * 2 * REPORT_SOURCE_AROUND + 1,
			sizeof *places);
	if (!places)
		return error_no_memory();
	for (size_t i = 0; i < snapshot->frame_count; i++)
		if (!has_text(snapshot, &snapshot->frames[i]))
			count += add_places(&snapshot->frames[i], ranks[i], places + count);
	if (count)
		qsort(places, count, sizeof *places, compare_places);
	err = keep_places(snapshot, places, count, lookup);
	return err || !snapshot->mappings ? err : sources_keep(snapshot->mappings, lookup);
}
