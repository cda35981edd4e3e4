/* SPDX-License-Identifier: MIT */
/*
 * What stands above and below the table of a text report, which --quiet drops.
 *
 * Only what is worth a line gets one: oddities appear when there are any. Called by: text.c.
 */
#ifndef REPORT_TEXT_FRAME_H
#define REPORT_TEXT_FRAME_H

#include "base/buffer.h"
#include "snapshot/query.h"
#include "snapshot/snapshot.h"

/* Whose memory, what of it and when, and how much was seen. Ends with an empty line. */
void text_frame_above(struct buffer *out, const struct snapshot *snapshot,
		      const struct table *table);

/* The sums, the oddities, and what tracing cost. Begins with an empty line. */
void text_frame_below(struct buffer *out, const struct snapshot *snapshot,
		      const struct table *table, bool all_blind_modules);

#endif
