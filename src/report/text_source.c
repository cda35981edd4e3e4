/* SPDX-License-Identifier: MIT */
#include "report/text_source.h"

#include <string.h>

#include "base/cleanup.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct error *write_stripped(struct buffer *out, const char *text)
{
	while (is_space(*text))
		text++;
	size_t length = strlen(text);
	while (length && is_space(text[length - 1]))
		length--;
	if (!length)
		return NULL;
	_cleanup_free_ char *copy = strndup(text, length);
	if (!copy)
		return error_no_memory();
	buffer_string(out, "    ");
	char *rest = copy;
	for (char *piece; (piece = strsep(&rest, "\t"));) {
		buffer_escaped(out, piece);
		if (rest)
			buffer_char(out, '\t');
	}
	buffer_char(out, '\n');
	return NULL;
}

struct error *text_source_write(struct buffer *out, const struct report_source *source,
				const char *file, uint32_t line)
{
	if (!source || !file || !line)
		return NULL;
	const char *text = source->line(source->context, file, line);
	return text ? write_stripped(out, text) : NULL;
}
