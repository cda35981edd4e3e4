/* SPDX-License-Identifier: MIT */
/*
 * The line of source under a row of a text report.
 *
 * Called by: the other files of this folder.
 */
#ifndef REPORT_TEXT_SOURCE_H
#define REPORT_TEXT_SOURCE_H

#include "base/buffer.h"
#include "report/report.h"

/*
 * Writes the text of file:line, four spaces before it and without the space around it; nothing
 * where there is none (source, file NULL or line 0 included). Tabs inside it stay what they are,
 * other controls are escaped. Errors: no memory.
 */
struct error *text_source_write(struct buffer *out, const struct report_source *source,
				const char *file, uint32_t line);

#endif
