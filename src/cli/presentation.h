/* SPDX-License-Identifier: MIT */
/*
 * From a snapshot to the report the options ask for.
 *
 * Owns: the choice of renderer, and where it gets source text from. Does not: trace, or decide
 * where the report goes.
 * Private to cli; main thread.
 */
#ifndef CLI_PRESENTATION_H
#define CLI_PRESENTATION_H

#include "base/error.h"
#include "cli/options.h"
#include "cli/output.h"
#include "snapshot/snapshot.h"

/* Renders the snapshot and finishes output with it. Errors: those of query, report and output. */
struct error *presentation_write(const struct options *options, const struct snapshot *snapshot,
				 struct output *output);

#endif
