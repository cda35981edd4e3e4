/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/permission.h"
#include "target/proc.h"
#include "target/sigtrap.h"
#include "target/tree.h"

enum { PASSES_MAX = 1000 };

static struct error *seize(struct target *target, struct target_process *process, pid_t tid,
			   bool *new_ret)
{
	struct target_thread *thread = map_get(&target->threads, (uint64_t)tid);
	if (thread)
		return NULL;
	/* Options come with the seizure, so children of this thread cannot be missed from here on.
	 */
	if (ptrace(PTRACE_SEIZE, tid, NULL, tree_options(target)) < 0) {
		struct proc_status status;
		if (errno == ESRCH)
			return NULL;
		/* A thread born to one that we have is ours already: its stop will tell. */
		int failure = errno;
		struct error *err = proc_status(tid, &status);
		if (error_catch(&err, ERROR_GONE))
			return NULL;
		if (err)
			return err;
		if (status.state == 'Z' || status.state == 'X' || status.tracer == gettid())
			return NULL;
		return permission_explain(process->pid, failure);
	}
	struct error *err = tree_add_thread(target, tid, process, &thread);
	if (err)
		return err;
	thread->born = thread->from_before = true;
	*new_ret = true;
	return NULL;
}

static struct error *seize_pass(struct target *target, struct target_process *process,
				bool *new_ret)
{
	_cleanup_free_ pid_t *tids = NULL;
	size_t count;
	struct error *err = proc_tasks(process->pid, &tids, &count);
	for (size_t i = 0; !err && i < count; i++)
		err = seize(target, process, tids[i], new_ret);
	return err;
}

static void learn_thread(void *context, struct target_thread *thread)
{
	(void)context;
	sigtrap_learn_thread(thread);
}

/* Ends what an attach that failed half-way has seized: nothing was stopped, nothing written. */
static struct error *give_up(struct error *err, pid_t pid)
{
	if (error_kind_of(err) != ERROR_GONE)
		return err;
	error_free(err);
	return error_new(ERROR_NOT_FOUND, "process %d ended while we attached to it", pid);
}

struct error *target_attach(struct target *target, pid_t pid)
{
	struct error *err = permission_check_target(pid);
	if (err)
		return err;
	char state;
	uint64_t start_before, start_after;
	struct target_process *process;
	err = proc_stat(pid, &state, &start_before);
	if (err)
		return give_up(err, pid);
	/* The leader tells whether we may at all; its memory file may only be opened after that. */
	if (state != 'Z' && ptrace(PTRACE_SEIZE, pid, NULL, tree_options(target)) < 0)
		return permission_explain(pid, errno);
	err = tree_add_process(target, pid, 0, NULL, &process);
	if (err)
		return give_up(err, pid);
	struct target_thread *leader;
	if (state != 'Z') {
		err = tree_add_thread(target, pid, process, &leader);
		if (err)
			return err;
		leader->born = leader->from_before = true;
	}
	/* A thread may be born between the reading of /proc and the seizing of its creator. */
	size_t quiet_passes = 0;
	for (size_t pass = 0; quiet_passes < 2 && pass < PASSES_MAX; pass++) {
		bool found = false;
		err = seize_pass(target, process, &found);
		if (err)
			return give_up(err, pid);
		quiet_passes = found ? 0 : quiet_passes + 1;
	}
	err = proc_stat(pid, &state, &start_after);
	if (err)
		return give_up(err, pid);
	if (start_before != start_after)
		return error_new(ERROR_NOT_FOUND, "process %d ended and its pid was given away",
				 pid);
	sigtrap_learn_process(process);
	target_visit_threads(target, NULL, learn_thread, NULL);
	return NULL;
}
