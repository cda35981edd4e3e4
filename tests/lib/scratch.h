/* SPDX-License-Identifier: MIT */
/*
 * A directory of one test, for reports, captured output and generated programs.
 *
 * Owns: the directory. Its scope guard removes it; a test that fails leaves it behind, since check
 * ends the test's process at the failure, and its path stands in the messages.
 * Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_SCRATCH_H
#define LIB_SCRATCH_H

#include <stddef.h>

struct scratch {
	char path[64];
};

/* Makes the directory under /tmp, readable by every user. */
void scratch_make(struct scratch *ret);
void scratch_remove(struct scratch *scratch);

/* The path of a file in it; the caller frees it. */
char *scratch_file(const struct scratch *scratch, const char *name);

/* The whole file as a NUL-terminated string; the caller frees it. A missing file ends the test. */
char *scratch_read(const char *path, size_t *size_ret);
void scratch_write(const char *path, const void *bytes, size_t size);

#define _cleanup_scratch_ __attribute__((__cleanup__(scratch_remove)))

#endif
