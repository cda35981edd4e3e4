/* SPDX-License-Identifier: MIT */
/*
 * A preloaded library that counts the calls of its program in front of the C library's allocator
 * and writes "counted BLOCKS RELEASES BYTES" to the file that COUNTER names when the program ends,
 * if it is the one that COUNTED names. For programs whose number of calls depends on where their
 * memory lies, so that no second run can be the oracle.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static unsigned long blocks, releases, bytes;

static void *count(void *block, size_t size)
{
	if (block) {
		__atomic_add_fetch(&blocks, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&bytes, size, __ATOMIC_RELAXED);
	}
	return block;
}

void *malloc(size_t size)
{
	return count(__libc_malloc(size), size);
}

void *calloc(size_t number, size_t size)
{
	return count(__libc_calloc(number, size), number * size);
}

static void count_release(int is_one)
{
	if (is_one)
		__atomic_add_fetch(&releases, 1, __ATOMIC_RELAXED);
}

void *realloc(void *block, size_t size)
{
	int had_block = block != NULL;
	void *resized = __libc_realloc(block, size);

	count_release(had_block && (resized || size == 0));
	return count(resized, size);
}

void free(void *block)
{
	count_release(block != NULL);
	__libc_free(block);
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("COUNTER");
	const char *program = getenv("COUNTED");
	char text[64];

	if (!path || !program || strcmp(program, program_invocation_short_name) != 0)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	int length = snprintf(text, sizeof(text), "counted %lu %lu %lu\n", blocks, releases, bytes);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		_exit(99);
	close(fd);
}
