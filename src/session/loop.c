/* SPDX-License-Identifier: MIT */
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"
#include "target/proc.h"

/* ---- processes */

static struct session_process *find_process(struct session *session, pid_t pid)
{
	for (size_t i = session->processes.count; i-- > 0;)
		if (session->processes.items[i].pid == pid && !session->processes.items[i].ended)
			return &session->processes.items[i];
	return NULL;
}

static char *command_text(pid_t pid)
{
	_cleanup_free_ char **argv = NULL;
	size_t count = 0;
	struct error *err = proc_command(pid, &argv, &count);
	struct buffer text = {0};
	for (size_t i = 0; !err && i < count; i++) {
		if (i)
			buffer_char(&text, ' ');
		buffer_string(&text, argv[i]);
	}
	error_free(err);
	return text.bytes ? text.bytes : strdup("");
}

struct error *loop_note_process(struct session *session, const struct target_process *process)
{
	struct session_processes *list = &session->processes;
	struct session_process *known = find_process(session, process->pid);
	char *command = command_text(process->pid);
	if (!command)
		return error_no_memory();
	if (known) {
		free(known->command);
		known->command = command;
		proc_comm(process->pid, process->pid, known->name);
		return NULL;
	}
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items)) {
		free(command);
		return error_no_memory();
	}
	list->items[list->count++] = (struct session_process){.pid = process->pid,
							      .inner_pid = process->inner_pid,
							      .parent = process->parent,
							      .command = command};
	proc_comm(process->pid, process->pid, list->items[list->count - 1].name);
	return NULL;
}

/* The reader knows spaces by their ids. */
static struct error *adopt_space(struct session *session, struct target_space *space,
				 struct session_space *state)
{
	if (!map_put(&session->taps.spaces, (uint64_t)space->id.v + 1, state)) {
		space_destroy(state);
		return error_no_memory();
	}
	space->owner_data = state;
	return NULL;
}

/* What the space's agents have written is taken while its modules are still known. */
static struct error *drop_space(struct session *session, struct target_space *space)
{
	if (!space->owner_data)
		return NULL;
	struct error *err = taps_take(session, true);
	taps_end_threads(session);
	taps_forget_space(&session->taps, space->id);
	space_destroy(take_ptr(space->owner_data));
	error_keep_first(&err, taps_prune(session));
	return err;
}

struct error *loop_new_space(struct session *session, struct target_space *space,
			     struct session_space **ret)
{
	struct error *err =
		space_create(space, session->registry, &session->probes, session->options, ret);
	return err ? err : adopt_space(session, space, *ret);
}

/* ---- processes coming and going */

struct error *loop_update(struct session *session, struct session_space *space,
			  struct target_thread *at_hand)
{
	if (session->over)
		return NULL;
	struct error *err = install_update(session, space, at_hand);
	error_catch(&err, ERROR_GONE);
	return err;
}

/* A child that is not followed gets its own copy of the text cleaned before it runs. */
static struct error *clean_child(struct session *session, struct session_space *parent,
				 struct target_process *process)
{
	struct session_space *copy;
	struct error *err = space_copy(parent, process->space, &copy);
	if (err)
		return err;
	err = jumps_remove(copy->jumps);
	static_probes_release(copy);
	if (!err)
		err = probe_disarm(copy->probes);
	if (!err)
		err = probe_erase(copy->probes);
	space_destroy(copy);
	target_unfollow(&session->target, process);
	return err;
}

static struct error *on_process(struct session *session, const struct target_event *event)
{
	struct session_space *parent = event->parent->space->owner_data, *child;
	struct error *err = NULL;
	bool follow = session->options->follow_children && !session->over;
	if (event->shares_space) {
		/* It runs our probes in its parent's memory until it execs, wanted or not. */
		event->process->owner_data = follow ? NULL : session;
	} else if (!follow) {
		err = clean_child(session, parent, event->process);
		return err ? err : target_resume(&session->target, event->thread, 0);
	} else {
		err = space_copy(parent, event->process->space, &child);
		if (!err)
			err = adopt_space(session, event->process->space, child);
		if (!err)
			err = ledger_space_inherits(session->ledger, event->process->space->id);
		if (!err)
			err = install_in_child(child);
	}
	if (!err)
		err = loop_note_process(session, event->process);
	if (!err && !follow && event->creator_waits) {
		target_await_child(event->thread, event->process);
		return NULL;
	}
	return err ? err : target_resume(&session->target, event->thread, 0);
}

static struct error *end_space(struct session *session, struct target_space *space)
{
	struct error *err = drop_space(session, space);
	if (session->mappings)
		mappings_space_end(session->mappings, space->id);
	return err ? err : ledger_space_end(session->ledger, space->id);
}

static void forget_calls(struct session *session, struct target_thread *thread, space_id space)
{
	struct session_thread *state = thread->owner_data;
	if (!state)
		return;
	struct calls_outcome outcome;
	calls_abandon(&state->probe.calls, &outcome);
	for (size_t i = 0; i < outcome.cancelled_count; i++)
		ledger_resize_cancel(session->ledger, space, (uint32_t)thread->tid,
				     outcome.cancelled[i]);
	*state = (struct session_thread){0};
}

/* Nothing is written to a program with a sanitizer: it goes on by itself; of `run`, with an error.
 */
static struct error *refuse_sanitized(struct session *session, const struct target_event *event,
				      bool *refused_ret)
{
	const char *name;
	struct error *err = space_sanitizer(session->registry, event->process->pid, &name);
	*refused_ret = !err && name;
	if (error_catch(&err, ERROR_GONE) || err || !name)
		return err;
	if (event->process->pid == session->root && !session->begun_ns)
		return session_sanitized(event->process->pid, name);
	_cleanup_error_ struct error *reason = session_sanitized(event->process->pid, name);
	log_write(session->options->log, LOG_WARNING, "%s; it is not traced",
		  error_message(reason));
	target_abandon(&session->target, event->thread);
	return NULL;
}

static struct error *on_exec(struct session *session, const struct target_event *event)
{
	struct error *err = NULL;
	forget_calls(session, event->thread, event->old_space->id);
	if (event->old_space_ended)
		err = end_space(session, event->old_space);
	if (!err && event->process->owner_data == session) {
		target_abandon(&session->target, event->thread);
		return NULL;
	}
	struct session_space *space;
	bool refused = false;
	if (!err)
		err = refuse_sanitized(session, event, &refused);
	if (err || refused)
		return err;
	err = loop_new_space(session, event->process->space, &space);
	if (!err)
		err = loop_note_process(session, event->process);
	if (!err)
		err = loop_update(session, space, event->thread);
	return err ? err : target_resume(&session->target, event->thread, 0);
}

/* The last moment in which its memory can be looked at. */
static struct error *on_leaving(struct session *session, const struct target_event *event)
{
	struct session_space *space = event->process->space->owner_data;
	struct error *err = space && !session->over ? taps_take(session, true) : NULL;
	if (!err && space && !session->over)
		err = leaks_look_at(session, space);
	target_let_leave(&session->target, event->process);
	return err;
}

static struct error *on_process_exit(struct session *session, const struct target_event *event)
{
	struct session_process *process = find_process(session, event->process->pid);
	if (process) {
		process->ended = true;
		process->exit_status = event->exit_status;
		process->signal = event->signal;
	}
	if (event->process->pid == session->root) {
		session->root_ended = true;
		session->root_status = event->exit_status;
		session->root_signal = event->signal;
		atomic_store(&session->root_child, 0);
		/* What it held at its end is what "current" means at the end: it stays. */
		return event->old_space_ended ? drop_space(session, event->old_space) : NULL;
	}
	return event->old_space_ended ? end_space(session, event->old_space) : NULL;
}

/* The processes of a tap; what is done for one may be the end of others. */
static struct error *list_spaces(struct session *session, const struct tap *tap, space_id **ret,
				 size_t *count_ret)
{
	space_id *ids = calloc(session->target.processes.count + 1, sizeof *ids);
	if (!ids)
		return error_no_memory();
	size_t cursor = 0, count = 0;
	struct map_entry *entry;
	while ((entry = map_next(&session->target.processes, &cursor))) {
		const struct target_process *process = entry->value;
		const struct session_space *space = process->space->owner_data;
		if (space && jumps_channel(space->jumps) == tap->channel)
			ids[count++] = process->space->id;
	}
	*ret = ids;
	*count_ret = count;
	return NULL;
}

static struct error *serve_linker(struct session *session, struct tap *tap)
{
	_cleanup_free_ space_id *ids = NULL;
	size_t count = 0;
	uint32_t asked = channel_linker_asked(tap->channel);
	struct error *err = taps_take(session, true);
	if (!err)
		err = list_spaces(session, tap, &ids, &count);
	for (size_t i = 0; !err && i < count; i++) {
		struct session_space *space = taps_space(&session->taps, ids[i]);
		err = space ? loop_update(session, space, NULL) : NULL;
	}
	if (taps_have(&session->taps, tap))
		channel_linker_serve(tap->channel, asked);
	return err;
}

/* Dynamic linkers that wait in their agents to be looked at. */
static struct error *serve_linkers(struct session *session)
{
	struct error *err = NULL;
	atomic_store(&session->taps.linker_asks, false);
	struct tap *tap = session->taps.first;
	while (!err && tap) {
		bool asks = channel_linker_asks(tap->channel);
		err = asks ? serve_linker(session, tap) : NULL;
		tap = asks ? session->taps.first : tap->next;
	}
	return err;
}

struct error *loop_handle(struct session *session, const struct target_event *event)
{
	switch (event->kind) {
	case TARGET_EVENT_TRAP:
		return hit_on_trap(session, event->thread);
	case TARGET_EVENT_SIGNAL:
		return hit_on_signal(session, event->thread, event->signal);
	case TARGET_EVENT_PROCESS:
		return on_process(session, event);
	case TARGET_EVENT_EXEC:
		return on_exec(session, event);
	case TARGET_EVENT_LEAVING:
		return on_leaving(session, event);
	case TARGET_EVENT_PROCESS_EXIT:
		return on_process_exit(session, event);
	case TARGET_EVENT_POKED:
		atomic_store(&session->poke, false);
		return NULL;
	case TARGET_EVENT_QUIET:
	case TARGET_EVENT_EMPTY:
		break;
	}
	return NULL;
}

struct error *loop_run(struct session *session)
{
	while (!session->root_ended &&
	       !atomic_load_explicit(&session->stop, memory_order_relaxed)) {
		struct target_event event;
		struct error *err = target_next(&session->target, &event);
		if (!err && event.kind == TARGET_EVENT_EMPTY)
			return NULL;
		taps_lock(&session->taps);
		if (!err)
			err = loop_handle(session, &event);
		if (!err && atomic_load(&session->taps.linker_asks))
			err = serve_linkers(session);
		taps_unlock(&session->taps);
		if (err)
			return err;
	}
	return NULL;
}
