/* SPDX-License-Identifier: MIT */
#include "arch/window_text.h"

#include <string.h>

static bool read_text(void *context, target_addr address, void *bytes, size_t count)
{
	const struct window_text *text = context;
	uint64_t offset = address.v - text->start.v;
	if (address.v < text->start.v || offset > text->count || count > text->count - offset)
		return false;
	memcpy(bytes, text->bytes + offset, count);
	return true;
}

static bool outer_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	const struct code_reader *outer = ((const struct window_text *)context)->outer;
	return outer->bounds(outer->context, address, start, end);
}

static bool outer_pointer(void *context, target_addr slot, target_addr *ret)
{
	const struct code_reader *outer = ((const struct window_text *)context)->outer;
	return outer->pointer(outer->context, slot, ret);
}

struct code_reader window_text_reader(struct window_text *text)
{
	return (struct code_reader){read_text, outer_bounds, outer_pointer, text};
}
