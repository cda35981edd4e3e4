/* SPDX-License-Identifier: MIT */
/*
 * Private to src/target: making and ending of threads, processes and spaces.
 *
 * Invariants: every thread not parked is counted in its process's thread_count, every process in
 * its space's process_count; a process with no thread and a space with no process are being freed.
 */
#ifndef TARGET_TREE_H
#define TARGET_TREE_H

#include <sys/ptrace.h>

#include "target/target.h"

enum {
	TARGET_OPTIONS = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			 PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD,
};

/* The options to seize a thread with. */
static inline unsigned long tree_options(const struct target *target)
{
	return TARGET_OPTIONS | (target->watches_exits ? PTRACE_O_TRACEEXIT : 0);
}

/* A new process in a space of its own (space NULL) or in that of another. */
struct error *tree_add_process(struct target *target, pid_t pid, pid_t parent,
			       struct target_space *space, struct target_process **ret);

/* A new thread; process NULL parks it. Its state is RUNNING. */
struct error *tree_add_thread(struct target *target, pid_t tid, struct target_process *process,
			      struct target_thread **ret);

/* Gives a parked thread its process. */
void tree_adopt(struct target *target, struct target_thread *thread,
		struct target_process *process);

/* Takes a thread out, tells thread_gone, frees it. */
void tree_remove_thread(struct target *target, struct target_thread *thread);

/* Takes a process out of its space; *space_ended_ret if that was the last in it. Freed later. */
void tree_remove_process(struct target *target, struct target_process *process,
			 bool *space_ended_ret);

/* Moves a process that called exec into a new space. */
struct error *tree_renew_space(struct target *target, struct target_process *process,
			       bool *old_ended_ret);

/* Frees what the last event left for its reader. */
void tree_bury(struct target *target);

/* kcmp(2): whether two processes share one mm; false when the kernel does not say. */
bool tree_same_space(pid_t one, pid_t other);

/*
 * Lets the creator of a process go on that waits for it (target_await_child): the process runs
 * untraced or has ended. While draining it stays for target_release.
 */
void tree_resume_creator(struct target *target, pid_t pid);

/* Leaves a thread in the stopped state, ready to be looked at. */
void tree_stopped(struct target *target, struct target_thread *thread);

#endif
