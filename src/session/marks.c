/* SPDX-License-Identifier: MIT */
#include "session/marks.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void marks_deinit(struct marks *marks)
{
	free(marks->items);
	*marks = (struct marks){0};
}

static struct mark *place_for(struct marks *marks, enum snapshot_mark_kind kind)
{
	struct mark *last = marks->count ? &marks->items[marks->count - 1] : NULL;
	if (last && kind == SNAPSHOT_MARK_PEAK_RESET && last->kind == kind)
		return last;
	if (marks->count == MARKS_MAX ||
	    !array_reserve(&marks->items, &marks->capacity, marks->count + 1, sizeof *marks->items))
		return NULL;
	return &marks->items[marks->count++];
}

struct error *marks_add(struct marks *marks, enum snapshot_mark_kind kind, const char *name,
			uint64_t time_ns, uint64_t current_bytes)
{
	struct mark *mark = place_for(marks, kind);
	if (!mark && marks->count < MARKS_MAX)
		return error_no_memory();
	if (!mark) {
		marks->dropped++;
		return NULL;
	}
	*mark = (struct mark){.kind = kind, .time_ns = time_ns, .current_bytes = current_bytes};
	strncpy(mark->name, name ? name : "", sizeof mark->name - 1);
	return NULL;
}
