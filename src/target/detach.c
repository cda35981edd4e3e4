/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/ptrace.h>

#include "base/clock.h"
#include "target/arrivals.h"
#include "target/pause.h"
#include "target/proc.h"
#include "target/remote_stop.h"
#include "target/tree.h"

enum { DRAIN_LIMIT_NS = 2000000000 };

/* Asleep in a call a thread cannot meet a probe; interrupting it could end the call with EINTR. */
static bool must_stop(const struct target_thread *thread)
{
	if (thread->parked || thread->state == TARGET_THREAD_STOPPED)
		return false;
	if (thread->state == TARGET_THREAD_LISTENING)
		return thread->trap_pending;
	return !proc_asleep_in_call(thread->process->pid, thread->tid, NULL);
}

/* All are looked at before the first is stopped: the look takes longer than the stop. */
void target_drain(struct target *target)
{
	target->draining = true;
	target->drain_until_ns = clock_now_ns() + DRAIN_LIMIT_NS;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (must_stop(thread))
			thread->interrupted = true;
	}
	pause_run_ahead(target);
	target->paused_since_ns = clock_now_ns();
	cursor = 0;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (thread->interrupted)
			thread->interrupted =
				ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) == 0;
	}
}

static void detach(struct target_thread *thread)
{
	if (thread->paused)
		remote_make_again(thread);
	ptrace(PTRACE_DETACH, thread->tid, NULL, thread->resume_signal);
}

/* All are let go before anything is done about the first: it may take longer. */
void target_release(struct target *target)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (thread->state == TARGET_THREAD_STOPPED)
			detach(thread);
	}
	target->paused_ns = clock_now_ns() - target->paused_since_ns;
	pause_run_as_before(target);
	for (cursor = 0; (entry = map_next(&target->threads, &cursor)); cursor = 0)
		tree_remove_thread(target, entry->value);
}

void target_abandon(struct target *target, struct target_thread *thread)
{
	struct target_process *process = thread->process;
	bool space_ended;
	detach(thread);
	tree_remove_thread(target, thread);
	tree_resume_creator(target, process->pid);
	if (process->thread_count == 0)
		tree_remove_process(target, process, &space_ended);
}

void target_await_child(struct target_thread *creator, const struct target_process *child)
{
	creator->awaited_child = child->pid;
}

void target_unfollow(struct target *target, struct target_process *process)
{
	struct target_thread *thread = map_get(&target->threads, (uint64_t)process->pid);
	process->unfollowed = true;
	/* Its creator may want to trace it as soon as it goes on, and must not find it traced. */
	if (thread && (thread->parked_status || arrivals_await_stop(target, thread->tid)))
		target_abandon(target, thread);
}
