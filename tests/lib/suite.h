/* SPDX-License-Identifier: MIT */
/*
 * What every end-to-end suite needs around its tests: where the programs are, how long a test may
 * take, whether this is the long run, and the main function's body.
 *
 * Programs are found from the suite's own place: BUILD/tests/e2e/NAME, so tracealloc is
 * BUILD/tracealloc and a target BUILD/tests/targets/NAME. Sources are found from the directory the
 * suite is started in, the top of the tree. TRACEALLOC_LONG=1 in the environment asks for the long
 * run. Called by: suites, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_SUITE_H
#define LIB_SUITE_H

#include <check.h>
#include <stdbool.h>

#include "lib/scratch.h"

/* Paths; the caller frees them. */
char *suite_tracealloc(void);
char *suite_target(const char *name);
char *suite_built(const char *relative); /* any other file of BUILD */
char *suite_source(const char *name);	 /* tests/targets/NAME, absolute */

bool suite_is_long(void);

/* Says on standard output that (and why) a test was not made; the test then returns. */
void suite_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A row of the table that scripts/run-tests prints when all tests are done: a kind of program whose
 * blocks were counted, the engine that was used, and what counted them independently. Called once
 * they were found equal.
 */
struct suite_row {
	const char *allocator, *libc, *linking, *language, *engine, *oracle;
	long long blocks;
};
void suite_counted(const struct suite_row *row);

/* A test case of its own time limit, in seconds for the short run; the long one gets 20 times that.
 */
TCase *suite_case(Suite *suite, const char *name, int limit_s);

/* Runs the suite and frees it; what main returns. */
int suite_run(Suite *suite);

/*
 * Builds a program of tests/targets/special (its sources need flags of their own) into scratch:
 * COMPILER FLAGS... SOURCE -o OUTPUT LIBRARIES... Returns OUTPUT; the caller frees it.
 */
char *suite_build(const struct scratch *scratch, const char *source, const char *output,
		  const char *const flags[]);

#endif
