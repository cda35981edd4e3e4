/* SPDX-License-Identifier: MIT */
#include "lib/process.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"

enum { POLL_INTERVAL_NS = 2000000, LONG_FACTOR = 20 };

/*
 * check's handlers would end the whole test if a signal met the child before exec. All signals are
 * blocked until they are gone.
 */
static void forget_handlers(const sigset_t *mask)
{
	static const int handled[] = {SIGINT, SIGTERM, SIGALRM};

	for (size_t i = 0; i < sizeof(handled) / sizeof(*handled); i++)
		signal(handled[i], SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
}

static void become(const char *const argv[], int input, int output, int errors)
{
	/* The files are close-on-exec; the copies made here are not. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
	    dup2(errors, 2) < 0)
		_exit(126);
	execvp(argv[0], (char *const *)argv);
	dprintf(2, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static char *capture_path(const struct scratch *scratch, const char *name, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/%s.%s", scratch->path, name, suffix) < 0)
		ck_abort_msg("no memory");
	return path;
}

void process_start(const struct scratch *scratch, const char *name, const char *const argv[],
		   struct process *ret)
{
	int input[2];

	*ret = (struct process){.output_path = capture_path(scratch, name, "out"),
				.errors_path = capture_path(scratch, name, "err")};
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
	_cleanup_close_ int output = open(ret->output_path, flags, 0666);
	_cleanup_close_ int errors = open(ret->errors_path, flags, 0666);
	if (output < 0 || errors < 0 || pipe2(input, O_CLOEXEC) < 0)
		ck_abort_msg("cannot prepare %s: %s", name, strerror(errno));

	sigset_t all, mask;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	ret->pid = fork();
	if (ret->pid == 0) {
		forget_handlers(&mask);
		become(argv, input[0], output, errors);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (ret->pid < 0)
		ck_abort_msg("cannot fork: %s", strerror(errno));
	close(input[0]);
	ret->input_fd = input[1];
	ret->pid_fd = pidfd_open(ret->pid, 0);
	if (ret->pid_fd < 0)
		ck_abort_msg("cannot open pidfd of %s: %s", name, strerror(errno));
}

bool process_wait_seconds(struct process *process, unsigned seconds)
{
	struct pollfd poll_fd = {.fd = process->pid_fd, .events = POLLIN};

	if (process->ended)
		return true;
	if (poll(&poll_fd, 1, (int)seconds * 1000) != 1)
		return false;
	if (waitpid(process->pid, &process->status, 0) != process->pid)
		ck_abort_msg("cannot wait for pid %d: %s", process->pid, strerror(errno));
	process->ended = true;
	return true;
}

int process_wait(struct process *process)
{
	unsigned deadline = PROCESS_DEADLINE_S * (suite_is_long() ? LONG_FACTOR : 1);

	if (!process_wait_seconds(process, deadline))
		ck_abort_msg("pid %d has not ended after %u s; see %s", process->pid, deadline,
			     process->errors_path);
	return process->status;
}

void process_end(struct process *process)
{
	if (!process->output_path)
		return;
	if (!process->ended) {
		kill(process->pid, SIGKILL);
		process_wait(process);
	}
	process_close_input(process);
	close(process->pid_fd);
	free(take_ptr(process->output_path));
	free(take_ptr(process->errors_path));
}

static void pause_briefly(void)
{
	const struct timespec interval = {.tv_nsec = POLL_INTERVAL_NS};

	nanosleep(&interval, NULL);
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

void process_wait_output(struct process *process, const char *text)
{
	time_t deadline = now_s() + PROCESS_DEADLINE_S;

	for (;;) {
		/* Asked before reading: what an ended process wrote is all there. */
		bool ended = process_wait_seconds(process, 0);
		_cleanup_free_ char *output = process_output(process);

		if (strstr(output, text))
			return;
		_cleanup_free_ char *errors = process_errors(process);
		if (ended)
			ck_abort_msg("pid %d ended (status %#x) without saying \"%s\"; it said "
				     "\"%s\" and \"%s\"",
				     process->pid, process->status, text, output, errors);
		if (now_s() > deadline)
			ck_abort_msg(
				"waited in vain for \"%s\" from pid %d; it said \"%s\", \"%s\"",
				text, process->pid, output, errors);
		pause_briefly();
	}
}

char *process_output(const struct process *process)
{
	return scratch_read(process->output_path, NULL);
}

char *process_errors(const struct process *process)
{
	return scratch_read(process->errors_path, NULL);
}

void process_send(struct process *process, const char *text)
{
	size_t size = strlen(text);

	if (write(process->input_fd, text, size) != (ssize_t)size)
		ck_abort_msg("cannot write to pid %d: %s", process->pid, strerror(errno));
}

void process_close_input(struct process *process)
{
	if (process->input_fd >= 0)
		close(process->input_fd);
	process->input_fd = -1;
}

void process_signal(const struct process *process, int signal)
{
	if (pidfd_send_signal(process->pid_fd, signal, NULL, 0) < 0)
		ck_abort_msg("cannot send signal %d to pid %d: %s", signal, process->pid,
			     strerror(errno));
}

int process_call(const struct scratch *scratch, const char *name, const char *const argv[])
{
	_cleanup_process_ struct process process = {0};

	process_start(scratch, name, argv, &process);
	process_close_input(&process);
	return process_wait(&process);
}

void process_until(bool (*holds)(const void *context), const void *context, const char *what)
{
	time_t deadline = now_s() + PROCESS_DEADLINE_S;

	while (!holds(context)) {
		if (now_s() > deadline)
			ck_abort_msg("waited in vain for %s", what);
		pause_briefly();
	}
}
