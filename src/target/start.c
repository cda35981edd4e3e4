/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/permission.h"
#include "target/proc.h"
#include "target/tree.h"

/* What the waiting child is told. An end of file (we died) lets it go on untraced. */
enum { START_GO = 'g', START_ABORT = 'x' };

enum { SIGNALS = 64 }; /* of the kernel */

/*
 * Ignored signals stay so across an exec, handled ones become default. The library's sigaction(3)
 * refuses its own two signals, and takes them when a thread is made: so the kernel is told
 * directly.
 */
static void restore_signals(const struct target_signals *signals)
{
	for (int signal = 1; signal <= SIGNALS; signal++) {
		struct target_sigaction action = {0};
		if (signals->ignored & 1ul << (signal - 1))
			action.handler = (uint64_t)(uintptr_t)SIG_IGN;
		syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof action.mask);
	}
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

struct error *target_signals_read(struct target_signals *ret)
{
	struct proc_status status;
	struct error *err = proc_status(getpid(), &status);
	if (err)
		return err;
	ret->ignored = status.signals_ignored;
	sigprocmask(SIG_SETMASK, NULL, &ret->mask);
	return NULL;
}

/* Between fork and exec: only async-signal-safe calls. */
static _Noreturn void child_main(int go_fd, int failure_fd, const char *path, char *const argv[],
				 char *const envp[], const struct target_signals *signals)
{
	restore_signals(signals);
	char word = START_GO;
	while (read(go_fd, &word, 1) < 0 && errno == EINTR)
		;
	if (word == START_GO)
		execve(path, argv, envp);
	int failure = errno;
	while (write(failure_fd, &failure, sizeof failure) < 0 && errno == EINTR)
		;
	_exit(127);
}

static struct error *exec_error(const char *program, int failure)
{
	switch (failure) {
	case ENOENT:
		return error_new(ERROR_NOT_FOUND,
				 "program '%s' not found: give a path or check PATH", program);
	case EACCES:
	case EPERM:
		return error_new(ERROR_DENIED,
				 "program '%s' is not executable (%s): check its mode with ls -l",
				 program, strerror(failure));
	case ENOEXEC:
		return error_new(ERROR_UNSUPPORTED,
				 "program '%s' is not a program this kernel can run", program);
	}
	return error_system(failure, "cannot run '%s'", program);
}

struct error *target_find_program(const char *name, char *path, size_t path_bytes)
{
	const char *from = strchr(name, '/') || !*name ? "" : getenv("PATH");
	int failure = ENOENT;
	for (from = from ? from : "/usr/bin:/bin"; from;) {
		size_t length = strcspn(from, ":");
		int put = snprintf(path, path_bytes, "%.*s%s%s", (int)length, from,
				   length ? "/" : "", name);
		if (put > 0 && (size_t)put < path_bytes && access(path, X_OK) == 0)
			return NULL;
		if (errno == EACCES)
			failure = EACCES;
		from = from[length] ? from + length + 1 : NULL;
	}
	return exec_error(name, failure);
}

/* The child's way to its exec; signals on the way are passed on. */
static struct error *until_exec(struct target *target, const char *program, int failure_fd,
				struct target_event *ret)
{
	for (;;) {
		struct error *err = target_next(target, ret);
		if (err)
			return err;
		switch (ret->kind) {
		case TARGET_EVENT_EXEC:
			return NULL;
		case TARGET_EVENT_TRAP:
		case TARGET_EVENT_SIGNAL:
			err = target_resume(target, ret->thread, ret->signal);
			if (err)
				return err;
			break;
		case TARGET_EVENT_PROCESS_EXIT: {
			int failure;
			if (read(failure_fd, &failure, sizeof failure) == sizeof failure)
				return exec_error(program, failure);
			return error_new(ERROR_GONE, "'%s' ended before it could start", program);
		}
		case TARGET_EVENT_LEAVING:
			target_let_leave(target, ret->process);
			break;
		default:
			break;
		}
	}
}

static struct error *adopt_child(struct target *target, pid_t pid)
{
	struct target_process *process;
	struct target_thread *thread;
	if (ptrace(PTRACE_SEIZE, pid, NULL, tree_options(target)) < 0)
		return error_system(errno,
				    "cannot trace a child of our own (a container may need the "
				    "capability SYS_PTRACE, or a seccomp profile that allows it)");
	struct error *err = tree_add_process(target, pid, 0, NULL, &process);
	if (!err)
		err = tree_add_thread(target, pid, process, &thread);
	if (!err)
		thread->born = true;
	return err;
}

/* Refused before its first instruction: our own child, and nothing of it has run. */
static struct error *refuse_foreign(struct target *target, struct target_thread *thread)
{
	pid_t pid = thread->tid;
	struct error *err = permission_check_machine(pid);
	if (!err)
		return NULL;
	kill(pid, SIGKILL);
	struct target_event event = {0};
	struct error *failure = NULL;
	while (!failure && event.kind != TARGET_EVENT_PROCESS_EXIT &&
	       event.kind != TARGET_EVENT_EMPTY) {
		failure = target_next(target, &event);
		if (!failure && event.kind == TARGET_EVENT_LEAVING)
			target_let_leave(target, event.process);
	}
	error_free(failure);
	return err;
}

struct error *target_start(struct target *target, char *const argv[], char *const envp[],
			   const struct target_signals *signals, struct target_event *ret)
{
	int go[2], failure[2];
	char path[PATH_MAX];
	struct error *err = target_find_program(argv[0], path, sizeof path);
	if (err)
		return err;
	if (pipe2(go, O_CLOEXEC) < 0)
		return error_system(errno, "cannot make a pipe");
	_cleanup_close_ int go_read = go[0];
	_cleanup_close_ int go_write = go[1];
	if (pipe2(failure, O_CLOEXEC) < 0)
		return error_system(errno, "cannot make a pipe");
	_cleanup_close_ int failure_read = failure[0];
	_cleanup_close_ int failure_write = failure[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_system(errno, "cannot start a process");
	if (pid == 0) {
		close(go_write); /* else it would never see our end */
		child_main(go_read, failure_write, path, argv, envp, signals);
	}
	err = adopt_child(target, pid);
	char word = err ? START_ABORT : START_GO;
	while (write(go_write, &word, 1) < 0 && errno == EINTR)
		;
	cleanup_closep(&failure_write);
	failure_write = -1;
	if (err) {
		waitpid(pid, NULL, __WALL);
		return err;
	}
	err = until_exec(target, argv[0], failure_read, ret);
	return err ? err : refuse_foreign(target, ret->thread);
}
