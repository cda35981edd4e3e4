/* SPDX-License-Identifier: MIT */
/*
 * Calls of the program under test.
 *
 * Owns: the argument vectors and the place of the report. Called by: tests, from their one thread.
 * Failures end the test (ck_abort_msg).
 */
#ifndef LIB_TRACEALLOC_H
#define LIB_TRACEALLOC_H

#include "lib/process.h"
#include "lib/report.h"

/*
 * `tracealloc run --format json --top 100000 --report SCRATCH/report.json OPTIONS... --
 * COMMAND...`; options may be NULL. Runs it to its end with an empty standard input, loads the
 * report and returns the status of waitpid(2). The target's output is in NAME.out and NAME.err of
 * scratch, where NAME is "traced".
 */
int tracealloc_run(const struct scratch *scratch, const char *const options[],
		   const char *const command[], struct report *ret);

/* The same, started only; the report is loaded by tracealloc_report once the process has ended. */
void tracealloc_start_run(const struct scratch *scratch, const char *const options[],
			  const char *const command[], struct process *ret);

/* `tracealloc attach`, likewise; its files are attach.out, attach.err. */
void tracealloc_start_attach(const struct scratch *scratch, const char *const options[], pid_t pid,
			     struct process *ret);

/* Any other call: `tracealloc ARGUMENTS...`; its files are call.out and call.err. */
int tracealloc_call(const struct scratch *scratch, const char *const arguments[]);

/* Loads what the last run or attach of this scratch directory has reported. */
void tracealloc_report(const struct scratch *scratch, struct report *ret);

/* Waits until a starting `attach` has the whole process: every thread names it as its tracer. */
void tracealloc_until_attached(const struct process *attach, pid_t pid);

/*
 * Waits until the breakpoints are in as well, seen from outside: code differs from its file, and
 * not every thread is held (they all are while breakpoints are written).
 */
void tracealloc_until_probed(const struct process *attach, pid_t pid);

/* The text of a file of scratch ("attach.err"); the caller frees it. */
char *tracealloc_text(const struct scratch *scratch, const char *name);

#endif
