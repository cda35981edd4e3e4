/* SPDX-License-Identifier: MIT */
/*
 * A child process of a test: tracealloc, a target, or a tool that serves as oracle.
 *
 * Owns: the child's pid, the writing end of its standard input (a pipe), and two files that catch
 * its standard output and error. A child dies with the test that started it. Does not: interpret
 * output. Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 *
 * Waiting is for conditions, with a deadline that only a hang can reach. The scope guards of a
 * variable that is {0} do nothing.
 */
#ifndef LIB_PROCESS_H
#define LIB_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/scratch.h"

/* An argument vector in place: ARGV("prog", "arg"). */
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Of a condition, and of a process's end in the short run. */
enum { PROCESS_DEADLINE_S = 100 };

/* Invariant: pid_fd >= 0; input_fd == -1 once the input is closed; ended implies status is set. */
struct process {
	pid_t pid;
	int pid_fd;
	int input_fd;
	char *output_path;
	char *errors_path;
	bool ended;
	int status; /* as waitpid gives it */
};

/* Starts argv[0] (looked up in PATH); output goes to NAME.out and NAME.err in scratch. */
void process_start(const struct scratch *scratch, const char *name, const char *const argv[],
		   struct process *ret);

/* Kills the child if it still runs, reaps it and closes everything. */
void process_end(struct process *process);

/* Waits for the child's end; returns the status of waitpid(2). */
int process_wait(struct process *process);

/* The same within so many seconds; false when it still runs. */
bool process_wait_seconds(struct process *process, unsigned seconds);

/* Waits until text stands in the standard output. Ends the test if the child ends without it. */
void process_wait_output(struct process *process, const char *text);

/* What has been written so far; the caller frees it. */
char *process_output(const struct process *process);
char *process_errors(const struct process *process);

void process_send(struct process *process, const char *text);
void process_close_input(struct process *process);
void process_signal(const struct process *process, int signal);

/* Start, close the input, wait: for tools. Returns the status of waitpid(2). */
int process_call(const struct scratch *scratch, const char *name, const char *const argv[]);

/*
 * Waits until holds(context) is true. Ends the test with "waited in vain for WHAT" at the deadline.
 */
void process_until(bool (*holds)(const void *context), const void *context, const char *what);

#define _cleanup_process_ __attribute__((__cleanup__(process_end)))

#endif
