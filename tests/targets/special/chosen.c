/* SPDX-License-Identifier: MIT */
/* A pool whose function is chosen when the program starts. It gives 77 bytes, ten times. */
#include <stddef.h>

static char room[4096];
static size_t used;

static __attribute__((noinline, noclone, used)) void *plain_get(size_t size)
{
	void *block = room + used;

	used += size;
	__asm__ volatile("" : : "r"(block) : "memory");
	return block;
}

static void *(*choose(void))(size_t)
{
	return plain_get;
}

void *chosen_get(size_t size) __attribute__((ifunc("choose")));

int main(void)
{
	for (int i = 0; i < 10; i++)
		if (!chosen_get(77))
			return 1;
	return 0;
}
