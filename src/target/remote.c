/* SPDX-License-Identifier: MIT */
#include "target/remote.h"

#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "target/proc.h"
#include "target/remote_code.h"
#include "target/remote_frame.h"
#include "target/remote_stop.h"
#include "target/tree.h"

enum {
	CALL_STOP = SIGTRAP | 0x80, /* PTRACE_O_TRACESYSGOOD */
	SPIN_NS = 20000, /* a call takes a few microseconds, a sleep of ours fifty more */
	PAUSE_NS = 20000,
	USER_FLAGS = 0x202, /* interrupts on and nothing else: above all no trap flag */
};

/* In the order in which threads are to be preferred. */
enum suitability {
	UNSUITABLE,
	LAST_CHOICE,
	IN_RESUMED_CALL,
	IN_RESTARTED_CALL,
	IN_USER_SPACE = REMOTE_SUITABILITY_BEST,
};

static struct error *gone(const struct target_thread *thread)
{
	return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
}

/*
 * Waits for a stop of the thread; *code_ret is its signal, with the event in the bits from 8 on. An
 * end is not taken from the kernel, it is for target_next to see: where only stops are asked for a
 * dead thread is ECHILD, a leader's, too, whose end is reported after that of all others only.
 */
static struct error *await_stop(const struct target_thread *thread, int *code_ret)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const uint64_t spin_until = clock_now_ns() + SPIN_NS;
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)thread->tid, &info, WSTOPPED | WNOHANG | __WALL) < 0 &&
		    errno != EINTR)
			return gone(thread);
		if (info.si_pid == thread->tid) {
			*code_ret = info.si_status;
			return NULL;
		}
		if (clock_now_ns() < spin_until)
			sched_yield(); /* it may need this very CPU */
		else
			nanosleep(&pause, NULL);
	}
}

/*
 * Lets the thread run to its next system-call-stop, delivering signal first. With everything
 * blocked only SIGSTOP can come in between, which goes its way, and event-stops, which are passed
 * over: remote_end makes a group-stop come again.
 */
static struct error *run_to_call_stop(const struct target_thread *thread, int signal)
{
	for (;;) {
		int code;
		if (ptrace(PTRACE_SYSCALL, thread->tid, NULL, signal) < 0)
			return gone(thread);
		struct error *err = await_stop(thread, &code);
		if (err || code == CALL_STOP)
			return err;
		signal = code >> 8 ? 0 : code;
	}
}

/* ---- preparing */

/* Out of PTRACE_LISTEN, in which a thread takes no commands. */
static struct error *rouse(struct target *target, struct target_thread *thread)
{
	siginfo_t info;
	int code;
	/* Where a command is taken it listens no more, and what it stopped with waits for
	 * target_next.
	 */
	if (ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, &info) == 0)
		return error_new(ERROR_UNSUPPORTED, "thread %d is just being continued",
				 thread->tid);
	if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) < 0)
		return gone(thread);
	struct error *err = await_stop(thread, &code);
	if (!err)
		tree_stopped(target, thread);
	return err;
}

/* It stops again at once, and target_next lets it listen again if it is still in a group-stop. */
static void let_listen(struct target_thread *thread)
{
	if (thread->state != TARGET_THREAD_STOPPED)
		return;
	thread->interrupted = ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) == 0;
	thread->state = TARGET_THREAD_RUNNING;
	ptrace(PTRACE_CONT, thread->tid, NULL, 0);
}

/* A call that the kernel has stopped in has its result still to come: registers set now were lost.
 */
static struct error *run_out_of_call(const struct target_thread *thread, struct remote_stop *stop)
{
	struct error *err = run_to_call_stop(thread, 0);
	if (!err && ptrace(PTRACE_GETREGS, thread->tid, NULL, &stop->registers) < 0)
		err = gone(thread);
	return err;
}

static bool has_ended(pid_t tid)
{
	char state = '?';
	uint64_t start;
	struct error *err = proc_stat(tid, &state, &start);
	bool ended = error_catch(&err, ERROR_GONE) || state == 'Z' || state == 'X';
	error_free(err);
	return ended;
}

/*
 * Writes the frame. What it covers is nobody's, if the stack is what it seems to be; it is put back
 * all the same, and reading it first finds pages that cannot be written to.
 */
static struct error *write_frame(struct remote *remote, const struct remote_frame *frame)
{
	const struct target_space *space = remote->thread->process->space;
	_cleanup_free_ uint8_t *covered = malloc(frame->count);
	if (!covered)
		return error_no_memory();
	struct error *err = target_read(space, frame->start, covered, frame->count);
	if (!err) {
		err = target_write(space, frame->start, frame->bytes, frame->count);
		if (err)
			error_free(target_write(space, frame->start, covered, frame->count));
	}
	if (err) {
		error_free(err);
		return has_ended(remote->thread->tid)
			       ? gone(remote->thread)
			       : error_new(ERROR_UNSUPPORTED,
					   "no system call can be made in thread %d: its stack "
					   "cannot be written to",
					   remote->thread->tid);
	}
	remote->frame = frame->start;
	remote->scratch = frame->scratch;
	remote->covered = take_ptr(covered);
	remote->covered_count = frame->count;
	return NULL;
}

/*
 * What must be blocked for a signal not to end the call. One that is blocked in the call alone does
 * not, and one that is let through in the call alone ends it when it is made again.
 */
static uint64_t ending(const struct remote *remote)
{
	return remote->mask | remote->blocked;
}

static struct error *place_frame(struct remote *remote, const struct remote_stop *stop,
				 const struct proc_maps *maps)
{
	const struct target_thread *thread = remote->thread;
	if (ptrace(PTRACE_GETSIGMASK, thread->tid, sizeof remote->mask, &remote->mask) < 0)
		return gone(thread);
	remote->saved = stop->registers;
	remote->blocked = stop->blocked;
	remote->ends_early = stop->call == REMOTE_CALL_ENDS;
	struct user_regs_struct alone = stop->registers;
	/* Without us nobody knows of the kernel's intentions: the call is made again, whichever. */
	if (stop->call == REMOTE_CALL_RESUMED)
		remote_recall(thread->process->space, &alone);
	if (stop->call != REMOTE_NO_CALL &&
	    !(remote->ends_early && remote_handler_waits(thread->tid, ending(remote))))
		remote_rewind(&alone);
	_cleanup_remote_frame_ struct remote_frame frame = {0};
	struct error *err = remote_frame_build(thread, maps, &alone, remote->mask,
					       thread->process->space->remote_restore, &frame);
	return err ? err : write_frame(remote, &frame);
}

/*
 * A stop whose status was taken and is still to be looked at must be found as it was told: after a
 * call there is another, and what came with it (the pid of a child) is lost.
 */
static struct error *check_nothing_waits(const struct target *target,
					 const struct target_thread *thread)
{
	bool waits = thread->parked_status != 0;
	for (size_t i = target->arrived_first; i < target->arrived_count; i++)
		waits |= target->arrived[i].tid == thread->tid;
	return waits ? error_new(ERROR_UNSUPPORTED,
				 "thread %d has stopped for a reason not looked at yet",
				 thread->tid)
		     : NULL;
}

static struct error *prepare(struct remote *remote)
{
	struct target_thread *thread = remote->thread;
	struct target_space *space = thread->process->space;
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct remote_stop stop;
	struct error *err = remote_stop_read(thread, &stop);
	if (!err)
		err = proc_maps_read(thread->tid, &maps);
	if (!err)
		err = remote_code_find(space, &maps);
	if (!err && stop.inside)
		err = run_out_of_call(thread, &stop);
	if (!err)
		err = place_frame(remote, &stop, &maps);
	if (err)
		return err;
	remote->call = space->remote_call;
	/* While draining it was decided already what is to be delivered. */
	remote->signal =
		stop.signal && remote->target->draining ? thread->resume_signal : stop.signal;
	return NULL;
}

/*
 * A signal that is blocked when its delivery goes on is queued again, as it was (kernel/signal.c,
 * ptrace_signal): any call will do to get there.
 */
static struct error *requeue_signal(struct remote *remote)
{
	static const uint64_t no_arguments[6];
	int64_t result;
	if (!remote->signal)
		return NULL;
	remote->thread->resume_signal = 0;
	return remote_call(remote, SYS_getpid, no_arguments, &result);
}

/* ---- public */

int remote_suitability(struct target_thread *thread)
{
	struct remote_stop stop;
	if (thread->parked || thread->state == TARGET_THREAD_RUNNING)
		return UNSUITABLE;
	if (thread->state == TARGET_THREAD_LISTENING)
		return LAST_CHOICE;
	struct error *err = remote_stop_read(thread, &stop);
	error_free(err);
	if (err)
		return UNSUITABLE;
	if (stop.grouped || stop.signal || stop.call == REMOTE_CALL_ENDS)
		return LAST_CHOICE;
	if (stop.call == REMOTE_CALL_RESUMES || stop.call == REMOTE_CALL_RESUMED)
		return IN_RESUMED_CALL;
	return stop.inside || stop.call == REMOTE_CALL_RESTARTS ? IN_RESTARTED_CALL : IN_USER_SPACE;
}

struct error *remote_begin(struct target *target, struct target_thread *thread, struct remote *ret)
{
	bool listening = thread->state == TARGET_THREAD_LISTENING;
	*ret = (struct remote){0};
	struct remote remote = {.target = target, .thread = thread, .listening = listening};
	struct error *err = check_nothing_waits(target, thread);
	if (err)
		return err;
	if (listening)
		err = rouse(target, thread);
	if (!err)
		err = prepare(&remote);
	if (err) {
		if (listening)
			let_listen(thread);
		return err;
	}
	err = requeue_signal(&remote);
	if (err)
		remote_end(&remote);
	else
		*ret = remote;
	return err;
}

struct error *remote_call(struct remote *remote, uint64_t number, const uint64_t arguments[6],
			  int64_t *result_ret)
{
	const struct target_thread *thread = remote->thread;
	const uint64_t all = ~0ul;
	struct user_regs_struct registers = remote->saved;
	registers.rip = remote->call.v;
	registers.rsp = remote->frame.v;
	registers.rax = number;
	registers.orig_rax = ~0ul; /* in no call: there is nothing to restart */
	registers.eflags = USER_FLAGS;
	registers.rdi = arguments[0];
	registers.rsi = arguments[1];
	registers.rdx = arguments[2];
	registers.r10 = arguments[3];
	registers.r8 = arguments[4];
	registers.r9 = arguments[5];
	/* In this order, so that there is no moment with everything blocked and the frame not in
	 * use. */
	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &registers) < 0)
		return gone(thread);
	remote->borrowed = true;
	if (ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof all, &all) < 0)
		return gone(thread);
	struct error *err = run_to_call_stop(thread, remote->signal);
	remote->signal = 0;
	if (!err)
		err = run_to_call_stop(thread, 0);
	if (!err && ptrace(PTRACE_GETREGS, thread->tid, NULL, &registers) < 0)
		err = gone(thread);
	if (!err)
		*result_ret = (int64_t)registers.rax;
	return err;
}

target_addr remote_scratch(const struct remote *remote)
{
	return remote->scratch;
}

/* The reverse of the order of borrowing, for the same reason. */
static void restore_registers(struct remote *remote)
{
	pid_t tid = remote->thread->tid;
	if (remote->ends_early && !remote_handler_waits(tid, ending(remote)))
		remote_rewind(&remote->saved);
	ptrace(PTRACE_SETSIGMASK, tid, sizeof remote->mask, &remote->mask);
	ptrace(PTRACE_SETREGS, tid, NULL, &remote->saved);
}

void remote_end(struct remote *remote)
{
	struct target_thread *thread = remote->thread;
	if (!thread)
		return;
	if (remote->borrowed || remote->ends_early)
		restore_registers(remote);
	error_free(target_write(thread->process->space, remote->frame, remote->covered,
				remote->covered_count));
	thread->registers_valid = false;
	if (remote->listening)
		let_listen(thread);
	else
		ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
	free(remote->covered);
	*remote = (struct remote){0};
}
