/* SPDX-License-Identifier: MIT */
/* Pauses of the target, and the one stop. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/killpoint.h"
#include "session/heap.h"
#include "session/private.h"
#include "target/proc.h"

/* Lets every thread come to rest, handling what it reports on the way. */
static struct error *come_to_rest(struct session *session)
{
	struct error *first = NULL;
	for (;;) {
		struct target_event event;
		struct error *err = target_next(&session->target, &event);
		if (!err && (event.kind == TARGET_EVENT_QUIET || event.kind == TARGET_EVENT_EMPTY))
			return first;
		bool ours = err != NULL;
		taps_lock(&session->taps);
		if (!err)
			err = loop_handle(session, &event);
		taps_unlock(&session->taps);
		error_keep_first(&first, err);
		if (ours)
			return first;
	}
}

static struct error *drain(struct session *session)
{
	target_drain(&session->target);
	return come_to_rest(session);
}

void stop_pause(struct session *session, const struct session_space *space,
		const struct target_thread *only)
{
	target_pause(&session->target, space ? space->target : NULL, only);
}

void stop_note_freeze(uint64_t frozen_ns, uint64_t *longest_ns)
{
	if (frozen_ns > *longest_ns)
		*longest_ns = frozen_ns;
}

void stop_go_on(struct session *session)
{
	target_go_on(&session->target);
	stop_note_freeze(session->target.paused_ns, &session->install_frozen_ns);
}

struct error *stop_catch_up(struct session *session)
{
	/* What there is now, and the children of forks that are among it. */
	session->target.lots_left = 2;
	session->target.impatient = true;
	struct error *err = come_to_rest(session);
	session->target.impatient = false;
	return err;
}

/*
 * Looks at what is unreachable in every space, with all threads stopped. Jumps go before, and what
 * breakpoints see afterwards does not count, so that the figures are those of one moment.
 */
static struct error *look_for_leaks(struct session *session)
{
	struct error *first = NULL;
	size_t cursor = 0;
	struct map_entry *entry;
	target_pause_all(&session->target);
	error_keep_first(&first, retire_jumps(session));
	error_keep_first(&first, taps_take(session, true));
	while ((entry = map_next(&session->target.processes, &cursor))) {
		const struct target_process *process = entry->value;
		struct session_space *space = process->space->owner_data;
		if (space && process->space->pid == process->pid && !process->gathered)
			error_keep_first(&first, leaks_look_at(session, space));
	}
	target_go_on(&session->target);
	if (session->target.paused_ns > session->leaks.frozen_ns)
		session->leaks.frozen_ns = session->target.paused_ns;
	error_keep_first(&first, stop_catch_up(session));
	return first;
}

static void for_each_space(struct session *session, struct error **first,
			   struct error *(*act)(struct probe_set *set))
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->target.processes, &cursor))) {
		struct target_process *process = entry->value;
		struct session_space *space = process->space->owner_data;
		struct error *err = space ? act(space->probes) : NULL;
		error_keep_first(first, err);
	}
}

static void lower_semaphores(struct session *session)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->target.processes, &cursor))) {
		const struct target_process *process = entry->value;
		if (process->space->owner_data)
			static_probes_release(process->space->owner_data);
	}
}

static void evacuate(void *context, struct target_thread *thread)
{
	(void)context;
	struct session_space *space = thread->process->space->owner_data;
	if (space && thread->state == TARGET_THREAD_STOPPED)
		probe_evacuate(space->probes, thread);
}

static void unpin(void *context, struct target_thread *thread)
{
	struct session *session = context;
	sched_setaffinity(thread->tid, sizeof session->affinity, &session->affinity);
}

static void drop_spaces(struct session *session)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->target.processes, &cursor))) {
		struct target_process *process = entry->value;
		space_destroy(take_ptr(process->space->owner_data));
	}
	map_deinit(&session->taps.spaces);
}

/*
 * What the process that was attached to has, as it still runs; nothing where it has ended, or was
 * not measured at the beginning, as one that is refused.
 */
static struct error *measure_heap(struct session *session)
{
	struct snapshot_heap *heap = &session->heap;
	struct target_process *process =
		map_get(&session->target.processes, (uint64_t)session->root);
	struct session_space *space = process ? process->space->owner_data : NULL;
	struct glibc_census census;
	if (!space || !space->from_before || !heap->measured)
		return NULL;
	struct error *err = heap_count(space, &census, &heap->known);
	if (error_catch(&err, ERROR_GONE))
		return NULL;
	if (err)
		return err;
	heap->heap_bytes = census.heap_bytes;
	heap->resident_bytes = proc_resident_bytes(session->root);
	if (!heap->known)
		return NULL;
	heap->used_bytes = census.used_bytes;
	heap->used_blocks = census.used_blocks;
	heap->free_bytes = census.free_bytes;
	heap->overhead_bytes = census.overhead_bytes;
	return NULL;
}

struct error *stop_all(struct session *session)
{
	if (session->stopped)
		return NULL;
	taps_lock(&session->taps);
	session->stopped = true;
	taps_unlock(&session->taps);
	struct error *first = NULL;
	/* The rings are read meanwhile. */
	error_keep_first(&first, measure_heap(session));
	/* Whoever asks for figures from now on waits: the end is done without looking at him. */
	taps_lock(&session->taps);
	if (session->options->unreachable)
		error_keep_first(&first, look_for_leaks(session));
	error_keep_first(&first, retire_agents(session));
	taps_stop_reader(session);
	killpoint(KILLPOINT_RETIRED);
	/*
	 * Breakpoints come out between two rests: before the first a thread may hit them, after the
	 * second none that woke up meanwhile can still be on the way into one.
	 */
	error_keep_first(&first, drain(session));
	lower_semaphores(session);
	for_each_space(session, &first, probe_disarm);
	error_keep_first(&first, drain(session));
	target_visit_threads(&session->target, NULL, evacuate, NULL);
	for_each_space(session, &first, probe_erase);
	if (session->options->pin)
		target_visit_threads(&session->target, NULL, unpin, session);
	killpoint(KILLPOINT_DRAINED);
	target_release(&session->target);
	killpoint(KILLPOINT_RELEASED);
	stop_note_freeze(session->target.paused_ns, &session->remove_frozen_ns);
	taps_unlock(&session->taps);
	return first;
}

struct error *stop_finish(struct session *session)
{
	taps_lock(&session->taps);
	struct error *err = taps_take_rest(session);
	killpoint(KILLPOINT_TAKEN);
	if (session->retired)
		taps_empty(&session->taps);
	killpoint(KILLPOINT_EMPTIED);
	drop_spaces(session);
	taps_unlock(&session->taps);
	return err;
}
