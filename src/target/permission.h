/* SPDX-License-Identifier: MIT */
/*
 * Why a process cannot be traced, in one sentence with the remedy (ptrace(2), "Ptrace access mode
 * checking"). Private to src/target.
 */
#ifndef TARGET_PERMISSION_H
#define TARGET_PERMISSION_H

#include <sys/types.h>

#include "base/error.h"

/* What forbids tracing pid before it is tried: no process, zombie, kernel thread, tracer, 32 bit.
 */
struct error *permission_check_target(pid_t pid);

/* ERROR_UNSUPPORTED if what pid executes is not for x86-64. */
struct error *permission_check_machine(pid_t pid);

/* Which rule made PTRACE_SEIZE fail with failure (an errno). Never NULL. */
struct error *permission_explain(pid_t pid, int failure);

#endif
