/* SPDX-License-Identifier: MIT */
/*
 * Makes children one after the other and traces each as soon as fork(2) has returned, as debuggers
 * do and tracealloc itself. Says how many it was refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 200 };

int main(void)
{
	int refused = 0;

	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();
		if (child == 0) {
			pause();
			_exit(1);
		}
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
