/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "target/arrivals.h"
#include "target/proc.h"
#include "target/tree.h"

enum { PAUSE_LIMIT_NS = 200000000, LOOK_AGAIN_NS = 20000 };

/* A pause must not be longer than it need be because the tracer waits for a CPU. Root only. */
static void run_ahead(struct target *target)
{
	struct sched_param first = {.sched_priority = 1};
	int policy = sched_getscheduler(0);
	if (target->policy < 0 && policy >= 0 && sched_setscheduler(0, SCHED_FIFO, &first) == 0)
		target->policy = policy;
}

static void run_as_before(struct target *target)
{
	struct sched_param none = {0};
	if (target->policy < 0)
		return;
	sched_setscheduler(0, target->policy, &none);
	target->policy = -1;
}

/* Threads whose stop has arrived and was not looked at yet stand still already. */
static void mark_arrived(struct target *target)
{
	for (size_t i = target->arrived_first; i < target->arrived_count; i++) {
		struct target_thread *thread =
			map_get(&target->threads, (uint64_t)target->arrived[i].tid);
		if (thread && WIFSTOPPED(target->arrived[i].status))
			thread->state = TARGET_THREAD_STOPPED;
	}
	for (struct target_thread *thread = target->ready; thread; thread = thread->next_ready)
		thread->state = TARGET_THREAD_STOPPED;
}

static bool is_meant(const struct target_thread *thread, const struct target_space *space,
		     const struct target_thread *only)
{
	if (thread->parked || thread->state != TARGET_THREAD_RUNNING)
		return false;
	if (only)
		return thread == only;
	return (!space || thread->process->space == space) &&
	       !proc_asleep_in_call(thread->process->pid, thread->tid);
}

/* All are looked at before the first is stopped: the look takes longer than the stop. */
static size_t interrupt(struct target *target, const struct target_space *space,
			const struct target_thread *only)
{
	size_t cursor = 0, count = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		thread->interrupted = is_meant(thread, space, only);
	}
	target->paused_since_ns = clock_now_ns();
	cursor = 0;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (thread->interrupted)
			thread->interrupted =
				ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) == 0;
		count += thread->interrupted;
	}
	return count;
}

/* Takes a status; those that are events wait until the pause is over. True: one less to wait for.
 */
static bool take(struct target *target, pid_t tid, int status)
{
	struct target_thread *thread = map_get(&target->threads, (uint64_t)tid);
	bool awaited = thread && thread->interrupted;
	if (thread && WIFSTOPPED(status))
		tree_stopped(target, thread);
	if (thread)
		thread->interrupted = false;
	if (awaited && status >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8) && thread->born)
		thread->paused = true;
	else
		arrivals_defer(target, tid, status);
	return awaited;
}

void target_pause(struct target *target, const struct target_space *space,
		  const struct target_thread *only)
{
	if (!arrivals_make_room(target))
		return;
	run_ahead(target);
	mark_arrived(target);
	size_t awaited = interrupt(target, space, only);
	uint64_t limit = clock_now_ns() + PAUSE_LIMIT_NS;
	while (awaited && target->arrived_count < target->arrived_capacity) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid > 0) {
			awaited -= take(target, tid, status);
			continue;
		}
		if ((tid < 0 && errno != EINTR) || clock_now_ns() > limit)
			return;
		struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
		nanosleep(&pause, NULL);
	}
}

void target_go_on(struct target *target)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (!thread->paused)
			continue;
		thread->paused = false;
		target->statistics.stopped_ns += clock_now_ns() - thread->stopped_since_ns;
		thread->registers_valid = false;
		thread->state = TARGET_THREAD_RUNNING;
		ptrace(PTRACE_CONT, thread->tid, NULL, 0);
	}
	target->paused_ns = clock_now_ns() - target->paused_since_ns;
	run_as_before(target);
}
