/* SPDX-License-Identifier: MIT */
/*
 * Holds blocks of many sizes in several arenas, and says how much that is: "N BLOCKS M BYTES A
 * HEAP", blocks and the bytes of them it may use (malloc_usable_size(3)), and what the C library
 * says it has from the system (mallinfo2(3)). Then waits for the end of its input.
 *
 * What the C library allocates for itself comes on top: a descriptor for each thread.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 4000, THREADS = 3, LARGE = 3 };

static atomic_size_t blocks, bytes;
static pthread_barrier_t barrier;
static void *kept[THREADS + 1][BLOCKS];

/* A third goes again: into caches, fast bins and other bins. */
static void hold(void **list, size_t step)
{
	for (size_t i = 0; i < BLOCKS; i++)
		list[i] = malloc(i * step % 1500);
	for (size_t i = 0; i < BLOCKS; i++) {
		if (i % 3 == 0) {
			free(list[i]);
			continue;
		}
		atomic_fetch_add(&blocks, 1);
		atomic_fetch_add(&bytes, malloc_usable_size(list[i]));
	}
}

static void *hold_in_thread(void *list)
{
	hold(list, 11);
	pthread_barrier_wait(&barrier);
	pause();
	return NULL;
}

int main(void)
{
	void *large[LARGE];
	char text[200], c;
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, hold_in_thread, kept[i + 1]) != 0)
			return 99;
	hold(kept[0], 7);
	for (size_t i = 0; i < LARGE; i++) {
		large[i] = malloc(300000 + i * 100000);
		atomic_fetch_add(&blocks, 1);
		atomic_fetch_add(&bytes, malloc_usable_size(large[i]));
	}
	pthread_barrier_wait(&barrier);
	struct mallinfo2 info = mallinfo2();
	int length = snprintf(text, sizeof text, "%zu BLOCKS %zu BYTES %zu HEAP\n", blocks, bytes,
			      info.arena + info.hblkhd);
	if (write(1, text, (size_t)length) != length)
		return 98;
	while (read(0, &c, 1) > 0)
		;
	return large[0] == NULL;
}
