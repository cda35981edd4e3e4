/* SPDX-License-Identifier: MIT */
#include "arch/thread_word.h"

#include <string.h>

static const uint8_t landing_pad[] = {0xf3, 0x0f, 0x1e, 0xfa}; /* endbr64 */
static const uint8_t get_pointer[] = {0x64, 0x48, 0x8b, 0x04, 0x25,
				      0,    0,	  0,	0}; /* mov %fs:0,%rax */
static const uint8_t short_word[] = {0x8b, 0x40};	    /* mov disp8(%rax),%eax */
static const uint8_t long_word[] = {0x8b, 0x80};	    /* mov disp32(%rax),%eax */
enum { RETURN = 0xc3, OFFSET_MAX = 1 << 16 };

/* Passes over what is there; false if it is not. */
static bool skip(const uint8_t **at, const uint8_t *end, const uint8_t *bytes, size_t count)
{
	if ((size_t)(end - *at) < count || memcmp(*at, bytes, count) != 0)
		return false;
	*at += count;
	return true;
}

bool thread_word_read(const uint8_t *bytes, size_t count, uint32_t *offset_ret)
{
	const uint8_t *at = bytes, *end = bytes + count;
	uint32_t offset = 0;
	size_t size = sizeof offset;
	skip(&at, end, landing_pad, sizeof landing_pad);
	if (!skip(&at, end, get_pointer, sizeof get_pointer))
		return false;
	if (skip(&at, end, short_word, sizeof short_word))
		size = 1;
	else if (!skip(&at, end, long_word, sizeof long_word))
		return false;
	if ((size_t)(end - at) <= size || at[size] != RETURN || (size == 1 && at[0] & 0x80))
		return false;
	memcpy(&offset, at, size);
	*offset_ret = offset;
	return offset > 0 && offset <= OFFSET_MAX;
}
