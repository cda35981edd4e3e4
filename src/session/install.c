/* SPDX-License-Identifier: MIT */
/*
 * From planned jumps to written ones: borrowing a thread, stopping all, looking where each stands.
 * See probe/jump.h for the order of steps and why the target can go on alone after each.
 */
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/killpoint.h"
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

/* Threads that were found to be of no use for borrowing, so that others are tried. */
struct refused {
	pid_t tids[TRIES_MAX];
	size_t count;
};

static bool is_refused(const struct refused *refused, const struct target_thread *thread)
{
	for (size_t i = 0; i < refused->count; i++)
		if (refused->tids[i] == thread->tid)
			return true;
	return false;
}

struct choice {
	const struct refused *refused;
	struct target_thread *best;
	bool best_runs;
};

/* A running thread is in user space, most likely: no system call of its need be made again. */
static void consider(void *context, struct target_thread *thread)
{
	struct choice *choice = context;
	if (is_refused(choice->refused, thread))
		return;
	bool runs = !proc_asleep_in_call(thread->process->pid, thread->tid, NULL);
	if (thread->state != TARGET_THREAD_RUNNING ||
	    (choice->best && (choice->best_runs || !runs)))
		return;
	choice->best = thread;
	choice->best_runs = runs;
}

static struct error *settle_first(struct session *session, struct session_space *space,
				  struct remote *remote, struct target_thread *thread)
{
	struct error *err = jumps_settle(space->jumps, remote, (uint32_t)session->options->depth);
	killpoint(KILLPOINT_SETTLED);
	if (!err)
		err = taps_add(session, jumps_channel(space->jumps));
	if (!err)
		jumps_learn_threads(space->jumps, thread);
	return err;
}

static struct error *settle_through(struct session *session, struct session_space *space,
				    struct target_thread *thread)
{
	_cleanup_remote_ struct remote remote = {0};
	struct error *err = remote_begin(&session->target, thread, &remote);
	if (!err)
		killpoint(KILLPOINT_BORROWED);
	if (!err && !jumps_are_settled(space->jumps))
		err = settle_first(session, space, &remote, thread);
	return err ? err : jumps_extend(space->jumps, &remote);
}

/* Whether there is an agent, and within reach of all that is planned. */
static bool is_settled(const struct session_space *space)
{
	return jumps_are_settled(space->jumps) && !jumps_lack_room(space->jumps);
}

/* What takes time and needs nobody to stand still. */
static struct error *arm(struct session_space *space)
{
	struct error *err =
		jumps_publish(space->jumps, space->modules.unwind, space->modules.count);
	killpoint(KILLPOINT_PUBLISHED);
	if (!err)
		err = jumps_arm(space->jumps);
	killpoint(KILLPOINT_ARMED);
	return err;
}

struct borrowing {
	const struct refused *refused;
	struct target_thread *best;
	int suitability;
};

static void consider_paused(void *context, struct target_thread *thread)
{
	struct borrowing *borrowing = context;
	if (borrowing->suitability == REMOTE_SUITABILITY_BEST || !thread->paused ||
	    is_refused(borrowing->refused, thread))
		return;
	int suitability = remote_suitability(thread);
	if (borrowing->best && suitability <= borrowing->suitability)
		return;
	borrowing->best = thread;
	borrowing->suitability = suitability;
}

/*
 * One try. Where threads run, all of them stand still meanwhile: among many the borrowed one would
 * wait for its turn at each system call. A thread that stops for another reason just then (a signal
 * for it has come) is no use at the moment; one that is refused is not tried again.
 */
static struct error *settle_once(struct session *session, struct session_space *space,
				 const struct choice *choice, struct refused *refused)
{
	struct borrowing borrowing = {.refused = refused};
	stop_pause(session, space, choice->best_runs ? NULL : choice->best);
	target_visit_threads(&session->target, space->target, consider_paused, &borrowing);
	struct error *err = borrowing.best ? settle_through(session, space, borrowing.best) : NULL;
	if (err)
		refused->tids[refused->count++] = borrowing.best->tid;
	killpoint(KILLPOINT_RETURNED);
	stop_go_on(session);
	killpoint(KILLPOINT_RESUMED);
	return err;
}

/* Makes the agent through one thread of the target. */
static struct error *settle(struct session *session, struct session_space *space,
			    struct target_thread *at_hand)
{
	if (at_hand)
		return settle_through(session, space, at_hand);
	_cleanup_error_ struct error *refusal =
		error_new(ERROR_UNSUPPORTED, "no thread of it can be borrowed");
	struct refused refused = {.count = 0};
	for (int try = 0; try < TRIES_MAX; try++) {
		struct choice choice = {.refused = &refused};
		target_visit_threads(&session->target, space->target, consider, &choice);
		if (!choice.best)
			break;
		struct error *err = settle_once(session, space, &choice, &refused);
		if (err && error_kind_of(err) != ERROR_UNSUPPORTED)
			return err;
		if (err) {
			error_free(refusal);
			refusal = err;
		}
		err = catch_up(session, space);
		if (err || is_settled(space))
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
 * Of many threads that do nothing but allocate one always stands within the bytes. It goes on in
 * their copy, which does the same.
 */
static bool move_on(const struct look *look, struct target_thread *thread, uint64_t pc)
{
	uint64_t place;
	return jumps_resume(look->space->jumps, pc, &place) && target_set_pc(thread, place);
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
	} else if (!target_resting_place(thread, &sp, &pc)) {
		look->blocked |= thread->state != TARGET_THREAD_STOPPED; /* else it is dying */
		return;
	}
	if (jumps_block_pc(look->space->jumps, pc))
		look->blocked |= !registers || !move_on(look, thread, pc);
	if (look->handlers && !look->blocked)
		look->blocked = stack_blocks(look, sp);
}

static struct error *is_blocked(struct session *session, struct session_space *space, bool *ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct proc_status status;
	struct error *err = proc_status(space->target->pid, &status);
	bool handlers = !err && status.signals_caught != 0;
	if (handlers)
		err = proc_maps_read(space->target->pid, &maps);
	if (err)
		return err;
	struct look look = {session, space, &maps, handlers, false};
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
		killpoint(KILLPOINT_PAUSED);
		struct error *err = is_blocked(session, space, &blocked);
		killpoint(KILLPOINT_LOOKED);
		if (!err && !blocked)
			err = jumps_write(space->jumps);
		killpoint(KILLPOINT_JUMPS_WRITTEN);
		stop_go_on(session);
		killpoint(KILLPOINT_INSTALLED);
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
	bool is_first = !jumps_are_settled(space->jumps);
	taps_prepare(session);
	if (!is_settled(space))
		err = settle(session, space, at_hand);
	if (err && error_kind_of(err) == ERROR_GONE)
		return err;
	/* Though it may be out of reach of what is planned now. */
	struct error *failure = is_first && jumps_are_settled(space->jumps) ? arm(space) : NULL;
	if (err)
		error_free(failure);
	else
		err = failure;
	if (!err)
		err = jumps_prepare(space->jumps);
	killpoint(KILLPOINT_PREPARED);
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

struct error *install_in_child(struct session_space *space)
{
	return jumps_are_settled(space->jumps) ? arm(space) : NULL;
}
