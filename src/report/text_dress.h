/* SPDX-License-Identifier: MIT */
/*
 * The text report as a terminal shows it best: with colours, and paths that fit its width.
 *
 * It works on the finished text, line by line, so that what goes to a file or a pipe is what the
 * renderers wrote. Does not: know what a terminal can do (cli does). Called by: cli, any thread.
 */
#ifndef REPORT_TEXT_DRESS_H
#define REPORT_TEXT_DRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct text_dress {
	bool colors;	/* by the SGR sequences of ECMA-48: bold, faint, red, green */
	size_t columns; /* wider lines have their path shortened; 0: none has */
};

/*
 * Appends a text report. Of a path that makes its line too wide the middle is left out; its last
 * component and the line number stay whole, and where even these are too wide all of it stays.
 * Nothing else is left out or moved. Names in the text are taken to be escaped (buffer_escaped).
 */
void text_dress(const char *text, const struct text_dress *dress, struct buffer *out);

#endif
