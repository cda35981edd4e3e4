/* SPDX-License-Identifier: MIT */
/*
 * The commands that a page tells its reader to type, as a script.
 *
 * They stand in blocks fenced with "```sh", after a line "<!-- steps: NAME -->" and before the next
 * "<!-- end -->". Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_DOCUMENT_H
#define LIB_DOCUMENT_H

#include "lib/scratch.h"

/* The commands, a line each; the caller frees them. */
char *document_steps(const char *path, const char *name);

/*
 * Runs them with sh -e, as they stand, in the scratch directory, where `tracealloc` is the one
 * under test. Output and errors go to NAME.out and NAME.err. Returns the status of waitpid(2).
 */
int document_run(const struct scratch *scratch, const char *name, const char *steps);

#endif
