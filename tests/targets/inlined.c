/* SPDX-License-Identifier: MIT */
/*
 * Allocations inside functions that are inlined, and behind a recursion deeper than the frames
 * kept. The line that counts is the one of the call inside the inlined function.
 */
#include "truth.h"

struct node {
	struct node *next;
	char payload[48];
};

static inline __attribute__((always_inline)) struct node *push(struct node *list)
{
	struct node *node = (struct node *)MALLOC(sizeof(*node));

	node->next = list;
	return node;
}

static inline __attribute__((always_inline)) struct node *push_twice(struct node *list)
{
	return push(push(list));
}

static __attribute__((noinline)) void *descend(unsigned depth)
{
	void *block;

	if (depth == 0)
		return MALLOC(333);
	block = descend(depth - 1);
	/* Something to do after the call keeps it from becoming a jump. */
	__asm__ volatile("" : : "r"(block) : "memory");
	return block;
}

int main(int argc, char **argv)
{
	unsigned depth = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
	struct node *list = NULL;

	for (int i = 0; i < 25; i++)
		list = push_twice(list);
	for (int i = 0; i < 4; i++)
		descend(depth);
	while (list) {
		struct node *next = list->next;

		FREE(list);
		list = next;
	}
	truth_print();
	return 0;
}
