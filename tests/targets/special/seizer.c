/* SPDX-License-Identifier: MIT */
/*
 * seizer fork|vfork: makes children one after the other and traces each as soon as fork(2) or
 * vfork(2) has returned, as debuggers do and tracealloc itself. A child of vfork has called
 * execve(2) by then. Says how many it was refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 200 };

static pid_t make_by_fork(void)
{
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(1);
	}
	return child;
}

static pid_t make_by_vfork(void)
{
	pid_t child = vfork();

	if (child == 0) {
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(1);
	}
	return child;
}

int main(int argc, char **argv)
{
	int refused = 0;

	if (argc != 2)
		return 2;
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = strcmp(argv[1], "vfork") == 0 ? make_by_vfork() : make_by_fork();

		if (child < 0)
			return 1;
		refused += ptrace(PTRACE_SEIZE, child, NULL, NULL) != 0;
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	printf("%d refused\n", refused);
	return 0;
}
