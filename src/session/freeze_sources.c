/* SPDX-License-Identifier: MIT */
/*
 * Source text of images in a root of their own, read through that root while it is still open: what
 * has the same name outside may be another file.
 */
#include <string.h>

#include "base/cleanup.h"
#include "session/freeze.h"

enum { LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 16 << 20, AROUND = 3 };

static void destroyp(struct image_sources **sources)
{
	image_sources_destroy(*sources);
}

static struct error *add_line(struct freeze *freeze, struct image_sources *sources,
			      const char *file, uint32_t line)
{
	const char *text = image_sources_line(sources, file, line);
	size_t bytes = text ? strlen(text) + 1 : 0;
	if (!text || bytes > LINE_MAX_BYTES || freeze->source_bytes + bytes > TEXT_MAX_BYTES)
		return NULL;
	freeze->source_bytes += bytes;
	struct error *err = NULL;
	struct snapshot_source_line one = {
		.file = file, .text = freeze_keep(freeze, text, &err), .line = line};
	return err ? err : snapshot_add_source_line(freeze->snapshot, &one);
}

/* The lines of the frames of one module, and those around them. */
static struct error *add_lines(struct freeze *freeze, const char *module,
			       struct image_sources *sources)
{
	const struct snapshot *snapshot = freeze->snapshot;
	struct error *err = NULL;
	for (size_t i = 0; !err && i < snapshot->frame_count; i++) {
		const struct snapshot_frame *frame = &snapshot->frames[i];
		if (frame->module != module || !frame->file || !frame->line)
			continue;
		for (int64_t away = -AROUND; !err && away <= AROUND; away++) {
			int64_t line = (int64_t)frame->line + away;
			if (line > 0 && line <= UINT32_MAX)
				err = add_line(freeze, sources, frame->file, (uint32_t)line);
		}
	}
	return err;
}

static struct error *add_image(struct freeze *freeze, image_id id)
{
	__attribute__((__cleanup__(destroyp))) struct image_sources *sources = NULL;
	struct image *image = freeze_image(freeze, id);
	if (!image || !image_has_root(image))
		return NULL;
	struct error *err = NULL;
	const char *module = freeze_keep(freeze, image_path(image), &err);
	if (!err)
		err = image_sources_create_in_root(image, &sources);
	if (error_catch(&err, ERROR_SYSTEM) || err)
		return err;
	return add_lines(freeze, module, sources);
}

struct error *freeze_add_sources(struct freeze *freeze)
{
	struct error *err = NULL;
	for (uint32_t i = 0; !err && i < freeze->image_count; i++)
		err = add_image(freeze, (image_id){i + 1});
	if (!err)
		snapshot_sort_source(freeze->snapshot);
	return err;
}
