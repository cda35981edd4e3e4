/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

void buffer_deinit(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->count = 0;
	if (buffer->bytes)
		buffer->bytes[0] = 0;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t count)
{
	if (buffer->failed || count == 0)
		return;
	if (!array_reserve(&buffer->bytes, &buffer->capacity, buffer->count + count + 1, 1)) {
		buffer->failed = true;
		return;
	}
	memcpy(buffer->bytes + buffer->count, bytes, count);
	buffer->count += count;
	buffer->bytes[buffer->count] = 0;
}

void buffer_string(struct buffer *buffer, const char *string)
{
	buffer_append(buffer, string, strlen(string));
}

void buffer_char(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text;
	int length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		buffer->failed = true;
		return;
	}
	buffer_append(buffer, text, (size_t)length);
	free(text);
}

/* Decodes one UTF-8 sequence (RFC 3629); returns its length, 0 where it is not valid. */
static size_t utf8_decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = s[0] < 0x80	  ? 1
			: s[0] >> 5 == 6  ? 2
			: s[0] >> 4 == 14 ? 3
			: s[0] >> 3 == 30 ? 4
					  : 0;
	if (length == 0)
		return 0;
	uint32_t code = length == 1 ? s[0] : s[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (length > 1 &&
	    (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)))
		return 0;
	*ret = code;
	return length;
}

static bool code_is_hostile(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
	       code == 0x061c || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void buffer_escaped(struct buffer *buffer, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;
	while (*s) {
		uint32_t code = 0;
		size_t length = utf8_decode(s, &code);
		if (length == 0 || (length == 1 && code_is_hostile(code)))
			buffer_printf(buffer, "\\x%02x", *s);
		else if (code_is_hostile(code))
			buffer_printf(buffer, "\\u{%04x}", code);
		else
			buffer_append(buffer, s, length);
		s += length ? length : 1;
	}
}

const char *buffer_text(const struct buffer *buffer)
{
	return buffer->bytes ? buffer->bytes : "";
}

bool buffer_failed(const struct buffer *buffer)
{
	return buffer->failed;
}
