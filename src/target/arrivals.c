/* SPDX-License-Identifier: MIT */
#include "target/arrivals.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/clock.h"

enum {
	SPIN_GAP_MAX_NS = 200000, /* beyond it a sleep costs less than the spinning */
	SPIN_FLOOR_NS = 20000,
	GAP_MEAN_SHIFT = 3, /* weight of a new gap: 1/8 */
};

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

pid_t arrivals_next(struct target *target, bool wait, int *status_ret)
{
	if (target->arrived_first < target->arrived_count) {
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
