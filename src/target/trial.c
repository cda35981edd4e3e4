/* SPDX-License-Identifier: MIT */
/* Whether we may trace at all: by doing it. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/target.h"

struct error *target_try(int *failure_ret)
{
	pid_t pid = fork();
	if (pid < 0)
		return error_system(errno, "cannot start a process");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	*failure_ret = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 0 : errno;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return NULL;
}
