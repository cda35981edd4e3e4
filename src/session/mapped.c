/* SPDX-License-Identifier: MIT */
#include "session/mapped.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "ledger/mappings.h"
#include "session/private.h"
#include "target/proc.h"

enum { PAGE_BYTES = 4096 };

/* A call that has ended, and whose it was. */
struct ended {
	const struct calls_mapping *call;
	pid_t pid;
	space_id space;
	uint32_t thread;
	site_id site;
	uint64_t time_ns;
};

static uint64_t to_page(uint64_t address)
{
	return (address + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Where the data segment is mapped; false: it has no bytes (yet), or the process is gone. */
static bool find_data(pid_t pid, uint64_t *start_ret, uint64_t *end_ret)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err = proc_maps_read(pid, &maps);
	bool found = false;
	for (size_t i = 0; !err && i < maps.count; i++) {
		if (strcmp(maps.items[i].path, "[heap]") != 0)
			continue;
		*start_ret = found ? *start_ret : maps.items[i].start;
		*end_ret = maps.items[i].end;
		found = true;
	}
	return found;
}

static struct error *begin(struct session *session, const struct target_thread *thread,
			   struct session_thread *state, const struct calls_mapping *call,
			   uint64_t time_ns)
{
	const struct target_space *space = thread->process->space;
	uint64_t start;
	switch (call->function->role) {
	case ALLOCATOR_RELEASE:
		if (call->address.v % PAGE_BYTES) /* it will be refused */
			return NULL;
		return mappings_remove(session->mappings, space->id, call->address,
				       call->size_bytes, time_ns);
	case ALLOCATOR_RESIZE:
		if (call->address.v % PAGE_BYTES || call->flags & MREMAP_DONTUNMAP)
			return NULL;
		return mappings_move(session->mappings, space->id, (uint32_t)thread->tid,
				     call->address, call->old_size_bytes, time_ns);
	default:
		state->data_end = 0;
		if (call->function->result == ALLOCATOR_SETS_BREAK)
			find_data(space->pid, &start, &state->data_end);
		return NULL;
	}
}

/* The data segment's end went from one place to another. */
static struct error *set_break(struct session *session, const struct ended *ended, uint64_t old,
			       uint64_t new)
{
	old = to_page(old);
	new = to_page(new);
	if (new > old)
		return mappings_add(session->mappings, ended->space, ended->site,
				    (target_addr){old}, new - old, ended->time_ns);
	return mappings_remove(session->mappings, ended->space, (target_addr){new}, old - new,
			       ended->time_ns);
}

static struct error *end_break(struct session *session, const struct session_thread *state,
			       const struct ended *ended)
{
	const struct calls_mapping *call = ended->call;
	uint64_t start = 0, end = 0;
	if (call->function->result == ALLOCATOR_RETURNS_BREAK)
		return call->result == UINT64_MAX ? mappings_failed(session->mappings, ended->site)
						  : set_break(session, ended, call->result,
							      call->result + call->size_bytes);
	if ((uint32_t)call->result)
		return mappings_failed(session->mappings, ended->site);
	if (!state->data_end && !find_data(ended->pid, &start, &end))
		return NULL;
	return set_break(session, ended, state->data_end ? state->data_end : start,
			 call->address.v);
}

static struct error *end(struct session *session, const struct session_thread *state,
			 const struct ended *ended)
{
	const struct calls_mapping *call = ended->call;
	bool done = call->result != (uint64_t)(uintptr_t)MAP_FAILED;
	struct error *err = NULL;
	if (call->function->result != ALLOCATOR_RETURNS_MAPPING)
		return end_break(session, state, ended);
	if (call->function->role == ALLOCATOR_RESIZE)
		err = mappings_moved(session->mappings, ended->space, ended->thread, done,
				     ended->time_ns);
	if (err)
		return err;
	return done ? mappings_add(session->mappings, ended->space, ended->site,
				   (target_addr){call->result}, call->size_bytes, ended->time_ns)
		    : mappings_failed(session->mappings, ended->site);
}

/*
 * Whether an agent has called what led here: then it is a part of an allocator's call. An agent
 * notes such calls, but for those that could not call another allocator function; these are found
 * on the stack, for which they need a C library with unwind tables.
 */
static bool is_inside(const struct session_space *space, const struct target_thread *thread,
		      uint64_t low, uint64_t high, const struct capture *capture)
{
	const struct channel *channel = jumps_channel(space->jumps);
	if (channel &&
	    channel_has_call(channel, space->target->id, (uint32_t)thread->inner_tid, low, high))
		return true;
	for (size_t i = 0; i < capture->count; i++)
		if (!capture->frames[i].image.v &&
		    jumps_own(space->jumps, capture->frames[i].address))
			return true;
	return false;
}

struct error *mapped_record(struct session *session, struct target_thread *thread,
			    struct session_thread *state, const struct probe_hit *hit)
{
	const struct calls_mapping *call = &hit->outcome.mapping;
	struct session_space *space = thread->process->space->owner_data;
	struct capture *capture = &session->capture;
	struct ended ended = {.call = call,
			      .pid = thread->process->space->pid,
			      .space = thread->process->space->id,
			      .thread = (uint32_t)thread->tid,
			      .time_ns = thread->stopped_since_ns - session->started_ns};
	/* An allocator that is about to have jumps cannot be told yet. */
	if (jumps_are_pending(space->jumps))
		return NULL;
	if (!call->ended)
		return begin(session, thread, state, call, ended.time_ns);
	capture_stack(thread->process->space, &space->modules, &state->bounds, &thread->registers,
		      hit->site, hit->stack, session->options->depth, capture);
	if (is_inside(space, thread, hit->stack, state->bounds.high, capture))
		return mappings_moved(session->mappings, ended.space, ended.thread, false,
				      ended.time_ns);
	struct error *err = interner_site(session->interner, capture->frames, capture->count,
					  capture->stop != UNWIND_STOP_END, &ended.site);
	return err ? err : end(session, state, &ended);
}
