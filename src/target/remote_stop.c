/* SPDX-License-Identifier: MIT */
#include "target/remote_stop.h"

#include <errno.h>
#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "target/proc.h"

/* Of the kernel, <linux/errno.h>: they never reach user space, so libc does not have them. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

enum {
	CODE_SEGMENT_64 = 0x33,
	CALL_INSTRUCTION_BYTES = 2, /* syscall */
	MOVE_TO_EAX = 0xb8,
	CALL_STOP = SIGTRAP | 0x80, /* PTRACE_O_TRACESYSGOOD */
	REALTIME_FIRST = 32,	    /* of the kernel; below it a signal that waits waits once */
	/* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG of Linux 6.4, newer than many a header. */
	GET_USER_DISPATCH = 0x4211,
};

/* The kernel's struct ptrace_sud_config. */
struct user_dispatch {
	uint64_t mode; /* 0: off */
	uint64_t selector;
	uint64_t offset;
	uint64_t length;
};

static struct error *gone(const struct target_thread *thread)
{
	return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
}

static struct error *refuse(const struct target_thread *thread, const char *reason)
{
	return error_new(ERROR_UNSUPPORTED, "no system call can be made in thread %d: %s",
			 thread->tid, reason);
}

/*
 * Those that end with EINTR when a stop interrupts them although no handler ran, and that may be
 * made again, because then they have done nothing (signal(7); close(2), which is none of them,
 * has).
 */
static bool may_be_made_again(uint64_t number)
{
	static const uint16_t numbers[] = {
		SYS_read,	   SYS_write,	       SYS_readv,	 SYS_writev,
		SYS_accept,	   SYS_accept4,	       SYS_connect,	 SYS_recvfrom,
		SYS_recvmsg,	   SYS_recvmmsg,       SYS_sendto,	 SYS_sendmsg,
		SYS_sendmmsg,	   SYS_semop,	       SYS_semtimedop,	 SYS_rt_sigtimedwait,
		SYS_epoll_wait,	   SYS_epoll_pwait,    SYS_epoll_pwait2, SYS_io_getevents,
		SYS_io_pgetevents, SYS_io_uring_enter,
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static enum remote_call_state call_state(const struct user_regs_struct *registers, bool interrupted)
{
	if ((int64_t)registers->orig_rax < 0)
		return REMOTE_NO_CALL;
	switch ((int64_t)registers->rax) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
		return REMOTE_CALL_RESTARTS;
	case -ERESTART_RESTARTBLOCK:
		return registers->orig_rax == SYS_restart_syscall ? REMOTE_CALL_RESUMED
								  : REMOTE_CALL_RESUMES;
	case -EINTR:
		return interrupted && may_be_made_again(registers->orig_rax) ? REMOTE_CALL_ENDS
									     : REMOTE_NO_CALL;
	}
	return REMOTE_NO_CALL;
}

/*
 * Reads the kind of the stop off its siginfo (ptrace(2)): si_code is the event and the signal for
 * event-stops, CALL_STOP for system-call-stops, and the signal's own for signal-delivery-stops.
 */
static struct error *read_kind(const struct target_thread *thread, struct remote_stop *ret)
{
	siginfo_t info;
	if (ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, &info) < 0)
		return gone(thread);
	int event = info.si_code > 0 ? info.si_code >> 8 : 0;
	if (event == PTRACE_EVENT_VFORK)
		return refuse(thread, "it waits for the child of a vfork");
	if (event == PTRACE_EVENT_STOP) {
		ret->grouped = info.si_signo != SIGTRAP;
		ret->call = call_state(&ret->registers, !ret->grouped);
		return NULL;
	}
	ret->inside = event != 0;
	ret->call = call_state(&ret->registers, false);
	bool delivery = !event && info.si_code != CALL_STOP && info.si_code != SIGTRAP &&
			!(info.si_signo == SIGTRAP && info.si_code == SI_KERNEL);
	if (delivery)
		ret->signal = info.si_signo;
	return NULL;
}

static struct error *check_status(const struct target_thread *thread, struct remote_stop *stop)
{
	struct proc_status status;
	struct error *err = proc_status(thread->tid, &status);
	if (err)
		return err;
	stop->blocked = status.signals_blocked;
	if (status.seccomp)
		return refuse(thread, "it runs under seccomp");
	if (status.shadow_stack)
		return refuse(thread, "it has a shadow stack");
	/* The one that is about to be delivered would be lost in the one that waits behind it. */
	if (stop->signal && stop->signal < REALTIME_FIRST &&
	    status.signals_pending & 1ul << (stop->signal - 1))
		return refuse(thread, "it is about to get a signal that waits a second time");
	return NULL;
}

/*
 * In a restartable sequence (rseq(2)) the kernel looks at rip when the thread returns to user
 * space: it must find it there, and not in a call of ours, to send it to where the sequence is
 * aborted.
 */
static struct error *check_sequence(const struct target_thread *thread, uint64_t pc)
{
	struct __ptrace_rseq_configuration configuration;
	const struct target_space *space = thread->process->space;
	struct rseq_cs sequence;
	uint64_t at = 0;
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread->tid, sizeof configuration,
		   &configuration) != sizeof configuration ||
	    !configuration.rseq_abi_pointer)
		return NULL;
	target_addr slot = {configuration.rseq_abi_pointer + offsetof(struct rseq, rseq_cs)};
	if (target_read_some(space, slot, &at, sizeof at) != sizeof at || !at ||
	    target_read_some(space, (target_addr){at}, &sequence, sizeof sequence) !=
		    sizeof sequence)
		return NULL;
	return pc - sequence.start_ip < sequence.post_commit_offset
		       ? refuse(thread, "it is in a restartable sequence")
		       : NULL;
}

/* Only what came by a `syscall` instruction can be sent back to it. */
static struct error *check_call(const struct target_thread *thread, const struct remote_stop *stop)
{
	uint8_t bytes[CALL_INSTRUCTION_BYTES];
	if (stop->call == REMOTE_NO_CALL)
		return NULL;
	target_addr instruction = {stop->registers.rip - CALL_INSTRUCTION_BYTES};
	if (target_read_some(thread->process->space, instruction, bytes, sizeof bytes) ==
		    sizeof bytes &&
	    bytes[0] == 0x0f && bytes[1] == 0x05)
		return NULL;
	return refuse(thread, "it is in a call that was not made by `syscall`");
}

struct error *remote_stop_read(const struct target_thread *thread, struct remote_stop *ret)
{
	struct user_dispatch dispatch = {0};
	*ret = (struct remote_stop){0};
	if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &ret->registers) < 0)
		return gone(thread);
	if (ret->registers.cs != CODE_SEGMENT_64)
		return refuse(thread, "it runs code of 32 bit");
	struct error *err = read_kind(thread, ret);
	if (!err)
		err = check_status(thread, ret);
	if (!err &&
	    ptrace((enum __ptrace_request)GET_USER_DISPATCH, thread->tid, sizeof dispatch,
		   &dispatch) == 0 &&
	    dispatch.mode)
		err = refuse(thread, "it sends its system calls to a handler of its own");
	if (!err)
		err = check_sequence(thread, ret->registers.rip);
	return err ? err : check_call(thread, ret);
}

bool remote_handler_waits(pid_t tid, uint64_t blocked)
{
	struct proc_status status;
	struct error *err = proc_status(tid, &status);
	bool waits = !err && status.signals_pending & status.signals_caught & ~blocked;
	error_free(err);
	return waits;
}

void remote_rewind(struct user_regs_struct *registers)
{
	registers->rip -= CALL_INSTRUCTION_BYTES;
	registers->rax = registers->orig_rax;
	registers->orig_rax = ~0ul;
}

void remote_make_again(struct target_thread *thread)
{
	struct user_regs_struct *registers = target_registers(thread);
	struct remote_stop stop = {.call = REMOTE_NO_CALL};
	if (!registers)
		return;
	stop.registers = *registers;
	stop.call = call_state(registers, true);
	struct error *err = stop.call == REMOTE_CALL_ENDS ? check_call(thread, &stop) : NULL;
	bool ends = !err && stop.call == REMOTE_CALL_ENDS;
	error_free(err);
	if (!ends)
		return;
	/*
	 * The kernel has not looked at the result yet. It makes such a call again if no handler
	 * runs, and ends it with EINTR if one does, whenever its signal comes and whatever the call
	 * lets through.
	 */
	stop.registers.rax = (uint64_t)-ERESTARTNOHAND;
	thread->registers_valid = false;
	ptrace(PTRACE_SETREGS, thread->tid, NULL, &stop.registers);
}

void remote_recall(const struct target_space *space, struct user_regs_struct *registers)
{
	/* Those that the kernel goes on with so (set_restart_fn). */
	static const uint32_t resumable[] = {SYS_poll, SYS_nanosleep, SYS_futex,
					     SYS_clock_nanosleep};
	struct __attribute__((packed)) {
		uint8_t move; /* mov $number,%eax */
		uint32_t number;
	} before;
	target_addr at = {registers->rip - CALL_INSTRUCTION_BYTES - sizeof before};
	if (target_read_some(space, at, &before, sizeof before) != sizeof before ||
	    before.move != MOVE_TO_EAX)
		return;
	for (size_t i = 0; i < sizeof resumable / sizeof *resumable; i++)
		if (before.number == resumable[i])
			registers->orig_rax = before.number;
}
