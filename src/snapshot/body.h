/* SPDX-License-Identifier: MIT */
/*
 * The body of a snapshot file: the sections, uncompressed.
 *
 * encode.c writes them, decode.c reads them. Private to this folder.
 */
#ifndef SNAPSHOT_BODY_H
#define SNAPSHOT_BODY_H

#include "base/buffer.h"
#include "snapshot/snapshot.h"

/* Appends the sections. Errors: no memory, ERROR_UNSUPPORTED for too many rows. */
struct error *body_encode(const struct snapshot *snapshot, struct buffer *out);

/* Makes the snapshot of a body. Errors: ERROR_BAD_INPUT with the detail, no memory. */
struct error *body_decode(const uint8_t *bytes, size_t count, struct snapshot **ret);

#endif
