/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/arrivals.h"
#include "target/pause.h"
#include "target/proc.h"
#include "target/remote_stop.h"
#include "target/tree.h"

enum {
	PAUSE_LIMIT_NS = 200000000,
	SETTLE_LIMIT_NS = 50000000,
	LOOK_AGAIN_NS = 20000,
	WOKEN_FIRST_NS = 1000000
};

void pause_run_ahead(struct target *target)
{
	struct sched_param first = {.sched_priority = 1};
	int policy = sched_getscheduler(0);
	if (target->policy < 0 && policy >= 0 && sched_setscheduler(0, SCHED_FIFO, &first) == 0)
		target->policy = policy;
}

void pause_run_as_before(struct target *target)
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

/* Whom a pause stops. */
struct pause_scope {
	const struct target_space *space;
	const struct target_thread *only;
	bool sleepers;
	size_t call_fds_max;
};

static size_t call_fds_limit(void)
{
	struct rlimit files;
	return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur / 2 : 0;
}

static bool is_asleep(struct target *target, struct target_thread *thread,
		      const struct pause_scope *scope)
{
	bool keep = thread->call_fd < 0 && target->call_fds < scope->call_fds_max;
	int fd = -1;
	bool asleep = proc_asleep_in_call(thread->process->pid, thread->tid, keep ? &fd : NULL);
	if (fd < 0)
		return asleep;
	thread->call_fd = fd;
	target->call_fds++;
	return true;
}

void pause_forget(struct target *target, struct target_thread *thread)
{
	if (thread->call_fd < 0)
		return;
	close(thread->call_fd);
	thread->call_fd = -1;
	target->call_fds--;
}

bool target_resting_place(const struct target_thread *thread, uint64_t *sp_ret, uint64_t *pc_ret)
{
	return thread->call_fd >= 0
		       ? proc_resting_place_of(thread->call_fd, sp_ret, pc_ret)
		       : proc_resting_place(thread->process->pid, thread->tid, sp_ret, pc_ret);
}

static bool is_meant(struct target *target, struct target_thread *thread,
		     const struct pause_scope *scope)
{
	if (thread->parked || thread->state != TARGET_THREAD_RUNNING)
		return false;
	if (scope->only)
		return thread == scope->only;
	if (scope->space && thread->process->space != scope->space)
		return false;
	bool asleep = is_asleep(target, thread, scope);
	thread->roused = asleep && scope->sleepers;
	return !asleep || scope->sleepers;
}

/* All are looked at before the first is stopped: the look takes longer than the stop. */
static size_t interrupt(struct target *target, const struct pause_scope *scope)
{
	size_t cursor = 0, count = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		thread->interrupted = is_meant(target, thread, scope);
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

/*
 * Those that were asleep as the pause began and have woken since: each would keep a processor from
 * somebody who is to stop. Returns how many more stops will come.
 */
static size_t interrupt_woken(struct target *target)
{
	size_t cursor = 0, count = 0;
	struct map_entry *entry;
	while (target->call_fds && (entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		uint64_t sp, pc;
		if (thread->call_fd < 0 || thread->interrupted ||
		    thread->state != TARGET_THREAD_RUNNING ||
		    target_resting_place(thread, &sp, &pc))
			continue;
		thread->interrupted = ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) == 0;
		count += thread->interrupted;
	}
	return count;
}

static void await_stops(struct target *target, size_t awaited)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
	uint64_t begun = clock_now_ns(), look_ns = WOKEN_FIRST_NS;
	while (awaited && target->arrived_count < target->arrived_capacity) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid > 0) {
			awaited -= take(target, tid, status);
			continue;
		}
		uint64_t waited_ns = clock_now_ns() - begun;
		if ((tid < 0 && errno != EINTR) || waited_ns > PAUSE_LIMIT_NS)
			return;
		if (waited_ns > look_ns) {
			awaited += interrupt_woken(target);
			look_ns = waited_ns * 2;
		}
		nanosleep(&pause, NULL);
	}
}

static void pause_scope(struct target *target, struct pause_scope *scope)
{
	if (!arrivals_make_room(target))
		return;
	scope->call_fds_max = call_fds_limit();
	pause_run_ahead(target);
	mark_arrived(target);
	await_stops(target, interrupt(target, scope));
}

void target_pause(struct target *target, const struct target_space *space,
		  const struct target_thread *only)
{
	struct pause_scope scope = {.space = space, .only = only};
	pause_scope(target, &scope);
}

void target_pause_all(struct target *target)
{
	struct pause_scope scope = {.sleepers = true};
	pause_scope(target, &scope);
}

/* True: a thread that was asleep has not come back to rest. */
static bool some_are_awake(const struct target *target)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		const struct target_thread *thread = entry->value;
		if (thread->roused && !proc_asleep_in_call(thread->process->pid, thread->tid, NULL))
			return true;
	}
	return false;
}

/*
 * Whoever is interrupted again before its call has begun anew would see it end with EINTR after
 * all.
 */
static void let_settle(struct target *target)
{
	uint64_t limit = clock_now_ns() + SETTLE_LIMIT_NS;
	while (some_are_awake(target) && clock_now_ns() < limit) {
		struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
		nanosleep(&pause, NULL);
	}
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor)))
		((struct target_thread *)entry->value)->roused = false;
}

/* Whoever was awake when we looked may have gone to sleep before it was interrupted. */
static void go_on(struct target *target, struct target_thread *thread)
{
	remote_make_again(thread);
	thread->paused = false;
	target->statistics.stopped_ns += clock_now_ns() - thread->stopped_since_ns;
	thread->registers_valid = false;
	thread->state = TARGET_THREAD_RUNNING;
	ptrace(PTRACE_CONT, thread->tid, NULL, 0);
}

void target_let_run(struct target *target, struct target_thread *const *threads, size_t count,
		    uint64_t run_ns)
{
	const struct timespec run = {.tv_nsec = (long)run_ns};
	size_t awaited = 0;
	for (size_t i = 0; i < count; i++)
		if (threads[i]->paused)
			go_on(target, threads[i]);
	nanosleep(&run, NULL);
	if (!arrivals_make_room(target))
		return;
	for (size_t i = 0; i < count; i++) {
		struct target_thread *thread = threads[i];
		uint64_t call;
		/* One that has gone to sleep in a call since stays, as those before it. */
		thread->interrupted = thread->state == TARGET_THREAD_RUNNING &&
				      !proc_system_call(thread->process->pid, thread->tid, &call) &&
				      ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) == 0;
		awaited += thread->interrupted;
	}
	await_stops(target, awaited);
}

void target_go_on(struct target *target)
{
	bool roused = false;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		thread->roused &= thread->paused;
		if (!thread->paused)
			continue;
		roused |= thread->roused;
		go_on(target, thread);
	}
	target->paused_ns = clock_now_ns() - target->paused_since_ns;
	pause_run_as_before(target);
	cursor = 0;
	while (target->call_fds && (entry = map_next(&target->threads, &cursor)))
		pause_forget(target, entry->value);
	if (roused)
		let_settle(target);
}
