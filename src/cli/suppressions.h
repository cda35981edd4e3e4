/* SPDX-License-Identifier: MIT */
/*
 * A file of suppressions in the form of LeakSanitizer: "leak:PATTERN" a line; empty lines and those
 * that begin with # say nothing.
 *
 * Owns: the text. Private to cli; main thread.
 */
#ifndef CLI_SUPPRESSIONS_H
#define CLI_SUPPRESSIONS_H

#include <stddef.h>

#include "base/error.h"
#include "snapshot/query.h"

/* items[i].pattern and .place are owned. */
struct suppressions {
	struct query_suppression *items;
	size_t count, capacity;
};

/*
 * Adds those of a file. Errors: ERROR_USAGE naming file and line for what is no suppression,
 * ERROR_SYSTEM or ERROR_BAD_INPUT for what cannot be read.
 */
struct error *suppressions_read(const char *path, struct suppressions *suppressions);
void suppressions_deinit(struct suppressions *suppressions);

#endif
