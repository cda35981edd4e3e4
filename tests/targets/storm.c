/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate, resize and release across each other.
 *
 * storm THREADS OPERATIONS LOG: each thread makes so many calls, then everything is released and
 * the log of all calls is written to the file LOG (storm.h). storm THREADS 0 PROGRESS: goes on
 * until standard input ends; the shared file PROGRESS holds one 64-bit counter of operations a
 * thread.
 *
 * Blocks live in a table of slots; a thread takes a slot's block by an atomic exchange, so exactly
 * one thread releases it. A block carries its size in its first word. Logs and the table are
 * mapped, not allocated: the only calls are those in the log, and those of pthread_create.
 */
#include "storm.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 4096, THREADS_MAX = 64, STACK_BYTES = 128 << 10, SIZE_LIMIT = 2000 };

struct worker {
	pthread_t thread;
	uint64_t random;
	long operations;	  /* 0: until `stopping` */
	struct storm_record *log; /* NULL: none is kept */
	size_t logged;
	_Atomic uint64_t *progress; /* NULL: none */
};

static _Atomic(uint64_t *) slots[SLOTS];
static atomic_bool stopping;

static void fail(const char *what)
{
	perror(what);
	_exit(99);
}

static void *map(size_t bytes, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

static uint64_t next_random(struct worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return worker->random;
}

static void note(struct worker *worker, enum storm_kind kind, int line, size_t size,
		 size_t old_size, bool resizes_null)
{
	if (!worker->log)
		return;
	worker->log[worker->logged++] = (struct storm_record){
		.kind = kind,
		.line = line,
		.size_bytes = size,
		.old_size_bytes = old_size,
		.resizes_null = resizes_null,
	};
}

static void release(struct worker *worker, uint64_t *block)
{
	if (!block)
		return;
	size_t size = block[0];
	free(block);
	note(worker, STORM_FREE, __LINE__ - 1, 0, size, false);
}

static void put(struct worker *worker, size_t slot, uint64_t *block, size_t size)
{
	if (!block)
		fail("allocation");
	block[0] = size;
	release(worker, atomic_exchange(&slots[slot], block));
}

static void operate(struct worker *worker)
{
	uint64_t random = next_random(worker);
	size_t slot = (random >> 8) % SLOTS;
	size_t size = 8 + (random >> 24) % SIZE_LIMIT;
	uint64_t *block;

	switch (random % 5) {
	case 0:
	case 1:
		block = malloc(size);
		note(worker, STORM_MALLOC, __LINE__ - 1, size, 0, false);
		put(worker, slot, block, size);
		break;
	case 2:
		block = calloc(2, size);
		note(worker, STORM_CALLOC, __LINE__ - 1, 2 * size, 0, false);
		put(worker, slot, block, 2 * size);
		break;
	case 3:
		block = atomic_exchange(&slots[slot], NULL);
		size_t old_size = block ? block[0] : 0;
		bool is_null = !block;
		block = realloc(block, size);
		note(worker, STORM_REALLOC, __LINE__ - 1, size, old_size, is_null);
		put(worker, slot, block, size);
		break;
	default:
		release(worker, atomic_exchange(&slots[slot], NULL));
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (long i = 0; worker->operations ? i < worker->operations : !stopping; i++) {
		operate(worker);
		if (worker->progress)
			atomic_fetch_add_explicit(worker->progress, 1, memory_order_relaxed);
	}
	return NULL;
}

static void write_log(const char *path, const struct worker *workers, int count)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0)
		fail(path);
	for (int i = 0; i < count; i++) {
		const char *from = (const char *)workers[i].log;
		size_t left = workers[i].logged * sizeof(*workers[i].log);

		while (left > 0) {
			ssize_t written = write(fd, from, left);

			if (written <= 0)
				fail("write");
			from += written;
			left -= (size_t)written;
		}
	}
	close(fd);
}

/* Here the dynamic loader asks for each thread's vector of thread-local storage. */
static void start(struct worker *worker, const pthread_attr_t *attributes)
{
	if (pthread_create(&worker->thread, attributes, work, worker) != 0)
		fail("pthread_create");
}

static void wait_for_input_end(void)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		continue;
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	pthread_attr_t attributes;

	if (argc != 4 || atoi(argv[1]) < 1 || atoi(argv[1]) > THREADS_MAX)
		return 2;
	int count = atoi(argv[1]);
	long operations = atol(argv[2]);
	_Atomic uint64_t *progress = NULL;
	if (operations == 0) {
		int fd = open(argv[3], O_RDWR);
		if (fd < 0 || ftruncate(fd, THREADS_MAX * sizeof(*progress)) < 0)
			fail(argv[3]);
		progress = map(THREADS_MAX * sizeof(*progress), fd);
	}
	/* Small stacks: all of them stay in the library's cache, so none is given back on the way.
	 */
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (int i = 0; i < count; i++) {
		workers[i].random = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
		workers[i].operations = operations;
		workers[i].progress = progress ? &progress[i] : NULL;
		/* An operation releases at most one block besides; the end releases what is left.
		 */
		if (operations)
			workers[i].log =
				map(((size_t)operations * 2 + SLOTS) * sizeof(*workers[i].log), -1);
	}
	for (int i = 0; i < count; i++)
		start(&workers[i], &attributes);
	if (write(1, "ready\n", 6) != 6)
		fail("write");
	if (operations == 0) {
		wait_for_input_end();
		stopping = true;
	}
	for (int i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < SLOTS; i++)
		release(&workers[0], slots[i]);
	if (operations)
		write_log(argv[3], workers, count);
	return 0;
}
