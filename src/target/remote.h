/* SPDX-License-Identifier: MIT */
/*
 * A system call made inside the target, by a thread that stands in user space at a stop.
 *
 * Rarely needed (repair of a lost signal handler). The thread's registers and mask are put back
 * whatever happens; nothing is written to its text. Never used under seccomp: a filter could kill
 * the target.
 */
#ifndef TARGET_REMOTE_H
#define TARGET_REMOTE_H

#include "target/target.h"

/*
 * Makes system call number with up to four arguments. *result_ret is what rax held after it (a
 * negative errno for failure). Errors: ERROR_UNSUPPORTED under seccomp or without a `syscall`
 * instruction to use, ERROR_GONE if the thread died.
 */
struct error *remote_call(struct target *target, struct target_thread *thread, uint64_t number,
			  const uint64_t arguments[4], int64_t *result_ret);

/* Room of count bytes for arguments, below the red zone of the thread's stack (psABI 3.2.2). */
target_addr remote_scratch(struct target_thread *thread, size_t count);

#endif
