/* SPDX-License-Identifier: MIT */
/*
 * What a traced session leaves: the report and, with --output, the snapshot.
 *
 * Owns: both outputs, from before the session to after it. Does not: trace or render. Private to
 * cli; main thread.
 */
#ifndef CLI_DELIVERY_H
#define CLI_DELIVERY_H

#include "base/error.h"
#include "cli/options.h"
#include "cli/output.h"
#include "snapshot/snapshot.h"

/* snapshot.path == NULL: none is wanted. */
struct delivery {
	struct output report;
	struct output snapshot;
};

/* Opens both; the report goes to standard_fd where no --report names a file. */
struct error *delivery_open(const struct options *options, int standard_fd, struct delivery *ret);

/*
 * Writes the snapshot and then the report, each also where the other failed; the error has what
 * there is to say of both. Source text is added to the snapshot.
 */
struct error *delivery_write(struct delivery *delivery, const struct options *options,
			     struct snapshot *snapshot);

void delivery_deinit(struct delivery *delivery);

#define _cleanup_delivery_ __attribute__((__cleanup__(delivery_deinit)))

#endif
