/* SPDX-License-Identifier: MIT */
/*
 * The source text that goes into a saved snapshot.
 *
 * Does not: find files (image does). Private to cli; main thread.
 */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "base/error.h"
#include "cli/lookup.h"
#include "snapshot/snapshot.h"

/*
 * Gives the snapshot the text of every line that one of its frames stands on, as far as its file
 * can be read, so that every question to it can be answered with source text. Lines that some
 * charge rule charges to by default come first, those around them (REPORT_SOURCE_AROUND) last;
 * lines longer than 4 KiB, and what comes after 16 MiB, are left out. lookup says where the files
 * are, NULL: where they say. Errors: no memory.
 */
struct error *sources_keep(struct snapshot *snapshot, const struct lookup *lookup);

#endif
