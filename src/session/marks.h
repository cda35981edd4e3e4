/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: the moments of a session that were named, and resets of the peak.
 *
 * Owns: the list, which is bounded. Does not: know who asked. Any thread that holds the lock of
 * tap.h.
 *
 * Invariant: count <= MARKS_MAX, and items are in the order in which they were made.
 */
#ifndef SESSION_MARKS_H
#define SESSION_MARKS_H

#include "base/error.h"
#include "snapshot/snapshot.h"

enum {
	MARKS_MAX = 1024,
	MARKS_NAME_BYTES = 128, /* longer names are cut */
};

struct mark {
	enum snapshot_mark_kind kind;
	uint64_t time_ns;
	uint64_t current_bytes;
	char name[MARKS_NAME_BYTES]; /* "": none */
};

struct marks {
	struct mark *items;
	size_t count, capacity;
	uint64_t dropped; /* beyond MARKS_MAX */
};

void marks_deinit(struct marks *marks);

/*
 * Adds a mark. name: NULL for none. Of resets of the peak that follow each other the last takes the
 * place of the one before: a function that resets may be called a million times. What does not fit
 * is only counted. Errors: no memory.
 */
struct error *marks_add(struct marks *marks, enum snapshot_mark_kind kind, const char *name,
			uint64_t time_ns, uint64_t current_bytes);

#endif
