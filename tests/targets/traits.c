/* SPDX-License-Identifier: MIT */
/*
 * Three threads with names, blocks of many sizes, ages and lifetimes, and a log of its own, which
 * it prints as one line of JSON without allocating.
 *
 *   traits threads   each thread makes blocks of sizes of its own and keeps some of them
 *   traits ages      blocks that are released or kept at three times
 *   traits fresh     blocks that are never released, so that no chunk is used twice
 *   traits used      blocks that are released and made again
 */
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS_MAX = 20000, TEXT_MAX = 1 << 20 };

struct logged {
	void *volatile address;
	size_t size;
	size_t usable;
	int thread;		   /* 0: the main thread */
	uint64_t born_ns, gone_ns; /* gone 0: lives */
};

static struct logged blocks[BLOCKS_MAX];
static size_t block_count;
static char text[TEXT_MAX];
static size_t text_used;
static const char *const names[] = {"main", "red", "green", "blue"};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void wait_ms(long ms)
{
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&rest, &rest))
		;
}

static __attribute__((noinline)) struct logged *make(size_t size, int thread)
{
	struct logged *one = &blocks[__atomic_fetch_add(&block_count, 1, __ATOMIC_RELAXED)];

	one->address = malloc(size);
	one->size = size;
	one->usable = malloc_usable_size(one->address);
	one->thread = thread;
	one->born_ns = now_ns();
	return one;
}

static void release(struct logged *one)
{
	one->gone_ns = now_ns();
	free(one->address);
}

static uint64_t next(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

/* Sizes of a wide range: mostly small. */
static size_t any_size(uint64_t *state)
{
	return (size_t)next(state, UINT64_C(1) << (1 + next(state, 14)));
}

static void *work(void *argument)
{
	int thread = (int)(intptr_t)argument;
	uint64_t state = (uint64_t)thread;

	pthread_setname_np(pthread_self(), names[thread]);
	for (int i = 0; i < 1000 * thread; i++) {
		struct logged *one = make(any_size(&state), thread);

		if (i % 3)
			release(one);
	}
	wait_ms(200); /* the name of a thread that has gone is not known */
	return NULL;
}

static void threads(void)
{
	pthread_t started[4];
	uint64_t state = 9;

	for (intptr_t i = 1; i < 4; i++)
		pthread_create(&started[i], NULL, work, (void *)i);
	for (int i = 1; i < 4; i++)
		pthread_join(started[i], NULL);
	for (int i = 0; i < 50; i++)
		make(any_size(&state), 0);
}

/* Of each size one block is released at once, one after 150 ms, one after 350, one is kept. */
static void ages(void)
{
	struct logged *later[40], *last[40];

	for (size_t i = 0; i < 40; i++) {
		release(make(i * 10, 0));
		later[i] = make(i * 10, 0);
		last[i] = make(i * 10 + 1, 0);
		make(i * 10 + 2, 0);
	}
	wait_ms(150);
	for (int i = 0; i < 40; i++)
		release(later[i]);
	wait_ms(200);
	for (int i = 0; i < 40; i++)
		release(last[i]);
	make(77, 0);
}

static void fresh(void)
{
	uint64_t state = 5;

	for (size_t size = 0; size < 300; size++)
		make(size, 0);
	for (int i = 0; i < 300; i++)
		make(any_size(&state), 0);
	for (size_t size = 131000; size < 132000; size += 7)
		make(size, 0);
	for (size_t size = 400000; size < 420000; size += 999)
		make(size, 0);
}

static void used(void)
{
	uint64_t state = 6;

	for (int i = 0; i < 4000; i++) {
		make(any_size(&state), 0);
		if (i % 2)
			release(&blocks[i / 2]);
	}
	make(5 << 20, 0); /* the peak is at the end */
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_used += (size_t)vsnprintf(text + text_used, TEXT_MAX - text_used, format, arguments);
	va_end(arguments);
}

/* {"blocks": [[size, usable, thread, lifetime in ns or -1], ...]} */
static void print_log(void)
{
	add("truth: {\"blocks\": [");
	for (size_t i = 0; i < block_count; i++) {
		const struct logged *one = &blocks[i];
		long long lifetime = one->gone_ns ? (long long)(one->gone_ns - one->born_ns) : -1;

		add("%s[%zu, %zu, %d, %lld]", i ? ", " : "", one->size, one->usable, one->thread,
		    lifetime);
	}
	add("]}\n");
	for (size_t done = 0; done < text_used;)
		done += (size_t)write(1, text + done, text_used - done);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "threads";

	if (strcmp(mode, "threads") == 0)
		threads();
	else if (strcmp(mode, "fresh") == 0)
		fresh();
	else if (strcmp(mode, "used") == 0)
		used();
	else
		ages();
	print_log();
	return 0;
}
