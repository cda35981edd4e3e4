/* SPDX-License-Identifier: MIT */
#include "target/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "target/pause.h"
#include "target/proc.h"

static struct error *space_create(struct target *target, pid_t pid, struct target_space **ret)
{
	char path[64];
	struct target_space *space = calloc(1, sizeof *space);
	if (!space)
		return error_no_memory();
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	space->memory_fd = open(path, O_RDWR | O_CLOEXEC);
	if (space->memory_fd < 0) {
		int failure = errno;
		free(space);
		return failure == ENOENT || failure == ESRCH
			       ? error_new(ERROR_GONE, "process %d has ended", pid)
			       : error_system(failure, "cannot open %s", path);
	}
	space->id = (space_id){target->spaces_issued++};
	space->pid = pid;
	*ret = space;
	return NULL;
}

static void space_free(struct target_space *space)
{
	if (!space)
		return;
	close(space->memory_fd);
	free(space);
}

void tree_bury(struct target *target)
{
	free(take_ptr(target->dead_process));
	space_free(take_ptr(target->dead_space));
}

/* What a process or thread is called in its own pid namespace; its number here, if not known. */
static pid_t inner_number(pid_t tid)
{
	struct proc_status status;
	_cleanup_error_ struct error *err = proc_status(tid, &status);
	return err || !status.inner_pid ? tid : status.inner_pid;
}

struct error *tree_add_process(struct target *target, pid_t pid, pid_t parent,
			       struct target_space *space, struct target_process **ret)
{
	struct target_process *process = calloc(1, sizeof *process);
	if (!process)
		return error_no_memory();
	struct error *err = NULL;
	struct target_space *own = NULL;
	if (!space)
		err = space_create(target, pid, &own);
	if (!err && !map_put(&target->processes, (uint64_t)pid, process))
		err = error_no_memory();
	if (err) {
		space_free(own);
		free(process);
		return err;
	}
	*process = (struct target_process){.pid = pid,
					   .parent = parent,
					   .inner_pid = inner_number(pid),
					   .space = space ? space : own};
	process->space->process_count++;
	*ret = process;
	return NULL;
}

struct error *tree_add_thread(struct target *target, pid_t tid, struct target_process *process,
			      struct target_thread **ret)
{
	struct target_thread *thread = calloc(1, sizeof *thread);
	if (!thread || !map_put(&target->threads, (uint64_t)tid, thread)) {
		free(thread);
		return error_no_memory();
	}
	*thread = (struct target_thread){
		.tid = tid, .state = TARGET_THREAD_RUNNING, .parked = true, .call_fd = -1};
	if (process)
		tree_adopt(target, thread, process);
	*ret = thread;
	return NULL;
}

void tree_adopt(struct target *target, struct target_thread *thread, struct target_process *process)
{
	thread->process = process;
	thread->inner_tid =
		process->inner_pid == process->pid ? thread->tid : inner_number(thread->tid);
	thread->parked = false;
	process->thread_count++;
	if (thread->parked_status) {
		thread->next_ready = target->ready;
		target->ready = thread;
	}
}

void tree_remove_thread(struct target *target, struct target_thread *thread)
{
	map_remove(&target->threads, (uint64_t)thread->tid);
	pause_forget(target, thread);
	if (thread->process) {
		thread->process->thread_count--;
		if (target->thread_gone)
			target->thread_gone(target->thread_gone_context, thread);
	}
	struct target_thread **link = &target->ready;
	while (*link && *link != thread)
		link = &(*link)->next_ready;
	if (*link)
		*link = thread->next_ready;
	free(thread);
}

/* Another living process of a space whose name in /proc has gone. */
static void space_rename(struct target *target, struct target_space *space, pid_t gone)
{
	if (space->pid != gone)
		return;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->processes, &cursor))) {
		struct target_process *process = entry->value;
		if (process->space == space && process->pid != gone)
			space->pid = process->pid;
	}
}

void tree_remove_process(struct target *target, struct target_process *process,
			 bool *space_ended_ret)
{
	struct target_space *space = process->space;
	map_remove(&target->processes, (uint64_t)process->pid);
	*space_ended_ret = --space->process_count == 0;
	if (*space_ended_ret) {
		space_free(target->dead_space);
		target->dead_space = space;
	} else {
		space_rename(target, space, process->pid);
	}
	free(target->dead_process);
	target->dead_process = process;
}

struct error *tree_renew_space(struct target *target, struct target_process *process,
			       bool *old_ended_ret)
{
	struct target_space *old = process->space, *fresh;
	struct error *err = space_create(target, process->pid, &fresh);
	if (err)
		return err;
	process->space = fresh;
	fresh->process_count = 1;
	*old_ended_ret = --old->process_count == 0;
	if (*old_ended_ret) {
		space_free(target->dead_space);
		target->dead_space = old;
	} else {
		space_rename(target, old, process->pid);
	}
	return NULL;
}

bool tree_same_space(pid_t one, pid_t other)
{
	return syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
}

void tree_stopped(struct target *target, struct target_thread *thread)
{
	thread->state = TARGET_THREAD_STOPPED;
	thread->registers_valid = false;
	thread->interrupted = false;
	thread->stopped_since_ns = clock_now_ns();
	target->statistics.stops++;
}

void tree_resume_creator(struct target *target, pid_t pid)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&target->threads, &cursor))) {
		struct target_thread *creator = entry->value;
		if (creator->awaited_child != pid)
			continue;
		creator->awaited_child = 0;
		/* It may have been killed meanwhile, and its next stop be that of its end. */
		if (target->draining || creator->leaving)
			continue;
		creator->registers_valid = false;
		creator->state = TARGET_THREAD_RUNNING;
		/* What it waited was the child's time, not a cost of tracing. */
		ptrace(PTRACE_CONT, creator->tid, NULL, 0);
	}
}
