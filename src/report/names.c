/* SPDX-License-Identifier: MIT */
#include "report/names.h"

#include <string.h>

const struct snapshot_frame names_truncated = {.function = "[truncated]"};

const char *names_base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

void names_function(struct buffer *out, const struct snapshot_frame *frame)
{
	if (frame->function) {
		buffer_escaped(out, frame->function);
	} else if (frame->module) {
		buffer_escaped(out, names_base(frame->module));
		buffer_printf(out, "+0x%llx", (unsigned long long)frame->offset);
	} else if (frame->offset) {
		buffer_printf(out, "0x%llx", (unsigned long long)frame->offset);
	} else {
		buffer_string(out, "<unknown>");
	}
}

void names_place(struct buffer *out, const struct snapshot_frame *frame)
{
	if (frame->file && frame->line) {
		buffer_escaped(out, frame->label ? frame->label : frame->file);
		buffer_printf(out, ":%u", frame->line);
	} else if (frame->module) {
		buffer_escaped(out, names_base(frame->module));
	}
}

void names_frame(struct buffer *out, const struct snapshot_frame *frame)
{
	bool placed = (frame->file && frame->line) || (frame->function && frame->module);
	names_function(out, frame);
	if (!placed)
		return;
	buffer_string(out, " (");
	names_place(out, frame);
	buffer_char(out, ')');
}

void names_command(struct buffer *out, const struct snapshot *snapshot)
{
	if (snapshot->part_count > 1)
		buffer_printf(out, "%u snapshots", snapshot->part_count);
	for (size_t i = 0; i < snapshot->command_count; i++) {
		if (i)
			buffer_char(out, ' ');
		buffer_escaped(out, snapshot->command[i]);
	}
}
