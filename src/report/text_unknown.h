/* SPDX-License-Identifier: MIT */
/*
 * The lines of the text report that say what is not known: calls that were not seen, stacks that
 * could not be followed, modules without line information.
 *
 * Private to this folder; any thread.
 */
#ifndef REPORT_TEXT_UNKNOWN_H
#define REPORT_TEXT_UNKNOWN_H

#include "base/buffer.h"
#include "snapshot/query.h"

/* Nothing, where all is known; all_blind_modules: not only the first few. */
void text_unknown_write(struct buffer *out, const struct snapshot *snapshot,
			const struct table *table, bool all_blind_modules);

#endif
