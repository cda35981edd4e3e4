/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what the allocator of a space holds, whoever asked for it.
 *
 * Owns: nothing. Does not: stop or write anything; a heap that changes while it is read is tried
 * again, and then not known. Tracer thread.
 */
#ifndef SESSION_HEAP_H
#define SESSION_HEAP_H

#include "allocator/glibc_walk.h"
#include "session/space.h"
#include "target/proc.h"

/* The heaps of glibc in a space. Invariant: memory's context is `space`. */
struct heap_regions {
	struct session_space *space;
	struct glibc_memory memory;
	struct glibc_region *items;
	size_t count, capacity;
};

/* Finds them by their shape; none is no error. Errors: no memory. */
struct error *heap_find(struct session_space *space, const struct proc_maps *maps,
			struct heap_regions *ret);
void heap_regions_deinit(struct heap_regions *regions);

/*
 * Counts blocks in use, those with mappings of their own included. *known_ret: false where the heap
 * is no glibc's, changes too much meanwhile, or has more than 4 GiB; then only heap_bytes is valid,
 * all memory that is there and no file's or the first stack. Errors: no memory, ERROR_GONE.
 */
struct error *heap_count(struct session_space *space, struct glibc_census *ret, bool *known_ret);

#define _cleanup_heap_regions_ __attribute__((__cleanup__(heap_regions_deinit)))

#endif
