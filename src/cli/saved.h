/* SPDX-License-Identifier: MIT */
/*
 * Saved snapshots as files: reading and writing one.
 *
 * Does not: know the format (snapshot/file.h does). Private to cli; main thread.
 */
#ifndef CLI_SAVED_H
#define CLI_SAVED_H

#include "base/error.h"
#include "base/log.h"
#include "cli/lookup.h"
#include "cli/output.h"
#include "snapshot/snapshot.h"

/*
 * Loads the snapshot of a file, and finds its symbols if it has none (symbols.h). Errors:
 * ERROR_SYSTEM; ERROR_BAD_INPUT for what is no regular file or no whole snapshot; ERROR_UNSUPPORTED
 * for a newer one. The message names the path.
 */
struct error *saved_read(const char *path, const struct lookup *lookup, const struct log *log,
			 struct snapshot **ret);

/*
 * Loads one or more; several are merged into one (snapshot/merge.h). Errors: as above, for the
 * first that cannot be read.
 */
struct error *saved_read_all(const char *const *paths, size_t count, const struct lookup *lookup,
			     const struct log *log, struct snapshot **ret);

static inline void cleanup_snapshotp(struct snapshot **snapshot)
{
	snapshot_destroy(*snapshot);
}
#define _cleanup_snapshot_ __attribute__((__cleanup__(cleanup_snapshotp)))

/* Finishes output with the snapshot. */
struct error *saved_write(const struct snapshot *snapshot, struct output *output);

#endif
