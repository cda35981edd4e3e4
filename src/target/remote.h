/* SPDX-License-Identifier: MIT */
/*
 * System calls made inside the target, by one of its threads that is stopped: a borrowed thread.
 *
 * Owns: the borrowing, so that the target goes on undisturbed even if we are killed at any point of
 * it: before anything else a complete signal frame is written below the thread's red zone, and what
 * runs is an existing `syscall; ret` that returns through `__restore_rt` into rt_sigreturn(2),
 * which puts every register, the vector state and the signal mask back. No text is written. Tracer
 * thread. Never used under seccomp: a filter could kill the target.
 *
 * Does not: choose the thread, or keep other threads from running. Private to it: remote_code.h
 * (the instructions), remote_frame.h (the frame), remote_stop.h (where a thread stands).
 */
#ifndef TARGET_REMOTE_H
#define TARGET_REMOTE_H

#include "target/target.h"

enum { REMOTE_SCRATCH_BYTES = 256 };

/*
 * A borrowed thread. All members are private. Zeroed, or after remote_end, it is nobody.
 * Invariants: from remote_begin to remote_end the frame is in the target's memory and `covered`
 * holds the covered_count bytes from `frame` on that it covers; `borrowed` exactly while the
 * thread's registers are not its own.
 */
struct remote {
	struct target *target;
	struct target_thread *thread;
	struct user_regs_struct saved;
	uint64_t mask;	     /* to come back */
	uint64_t blocked;    /* when it was borrowed: remote_stop's */
	target_addr call;    /* `syscall; ret` */
	target_addr frame;   /* where the stack pointer is in a call: the return address, then the
				signal frame */
	target_addr scratch; /* between the signal frame and the thread's red zone */
	uint8_t *covered;
	size_t covered_count;
	int signal;	/* it was about to be delivered and is to be made pending again */
	bool listening; /* it is to go back to PTRACE_LISTEN */
	bool borrowed;
	bool ends_early; /* the call it is in would show EINTR, and is made again */
};

enum { REMOTE_SUITABILITY_BEST = 4 };

/*
 * How well a stopped thread serves, 0 not at all: best in user space, then in a call that restarts
 * by itself, then one that restarts through restart_syscall(2), last in a call that would show
 * EINTR (signal(7)), which is made again with its whole timeout, and one that is in a group-stop.
 * Whether there is room on its stack is not looked at: remote_begin may still refuse.
 */
int remote_suitability(struct target_thread *thread);

/*
 * Borrows a thread in a ptrace-stop (after PTRACE_INTERRUPT, at a signal, at PTRACE_EVENT_EXEC,
 * _CLONE or _FORK) or in a group-stop. A signal that it was about to get is made pending again, as
 * it was, and will be reported anew; that of an int3 is dropped. One that the kernel has stopped
 * inside of a call (an EVENT) is first let run to the end of that call.
 *
 * Errors: ERROR_UNSUPPORTED with the reason (seccomp, no room below its stack, a shadow stack, no
 * instruction to use, a stop that target_next has still to tell of): nothing was changed, another
 * thread or a later moment may do. ERROR_GONE if the thread died; its end is still reported by
 * target_next.
 */
struct error *remote_begin(struct target *target, struct target_thread *thread, struct remote *ret);

/*
 * Makes system call number. *result_ret is what rax held after it (a negative errno for failure).
 * Errors: ERROR_GONE if the thread died; nothing but remote_end may follow.
 */
struct error *remote_call(struct remote *remote, uint64_t number, const uint64_t arguments[6],
			  int64_t *result_ret);

/*
 * Room of REMOTE_SCRATCH_BYTES, aligned to 16, for what arguments of calls point to. It keeps its
 * contents from call to call and is no longer the caller's after remote_end.
 */
target_addr remote_scratch(const struct remote *remote);

/*
 * Gives the thread back, in a ptrace-stop, with registers, mask and stack as they were: to be
 * resumed with target_resume(..., 0) or target_go_on, whatever it had stopped with. A stop
 * (PTRACE_INTERRUPT) is under way by then, which target_next handles: on it the kernel restarts the
 * call that the thread was in, and a thread in a group-stop comes back into it. Only one that was
 * LISTENING is resumed here, and found in that state again by target_next. Idempotent; a thread
 * that died is no error.
 */
void remote_end(struct remote *remote);

#define _cleanup_remote_ __attribute__((__cleanup__(remote_end)))

#endif
