/* SPDX-License-Identifier: MIT */
/* The two ways in which a session comes by its target. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "session/heap.h"
#include "session/private.h"
#include "target/proc.h"
#include "target/sigtrap.h"

static void pin_thread(void *context, struct target_thread *thread)
{
	sched_setaffinity(thread->tid, sizeof(cpu_set_t), context);
}

/* Binds ourselves and the target to the CPU we are on. */
static struct error *pin(struct session *session)
{
	cpu_set_t one;
	int cpu = sched_getcpu();
	pid_t leader = session->root;
	if (cpu < 0 || sched_getaffinity(leader, sizeof session->affinity, &session->affinity) < 0)
		return error_system(errno, "cannot pin process %d", leader);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) < 0)
		return error_system(errno, "cannot pin the tracer to CPU %d", cpu);
	target_visit_threads(&session->target, NULL, pin_thread, &one);
	session->target.pinned = true;
	return NULL;
}

struct error *begin_run(struct session *session, char *const argv[], char *const envp[],
			const struct target_signals *signals)
{
	struct target_event event;
	struct error *err = target_start(&session->target, argv, envp, signals, &event);
	if (err)
		return err;
	session->root = event.process->pid;
	atomic_store(&session->root_child, session->root);
	if (session->options->pin)
		err = pin(session);
	return err ? err : loop_handle(session, &event);
}

/* What failed because the target, once seized, ended says so, whatever it stumbled over. */
static struct error *blame_the_end(const struct session *session, struct error *err)
{
	struct proc_status status;
	pid_t pid = session->root;
	if (!err || !session->target.processes.count)
		return err;
	struct error *gone = proc_status(pid, &status);
	bool ended = gone || status.state == 'Z' || status.state == 'X';
	error_free(gone);
	if (!ended)
		return err;
	error_free(err);
	return error_new(ERROR_NOT_FOUND, "process %d ended while we attached to it", pid);
}

/* Before the first probe, while the target runs: see heap.h. */
static struct error *measure_before(struct session *session, struct session_space *space)
{
	struct snapshot_heap *heap = &session->heap;
	struct glibc_census census;
	struct error *err = heap_count(space, &census, &heap->before_known);
	if (err)
		return err;
	heap->measured = true;
	heap->before_heap_bytes = census.heap_bytes;
	heap->before_bytes = heap->before_known ? census.used_bytes : 0;
	heap->before_blocks = heap->before_known ? census.used_blocks : 0;
	return NULL;
}

static struct error *attach(struct session *session)
{
	struct error *err = target_attach(&session->target, session->root);
	if (err)
		return err;
	struct target_process *process =
		map_get(&session->target.processes, (uint64_t)session->root);
	struct session_space *space;
	const char *sanitizer = NULL;
	size_t leftovers = 0;
	err = loop_new_space(session, process->space, &space);
	if (!err)
		space->from_before = true;
	if (!err)
		err = space_sanitizer(session->registry, session->root, &sanitizer);
	if (!err && sanitizer)
		err = session_sanitized(session->root, sanitizer);
	if (!err)
		err = space_check(space);
	if (!err)
		err = loop_note_process(session, process);
	if (!err)
		err = sigtrap_learn_action(&session->target, process);
	if (!err && session->options->pin)
		err = pin(session);
	if (!err)
		err = jumps_adopt(space->jumps, &leftovers);
	if (!err && leftovers)
		log_write(session->options->log, LOG_INFO,
			  "process %d: %zu jumps of a session that was killed are taken over",
			  session->root, leftovers);
	if (!err)
		err = measure_before(session, space);
	if (!err)
		err = retire_predecessor(session, space);
	if (!err)
		err = install_update(session, space, NULL);
	if (!err && !space->allocator_functions)
		err = error_new(
			ERROR_UNSUPPORTED,
			"no allocator function of process %d can be probed: --verbose says why",
			session->root);
	if (!err)
		session_warn_idle_rules(session);
	if (!err && session->options->started_fd >= 0 &&
	    write(session->options->started_fd, "", 1) != 1)
		err = error_system(errno, "cannot tell that tracing has begun");
	return err;
}

struct error *begin_attach(struct session *session)
{
	return blame_the_end(session, attach(session));
}
