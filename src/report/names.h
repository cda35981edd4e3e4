/* SPDX-License-Identifier: MIT */
/*
 * What frames and commands are called in the formats of other tools.
 *
 * Everything appended is valid UTF-8 on one line without controls (base/buffer.h escapes it); what
 * a format takes for punctuation of its own is up to its writer. Called by: the other files of this
 * folder.
 */
#ifndef REPORT_NAMES_H
#define REPORT_NAMES_H

#include "base/buffer.h"
#include "snapshot/snapshot.h"

/* What stands for the callers that a stack lost at the depth limit. */
extern const struct snapshot_frame names_truncated;

/* The last component of a path. */
const char *names_base(const char *path);

/* "parse"; without a function "libx.so+0x12", "0x12" or "<unknown>". */
void names_function(struct buffer *out, const struct snapshot_frame *frame);

/* "src/parse.c:414"; without a line "libx.so", without a module nothing. */
void names_place(struct buffer *out, const struct snapshot_frame *frame);

/* "parse (src/parse.c:414)"; the place is left out where the name says it already. */
void names_frame(struct buffer *out, const struct snapshot_frame *frame);

/* The words of the command with spaces between; of several sessions their number. */
void names_command(struct buffer *out, const struct snapshot *snapshot);

#endif
