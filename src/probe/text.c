/* SPDX-License-Identifier: MIT */
#include "probe/text.h"

#include <stdlib.h>

#include "base/cleanup.h"

enum { TEXT_MAX_BYTES = 256 << 20 };

struct error *text_load(struct text *text, const struct code_reader *reader, target_addr start,
			target_addr end)
{
	size_t count = end.v - start.v;
	if (text->bytes && text->survey.start.v == start.v && text->survey.count == count)
		return NULL;
	text_deinit(text);
	if (count > TEXT_MAX_BYTES)
		return error_new(ERROR_UNSUPPORTED,
				 "its module is too large to be searched for jumps into it");
	_cleanup_free_ uint8_t *bytes = malloc(count + 1);
	if (!bytes)
		return error_no_memory();
	if (!reader->read(reader->context, start, bytes, count))
		return error_new(ERROR_UNSUPPORTED, "its module's text cannot be read");
	struct error *err = window_survey_make(bytes, count, start, &text->survey);
	if (!err)
		text->bytes = take_ptr(bytes);
	return err;
}

void text_deinit(struct text *text)
{
	window_survey_deinit(&text->survey);
	free(text->bytes);
	text->bytes = NULL;
}
