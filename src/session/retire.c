/* SPDX-License-Identifier: MIT */
/* The end of agents: jumps go, and then whoever is still at work in an agent leaves it. */
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/killpoint.h"
#include "session/private.h"

enum { TRIES_MAX = 20, RETRY_NS = 1000000, WAIT_DOUBLINGS = 7 };

/* Longer from try to try: of many threads each gets its turn only so often. */
static void wait_a_little(int try)
{
	struct timespec pause = {
		.tv_nsec = (long)RETRY_NS << (try < WAIT_DOUBLINGS ? try : WAIT_DOUBLINGS)
	};
	nanosleep(&pause, NULL);
}

struct error *retire_jumps(struct session *session)
{
	struct error *first = NULL;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->target.processes, &cursor))) {
		const struct target_process *process = entry->value;
		const struct session_space *space = process->space->owner_data;
		struct error *err = space ? jumps_remove(space->jumps) : NULL;
		killpoint(KILLPOINT_JUMPS_REMOVED);
		error_keep_first(&err, space ? jumps_disarm(space->jumps) : NULL);
		killpoint(KILLPOINT_DISARMED);
		if (error_catch(&err, ERROR_GONE) || error_catch(&err, ERROR_FAULT))
			continue; /* it has just ended, or unloaded a library */
		error_keep_first(&first, err);
	}
	error_keep_first(&first, taps_seal(&session->taps));
	session->over = true;
	return first;
}

/* ---- who is in an agent */

enum { HELD_MAX = 64 };

/* Of those who stand in an agent, held are some that a pause has stopped there. */
struct presence {
	bool in_agent;
	size_t held_count;
	struct target_thread *held[HELD_MAX];
};

static bool is_held(struct target_thread *thread)
{
	const struct session_space *space = thread->process->space->owner_data;
	const struct user_regs_struct *registers = target_registers(thread);
	return registers && jumps_hold(space->jumps, registers->rip);
}

/* Stopped anywhere in the agent, or waiting in it for us. */
static void look_for_agent(void *context, struct target_thread *thread)
{
	struct presence *presence = context;
	const struct session_space *space = thread->process->space->owner_data;
	uint64_t pc, sp;
	if (!space)
		return;
	bool stopped = thread->state == TARGET_THREAD_STOPPED;
	bool held = stopped && is_held(thread);
	if (held && thread->paused && presence->held_count < HELD_MAX)
		presence->held[presence->held_count++] = thread;
	if (!stopped && target_resting_place(thread, &sp, &pc))
		held = jumps_hold(space->jumps, pc);
	else if (!stopped)
		held = true; /* for all we know */
	presence->in_agent |= held;
}

/* How many threads can run at once. */
static size_t count_processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	return count < 1 ? 1 : count > HELD_MAX ? HELD_MAX : (size_t)count;
}

/*
 * Lets those run that stand in the agent, and nobody else: among many threads it would take seconds
 * until each of them has had its turn. No call of theirs is longer than a moment; where one waits
 * for a thread that stands still, the next try finds it gone. The pause must not become long by
 * this: what is left then is for the next one, too.
 */
static void let_out(struct session *session, const struct presence *presence)
{
	enum { RUN_NS = 30000, LIMIT_NS = 1500000 };
	size_t at_once = count_processors();
	uint64_t limit = clock_now_ns() + LIMIT_NS;
	for (size_t i = 0; i < presence->held_count && clock_now_ns() < limit; i += at_once) {
		size_t left = presence->held_count - i;
		target_let_run(&session->target, presence->held + i,
			       left < at_once ? left : at_once, RUN_NS);
	}
}

/* In a pause: whether somebody was in an agent at its beginning; he may have left it since. */
static bool empty_agents(struct session *session, const struct target_space *space)
{
	struct presence presence = {.in_agent = false};
	target_visit_threads(&session->target, space, look_for_agent, &presence);
	let_out(session, &presence);
	return presence.in_agent;
}

struct error *retire_agents(struct session *session)
{
	/* A fork that has happened must be heard of before the jumps go that the child has, too. */
	struct error *first = stop_catch_up(session);
	bool any = session->taps.first != NULL, in_agent = any;
	for (int try = 0; in_agent && try < TRIES_MAX; try++) {
		stop_pause(session, NULL, NULL);
		killpoint(KILLPOINT_PAUSED_AGAIN);
		if (try == 0)
			error_keep_first(&first, retire_jumps(session));
		in_agent = empty_agents(session, NULL) || taps_are_busy(&session->taps);
		target_go_on(&session->target);
		killpoint(KILLPOINT_RESUMED_AGAIN);
		stop_note_freeze(session->target.paused_ns, &session->remove_frozen_ns);
		error_keep_first(&first, stop_catch_up(session));
		if (in_agent)
			wait_a_little(try);
	}
	session->retired = any && !in_agent;
	return first;
}

struct error *retire_predecessor(struct session *session, struct session_space *space)
{
	space_id id = space->target->id;
	struct error *err = NULL;
	bool rests = !jumps_have_predecessor(space->jumps);
	for (int try = 0; !err && !rests && try < TRIES_MAX; try++) {
		stop_pause(session, space, NULL);
		err = jumps_retire_predecessor(space->jumps);
		rests = !empty_agents(session, space->target) &&
			jumps_predecessor_rests(space->jumps);
		stop_go_on(session);
		if (!err)
			err = stop_catch_up(session);
		if (!err && taps_space(&session->taps, id) != space)
			return error_new(ERROR_GONE, "the process has ended");
		if (!rests)
			wait_a_little(try);
	}
	return err;
}
