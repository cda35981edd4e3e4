/* SPDX-License-Identifier: MIT */
#include "target/target.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/tree.h"

void target_init(struct target *target, const struct log *log, _Atomic bool *poke)
{
	*target = (struct target){.log = log, .poke = poke, .gap_ns = UINT32_MAX, .policy = -1};
}

void target_deinit(struct target *target)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor)))
		free(entry->value);
	cursor = 0;
	while ((entry = map_next(&target->processes, &cursor))) {
		struct target_process *process = entry->value;
		if (--process->space->process_count == 0) {
			close(process->space->memory_fd);
			free(process->space);
		}
		free(process);
	}
	free(target->arrived);
	map_deinit(&target->threads);
	map_deinit(&target->processes);
	tree_bury(target);
}

struct user_regs_struct *target_registers(struct target_thread *thread)
{
	if (thread->registers_valid)
		return &thread->registers;
	if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &thread->registers) < 0)
		return NULL;
	thread->registers_valid = true;
	return &thread->registers;
}

size_t target_vector_state(const struct target_thread *thread, void *bytes, size_t count)
{
	struct iovec part = {.iov_base = bytes, .iov_len = count};
	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_X86_XSTATE, &part) < 0)
		return 0;
	return part.iov_len;
}

bool target_hit_int3(const struct target_thread *thread)
{
	siginfo_t info;
	return ptrace(PTRACE_GETSIGINFO, thread->tid, NULL, &info) == 0 &&
	       info.si_code == SI_KERNEL;
}

bool target_set_pc(struct target_thread *thread, uint64_t pc)
{
	if (ptrace(PTRACE_POKEUSER, thread->tid, offsetof(struct user_regs_struct, rip), pc) < 0)
		return false;
	thread->registers.rip = pc;
	return true;
}

struct error *target_resume(struct target *target, struct target_thread *thread, int signal)
{
	if (target->draining) {
		thread->resume_signal = signal;
		return NULL;
	}
	uint64_t now = clock_now_ns();
	target->statistics.stopped_ns += now - thread->stopped_since_ns;
	target->last_tid = thread->tid;
	target->last_resume_ns = now;
	thread->registers_valid = false;
	thread->state = TARGET_THREAD_RUNNING;
	if (ptrace(PTRACE_CONT, thread->tid, NULL, signal) < 0 && errno != ESRCH)
		return error_system(errno, "cannot resume thread %d", thread->tid);
	return NULL;
}

void target_visit_threads(struct target *target, const struct target_space *space,
			  void (*visit)(void *context, struct target_thread *thread), void *context)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *thread = entry->value;
		if (!thread->parked && (!space || thread->process->space == space))
			visit(context, thread);
	}
}
