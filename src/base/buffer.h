/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer: text is built here before anyone prints it.
 *
 * Appending never fails visibly: without memory the buffer remembers it, ignores what follows, and
 * buffer_failed() says so once at the end. `bytes` is always NUL-terminated when not NULL.
 *
 * Invariant: bytes == NULL ? count == 0 : (count < capacity && bytes[count] == 0)
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buffer {
	char *bytes;
	size_t count;
	size_t capacity;
	bool failed;
};

void buffer_deinit(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
void buffer_append(struct buffer *buffer, const void *bytes, size_t count);
void buffer_string(struct buffer *buffer, const char *string);
void buffer_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Appends a string that comes from a target or a file, safe for a terminal and for one line:
 * C0 and C1 controls, DEL, invalid UTF-8 and bidirectional overrides become \xNN or \u{NNNN}.
 */
void buffer_escaped(struct buffer *buffer, const char *string);

/* The text so far ("" when empty); owned by the buffer. */
const char *buffer_text(const struct buffer *buffer);
bool buffer_failed(const struct buffer *buffer);

#define _cleanup_buffer_ __attribute__((__cleanup__(buffer_deinit)))

#endif
