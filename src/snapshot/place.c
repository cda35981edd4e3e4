/* SPDX-License-Identifier: MIT */
#include "snapshot/place.h"

#include <string.h>

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Where there is no line: function and module, without a function the place in the module. */
static void take_code(struct place *place, const struct snapshot_frame *frame)
{
	place->function = frame->function;
	place->module = frame->module;
	place->offset = frame->function ? 0 : frame->offset;
}

static void take_file(struct place *place, const struct snapshot_frame *frame)
{
	place->file = frame->file;
	place->path = frame->label ? frame->label : frame->file;
}

static void take_line(struct place *place, const struct snapshot_frame *frame)
{
	if (!frame->file || !frame->line) {
		take_code(place, frame);
		return;
	}
	take_file(place, frame);
	place->line = frame->line;
}

static void take(struct place *place, const struct snapshot_frame *frame, enum query_group by)
{
	switch (by) {
	case QUERY_LINE:
		take_line(place, frame);
		return;
	case QUERY_TRACEBACK:
		take_line(place, frame);
		place->function = frame->function;
		return;
	case QUERY_FUNCTION:
		place->function = frame->function;
		/* fall through */
	case QUERY_FILE:
		take_file(place, frame);
		if (!frame->file)
			place->module = frame->module;
		return;
	case QUERY_MODULE:
		place->module = frame->module;
		return;
	case QUERY_PROCESS:
	case QUERY_SIZE:
	case QUERY_THREAD:
		return;
	}
}

struct place place_of(const struct snapshot_frame *frame, enum query_group by, bool portable)
{
	struct place place = {0};
	if (frame)
		take(&place, frame, by);
	if (portable) {
		place.file = NULL;
		place.module = place.module ? basename_of(place.module) : NULL;
	}
	return place;
}

int place_compare_strings(const char *a, const char *b)
{
	if (a == b)
		return 0;
	return !a ? -1 : !b ? 1 : strcmp(a, b);
}

int place_compare(const struct place *a, const struct place *b)
{
	int order = place_compare_strings(a->path, b->path);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	if (!order)
		order = place_compare_strings(a->file, b->file);
	if (!order)
		order = place_compare_strings(a->function, b->function);
	if (!order)
		order = place_compare_strings(a->module, b->module);
	return order ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

static void label_code(const struct place *place, struct buffer *out)
{
	if (place->function && place->module)
		buffer_printf(out, "%s (%s)", place->function, basename_of(place->module));
	else if (place->function)
		buffer_string(out, place->function);
	else if (place->module)
		buffer_printf(out, "%s+0x%llx", basename_of(place->module),
			      (unsigned long long)place->offset);
	else if (place->offset)
		buffer_printf(out, "0x%llx", (unsigned long long)place->offset);
	else
		buffer_string(out, "<unknown>");
}

static void label_function(const struct place *place, struct buffer *out)
{
	buffer_string(out, place->function ? place->function : "<unknown>");
	if (place->path)
		buffer_printf(out, " (%s)", place->path);
	else if (place->module)
		buffer_printf(out, " (%s)", basename_of(place->module));
}

void place_label(const struct place *place, enum query_group by, struct buffer *out)
{
	switch (by) {
	case QUERY_LINE:
	case QUERY_TRACEBACK:
		if (place->path)
			buffer_printf(out, "%s:%u", place->path, place->line);
		else
			label_code(place, out);
		return;
	case QUERY_FUNCTION:
		label_function(place, out);
		return;
	case QUERY_FILE:
	case QUERY_MODULE:
	case QUERY_PROCESS:
	case QUERY_SIZE:
	case QUERY_THREAD:
		break;
	}
	buffer_string(out, place->path ? place->path : place->module ? place->module : "<unknown>");
}
