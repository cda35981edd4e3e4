/* SPDX-License-Identifier: MIT */
/*
 * A child of a test in target: it runs a function of the test, says through a pipe when it has come
 * where the test wants it, and ends with the test.
 */
#ifndef UNIT_TARGET_CHILD_H
#define UNIT_TARGET_CHILD_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static inline void ok(struct error *err)
{
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
}

static inline void check_fails(struct error *err, enum error_kind kind)
{
	ck_assert_ptr_nonnull(err);
	ck_assert_msg(error_kind_of(err) == kind, "%s", error_message(err));
	error_free(err);
}

/* Owns: a child that ends with the test, and the reading end of its pipe. Invariant: reaped or
 * live. */
struct child {
	pid_t pid;
	int from;
};

static inline void child_end(struct child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	if (child->from >= 0)
		close(child->from);
	*child = (struct child){0, -1};
}

#define _cleanup_child_ __attribute__((__cleanup__(child_end)))

/* body(to) runs in the child and then sleeps or ends as it likes. */
static inline struct child start_child(void (*body)(int to))
{
	int ends[2];
	ck_assert_int_eq(pipe(ends), 0);
	pid_t parent = getpid(), pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(ends[0]);
		body(ends[1]);
		_exit(0);
	}
	close(ends[1]);
	return (struct child){pid, ends[0]};
}

static inline void child_says(int to, const void *bytes, size_t count)
{
	if (write(to, bytes, count) != (ssize_t)count)
		_exit(1);
}

static inline void hear(const struct child *child, void *bytes, size_t count)
{
	ck_assert_int_eq(read(child->from, bytes, count), (ssize_t)count);
}

static inline void wait_for_word(const struct child *child)
{
	char word;
	hear(child, &word, 1);
}

static inline void sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* Waits until the child is a zombie, and leaves it one. */
static inline void wait_for_end(const struct child *child)
{
	siginfo_t info;
	ck_assert_int_eq(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

#endif
