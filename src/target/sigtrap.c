/* SPDX-License-Identifier: MIT */
#include "target/sigtrap.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target/proc.h"
#include "target/remote.h"

#define SIGTRAP_BIT (1ul << (SIGTRAP - 1))
#define UNBLOCKABLE (1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1))
/* Signals 32 and 33 are libc's own and never blocked by its users. */
#define LIBC_SIGNALS (1ul << 31 | 1ul << 32)

enum { KERNEL_MASK_BYTES = 8, LIBC_MASK_OFFSET = 8, LIBC_FLAGS_OFFSET = 136 };

void sigtrap_learn_process(struct target_process *process)
{
	struct proc_status status;
	struct error *err = proc_status(process->pid, &status);
	process->sigtrap = TARGET_SIGTRAP_DEFAULT;
	process->sigtrap_action_known = false;
	if (!err && status.signals_ignored & SIGTRAP_BIT)
		process->sigtrap = TARGET_SIGTRAP_IGNORED;
	else if (!err && status.signals_caught & SIGTRAP_BIT)
		process->sigtrap = TARGET_SIGTRAP_HANDLED;
	error_free(err);
}

static void set_mask(struct target_thread *thread, uint64_t mask)
{
	thread->mask = mask;
	thread->sigtrap_blocked = mask & SIGTRAP_BIT;
}

void sigtrap_learn_thread(struct target_thread *thread)
{
	struct proc_status status;
	struct error *err = proc_status(thread->tid, &status);
	if (!err)
		set_mask(thread, status.signals_blocked);
	error_free(err);
}

void sigtrap_inherit(struct target_process *process, const struct target_process *parent)
{
	process->sigtrap = parent->sigtrap;
	process->sigtrap_action = parent->sigtrap_action;
	process->sigtrap_action_known = parent->sigtrap_action_known;
}

static struct error *read_action(struct target *target, struct target_thread *thread)
{
	struct target_process *process = thread->process;
	_cleanup_remote_ struct remote remote = {0};
	struct error *err = remote_begin(target, thread, &remote);
	target_addr room = remote_scratch(&remote);
	const uint64_t arguments[6] = {SIGTRAP, 0, room.v, KERNEL_MASK_BYTES};
	int64_t result = -1;
	if (!err)
		err = remote_call(&remote, SYS_rt_sigaction, arguments, &result);
	if (!err && result == 0)
		err = target_read(process->space, room, &process->sigtrap_action,
				  sizeof process->sigtrap_action);
	process->sigtrap_action_known = !err && result == 0;
	return err;
}

/* Waits for the event-stop of an interrupted thread; what it stops for before is passed on. */
static struct error *await_stop(struct target_thread *thread)
{
	int status;
	for (;;) {
		pid_t tid = waitpid(thread->tid, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0 || !WIFSTOPPED(status))
			return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
		thread->registers_valid = false;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return NULL;
		int signal = status >> 16 ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_CONT, thread->tid, NULL, signal) < 0)
			return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
	}
}

static struct error *stop_thread(struct target_thread *thread)
{
	if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) < 0)
		return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
	return await_stop(thread);
}

/* A running thread notices nothing; one asleep in a call may see the call end with EINTR. */
struct candidate {
	const struct target_process *process;
	struct target_thread *thread;
	bool running;
	bool blocks;
};

static void consider(void *context, struct target_thread *thread)
{
	struct candidate *best = context;
	char state = 'T';
	uint64_t start;
	error_free(proc_stat(thread->tid, &state, &start));
	if (thread->process != best->process || thread->state != TARGET_THREAD_RUNNING ||
	    state == 'T')
		return;
	bool running = !proc_asleep_in_call(thread->process->pid, thread->tid, NULL);
	best->blocks |= thread->sigtrap_blocked;
	if (!best->thread || (running && !best->running)) {
		best->thread = thread;
		best->running = running;
	}
}

struct error *sigtrap_learn_action(struct target *target, struct target_process *process)
{
	struct candidate best = {.process = process};
	target_visit_threads(target, NULL, consider, &best);
	if (process->sigtrap != TARGET_SIGTRAP_HANDLED || !best.thread || !best.blocks)
		return NULL;
	struct error *err = stop_thread(best.thread);
	if (!err)
		err = read_action(target, best.thread);
	/*
	 * A call that was interrupted is restarted by the kernel on its way through signal
	 * delivery, which a second interruption makes sure of.
	 */
	if (!err && ptrace(PTRACE_INTERRUPT, best.thread->tid, NULL, NULL) == 0 &&
	    ptrace(PTRACE_CONT, best.thread->tid, NULL, 0) == 0)
		err = await_stop(best.thread);
	best.thread->registers_valid = false;
	ptrace(PTRACE_CONT, best.thread->tid, NULL, 0);
	if (error_catch(&err, ERROR_GONE) || error_catch(&err, ERROR_UNSUPPORTED))
		return NULL;
	return err;
}

void sigtrap_note_mask(struct target_thread *thread, uint64_t how, target_addr set)
{
	uint64_t bits;
	struct error *err =
		set.v ? target_read(thread->process->space, set, &bits, sizeof bits) : NULL;
	if (!set.v || err) {
		error_free(err);
		return;
	}
	bits &= ~UNBLOCKABLE;
	if (how == SIG_BLOCK)
		set_mask(thread, thread->mask | bits);
	else if (how == SIG_UNBLOCK)
		set_mask(thread, thread->mask & ~bits);
	else if (how == SIG_SETMASK)
		set_mask(thread, bits);
}

/* libc's struct sigaction: handler, mask of 128 bytes, int flags, restorer. */
void sigtrap_note_action(struct target_thread *thread, target_addr action)
{
	struct target_process *process = thread->process;
	uint8_t bytes[LIBC_FLAGS_OFFSET + 4];
	struct error *err =
		action.v ? target_read(process->space, action, bytes, sizeof bytes) : NULL;
	if (!action.v || err) {
		error_free(err);
		return;
	}
	uint64_t handler;
	__builtin_memcpy(&handler, bytes, sizeof handler);
	process->sigtrap = handler == (uint64_t)(uintptr_t)SIG_DFL   ? TARGET_SIGTRAP_DEFAULT
			   : handler == (uint64_t)(uintptr_t)SIG_IGN ? TARGET_SIGTRAP_IGNORED
								     : TARGET_SIGTRAP_HANDLED;
	/* How libc tells the kernel (its restorer) is read when it is first needed. */
	process->sigtrap_action_known = false;
}

static struct error *restore_action(struct target *target, struct target_thread *thread)
{
	struct target_process *process = thread->process;
	struct target_sigaction ignore = {.handler = (uint64_t)(uintptr_t)SIG_IGN};
	const struct target_sigaction *action =
		process->sigtrap == TARGET_SIGTRAP_IGNORED ? &ignore : &process->sigtrap_action;
	_cleanup_remote_ struct remote remote = {0};
	struct error *err = remote_begin(target, thread, &remote);
	target_addr room = remote_scratch(&remote);
	const uint64_t arguments[6] = {SIGTRAP, room.v, 0, KERNEL_MASK_BYTES};
	int64_t result = -1;
	if (!err)
		err = target_write(process->space, room, action, sizeof *action);
	if (!err)
		err = remote_call(&remote, SYS_rt_sigaction, arguments, &result);
	return err;
}

static bool all_others_blocked(uint64_t mask)
{
	return (mask | SIGTRAP_BIT | UNBLOCKABLE | LIBC_SIGNALS) == ~0ul;
}

/* Puts the bit back if it was there; whether SIGTRAP had been blocked at the hit. */
static bool repair_mask(struct target_thread *thread)
{
	uint64_t mask;
	if (ptrace(PTRACE_GETSIGMASK, thread->tid, sizeof mask, &mask) < 0)
		return false;
	if ((mask | SIGTRAP_BIT) != thread->mask && !all_others_blocked(mask)) {
		set_mask(thread, mask);
		return false;
	}
	mask |= SIGTRAP_BIT;
	set_mask(thread, mask);
	return ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof mask, &mask) == 0;
}

/*
 * A signal that is blocked again when its delivery goes on is queued again, as it was
 * (kernel/signal.c, ptrace_signal). The thread is caught right behind that, before it runs.
 */
static struct error *requeue(struct target_thread *thread)
{
	if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_CONT, thread->tid, NULL, SIGTRAP) < 0)
		return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
	return await_stop(thread);
}

struct error *sigtrap_repair(struct target *target, struct target_thread *thread)
{
	struct target_process *process = thread->process;
	if (!thread->sigtrap_blocked && process->sigtrap == TARGET_SIGTRAP_DEFAULT)
		return NULL;
	bool displaced = thread->sigtrap_blocked && !target_hit_int3(thread);
	bool was_blocked = thread->sigtrap_blocked && repair_mask(thread);
	if (was_blocked && displaced) {
		struct error *err = requeue(thread);
		if (err)
			return err;
	}
	bool lost = process->sigtrap == TARGET_SIGTRAP_IGNORED ||
		    (was_blocked && process->sigtrap == TARGET_SIGTRAP_HANDLED);
	/* A handler not lost yet is read now, while the kernel still has it. */
	if (process->sigtrap == TARGET_SIGTRAP_HANDLED && !process->sigtrap_action_known && !lost)
		return read_action(target, thread);
	bool can = process->sigtrap == TARGET_SIGTRAP_IGNORED || process->sigtrap_action_known;
	return lost && can ? restore_action(target, thread) : NULL;
}
