/* SPDX-License-Identifier: MIT */
/*
 * Where a stopped thread stands, and whether calls may be made by it at all. For remote, and for
 * whoever lets threads go on that were interrupted.
 *
 * Owns: reading both off a stop, and how an interrupted system call is gone on with. Does not: let
 * anything run. Called by: remote, wait, pause and detach; tracer thread only.
 */
#ifndef TARGET_REMOTE_STOP_H
#define TARGET_REMOTE_STOP_H

#include "target/target.h"

/* What will become of the system call that a thread was interrupted in (signal(7)). */
enum remote_call_state {
	REMOTE_NO_CALL,	      /* in none, or in one that is over */
	REMOTE_CALL_RESTARTS, /* -ERESTARTSYS, -ERESTARTNOINTR, -ERESTARTNOHAND */
	REMOTE_CALL_RESUMES,  /* -ERESTART_RESTARTBLOCK: through restart_syscall(2) */
	REMOTE_CALL_RESUMED,  /* the same, and it was resumed before: only the kernel knows which */
	REMOTE_CALL_ENDS,     /* -EINTR, for no other reason than our stop */
};

/* Invariant: signal != 0 only where `inside` and `grouped` are false. */
struct remote_stop {
	struct user_regs_struct registers;
	enum remote_call_state call;
	bool inside;	  /* in a call that will end on its own (PTRACE_EVENT_...) */
	bool grouped;	  /* in a group-stop */
	int signal;	  /* about to be delivered, and not an int3's */
	uint64_t blocked; /* what the thread blocks now: in sigsuspend(2) and the like not the mask
			     that PTRACE_GETSIGMASK tells, which is the one to come back */
};

/*
 * Reads where a thread in a ptrace-stop stands. Errors: ERROR_UNSUPPORTED where it must not be
 * borrowed (seccomp, a shadow stack, a restartable sequence, code of 32 bit, the parent of a
 * vfork, ...), ERROR_GONE.
 */
struct error *remote_stop_read(const struct target_thread *thread, struct remote_stop *ret);

/*
 * Whether a signal waits that the thread has a handler for and does not block: the call of
 * REMOTE_CALL_ENDS must then end as it would without us. `blocked`: bit n-1: signal n does not
 * count.
 */
bool remote_handler_waits(pid_t tid, uint64_t blocked);

/*
 * Has a thread in the event-stop of our interrupt make the system call again that would end with
 * EINTR for no other reason (REMOTE_CALL_ENDS); a handler that runs before ends it as ever. Does
 * nothing in any other case.
 */
void remote_make_again(struct target_thread *thread);

/* Turns registers into those that make the interrupted system call again from its beginning. */
void remote_rewind(struct user_regs_struct *registers);

/*
 * Puts the number of the call back that restart_syscall(2) goes on with (REMOTE_CALL_RESUMED),
 * where the code before the `syscall` says it; else registers stay as they are, and made again the
 * call would end with EINTR.
 */
void remote_recall(const struct target_space *space, struct user_regs_struct *registers);

#endif
