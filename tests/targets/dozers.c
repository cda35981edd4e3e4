/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate and then sleep for a moment, over and over, in calls that end with EINTR
 * when a stop interrupts them (signal(7)), until standard input ends. Says "ready", and at the end
 * "ok ROUNDS INTERRUPTED": how often all slept, and how often that ended with EINTR.
 *
 * usage: dozers THREADS
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 256, BLOCKS = 50, MOMENT_MS = 1 };

static _Atomic int ended;
static _Atomic long rounds, interrupted;
static int nothing_fd, semaphores;

static int doze(long round)
{
	struct epoll_event event;
	struct sembuf take = {.sem_op = -1};
	const struct timespec moment = {.tv_nsec = MOMENT_MS * 1000000};
	return round % 2 ? epoll_wait(nothing_fd, &event, 1, MOMENT_MS)
			 : semtimedop(semaphores, &take, 1, &moment);
}

static void *work(void *unused)
{
	for (long round = 0; !ended; round++) {
		for (int i = 0; i < BLOCKS; i++) {
			void *volatile block = malloc(100);
			free(block);
		}
		if (doze(round) < 0 && errno == EINTR)
			interrupted++;
		rounds++;
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	long count = argc > 1 ? atol(argv[1]) : 0;
	if (count < 1 || count > THREADS_MAX)
		return 2;
	nothing_fd = epoll_create1(EPOLL_CLOEXEC);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	if (nothing_fd < 0 || semaphores < 0)
		return 3;
	for (long i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			return 3;
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	ended = 1;
	for (long i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	semctl(semaphores, 0, IPC_RMID);
	printf("ok %ld %ld\n", rounds, interrupted);
	return 0;
}
