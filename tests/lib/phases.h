/* SPDX-License-Identifier: MIT */
/*
 * A running phases target (tests/targets/phases.c), driven line by line, and questions to the
 * tracealloc that traces it.
 *
 * Owns: the process that was started: the target itself, or tracealloc that runs it. Called by:
 * tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_PHASES_H
#define LIB_PHASES_H

#include <jansson.h>

#include "lib/process.h"

struct phases {
	const struct scratch *scratch;
	struct process process;
	pid_t pid; /* the target's */
	int said;  /* lines obeyed so far */
};

/* Control sockets of everything that is started from now on go below scratch. */
void phases_use_directory(const struct scratch *scratch);

/* Starts it, untraced or (options not NULL) under `tracealloc run`; waits until it is ready. */
void phases_start(const struct scratch *scratch, struct phases *ret);
void phases_start_traced(const struct scratch *scratch, const char *const options[],
			 struct phases *ret);

/* Waits until the tracealloc that traces the process answers. */
void phases_until_answered(const struct scratch *scratch, pid_t pid);

/* Says a line and waits until it has been obeyed. */
void phases_tell(struct phases *phases, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The target's own figures, asked for now. The caller releases them. */
json_t *phases_truth(struct phases *phases);

/* The end of standard input; returns the status of waitpid(2). */
int phases_finish(struct phases *phases);
void phases_end(struct phases *phases);

/*
 * `tracealloc ctl PID REQUEST...`: expects success, or (text not NULL) failure with one line that
 * contains the text. Output is in call.out of scratch.
 */
void phases_ctl(const struct scratch *scratch, pid_t pid, const char *const request[]);
void phases_ctl_refused(const struct scratch *scratch, pid_t pid, const char *const request[],
			const char *text);

/* `tracealloc ctl --format json PID REQUEST...`, read. The caller releases it. */
json_t *phases_ask(const struct scratch *scratch, pid_t pid, const char *const request[]);

#define _cleanup_phases_ __attribute__((__cleanup__(phases_end)))

#endif
