/* SPDX-License-Identifier: MIT */
/*
 * The processes of a traced tree, as text: who started whom, and what became of them.
 *
 * Called by: text_frame.c.
 */
#ifndef REPORT_TEXT_PROCESSES_H
#define REPORT_TEXT_PROCESSES_H

#include "base/buffer.h"
#include "snapshot/snapshot.h"

/*
 * Appends a line for each process, below the one that started it and further in; of long commands
 * the beginning. Of many processes the first hundred. Nothing where there is one process alone, or
 * where several sessions were summed up, whose process ids may be the same.
 */
void text_processes_write(struct buffer *out, const struct snapshot *snapshot);

#endif
