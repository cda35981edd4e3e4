/* SPDX-License-Identifier: MIT */
#include "target/arrivals.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"

enum {
	SPIN_GAP_MAX_NS = 200000, /* beyond it a sleep costs less than the spinning */
	SPIN_FLOOR_NS = 20000,
	GAP_MEAN_SHIFT = 3, /* weight of a new gap: 1/8 */
	LOOK_AGAIN_NS = 20000,
};
static const uint64_t AWAIT_LIMIT_NS = 1000000000;

static void learn_gap(struct target *target)
{
	uint64_t gap = clock_now_ns() - target->last_resume_ns;
	if (gap > SPIN_GAP_MAX_NS * 4)
		gap = SPIN_GAP_MAX_NS * 4;
	target->gap_ns += (gap >> GAP_MEAN_SHIFT) - (target->gap_ns >> GAP_MEAN_SHIFT);
}

static pid_t wait_one(struct target *target, int *status_ret)
{
	if (!target->pinned && target->gap_ns < SPIN_GAP_MAX_NS) {
		uint64_t limit = target->last_resume_ns + target->gap_ns * 2 + SPIN_FLOOR_NS;
		do {
			pid_t tid = waitpid(-1, status_ret, __WALL | WNOHANG);
			if (tid != 0)
				return tid;
			if (atomic_load_explicit(target->poke, memory_order_relaxed))
				break;
		} while (clock_now_ns() < limit);
	}
	return waitpid(-1, status_ret, __WALL);
}

/* Takes what has arrived already. Where memory is short the rest stays with the kernel. */
static void take_all(struct target *target)
{
	target->arrived_first = target->arrived_count = 0;
	while (array_reserve(&target->arrived, &target->arrived_capacity, target->arrived_count + 1,
			     sizeof *target->arrived)) {
		struct target_arrival *arrival = &target->arrived[target->arrived_count];
		arrival->tid = waitpid(-1, &arrival->status, __WALL | WNOHANG);
		if (arrival->tid <= 0)
			return;
		target->arrived_count++;
	}
}

bool arrivals_make_room(struct target *target)
{
	return array_reserve(&target->arrived, &target->arrived_capacity,
			     target->arrived_count + 2 * target->threads.count,
			     sizeof *target->arrived);
}

void arrivals_defer(struct target *target, pid_t tid, int status)
{
	target->arrived[target->arrived_count++] = (struct target_arrival){tid, status};
}

bool arrivals_pending(const struct target *target)
{
	return target->arrived_first < target->arrived_count;
}

pid_t arrivals_next(struct target *target, bool wait, int *status_ret)
{
	if (arrivals_pending(target)) {
		const struct target_arrival *arrival = &target->arrived[target->arrived_first++];
		*status_ret = arrival->status;
		return arrival->tid;
	}
	pid_t tid = wait ? wait_one(target, status_ret) : waitpid(-1, status_ret, __WALL | WNOHANG);
	if (tid <= 0)
		return tid;
	if (tid == target->last_tid)
		learn_gap(target);
	/* A target of one thread has nobody who could be kept waiting. */
	if (target->threads.count > 1)
		take_all(target);
	return tid;
}

/* That of the thread which came first and was not looked at yet; NULL: there is none. */
static struct target_arrival *find_arrived(struct target *target, pid_t tid)
{
	for (size_t i = target->arrived_first; i < target->arrived_count; i++)
		if (target->arrived[i].tid == tid)
			return &target->arrived[i];
	return NULL;
}

bool arrivals_await_stop(struct target *target, pid_t tid)
{
	uint64_t limit = clock_now_ns() + AWAIT_LIMIT_NS;
	struct target_arrival *arrived = find_arrived(target, tid);
	if (arrived && !WIFSTOPPED(arrived->status))
		return false;
	if (arrived) {
		struct target_arrival *end = target->arrived + target->arrived_count--;
		memmove(arrived, arrived + 1, (size_t)(end - arrived - 1) * sizeof *arrived);
		return true;
	}
	if (!arrivals_make_room(target))
		return false;
	for (;;) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got > 0 && !WIFSTOPPED(status))
			arrivals_defer(target, tid, status);
		if (got > 0)
			return WIFSTOPPED(status);
		if ((got < 0 && errno != EINTR) || clock_now_ns() > limit)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
	}
}
