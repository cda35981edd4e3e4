/* SPDX-License-Identifier: MIT */
/* What threads stop for while they are traced: probes that are hit, and signals. */
#include <stdlib.h>

#include "arch/registers.h"
#include "session/mapped.h"
#include "session/moments.h"
#include "session/private.h"
#include "target/sigtrap.h"

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
	if (outcome->mapping.function)
		return mapped_record(session, thread, state, hit);
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

static struct error *act_on_hit(struct session *session, struct target_thread *thread,
				struct session_thread *state, struct probe_hit *hit)
{
	switch (hit->kind) {
	case PROBE_HIT_CALL:
		return session->over ? NULL : record_outcome(session, thread, state, hit);
	case PROBE_HIT_LINKER:
		return loop_update(session, thread->process->space->owner_data, thread);
	case PROBE_HIT_SIGACTION:
		note_sigaction(thread);
		return NULL;
	case PROBE_HIT_SIGMASK:
		sigtrap_note_mask(thread, registers_argument(&thread->registers, 1),
				  (target_addr){registers_argument(&thread->registers, 2)});
		return NULL;
	case PROBE_HIT_WATCH:
		return session->over ? NULL : moments_act(session, thread, hit);
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

struct error *hit_on_signal(struct session *session, struct target_thread *thread, int signal)
{
	struct session_space *space = thread->process->space->owner_data;
	struct session_thread *state = thread_state(thread);
	if (!state)
		return error_no_memory();
	if (space)
		probe_on_signal(space->probes, thread, &state->probe);
	return target_resume(&session->target, thread, signal);
}

struct error *hit_on_trap(struct session *session, struct target_thread *thread)
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
			return hit_on_signal(session, thread, SIGTRAP);
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
