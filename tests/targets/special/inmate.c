/* SPDX-License-Identifier: MIT */
/*
 * Runs in a root of its own (tests/e2e/containers.c). inmate BATCHES: says "ready PID" with the
 * number that it has there, waits for a line; then as many times a hundred threads at once, on
 * stacks that no batch before has had, each of which allocates on one line and releases on another;
 * says "done" and waits for the end of its input.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 100, BLOCKS = 10, BLOCK_BYTES = 4000 };

static pthread_barrier_t all;

static void *work(void *argument)
{
	for (int i = 0; i < BLOCKS; i++) {
		char *volatile block = malloc(BLOCK_BYTES); /* the line that tests look for */
		block[0] = 1;
		free(block);
	}
	pthread_barrier_wait(&all);
	return argument;
}

static void run_batch(size_t stack_bytes)
{
	pthread_t threads[THREADS];
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack_bytes);
	pthread_barrier_init(&all, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], &attributes, work, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	int batches = argc > 1 ? atoi(argv[1]) : 1;

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("ready %d\n", (int)getpid());
	if (getchar() == EOF)
		return 1;
	for (int i = 0; i < batches; i++)
		run_batch((1 << 17) + (size_t)i * (1 << 18));
	puts("done");
	while (getchar() != EOF)
		;
	return 0;
}
