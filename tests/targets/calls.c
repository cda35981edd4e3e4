/* SPDX-License-Identifier: MIT */
/*
 * One call of everything an allocator offers, the refused and the odd ones included. calls MODE:
 * "plain" (malloc, calloc, realloc, free), "aligned" (the memalign family), "odd" (zero sizes,
 * NULL, refusals), "libc" (functions of the C library that allocate for their caller).
 */
#include <malloc.h>

#include "truth.h"

/* The compiler must not see through sizes that are refused on purpose. */
static volatile size_t far_too_much = SIZE_MAX / 2;
static volatile size_t zero;

static void plain(void)
{
	void *first = MALLOC(100);
	void *second = CALLOC(7, 30);
	void *third = NULL;

	for (size_t size = 10; size < 5000; size *= 3)
		third = REALLOC(third, size);
	first = REALLOC(first, 40);
	for (int i = 0; i < 50; i++) {
		void *brief = MALLOC((size_t)i + 1);

		FREE(brief);
	}
	void *large = MALLOC(3 << 20);
	large = REALLOC(large, 5 << 20);
	FREE(large);
	FREE(first);
	FREE(second);
	/* third is still there at the end */
}

static void *posix_aligned(size_t alignment, size_t size)
{
	void *block = NULL;
	int refusal = posix_memalign(&block, alignment, size);

	return truth_created(refusal ? NULL : block, size, __FILE__, __LINE__ - 2);
}

static void aligned(void)
{
	void *blocks[7];

	blocks[0] = TRUTH_CREATED(aligned_alloc(64, 640), 640);
	blocks[1] = TRUTH_CREATED(memalign(4096, 100), 100);
	blocks[2] = TRUTH_CREATED(valloc(200), 200);
	blocks[3] = TRUTH_CREATED(pvalloc(300), 300);
	blocks[4] = posix_aligned(32, 400);
	blocks[5] = TRUTH_CREATED(memalign(8, 77), 77);
	blocks[6] = REALLOCARRAY(NULL, 9, 11);
	blocks[6] = REALLOCARRAY(blocks[6], 90, 11);
	for (size_t i = 0; i < 7; i += 2)
		FREE(blocks[i]);
}

static void odd(void)
{
	void *nothing = MALLOC(zero);
	void *volatile kept = MALLOC(1000); /* a refused resize leaves it alive */

	FREE(NULL);
	FREE(nothing);
	CALLOC(far_too_much, 4);
	MALLOC(far_too_much);
	REALLOC(kept, far_too_much);
	REALLOCARRAY(kept, far_too_much, 8);
	TRUTH_CREATED(aligned_alloc(64, far_too_much), far_too_much);
	void *from_null = REALLOC(NULL, 123);
	REALLOC(from_null, zero);
	posix_aligned(3, 50); /* no power of two */
	void *empty = REALLOC(NULL, zero);
	FREE(empty);
	FREE(kept);
}

static void libc(void)
{
	char *copy = (char *)TRUTH_CREATED(strdup("twelve bytes"), 13);
	char *part = (char *)TRUTH_CREATED(strndup("only seven of it", 10), 11);

	FREE(copy);
	(void)part;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "plain";

	if (strcmp(mode, "plain") == 0)
		plain();
	else if (strcmp(mode, "aligned") == 0)
		aligned();
	else if (strcmp(mode, "odd") == 0)
		odd();
	else if (strcmp(mode, "libc") == 0)
		libc();
	else
		return 2;
	truth_print();
	return 0;
}
