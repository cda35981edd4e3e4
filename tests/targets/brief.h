/* SPDX-License-Identifier: MIT */
/* A block that is made and given back at once. */
#ifndef TARGETS_BRIEF_H
#define TARGETS_BRIEF_H

#include <stddef.h>
#include <stdlib.h>

/* Volatile: a compiler that sees that the block is of no use leaves out both calls. */
static inline void use_briefly(size_t size)
{
	void *volatile block = malloc(size);

	free(block);
}

#endif
