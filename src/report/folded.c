/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "report/names.h"
#include "report/report.h"

/* The semicolon is the one character that a name cannot have here. */
static void write_frame(struct buffer *out, const struct snapshot_frame *frame)
{
	size_t start = out->count;
	names_frame(out, frame);
	for (size_t i = start; i < out->count; i++)
		if (out->bytes[i] == ';')
			out->bytes[i] = ':';
}

static void write_stack(struct buffer *out, const struct selection *selection,
			const struct selection_stack *stack)
{
	if (stack->truncated) {
		write_frame(out, &names_truncated);
		buffer_char(out, ';');
	}
	for (size_t i = stack->frame_count; i-- > 0;) {
		write_frame(out, selection_frame(selection, stack, i));
		if (i)
			buffer_char(out, ';');
	}
	if (!stack->frame_count)
		buffer_string(out, "<unknown>");
}

struct error *report_folded(const struct selection *selection, const struct report_source *source,
			    struct buffer *out)
{
	(void)source;
	enum query_show show = selection->query->show;
	for (size_t i = 0; i < selection->count; i++) {
		const struct selection_stack *stack = &selection->stacks[i];
		uint64_t bytes, blocks;
		query_quantity(show, &stack->counters, &bytes, &blocks);
		uint64_t value = show == QUERY_COUNT || show == QUERY_TEMPORARY ? blocks : bytes;
		if (!value)
			continue;
		write_stack(out, selection, stack);
		buffer_printf(out, " %" PRIu64 "\n", value);
	}
	return buffer_failed(out) ? error_no_memory() : NULL;
}
