/* SPDX-License-Identifier: MIT */
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "arch/registers.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"
#include "target/proc.h"
#include "target/sigtrap.h"

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
	struct error *failure = taps_prune(session);
	if (err)
		error_free(failure);
	return err ? err : failure;
}

struct error *loop_new_space(struct session *session, struct target_space *space,
			     struct session_space **ret)
{
	struct error *err =
		space_create(space, session->registry, &session->probes, session->options, ret);
	return err ? err : adopt_space(session, space, *ret);
}

/* ---- hits */

static struct session_thread *thread_state(struct target_thread *thread)
{
	if (!thread->owner_data)
		thread->owner_data = calloc(1, sizeof(struct session_thread));
	return thread->owner_data;
}

static struct error *find_site(struct session *session, struct target_thread *thread,
			       struct session_thread *state, const struct probe_hit *hit,
			       site_id *ret)
{
	struct session_space *space = thread->process->space->owner_data;
	struct capture *capture = &session->capture;
	capture_stack(thread->process->space, &space->modules, &state->bounds, &thread->registers,
		      hit->site, hit->stack, session->options->depth, capture);
	session->truncated_stacks += capture->stop == UNWIND_STOP_DEPTH;
	session->incomplete_stacks += capture->stop == UNWIND_STOP_LOST;
	return interner_site(session->interner, capture->frames, capture->count,
			     capture->stop != UNWIND_STOP_END, ret);
}

/*
 * When a thread ends, glibc gives every chunk of its cache to free once more (malloc/malloc.c,
 * tcache_thread_shutdown): releases of blocks that were released before. They are told by their
 * stack: an address we do not know, freed with nothing but the allocator's own module on the stack.
 */
static bool is_recycled(struct session *session, struct target_thread *thread,
			struct session_thread *state, const struct event *event,
			const struct probe_hit *hit)
{
	enum { LOOK_DEPTH = 8 };
	struct session_space *space = thread->process->space->owner_data;
	uint64_t size_bytes;
	site_id site;
	if (event->kind != EVENT_RELEASE || !event->address.v ||
	    ledger_block(session->ledger, event->space, event->address, &size_bytes, &site))
		return false;
	const struct module *module = modules_find(&space->modules, hit->site);
	struct capture *capture = &session->capture;
	capture_stack(thread->process->space, &space->modules, &state->bounds, &thread->registers,
		      hit->site, hit->stack, LOOK_DEPTH, capture);
	for (size_t i = 0; i < capture->count; i++)
		if (!module || capture->frames[i].image.v != module->image_id.v)
			return false;
	return capture->stop == UNWIND_STOP_END && capture->count > 1;
}

static struct error *record_outcome(struct session *session, struct target_thread *thread,
				    struct session_thread *state, struct probe_hit *hit)
{
	struct calls_outcome *outcome = &hit->outcome;
	space_id space = thread->process->space->id;
	for (size_t i = 0; i < outcome->cancelled_count; i++)
		ledger_resize_cancel(session->ledger, space, (uint32_t)thread->tid,
				     outcome->cancelled[i]);
	site_id site = {0};
	/* What agents have seen before this stop comes before it. */
	struct error *err = taps_take(session, true);
	if (!err && outcome->needs_site)
		err = find_site(session, thread, state, hit, &site);
	uint64_t now = thread->stopped_since_ns - session->started_ns;
	for (size_t i = 0; !err && i < outcome->event_count; i++) {
		struct event *event = &outcome->events[i];
		event->space = space;
		event->thread = (uint32_t)thread->tid;
		event->site = site;
		event->time_ns = now;
		if (is_recycled(session, thread, state, event, hit))
			continue;
		if (session->traits && outcome->needs_site)
			err = traits_site(session->traits, event, thread->process->space->pid,
					  &event->site);
		if (!err)
			err = ledger_record(session->ledger, event);
	}
	return err;
}

static void note_sigaction(struct target_thread *thread)
{
	const struct user_regs_struct *registers = &thread->registers;
	if (registers_argument(registers, 1) == SIGTRAP)
		sigtrap_note_action(thread, (target_addr){registers_argument(registers, 2)});
}

/* That a process ends is no error; its end comes as an event, or has come already. */
static struct error *update(struct session *session, struct session_space *space,
			    struct target_thread *at_hand)
{
	struct error *err = install_update(session, space, at_hand);
	error_catch(&err, ERROR_GONE);
	return err;
}

/* A function of --reset-peak-at or --snapshot-at; what agents have seen before it comes first. */
static struct error *act_on_watch(struct session *session, const struct target_thread *thread,
				  const struct probe_hit *hit)
{
	const struct session_watch *watch = &session->options->watches[hit->watch];
	struct frozen *frozen;
	struct error *err = taps_take(session, true);
	if (err)
		return err;
	if (!watch->snapshots)
		return session_mark(session, SNAPSHOT_MARK_PEAK_RESET, watch->function,
				    thread->stopped_since_ns - session->started_ns);
	err = frozen_take(session, true, watch->function, &frozen);
	if (!err)
		control_submit(session->control, frozen);
	return err;
}

static struct error *act_on_hit(struct session *session, struct target_thread *thread,
				struct session_thread *state, struct probe_hit *hit)
{
	switch (hit->kind) {
	case PROBE_HIT_CALL:
		return session->leaks.over ? NULL : record_outcome(session, thread, state, hit);
	case PROBE_HIT_LINKER:
		return update(session, thread->process->space->owner_data, thread);
	case PROBE_HIT_SIGACTION:
		note_sigaction(thread);
		return NULL;
	case PROBE_HIT_SIGMASK:
		sigtrap_note_mask(thread, registers_argument(&thread->registers, 1),
				  (target_addr){registers_argument(&thread->registers, 2)});
		return NULL;
	case PROBE_HIT_WATCH:
		return session->leaks.over ? NULL : act_on_watch(session, thread, hit);
	case PROBE_HIT_NONE:
	case PROBE_HIT_STALE:
		break;
	}
	return NULL;
}

/* What the kernel destroyed by the trap comes back before the call itself may look at it. */
static void repair(struct session *session, struct target_thread *thread)
{
	struct error *err = sigtrap_repair(&session->target, thread);
	if (err && error_kind_of(err) != ERROR_GONE)
		log_write(session->options->log, LOG_WARNING,
			  "process %d: its handling of SIGTRAP could not be put back: %s",
			  thread->process->pid, error_message(err));
	error_free(err);
}

static struct error *on_signal(struct session *session, struct target_thread *thread, int signal)
{
	struct session_space *space = thread->process->space->owner_data;
	struct session_thread *state = thread_state(thread);
	if (!state)
		return error_no_memory();
	if (space)
		probe_on_signal(space->probes, thread, &state->probe);
	return target_resume(&session->target, thread, signal);
}

static struct error *on_trap(struct session *session, struct target_thread *thread)
{
	struct session_space *space = thread->process->space->owner_data;
	struct session_thread *state = thread_state(thread);
	const struct user_regs_struct *registers = target_registers(thread);
	if (!state)
		return error_no_memory();
	if (!registers || !space)
		return target_resume(&session->target, thread, SIGTRAP);
	uint64_t region = capture_region(thread->process->space, &state->bounds, registers->rsp);
	struct probe_hit hit;
	struct error *err = probe_on_trap(space->probes, thread, &state->probe, region, &hit);
	if (!err && hit.kind == PROBE_HIT_NONE) {
		target_addr site = {registers->rip - 1};
		if (!jumps_has(space->jumps, site) || !target_hit_int3(thread))
			return on_signal(session, thread, SIGTRAP);
		/* Hit when a breakpoint stood where a jump is (to be) now. */
		target_set_pc(thread, site.v);
	}
	if (!err) {
		repair(session, thread);
		err = act_on_hit(session, thread, state, &hit);
	}
	struct error *failure = target_resume(&session->target, thread, 0);
	if (err)
		error_free(failure);
	return err ? err : failure;
}

/* ---- processes coming and going */

/* A child that is not followed gets its own copy of the text cleaned before it runs. */
static struct error *clean_child(struct session *session, struct session_space *parent,
				 struct target_process *process)
{
	struct session_space *copy;
	struct error *err = space_copy(parent, process->space, &copy);
	if (err)
		return err;
	err = jumps_remove(copy->jumps);
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
	bool follow = session->options->follow_children;
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
	return err ? err : target_resume(&session->target, event->thread, 0);
}

static struct error *end_space(struct session *session, struct target_space *space)
{
	struct error *err = drop_space(session, space);
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
		err = update(session, space, event->thread);
	return err ? err : target_resume(&session->target, event->thread, 0);
}

/* The last moment in which its memory can be looked at. */
static struct error *on_leaving(struct session *session, const struct target_event *event)
{
	struct session_space *space = event->process->space->owner_data;
	struct error *err = space && !session->leaks.over ? taps_take(session, true) : NULL;
	if (!err && space && !session->leaks.over)
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
		err = space ? update(session, space, NULL) : NULL;
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
		return on_trap(session, event->thread);
	case TARGET_EVENT_SIGNAL:
		return on_signal(session, event->thread, event->signal);
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
