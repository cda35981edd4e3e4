/* SPDX-License-Identifier: MIT */
#include "image/cursor.h"

#include <string.h>

const uint8_t *cursor_skip(struct cursor *cursor, uint64_t count)
{
	if (cursor->failed || count > (uint64_t)(cursor->end - cursor->at)) {
		cursor->failed = true;
		return NULL;
	}
	const uint8_t *start = cursor->at;
	cursor->at += count;
	return start;
}

uint64_t cursor_fixed(struct cursor *cursor, size_t bytes)
{
	const uint8_t *start = cursor_skip(cursor, bytes);
	uint64_t value = 0;
	if (start)
		memcpy(&value, start, bytes);
	return value;
}

/* The groups of 7 bits of either kind of LEB128; *bits_ret is how many were given. */
static uint64_t read_leb(struct cursor *cursor, unsigned *bits_ret, bool *negative_ret)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;
	do {
		byte = cursor_byte(cursor);
		if (shift > 63)
			cursor->failed = true;
		if (cursor->failed)
			return 0;
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	*bits_ret = shift;
	*negative_ret = byte & 0x40;
	return value;
}

uint64_t cursor_uleb(struct cursor *cursor)
{
	unsigned bits;
	bool negative;
	return read_leb(cursor, &bits, &negative);
}

int64_t cursor_sleb(struct cursor *cursor)
{
	unsigned bits = 64;
	bool negative = false;
	uint64_t value = read_leb(cursor, &bits, &negative);
	if (negative && bits < 64)
		value |= ~UINT64_C(0) << bits;
	return (int64_t)value;
}

const char *cursor_string(struct cursor *cursor)
{
	size_t rest = (size_t)(cursor->end - cursor->at);
	const uint8_t *nul = rest > 0 ? memchr(cursor->at, 0, rest) : NULL;
	if (!nul) {
		cursor->failed = true;
		return NULL;
	}
	return (const char *)cursor_skip(cursor, (uint64_t)(nul - cursor->at) + 1);
}
