/* SPDX-License-Identifier: MIT */
/* From wait status to event (ptrace(2), "Stopped states" and the sections that follow). */
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/arrivals.h"
#include "target/leave.h"
#include "target/proc.h"
#include "target/remote_stop.h"
#include "target/sigtrap.h"
#include "target/tree.h"

static bool is_stop_signal(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/*
 * Whether the SIGTRAP of an int3 (SI_KERNEL: arch/x86 force_sig) waits in the thread's own queue:
 * it was hit, but an event-stop or group-stop was reported first.
 */
static bool int3_is_queued(pid_t tid)
{
	siginfo_t queued[8];
	struct __ptrace_peeksiginfo_args request = {.off = 0, .flags = 0, .nr = 8};
	long count;
	while ((count = ptrace(PTRACE_PEEKSIGINFO, tid, &request, queued)) > 0) {
		for (long i = 0; i < count; i++)
			if (queued[i].si_signo == SIGTRAP && queued[i].si_code == SI_KERNEL)
				return true;
		request.off += (uint64_t)count;
	}
	return false;
}

static void resume_quietly(struct target *target, struct target_thread *thread)
{
	target->statistics.stopped_ns += clock_now_ns() - thread->stopped_since_ns;
	thread->registers_valid = false;
	thread->state = TARGET_THREAD_RUNNING;
	ptrace(PTRACE_CONT, thread->tid, NULL, 0);
}

/*
 * Lets a thread go on to the stop of the int3 that it has hit: to be waited for like that of an
 * interrupt, however long the thread waits for a processor. Detached before, it would die of it.
 */
static void resume_to_trap(struct target *target, struct target_thread *thread)
{
	resume_quietly(target, thread);
	thread->interrupted = true;
}

static void on_group_stop(struct target *target, struct target_thread *thread)
{
	thread->trap_pending = int3_is_queued(thread->tid);
	if (target->draining) {
		/* Detached from here it stays stopped. */
		if (thread->trap_pending)
			resume_to_trap(target, thread);
		return;
	}
	thread->state = TARGET_THREAD_LISTENING;
	ptrace(PTRACE_LISTEN, thread->tid, NULL, 0);
}

/* An event-stop: the answer to PTRACE_INTERRUPT, the end of a group-stop, a thread's birth. */
static void on_event_stop(struct target *target, struct target_thread *thread)
{
	if (!target->draining) {
		/* A pause may have been over before it got as far as this stop. */
		remote_make_again(thread);
		resume_quietly(target, thread);
	} else if (int3_is_queued(thread->tid)) {
		resume_to_trap(target, thread);
	} else {
		thread->paused = true;
	}
}

/* The new thread or process that an event of its creator speaks of; created if not seen yet. */
static struct error *find_newborn(struct target *target, pid_t tid, struct target_thread **ret)
{
	*ret = map_get(&target->threads, (uint64_t)tid);
	return *ret ? NULL : tree_add_thread(target, tid, NULL, ret);
}

static void adopt_newborn(struct target *target, struct target_thread *newborn,
			  struct target_thread *creator, struct target_process *process)
{
	newborn->mask = creator->mask;
	newborn->sigtrap_blocked = creator->sigtrap_blocked;
	tree_adopt(target, newborn, process);
}

static struct error *on_clone(struct target *target, struct target_thread *creator, pid_t tid)
{
	struct target_thread *newborn;
	struct error *err = find_newborn(target, tid, &newborn);
	if (err)
		return err;
	if (newborn->parked)
		adopt_newborn(target, newborn, creator, creator->process);
	resume_quietly(target, creator);
	return NULL;
}

static struct error *on_fork(struct target *target, struct target_thread *creator, pid_t pid,
			     bool creator_waits, bool *event_ret, struct target_event *ret)
{
	struct target_thread *newborn;
	struct target_process *parent = creator->process, *process;
	struct error *err = find_newborn(target, pid, &newborn);
	if (err || !newborn->parked)
		return err;
	bool shares = tree_same_space(parent->pid, pid);
	err = tree_add_process(target, pid, parent->pid, shares ? parent->space : NULL, &process);
	if (error_catch(&err, ERROR_GONE)) {
		resume_quietly(target, creator);
		return NULL;
	}
	if (err)
		return err;
	adopt_newborn(target, newborn, creator, process);
	sigtrap_inherit(process, parent);
	/* The child cannot run before its first stop is answered: its memory may be worked on now.
	 */
	*ret = (struct target_event){.kind = TARGET_EVENT_PROCESS,
				     .thread = creator,
				     .process = process,
				     .parent = parent,
				     .shares_space = shares,
				     .creator_waits = creator_waits};
	*event_ret = true;
	return NULL;
}

/* Ends the threads that an execve(2) ended without a word of their own. */
static void forget_others(struct target *target, const struct target_thread *survivor)
{
	struct target_thread *gone;
	do {
		gone = NULL;
		size_t cursor = 0;
		struct map_entry *entry;
		while (!gone && (entry = map_next(&target->threads, &cursor))) {
			struct target_thread *other = entry->value;
			if (other != survivor && other->process == survivor->process)
				gone = other;
		}
		if (gone)
			tree_remove_thread(target, gone);
	} while (gone);
}

/* Whichever thread called it, the survivor has the leader's tid (ptrace(2), "execve(2) under
 * ptrace"). */
static struct error *on_exec(struct target *target, struct target_thread *thread, bool *event_ret,
			     struct target_event *ret)
{
	struct target_process *process = thread->process;
	forget_others(target, thread);
	*ret = (struct target_event){.kind = TARGET_EVENT_EXEC,
				     .thread = thread,
				     .process = process,
				     .old_space = process->space};
	sigtrap_learn_process(process);
	sigtrap_learn_thread(thread);
	struct error *err = tree_renew_space(target, process, &ret->old_space_ended);
	*event_ret = !err;
	/* Killed in this very stop: its end will be reported, as one in the former space. */
	if (error_catch(&err, ERROR_GONE))
		resume_quietly(target, thread);
	return err;
}

/* A thread is gone; true if that is the end of its process, whose status the leader's is. */
static bool on_end(struct target *target, struct target_thread *thread, int status,
		   struct target_event *ret)
{
	struct target_process *process = thread->process;
	bool leader = process && thread->tid == process->pid;
	tree_remove_thread(target, thread);
	if (!leader)
		return false;
	*ret = (struct target_event){.kind = TARGET_EVENT_PROCESS_EXIT,
				     .process = process,
				     .old_space = process->space,
				     .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
				     .exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0};
	tree_remove_process(target, process, &ret->old_space_ended);
	tree_resume_creator(target, process->pid);
	return true;
}

static bool is_thread_of(pid_t pid, pid_t tid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%d", pid, tid);
	return access(path, F_OK) == 0;
}

/* A thread is about to end; true if its process is, and stands still. */
static bool on_leave(struct target *target, struct target_thread *thread, struct target_event *ret)
{
	thread->leaving = true;
	if (target->draining || !leave_gather(target, thread)) {
		resume_quietly(target, thread);
		return false;
	}
	*ret = (struct target_event){
		.kind = TARGET_EVENT_LEAVING, .thread = thread, .process = thread->process};
	return true;
}

static struct error *on_ptrace_event(struct target *target, struct target_thread *thread, int event,
				     bool *event_ret, struct target_event *ret)
{
	if (event == PTRACE_EVENT_EXEC)
		return on_exec(target, thread, event_ret, ret);
	if (event == PTRACE_EVENT_EXIT) {
		*event_ret = on_leave(target, thread, ret);
		return NULL;
	}
	unsigned long message = 0;
	if (ptrace(PTRACE_GETEVENTMSG, thread->tid, NULL, &message) < 0)
		return NULL; /* dying: its end will be reported */
	/* clone(2) without CLONE_THREAD and with another signal than SIGCHLD reports CLONE, too. */
	if (event == PTRACE_EVENT_CLONE && is_thread_of(thread->process->pid, (pid_t)message))
		return on_clone(target, thread, (pid_t)message);
	return on_fork(target, thread, (pid_t)message, event == PTRACE_EVENT_VFORK, event_ret, ret);
}

static void on_birth(struct target *target, struct target_thread *thread, int signal)
{
	thread->born = true;
	if (thread->process->unfollowed) {
		target_abandon(target, thread);
		return;
	}
	if (is_stop_signal(signal))
		on_group_stop(target, thread);
	else
		on_event_stop(target, thread);
}

static struct error *on_stop(struct target *target, struct target_thread *thread, int status,
			     bool *event_ret, struct target_event *ret)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_STOP && !thread->born) {
		on_birth(target, thread, signal);
	} else if (event == PTRACE_EVENT_STOP) {
		if (is_stop_signal(signal))
			on_group_stop(target, thread);
		else
			on_event_stop(target, thread);
	} else if (event) {
		return on_ptrace_event(target, thread, event, event_ret, ret);
	} else {
		*ret = (struct target_event){.kind = signal == SIGTRAP ? TARGET_EVENT_TRAP
								       : TARGET_EVENT_SIGNAL,
					     .thread = thread,
					     .process = thread->process,
					     .signal = signal};
		*event_ret = true;
	}
	return NULL;
}

static struct error *on_status(struct target *target, pid_t tid, int status, bool *event_ret,
			       struct target_event *ret)
{
	struct target_thread *thread = map_get(&target->threads, (uint64_t)tid);
	if (!WIFSTOPPED(status)) {
		/* A child that our process had before, or a thread that an exec has ended already.
		 */
		if (thread)
			*event_ret = on_end(target, thread, status, ret);
		return NULL;
	}
	if (!thread) {
		struct error *err = tree_add_thread(target, tid, NULL, &thread);
		if (err)
			return err;
	}
	tree_stopped(target, thread);
	if (thread->parked) {
		thread->parked_status = status;
		return NULL;
	}
	return on_stop(target, thread, status, event_ret, ret);
}

/* Threads that drain has interrupted and whose stop is still to come. */
static bool stops_outstanding(const struct target *target)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor)))
		if (((struct target_thread *)entry->value)->interrupted)
			return true;
	return false;
}

/* While draining: the next status, or 0 when all that was interrupted has stopped. */
static pid_t wait_draining(struct target *target, int *status_ret)
{
	for (;;) {
		pid_t tid = arrivals_next(target, false, status_ret);
		if (tid != 0)
			return tid;
		if (!stops_outstanding(target) || clock_now_ns() > target->drain_until_ns)
			return 0;
		struct timespec pause = {.tv_nsec = 50000};
		nanosleep(&pause, NULL);
	}
}

/* While impatient: some lots. Threads that stop all the time would never leave us without any. */
static pid_t wait_impatient(struct target *target, int *status_ret)
{
	if (!arrivals_pending(target)) {
		if (target->lots_left == 0)
			return 0;
		target->lots_left--;
	}
	return arrivals_next(target, false, status_ret);
}

static pid_t wait_status(struct target *target, int *status_ret)
{
	if (target->draining)
		return wait_draining(target, status_ret);
	return target->impatient ? wait_impatient(target, status_ret)
				 : arrivals_next(target, true, status_ret);
}

struct error *target_next(struct target *target, struct target_event *ret)
{
	bool event = false;
	tree_bury(target);
	while (!event) {
		struct error *err = NULL;
		int status = 0;
		struct target_thread *ready = target->ready;
		if (ready) {
			target->ready = ready->next_ready;
			status = ready->parked_status;
			ready->parked_status = 0;
			err = on_stop(target, ready, status, &event, ret);
		} else {
			pid_t tid = wait_status(target, &status);
			if (tid > 0)
				err = on_status(target, tid, status, &event, ret);
			else if (tid == 0)
				return *ret = (struct target_event){.kind = TARGET_EVENT_QUIET},
				       NULL;
			else if (errno == ECHILD)
				return *ret = (struct target_event){.kind = TARGET_EVENT_EMPTY},
				       NULL;
			else if (errno != EINTR)
				return error_system(errno, "cannot wait for the target");
			else if (atomic_load(target->poke))
				return *ret = (struct target_event){.kind = TARGET_EVENT_POKED},
				       NULL;
		}
		if (err)
			return err;
		if (!event && target->threads.count == 0 && !target->draining)
			return *ret = (struct target_event){.kind = TARGET_EVENT_EMPTY}, NULL;
	}
	return NULL;
}
