/* SPDX-License-Identifier: MIT */
/*
 * From planned jumps to written ones: borrowing a thread, stopping all, looking where each stands.
 * See probe/jump.h for the order of steps and why the target can go on alone after each.
 */
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/place.h"
#include "session/private.h"
#include "target/proc.h"

enum { TRIES_MAX = 20, RETRY_NS = 1000000 };

/* ---- borrowing */

/*
 * Lets what has come be handled between two tries. ERROR_GONE if that was the end of the space:
 * then it must not be touched any more.
 */
static struct error *catch_up(struct session *session, struct session_space *space)
{
	space_id id = space->target->id;
	struct error *err = stop_catch_up(session);
	if (!err && taps_space(&session->taps, id) != space)
		err = error_new(ERROR_GONE, "the process has ended");
	return err;
}

struct choice {
	struct target_thread *best;
	bool best_runs;
};

/* A running thread is in user space, most likely: no system call of its need be made again. */
static void consider(void *context, struct target_thread *thread)
{
	struct choice *choice = context;
	bool runs = !proc_asleep_in_call(thread->process->pid, thread->tid);
	if (thread->state != TARGET_THREAD_RUNNING ||
	    (choice->best && (choice->best_runs || !runs)))
		return;
	*choice = (struct choice){thread, runs};
}

static struct error *settle_through(struct session *session, struct session_space *space,
				    struct target_thread *thread)
{
	_cleanup_remote_ struct remote remote = {0};
	struct error *err = remote_begin(&session->target, thread, &remote);
	if (!err)
		err = jumps_settle(space->jumps, &remote, (uint32_t)session->options->depth);
	if (!err)
		err = taps_add(session, jumps_channel(space->jumps));
	if (!err)
		err = jumps_publish(space->jumps, space->modules.unwind, space->modules.count);
	return err ? err : jumps_arm(space->jumps, thread);
}

/*
 * Makes the agent through one thread; the others go on meanwhile. A thread that stops for another
 * reason just then (a signal for it has come) is no use: it is let go on its way first.
 */
static struct error *settle(struct session *session, struct session_space *space,
			    struct target_thread *at_hand)
{
	if (at_hand)
		return settle_through(session, space, at_hand);
	_cleanup_error_ struct error *refusal =
		error_new(ERROR_UNSUPPORTED, "no thread of it can be borrowed");
	for (int try = 0; refusal && try < TRIES_MAX; try++) {
		struct choice choice = {0};
		target_visit_threads(&session->target, space->target, consider, &choice);
		if (!choice.best)
			break;
		stop_pause(session, space, choice.best);
		bool stopped = choice.best->paused;
		bool good = stopped && remote_suitability(choice.best) > 0;
		struct error *err = stopped ? settle_through(session, space, choice.best) : NULL;
		stop_go_on(session);
		if (good)
			return err;
		if (err) {
			error_free(refusal);
			refusal = err;
		}
		err = catch_up(session, space);
		if (err || jumps_are_settled(space->jumps))
			return err;
	}
	return take_ptr(refusal);
}

/* ---- looking where threads stand */

struct look {
	struct session *session;
	struct session_space *space;
	const struct proc_maps *maps;
	bool handlers; /* contexts of interrupted code may lie on stacks */
	bool blocked;
};

static bool stack_blocks(const struct look *look, uint64_t sp)
{
	enum { CHUNK_WORDS = 8192 };
	const struct proc_mapping *mapping = proc_maps_find(look->maps, sp);
	_cleanup_free_ uint64_t *words = malloc(CHUNK_WORDS * sizeof *words);
	if (!words)
		return true;
	sp &= ~7ul;
	while (mapping && sp < mapping->end) {
		size_t count = mapping->end - sp;
		if (count > CHUNK_WORDS * sizeof *words)
			count = CHUNK_WORDS * sizeof *words;
		count = target_read_some(look->space->target, (target_addr){sp}, words, count);
		if (jumps_block_stack(look->space->jumps, words, count / sizeof *words))
			return true;
		if (count < sizeof *words)
			break;
		sp += count;
	}
	return false;
}

/*
 * A thread asleep in a call stands behind a `syscall`, which no window holds. One in a group-stop
 * may stand anywhere.
 */
static void look_at(void *context, struct target_thread *thread)
{
	struct look *look = context;
	uint64_t sp = 0, pc = 0;
	const struct user_regs_struct *registers = NULL;
	if (thread->state == TARGET_THREAD_STOPPED)
		registers = target_registers(thread);
	if (registers) {
		pc = registers->rip;
		sp = registers->rsp;
	} else if (!proc_resting_place(thread->process->pid, thread->tid, &sp, &pc)) {
		look->blocked |= thread->state != TARGET_THREAD_STOPPED; /* else it is dying */
		return;
	}
	look->blocked |= jumps_block_pc(look->space->jumps, pc);
	if (look->handlers && !look->blocked)
		look->blocked = stack_blocks(look, sp);
}

static struct error *is_blocked(struct session *session, struct session_space *space, bool *ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct proc_status status;
	struct error *err = proc_status(space->target->pid, &status);
	if (!err)
		err = proc_maps_read(space->target->pid, &maps);
	if (err)
		return err;
	struct look look = {session, space, &maps, status.signals_caught != 0, false};
	target_visit_threads(&session->target, space->target, look_at, &look);
	*ret = look.blocked;
	return NULL;
}

/* ---- writing */

static void wait_a_little(void)
{
	struct timespec pause = {.tv_nsec = RETRY_NS};
	nanosleep(&pause, NULL);
}

static struct error *write_when_clear(struct session *session, struct session_space *space)
{
	for (int try = 0; try < TRIES_MAX; try++) {
		bool blocked = true;
		stop_pause(session, space, NULL);
		struct error *err = is_blocked(session, space, &blocked);
		if (!err && !blocked) {
			err = jumps_write(space->jumps);
		}
		stop_go_on(session);
		if (err || !blocked)
			return err;
		wait_a_little();
		err = catch_up(session, space);
		if (err)
			return err;
	}
	return error_new(ERROR_UNSUPPORTED,
			 "a thread stood within the bytes to be replaced %d times", TRIES_MAX);
}

static struct error *install(struct session *session, struct session_space *space,
			     struct target_thread *at_hand)
{
	struct error *err = NULL;
	if (!jumps_are_settled(space->jumps))
		err = settle(session, space, at_hand);
	if (!err)
		err = jumps_prepare(space->jumps);
	return err ? err : write_when_clear(session, space);
}

struct error *install_update(struct session *session, struct session_space *space,
			     struct target_thread *at_hand)
{
	bool changed;
	struct error *err = space_update(space, &changed);
	if (err || !changed)
		return err;
	if (jumps_are_settled(space->jumps))
		err = jumps_publish(space->jumps, space->modules.unwind, space->modules.count);
	if (err || !space->plan_count)
		return err;
	/*
	 * A breakpoint is deadly if we are killed: the linker's goes at once, not only when the
	 * jump that is to replace it is ready.
	 */
	err = place_make_way(space);
	if (!err)
		err = install(session, space, at_hand);
	if (!err)
		return place_plans_written(space);
	_cleanup_error_ struct error *reason = err;
	enum error_kind kind = error_kind_of(err);
	if (kind == ERROR_NO_MEMORY || kind == ERROR_GONE)
		return take_ptr(reason);
	return place_plans_refused(space, error_message(reason));
}

struct error *install_in_child(struct session *session, struct session_space *space)
{
	(void)session;
	if (!jumps_are_settled(space->jumps))
		return NULL;
	struct error *err =
		jumps_publish(space->jumps, space->modules.unwind, space->modules.count);
	return err ? err : jumps_arm(space->jumps, NULL);
}
