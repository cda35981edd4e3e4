/* SPDX-License-Identifier: MIT */
/*
 * Distinct stacks, each stored once and numbered: sites.
 *
 * Owns: the stacks. A frame is an image and an address in it, so that the same code gives the same
 * site wherever it is mapped. Called by: capture and freeze, one thread.
 */
#ifndef STACK_INTERNER_H
#define STACK_INTERNER_H

#include "base/error.h"
#include "base/types.h"

/*
 * image 0: `address` is a target address outside of every image. The address of a frame is inside
 * the call: return address - 1.
 */
struct frame {
	image_id image;
	uint64_t address;
};

struct interner;

struct error *interner_create(struct interner **ret);
void interner_destroy(struct interner *interner);

/* The site of a stack (innermost frame first), new or known. */
struct error *interner_site(struct interner *interner, const struct frame *frames, size_t count,
			    bool truncated, site_id *ret);

uint32_t interner_count(const struct interner *interner);

/*
 * The frames of a site, owned by the interner, valid until the next interner_site.
 */
const struct frame *interner_frames(const struct interner *interner, site_id site,
				    size_t *count_ret, bool *truncated_ret);

/* Bytes of memory held. */
uint64_t interner_memory_bytes(const struct interner *interner);

#endif
