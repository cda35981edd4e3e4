/* SPDX-License-Identifier: MIT */
/*
 * The last moment of a process: all of its threads have come to PTRACE_EVENT_EXIT, and its memory
 * is still there.
 *
 * Private to src/target.
 */
#ifndef TARGET_LEAVE_H
#define TARGET_LEAVE_H

#include "target/target.h"

/*
 * A thread stands in PTRACE_EVENT_EXIT. Where its process ends with it, waits until all of its
 * other threads stand there, too, and is true. False where the process goes on: the thread ends
 * alone, it is ended by another's execve(2), or others live in its memory; or where a thread did
 * not come within a second. Threads that have come meanwhile are then let go, but for `thread`.
 */
bool leave_gather(struct target *target, struct target_thread *thread);

#endif
