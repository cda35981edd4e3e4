/* SPDX-License-Identifier: MIT */
/*
 * The modules of an address space: what is mapped where, with the unwind tables that go with it.
 *
 * Owns: the list. It is read from /proc/PID/maps, which knows what the dynamic linker's list does
 * not (the linker itself, dlmopen, files mapped by hand) and cannot be forged by the target; the
 * linker's notification only tells when to read again. Called by: session, the tracer thread.
 */
#ifndef STACK_MODULES_H
#define STACK_MODULES_H

#include "stack/registry.h"
#include "unwind/walk.h"

/* One executable mapping of an image. */
struct module {
	target_addr start, end; /* of the executable mapping */
	uint64_t bias;		/* target address - image address */
	image_id image_id;
	struct image *image; /* owned by the registry */
};

/* Invariant: items sorted by start, disjoint; unwind[i] describes items[i]. */
struct modules {
	struct module *items;
	struct unwind_module *unwind;
	size_t count, capacity, unwind_capacity;
};

void modules_deinit(struct modules *modules);

/*
 * Reads the mappings of pid again. *changed_ret tells whether anything is different; removed is
 * called for every module that is gone or was replaced, before the list changes.
 */
struct error *modules_refresh(struct modules *modules, struct registry *registry, pid_t pid,
			      void (*removed)(void *context, const struct module *module),
			      void *context, bool *changed_ret);

/* A copy for a forked child. */
struct error *modules_copy(const struct modules *modules, struct modules *ret);

/* The module whose code holds address, NULL if none. */
const struct module *modules_find(const struct modules *modules, target_addr address);

#define _cleanup_modules_ __attribute__((__cleanup__(modules_deinit)))

#endif
