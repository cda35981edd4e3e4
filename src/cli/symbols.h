/* SPDX-License-Identifier: MIT */
/*
 * Symbols for a snapshot that was recorded without them (--raw), from the files of this machine.
 *
 * A module's file is the one of its path if that has the build-id of the snapshot, else the debug
 * file of that build-id below .build-id in the directories of the lookup or in /usr/lib/debug.
 * Private to cli; main thread.
 */
#ifndef CLI_SYMBOLS_H
#define CLI_SYMBOLS_H

#include "base/error.h"
#include "base/log.h"
#include "cli/lookup.h"
#include "snapshot/snapshot.h"

/*
 * Resolves a snapshot with KEPT_RAW, and adds source text; one without it is left alone. A module
 * that is not found stays as it is, and one warning tells. Errors: no memory.
 */
struct error *symbols_resolve(struct snapshot *snapshot, const struct lookup *lookup,
			      const struct log *log);

#endif
