/* SPDX-License-Identifier: MIT */
/*
 * As many different call stacks as are asked for: `branches N` allocates one block of 1 + i % 1000
 * bytes for each i below N, and which of six functions call which is told by the digits of i. Every
 * fourth block is freed at once. Then it prints "sites N bytes B" with the bytes that are left, and
 * ends without freeing them.
 */
#include <stdio.h>
#include <stdlib.h>

static unsigned long left;

static void descend(unsigned long path, unsigned depth, unsigned long number);

static void allocate(unsigned long number)
{
	size_t bytes = 1 + number % 1000;
	char *block = malloc(bytes);
	if (!block)
		abort();
	*(volatile char *)block = 1;
	if (number % 4 == 0)
		free(block);
	else
		left += bytes;
}

#define BRANCH(name)                                                                               \
	static __attribute__((noinline)) void name(unsigned long path, unsigned depth,             \
						   unsigned long number)                           \
	{                                                                                          \
		if (depth)                                                                         \
			descend(path / 6, depth - 1, number);                                      \
		else                                                                               \
			allocate(number);                                                          \
		__asm__ volatile("");                                                              \
	}

BRANCH(oak)
BRANCH(elm)
BRANCH(ash)
BRANCH(fir)
BRANCH(yew)
BRANCH(box)

static __attribute__((noinline)) void descend(unsigned long path, unsigned depth,
					      unsigned long number)
{
	static void (*const branches[])(unsigned long, unsigned, unsigned long) = {oak, elm, ash,
										   fir, yew, box};
	branches[path % 6](path, depth, number);
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	for (unsigned long i = 0; i < count; i++)
		descend(i, 7, i);
	printf("sites %lu bytes %lu\n", count, left);
	return 0;
}
