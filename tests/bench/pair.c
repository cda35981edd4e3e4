/* SPDX-License-Identifier: MIT */
/*
 * Pairs of free and malloc over 4096 slots, sizes 16 to 1039 bytes, at a given call depth and in a
 * given number of threads; prints the nanoseconds a pair takes. One thread is the main thread, as
 * in most programs.
 *
 * usage: pair PAIRS DEPTH THREADS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SLOTS = 4096, SIZES = 1024, SIZE_MIN = 16, THREADS_MAX = 64 };

struct job {
	long pairs;
	long depth;
	unsigned seed;
	void *slots[SLOTS];
};

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void pairs(struct job *job)
{
	unsigned state = job->seed;
	for (long i = 0; i < job->pairs; i++) {
		state = state * 1103515245u + 12345u;
		void *volatile *slot = &job->slots[state >> 8 & (SLOTS - 1)];
		free(*slot);
		*slot = malloc(SIZE_MIN + (state >> 12 & (SIZES - 1)));
	}
}

/* Recursion that the compiler can neither flatten nor turn into a loop. */
static __attribute__((noinline)) long descend(struct job *job, long depth)
{
	if (depth <= 1) {
		pairs(job);
		return 0;
	}
	long below = descend(job, depth - 1);
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

static void *thread_main(void *context)
{
	struct job *job = context;
	descend(job, job->depth);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: pair PAIRS DEPTH THREADS\n");
		return 2;
	}
	long threads = atol(argv[3]);
	pthread_t ids[THREADS_MAX];
	struct job *jobs[THREADS_MAX];
	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	double begin = now_ns();
	for (long i = 0; i < threads; i++) {
		jobs[i] = calloc(1, sizeof *jobs[i]);
		jobs[i]->pairs = atol(argv[1]);
		jobs[i]->depth = atol(argv[2]);
		jobs[i]->seed = (unsigned)i + 1;
		if (threads > 1)
			pthread_create(&ids[i], NULL, thread_main, jobs[i]);
	}
	if (threads == 1)
		thread_main(jobs[0]);
	for (long i = 0; threads > 1 && i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%.1f\n", (now_ns() - begin) / (double)atol(argv[1]));
	return 0;
}
