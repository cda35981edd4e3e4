/* SPDX-License-Identifier: MIT */
/*
 * The executable bytes of a process against the files they were mapped from.
 *
 * Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_CODE_H
#define LIB_CODE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Compares every file-backed mapping of the process that is readable, executable and not writable
 * (proc_pid_maps(5)) with its file, byte for byte. Ends the test at the first difference, naming
 * mapping and offset. Returns the number of bytes compared, never 0.
 */
size_t code_expect_clean(pid_t pid);

/* The number of bytes that differ; 0 also where the process is gone. */
size_t code_count_differences(pid_t pid);

#endif
