/* SPDX-License-Identifier: MIT */
/* From what a ring says to the ledger. */
#include <string.h>

#include "base/array.h"
#include "session/private.h"

struct session_space *taps_space(const struct taps *taps, space_id space)
{
	return map_get(&taps->spaces, (uint64_t)space.v + 1);
}

void taps_forget_space(struct taps *taps, space_id space)
{
	map_remove(&taps->spaces, (uint64_t)space.v + 1);
	for (struct tap *tap = taps->first; tap; tap = tap->next)
		tap->known_space = NULL;
}

struct session_space *tap_space_of(struct tap *tap, space_id space)
{
	if (tap->known_space && tap->known_id.v == space.v)
		return tap->known_space;
	struct session_space *found = taps_space(&tap->session->taps, space);
	if (found && jumps_channel(found->jumps) != tap->channel)
		return NULL;
	tap->known_id = space;
	tap->known_space = found;
	return found;
}

static struct error *note_stop(struct taps *taps, site_id site, enum unwind_stop stop)
{
	if (site.v >= taps->site_stop_capacity) {
		size_t old = taps->site_stop_capacity;
		if (!array_reserve(&taps->site_stops, &taps->site_stop_capacity, (size_t)site.v + 1,
				   sizeof *taps->site_stops))
			return error_no_memory();
		memset(taps->site_stops + old, UNWIND_STOP_END, taps->site_stop_capacity - old);
	}
	taps->site_stops[site.v] = (uint8_t)stop;
	return NULL;
}

static struct error *sink_stack(void *context, space_id space_key, const uint64_t *addresses,
				size_t count, enum unwind_stop stop, site_id *ret)
{
	struct tap *tap = context;
	struct session *session = tap->session;
	const struct session_space *space = tap_space_of(tap, space_key);
	struct frame frames[AGENT_DEPTH_MAX];
	for (size_t i = 0; i < count; i++)
		frames[i] = capture_frame(space ? &space->modules : NULL, addresses[i]);
	struct error *err =
		interner_site(session->interner, frames, count, stop != UNWIND_STOP_END, ret);
	return err ? err : note_stop(&session->taps, *ret, stop);
}

/*
 * As is_recycled of hit.c, for a release whose caller the agent saw to be the allocator's own
 * module.
 */
static bool is_recycled(struct session *session, const struct event *event)
{
	uint64_t size_bytes;
	site_id site;
	size_t count;
	bool truncated;
	if (!event->address.v ||
	    ledger_block(session->ledger, event->space, event->address, &size_bytes, &site))
		return false;
	const struct frame *frames =
		interner_frames(session->interner, event->site, &count, &truncated);
	for (size_t i = 1; i < count; i++)
		if (frames[i].image.v != frames[0].image.v)
			return false;
	return !truncated && count > 1;
}

static bool has_site(const struct event *event)
{
	return event->kind == EVENT_CREATE || event->kind == EVENT_RESIZE_END ||
	       event->kind == EVENT_FAILED;
}

/* The event with a site finer than its stack. */
static struct error *record_traits(struct tap *tap, const struct event *event)
{
	struct session *session = tap->session;
	struct event refined = *event;
	struct error *err = has_site(event)
				    ? traits_site(session->traits, event,
						  tap->known_space->target->pid, &refined.site)
				    : NULL;
	return err ? err : ledger_record(session->ledger, &refined);
}

static struct error *sink_event(void *context, const struct event *event, bool inner)
{
	struct tap *tap = context;
	struct session *session = tap->session;
	if (!tap_space_of(tap, event->space))
		return NULL;
	if (inner && is_recycled(session, event))
		return NULL;
	if (has_site(event)) {
		uint8_t stop = session->taps.site_stops[event->site.v];
		session->truncated_stacks += stop == UNWIND_STOP_DEPTH;
		session->incomplete_stacks += stop == UNWIND_STOP_LOST;
	}
	/* All that --keep costs where it was not asked for. */
	if (__builtin_expect(session->traits != NULL, 0))
		return record_traits(tap, event);
	return ledger_record(session->ledger, event);
}

static void sink_cancelled(void *context, space_id space, uint32_t thread, target_addr old_address)
{
	struct tap *tap = context;
	if (tap_space_of(tap, space))
		ledger_resize_cancel(tap->session->ledger, space, thread, old_address);
}

static void sink_soon(void *context, space_id space, const uint64_t *addresses, size_t count)
{
	const struct tap *tap = context;
	ledger_prefetch(tap->session->ledger, space, addresses, count);
}

static bool sink_is_live(void *context, space_id space, target_addr address)
{
	const struct tap *tap = context;
	uint64_t size_bytes;
	site_id site;
	return ledger_block(tap->session->ledger, space, address, &size_bytes, &site);
}

/* Agents of other programs wait while this one's rings are read. */
static void sink_breathe(void *context)
{
	const struct tap *self = context;
	for (struct tap *tap = self->session->taps.first; tap; tap = tap->next)
		channel_show_life(tap->channel);
}

struct rings_sink tap_sink(struct tap *tap)
{
	return (struct rings_sink){sink_stack,	 sink_event, sink_cancelled, sink_soon,
				   sink_is_live, tap,	     sink_breathe};
}
