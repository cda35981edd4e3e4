/* SPDX-License-Identifier: MIT */
/*
 * Threads that make processes all the time, while others allocate. forks MODE CHILDREN: "fork" (the
 * child allocates), "vfork" and "spawn" (the child is this program in the mode "child"). Each of
 * four threads makes so many children, one after the other, and a block of brief.h's line for each.
 * Prints "ok CHILDREN": those that ended with status 0.
 */
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brief.h"

enum { THREADS = 4, CHILD_BLOCKS = 10, CHILD_BLOCK_BYTES = 300 };

extern char **environ;

static char *self;
static long children_each;
static atomic_long good_ends;
static pid_t (*make_child)(void);

static void child_work(void)
{
	static void *blocks[CHILD_BLOCKS];

	for (int i = 0; i < CHILD_BLOCKS; i++)
		blocks[i] = malloc(CHILD_BLOCK_BYTES);
	for (int i = 0; i < CHILD_BLOCKS; i += 2)
		free(blocks[i]);
}

static pid_t make_by_fork(void)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	child_work();
	_exit(0);
}

static pid_t make_by_vfork(void)
{
	pid_t child = vfork();

	if (child != 0)
		return child;
	execl(self, self, "child", "0", (char *)NULL);
	_exit(96);
}

static pid_t make_by_spawn(void)
{
	char *arguments[] = {self, "child", "0", NULL};
	pid_t child;

	return posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0 ? child : -1;
}

static void await(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return;
	}
	good_ends += status == 0;
}

static void *make_children(void *unused)
{
	for (long i = 0; i < children_each; i++) {
		pid_t child = make_child();

		if (child < 0)
			_exit(95);
		use_briefly(20);
		await(child);
	}
	return unused;
}

int main(int argc, char **argv)
{
	const char *mode = argc == 3 ? argv[1] : "";
	pthread_t threads[THREADS];

	self = argv[0];
	if (strcmp(mode, "child") == 0) {
		child_work();
		return 0;
	}
	make_child = strcmp(mode, "fork") == 0	  ? make_by_fork
		     : strcmp(mode, "vfork") == 0 ? make_by_vfork
		     : strcmp(mode, "spawn") == 0 ? make_by_spawn
						  : NULL;
	if (!make_child)
		return 2;
	children_each = atol(argv[2]);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, make_children, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("ok %ld\n", good_ends);
	return 0;
}
