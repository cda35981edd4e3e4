/* SPDX-License-Identifier: MIT */
#include "target/leave.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "target/arrivals.h"
#include "target/proc.h"
#include "target/tree.h"

static const uint64_t LIMIT_NS = 1000000000, LOOK_AT_CALLS_NS = 1000000;
enum { LOOK_AGAIN_NS = 20000 };

/* A thread of the process that has not come, NULL if all have. */
static struct target_thread *find_missing(const struct target *target,
					  const struct target_process *process)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (thread->process == process && !thread->leaving)
			return thread;
	}
	return NULL;
}

/* Whether the status is that a thread of the process ends: it then counts as having come. */
static bool take(struct target *target, const struct target_process *process, pid_t tid, int status)
{
	struct target_thread *thread = map_get(&target->threads, (uint64_t)tid);
	if (!thread || thread->process != process)
		return false;
	if (!WIFSTOPPED(status)) {
		thread->leaving = true;
		return false;
	}
	if (status >> 8 != (SIGTRAP | PTRACE_EVENT_EXIT << 8))
		return false;
	tree_stopped(target, thread);
	thread->leaving = true;
	return true;
}

/* Statuses that were taken from the kernel before. */
static void take_arrived(struct target *target, const struct target_process *process)
{
	size_t kept = target->arrived_first;
	for (size_t i = target->arrived_first; i < target->arrived_count; i++) {
		const struct target_arrival arrival = target->arrived[i];
		if (!take(target, process, arrival.tid, arrival.status))
			target->arrived[kept++] = arrival;
	}
	target->arrived_count = kept;
}

/* execve(2) ends all other threads of its process and waits for that. */
static bool is_in_exec(const struct target_thread *thread)
{
	uint64_t number;
	return proc_system_call(thread->process->pid, thread->tid, &number) &&
	       (number == SYS_execve || number == SYS_execveat);
}

/*
 * A thread that was about to end by itself when the others were ended does not stop any more
 * (kernel/signal.c, ptrace_stop), and the end of a first thread is told last.
 */
static bool has_ended(const struct target_thread *thread)
{
	char state = '?';
	uint64_t start;
	struct error *err = proc_stat(thread->tid, &state, &start);
	bool ended = error_catch(&err, ERROR_GONE) || state == 'Z' || state == 'X';
	error_free(err);
	return ended;
}

static bool await_all(struct target *target, const struct target_process *process)
{
	uint64_t begun = clock_now_ns(), look_at = begun + LOOK_AT_CALLS_NS;
	struct target_thread *missing;
	while ((missing = find_missing(target, process))) {
		int status;
		if (target->arrived_count == target->arrived_capacity)
			return false;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid > 0) {
			if (!take(target, process, tid, status))
				arrivals_defer(target, tid, status);
			continue;
		}
		uint64_t now = clock_now_ns();
		if ((tid < 0 && errno != EINTR) || now - begun > LIMIT_NS)
			return false;
		if (now >= look_at) {
			if (is_in_exec(missing))
				return false;
			missing->leaving = has_ended(missing);
			look_at = now + LOOK_AT_CALLS_NS;
		}
		struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
		nanosleep(&pause, NULL);
	}
	return true;
}

/* By the system call exit(2), which ends one thread. */
static bool leaves_alone(const struct target *target, struct target_thread *thread)
{
	const struct user_regs_struct *registers = target_registers(thread);
	return registers && registers->orig_rax == SYS_exit &&
	       find_missing(target, thread->process);
}

bool leave_gather(struct target *target, struct target_thread *thread)
{
	struct target_process *process = thread->process;
	if (process->gathered || process->space->process_count > 1 ||
	    leaves_alone(target, thread) || !arrivals_make_room(target))
		return false;
	take_arrived(target, process);
	if (await_all(target, process)) {
		process->gathered = true;
		return true;
	}
	/* The one at hand is its reader's to let go. */
	thread->leaving = false;
	target_let_leave(target, process);
	thread->leaving = true;
	return false;
}

void target_let_leave(struct target *target, struct target_process *process)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (thread->process != process || !thread->leaving ||
		    thread->state != TARGET_THREAD_STOPPED)
			continue;
		target->statistics.stopped_ns += clock_now_ns() - thread->stopped_since_ns;
		thread->registers_valid = false;
		thread->state = TARGET_THREAD_RUNNING;
		ptrace(PTRACE_CONT, thread->tid, NULL, 0);
	}
}
