/* SPDX-License-Identifier: MIT */
/*
 * Ways to end. endings MODE: "segv", "abort", "kill" (SIGKILL to itself), "thread-exit" (a thread
 * ends by the bare system call, the others go on; exit status 7), "exit-group" (exit while eight
 * threads allocate; status 9), "leader-exit" (the first thread ends, another goes on; status 11),
 * "bare" (the process ends by the bare system call; status 13). Each makes ten blocks of 100 bytes
 * first and leaves them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "brief.h"

static atomic_int started;
static void *volatile left[10];

static void leave_blocks(void)
{
	for (size_t i = 0; i < 10; i++)
		left[i] = malloc(100);
}

static void *allocate_for_ever(void *unused)
{
	(void)unused;
	atomic_fetch_add(&started, 1);
	for (;;) {
		use_briefly(50);
	}
	return NULL;
}

static void *end_by_system_call(void *unused)
{
	use_briefly(20);
	syscall(SYS_exit, 0);
	return unused;
}

static void *go_on_alone(void *unused)
{
	for (int i = 0; i < 1000; i++)
		use_briefly(30);
	exit(11);
	return unused;
}

static void start(void *(*work)(void *), int count)
{
	pthread_t thread;

	for (int i = 0; i < count; i++) {
		if (pthread_create(&thread, NULL, work, NULL) != 0)
			_exit(99);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	leave_blocks();
	if (strcmp(mode, "segv") == 0) {
		volatile int *volatile nowhere = NULL;
		*nowhere = 1;
	} else if (strcmp(mode, "abort") == 0) {
		abort();
	} else if (strcmp(mode, "kill") == 0) {
		kill(getpid(), SIGKILL);
	} else if (strcmp(mode, "thread-exit") == 0) {
		start(end_by_system_call, 5);
		for (int i = 0; i < 1000; i++)
			use_briefly(40);
		return 7;
	} else if (strcmp(mode, "exit-group") == 0) {
		start(allocate_for_ever, 8);
		while (started < 8)
			use_briefly(60);
		exit(9);
	} else if (strcmp(mode, "leader-exit") == 0) {
		start(go_on_alone, 1);
		pthread_exit(NULL);
	} else if (strcmp(mode, "bare") == 0) {
		syscall(SYS_exit_group, 13);
	}
	return 2;
}
