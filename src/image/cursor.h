/* SPDX-License-Identifier: MIT */
/*
 * A bounds-checked reader of little-endian bytes: the primitive types of DWARF 5 section 7.
 *
 * A read beyond the end, or a LEB128 number beyond 64 bits, marks the cursor as failed and gives 0;
 * so does every read after it. Callers check `failed` once, before they believe what was read.
 *
 * Invariant: at <= end
 */
#ifndef IMAGE_CURSOR_H
#define IMAGE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

/* Moves over count bytes and returns where they start; NULL when they are not there. */
const uint8_t *cursor_skip(struct cursor *cursor, uint64_t count);

/* An unsigned number of 1 byte: what LEB128 numbers and nearly all of .eh_frame are made of. */
static inline uint8_t cursor_byte(struct cursor *cursor)
{
	if (cursor->failed || cursor->at == cursor->end) {
		cursor->failed = true;
		return 0;
	}
	return *cursor->at++;
}

/* An unsigned number of 1, 2, 4 or 8 bytes. */
uint64_t cursor_fixed(struct cursor *cursor, size_t bytes);

uint64_t cursor_uleb(struct cursor *cursor);
int64_t cursor_sleb(struct cursor *cursor);

/* A NUL-terminated string in place, NULL when it has no end. */
const char *cursor_string(struct cursor *cursor);

#endif
