/* SPDX-License-Identifier: MIT */
/* See module.h. Built as a shared object; PADDING moves its code, so that no two are alike. */
#include "module.h"

#include <stdlib.h>

enum { BLOCKS = 5, BLOCK_BYTES = 48 };

static char padding[PADDING] = {1};

module_work_fn module_work;

static __attribute__((noinline)) int allocate(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		void *volatile block = malloc(BLOCK_BYTES);

		free(block);
	}
	return BLOCKS;
}

int module_work(int depth)
{
	int made = depth > 0 ? module_work(depth - 1) : allocate();

	/* Something to do after the call keeps it from becoming a jump. */
	__asm__ volatile("" : : "r"(padding) : "memory");
	return made;
}
