/* SPDX-License-Identifier: MIT */
/*
 * A snapshot as the bytes of a file, and back. The format is documented in tracealloc-snapshot(5).
 *
 * encode.c, decode.c: the model and the body, which is a list of sections.    envelope.c: header,
 * compression and checksums around the body.
 * Does not: open files. What is decoded is untrusted: every length, count, number and sum is
 * checked, and memory stays in proportion to the file. Called by: cli, from one thread.
 */
#ifndef SNAPSHOT_FILE_H
#define SNAPSHOT_FILE_H

#include "base/buffer.h"
#include "snapshot/snapshot.h"

/*
 * Appends the whole file. The same snapshot gives the same bytes. Errors: no memory;
 * ERROR_UNSUPPORTED where a table has more rows than the format can number.
 */
struct error *file_encode(const struct snapshot *snapshot, struct buffer *out);

/*
 * Makes the snapshot that the bytes of a file hold. Errors: ERROR_BAD_INPUT (foreign, cut off or
 * damaged), ERROR_UNSUPPORTED (a newer version), no memory; the message goes after "cannot read
 * snapshot 'NAME': ".
 */
struct error *file_decode(const void *bytes, size_t count, struct snapshot **ret);

#endif
