/* SPDX-License-Identifier: MIT */
/*
 * A process whose address space is full below its libraries, as that of one with hundreds of
 * threads is: more than a 32-bit displacement reaches. Says "ready", allocates 1000 times when
 * standard input ends, and says "ok 1000".
 */
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brief.h"

/* Large pieces for distance, then small ones for the gaps that alignment leaves between those. */
enum { LARGE = 48, LARGE_BYTES = 64 << 20, SMALL = 512, SMALL_BYTES = 16 << 10, BLOCKS = 1000 };

static bool occupy(int count, size_t size_bytes)
{
	for (int i = 0; i < count; i++)
		if (mmap(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0) == MAP_FAILED)
			return false;
	return true;
}

int main(void)
{
	char byte;

	if (!occupy(LARGE, LARGE_BYTES) || !occupy(SMALL, SMALL_BYTES))
		return 99;
	if (write(1, "ready\n", 6) != 6)
		return 1;
	while (read(0, &byte, 1) > 0)
		continue;
	for (int i = 0; i < BLOCKS; i++)
		use_briefly(24);
	return write(1, "ok 1000\n", 8) == 8 ? 0 : 1;
}
