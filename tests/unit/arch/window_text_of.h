/* SPDX-License-Identifier: MIT */
/*
 * A text of a few function parts, for the tests of windows: bytes that the test writes down, with
 * the bounds it claims of them.
 */
#ifndef TESTS_UNIT_ARCH_WINDOW_TEXT_OF_H
#define TESTS_UNIT_ARCH_WINDOW_TEXT_OF_H

#include <string.h>

#include "arch/window.h"

enum { TEXT_PARTS_MAX = 16 };

/*
 * bytes[0, count) stand at base; part i is [starts[i], ends[i]), as offsets. slot, if it is not 0,
 * is the one pointer known.
 */
struct text {
	uint64_t base;
	uint8_t *bytes;
	size_t count;
	size_t starts[TEXT_PARTS_MAX], ends[TEXT_PARTS_MAX], part_count;
	uint64_t slot, slot_value;
};

static inline bool text_read(void *context, target_addr address, void *bytes, size_t count)
{
	const struct text *text = context;
	uint64_t offset = address.v - text->base;
	if (address.v < text->base || offset > text->count || count > text->count - offset)
		return false;
	memcpy(bytes, text->bytes + offset, count);
	return true;
}

static inline bool text_bounds(void *context, target_addr address, target_addr *start,
			       target_addr *end)
{
	const struct text *text = context;
	for (size_t i = 0; i < text->part_count; i++) {
		if (address.v < text->base + text->starts[i] ||
		    address.v >= text->base + text->ends[i])
			continue;
		start->v = text->base + text->starts[i];
		end->v = text->base + text->ends[i];
		return true;
	}
	return false;
}

static inline bool text_pointer(void *context, target_addr slot, target_addr *ret)
{
	const struct text *text = context;
	ret->v = text->slot_value;
	return text->slot && slot.v == text->slot;
}

static inline struct code_reader text_reader(struct text *text)
{
	return (struct code_reader){text_read, text_bounds, text_pointer, text};
}

static inline void text_add_part(struct text *text, size_t start, size_t end)
{
	text->starts[text->part_count] = start;
	text->ends[text->part_count++] = end;
}

static inline struct error *text_plan(struct text *text, size_t entry, struct window *ret)
{
	struct code_reader reader = text_reader(text);
	_cleanup_window_survey_ struct window_survey survey = {0};
	struct error *err =
		window_survey_make(text->bytes, text->count, (target_addr){text->base}, &survey);
	return err ? err : window_plan(&reader, (target_addr){text->base + entry}, &survey, ret);
}

#endif
