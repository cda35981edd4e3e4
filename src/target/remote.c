/* SPDX-License-Identifier: MIT */
#include "target/remote.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "target/proc.h"

enum { RED_ZONE_BYTES = 128, VDSO_MAX_BYTES = 65536, SYSCALL_STOP = SIGTRAP | 0x80 };

/* The vDSO has fallbacks that make real system calls: an instruction to borrow, in every process.
 */
static bool find_syscall_instruction(const struct target_thread *thread, uint64_t *ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	struct error *err = proc_maps_read(thread->process->pid, &maps);
	error_free(err);
	for (size_t i = 0; i < maps.count; i++) {
		const struct proc_mapping *mapping = &maps.items[i];
		uint8_t bytes[VDSO_MAX_BYTES];
		size_t size = mapping->end - mapping->start;
		if (strcmp(mapping->path, "[vdso]") != 0 || size > sizeof bytes)
			continue;
		size = target_read_some(thread->process->space, (target_addr){mapping->start},
					bytes, size);
		const uint8_t *found = memmem(bytes, size, "\x0f\x05", 2);
		if (found)
			return *ret = mapping->start + (uint64_t)(found - bytes), true;
	}
	return false;
}

/* Lets the thread run to its next system-call-stop; other stops on the way are passed over. */
static struct error *run_to_call_stop(struct target_thread *thread)
{
	for (;;) {
		int status;
		if (ptrace(PTRACE_SYSCALL, thread->tid, NULL, 0) < 0)
			return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
		pid_t tid;
		do
			tid = waitpid(thread->tid, &status, __WALL);
		while (tid < 0 && errno == EINTR);
		if (tid < 0 || !WIFSTOPPED(status))
			return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
		if (WSTOPSIG(status) == SYSCALL_STOP && status >> 16 == 0)
			return NULL;
	}
}

target_addr remote_scratch(struct target_thread *thread, size_t count)
{
	return (target_addr){(target_registers(thread)->rsp - RED_ZONE_BYTES - count) & ~15ul};
}

struct error *remote_call(struct target *target, struct target_thread *thread, uint64_t number,
			  const uint64_t arguments[4], int64_t *result_ret)
{
	(void)target;
	struct proc_status status;
	struct error *err = proc_status(thread->tid, &status);
	if (err)
		return err;
	uint64_t instruction, mask, all = ~0ul;
	if (status.seccomp || !find_syscall_instruction(thread, &instruction))
		return error_new(ERROR_UNSUPPORTED, "cannot make a system call in process %d%s",
				 thread->process->pid,
				 status.seccomp ? ": it runs under seccomp" : "");
	struct user_regs_struct *saved = target_registers(thread);
	if (!saved || ptrace(PTRACE_GETSIGMASK, thread->tid, sizeof mask, &mask) < 0)
		return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
	struct user_regs_struct borrowed = *saved, after;
	borrowed.rip = instruction;
	borrowed.rax = number;
	borrowed.orig_rax = ~0ul; /* not in a call: nothing to restart */
	borrowed.rdi = arguments[0];
	borrowed.rsi = arguments[1];
	borrowed.rdx = arguments[2];
	borrowed.r10 = arguments[3];
	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &borrowed) < 0 ||
	    ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof all, &all) < 0)
		return error_new(ERROR_GONE, "thread %d has ended", thread->tid);
	err = run_to_call_stop(thread);
	if (!err)
		err = run_to_call_stop(thread);
	if (!err && ptrace(PTRACE_GETREGS, thread->tid, NULL, &after) == 0)
		*result_ret = (int64_t)after.rax;
	ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof mask, &mask);
	ptrace(PTRACE_SETREGS, thread->tid, NULL, saved);
	return err;
}
