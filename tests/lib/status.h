/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process and of each of its threads that tracing must leave as it was.
 *
 * Owns: the parsed lines of /proc/PID/task/TID/status (proc(5)). Called by: tests, from their one
 * thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_STATUS_H
#define LIB_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct status_thread {
	pid_t tid;
	pid_t tracer; /* 0: none */
	char state;   /* one letter of proc(5): R S D Z T t ... */
	uint64_t blocked, ignored, caught;
};

/* Threads in the order of their tid. */
struct status {
	struct status_thread *threads;
	size_t count;
};

/* False when the process is gone. */
bool status_read(pid_t pid, struct status *ret);
void status_free(struct status *status);

/* Every thread has a tracer. */
bool status_is_traced(const struct status *status);

/*
 * The threads that are in both have the same masks and the same answer to "stopped?", and none of
 * `after` is traced. Ends the test otherwise.
 */
void status_expect_same(const struct status *before, const struct status *after);

/* Waits until no thread of the process is traced (detaching is complete). */
void status_until_untraced(pid_t pid);

/* Waits until every thread of an untraced process is stopped (T of proc(5)). */
void status_until_stopped(pid_t pid);

/* The same of one that may be traced (T or t). */
void status_until_held(pid_t pid);

#define _cleanup_status_ __attribute__((__cleanup__(status_free)))

#endif
