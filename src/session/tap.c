/* SPDX-License-Identifier: MIT */
#include "session/tap.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <x86intrin.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"
#include "target/proc.h"

static const uint64_t BUSY_WAIT_NS = 500000; /* rings have room for far more */
static const uint64_t IDLE_WAIT_NS = 5000000;
enum { ASKED_WAIT_NS = 200000 };

void taps_init(struct taps *taps)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&taps->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static void add_statistics(struct rings_statistics *sum, const struct rings_statistics *one)
{
	sum->records += one->records;
	sum->reordered += one->reordered;
	sum->closed_rings += one->closed_rings;
	sum->lost_events += one->lost_events;
	sum->threads += one->threads;
	sum->gave_up |= one->gave_up;
}

static void tap_destroy(struct taps *taps, struct tap *tap)
{
	struct rings_statistics statistics = rings_statistics(tap->rings);
	add_statistics(&taps->past, &statistics);
	rings_destroy(tap->rings);
	channel_destroy(tap->channel);
	free(tap);
}

static void destroy_all(struct taps *taps, struct tap **list)
{
	while (*list) {
		struct tap *tap = *list;
		*list = tap->next;
		tap_destroy(taps, tap);
	}
}

void taps_deinit(struct taps *taps)
{
	destroy_all(taps, &taps->first);
	destroy_all(taps, &taps->done);
	map_deinit(&taps->spaces);
	free(taps->ended);
	free(taps->site_stops);
	error_free(taps->failure);
	pthread_mutex_destroy(&taps->lock);
}

void taps_lock(struct taps *taps)
{
	atomic_store_explicit(&taps->wanted, true, memory_order_relaxed);
	pthread_mutex_lock(&taps->lock);
	atomic_store_explicit(&taps->wanted, false, memory_order_relaxed);
}

bool taps_lock_within(struct taps *taps, uint64_t wait_ns)
{
	uint64_t limit_ns = clock_now_ns() + wait_ns;
	const struct timespec limit = {.tv_sec = (time_t)(limit_ns / 1000000000u),
				       .tv_nsec = (long)(limit_ns % 1000000000u)};
	atomic_store_explicit(&taps->wanted, true, memory_order_relaxed);
	int failure = pthread_mutex_clocklock(&taps->lock, CLOCK_MONOTONIC, &limit);
	atomic_store_explicit(&taps->wanted, false, memory_order_relaxed);
	return failure == 0;
}

void taps_unlock(struct taps *taps)
{
	pthread_mutex_unlock(&taps->lock);
}

/* ---- the sink */

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

static struct session_space *space_of(struct tap *tap, space_id space)
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
	const struct session_space *space = space_of(tap, space_key);
	struct frame frames[AGENT_DEPTH_MAX];
	for (size_t i = 0; i < count; i++)
		frames[i] = capture_frame(space ? &space->modules : NULL, addresses[i]);
	struct error *err =
		interner_site(session->interner, frames, count, stop != UNWIND_STOP_END, ret);
	return err ? err : note_stop(&session->taps, *ret, stop);
}

/*
 * As is_recycled of loop.c, for a release whose caller the agent saw to be the allocator's own
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
	if (!space_of(tap, event->space))
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
	if (space_of(tap, space))
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

/* ---- the reader */

/* Where the stack at sp ends. The main thread's grows down, so its low end is its neighbour's. */
static struct agent_bounds find_bounds(void *context, space_id space_key, uint32_t thread,
				       uint64_t sp)
{
	(void)thread;
	const struct session_space *space = space_of(context, space_key);
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	_cleanup_error_ struct error *err =
		space ? proc_maps_read(space->target->pid, &maps) : NULL;
	const struct proc_mapping *mapping = err ? NULL : proc_maps_find(&maps, sp);
	if (!mapping || !mapping->readable)
		return (struct agent_bounds){0};
	uint64_t low = mapping->start;
	if (strcmp(mapping->path, "[stack]") == 0 && mapping > maps.items)
		low = mapping[-1].end;
	return (struct agent_bounds){low, mapping->end};
}

static void end_thread(struct session *session, space_id space, uint32_t thread)
{
	ledger_thread_end(session->ledger, space, thread);
	if (session->traits)
		traits_thread_end(session->traits, space, thread);
}

/*
 * What a thread wrote before its end lies before the cut of the second take after it, at the latest
 * (probe/rings.h). all: nothing more will be taken.
 */
static void end_threads(struct session *session, bool all)
{
	enum { TAKES = 2 };
	struct taps *taps = &session->taps;
	size_t kept = 0;
	for (size_t i = 0; i < taps->ended_count; i++) {
		const struct tap_ended *ended = &taps->ended[i];
		if (all || taps->takes - ended->at_take >= TAKES)
			end_thread(session, (space_id){ended->space}, ended->thread);
		else
			taps->ended[kept++] = *ended;
	}
	taps->ended_count = kept;
}

static struct error *take(struct session *session, bool all, uint64_t *taken_ret, bool *asks_ret)
{
	*taken_ret = 0;
	for (struct tap *tap = session->taps.first; tap; tap = tap->next) {
		uint64_t taken;
		struct error *err = rings_take(tap->rings, all, &taken);
		if (err)
			return err;
		*taken_ret += taken;
		rings_visit_unknown_stacks(tap->rings, find_bounds, tap);
		*asks_ret |= channel_linker_asks(tap->channel);
	}
	session->taps.takes++;
	end_threads(session, false);
	return NULL;
}

/*
 * The newest channels, as they were when the lock was held last. The reader alone frees taps, so
 * that it may look at these without the lock.
 */
struct recent {
	struct channel *channels[16];
	size_t count;
};

static void note_recent(const struct taps *taps, struct recent *ret)
{
	ret->count = 0;
	for (const struct tap *tap = taps->first;
	     tap && ret->count < sizeof ret->channels / sizeof ret->channels[0]; tap = tap->next)
		ret->channels[ret->count++] = tap->channel;
}

/* Takes the lock; agents that wait for whoever has it see that somebody lives. */
static void lock_showing_life(struct taps *taps, const struct recent *recent)
{
	while (pthread_mutex_trylock(&taps->lock) != 0) {
		for (size_t i = 0; i < recent->count; i++)
			channel_show_life(recent->channels[i]);
		struct timespec limit;
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_nsec += (long)IDLE_WAIT_NS;
		limit.tv_sec += limit.tv_nsec / 1000000000;
		limit.tv_nsec %= 1000000000;
		if (pthread_mutex_timedlock(&taps->lock, &limit) == 0)
			return;
	}
}

/*
 * asks: a linker waits for the tracer thread. A channel that asks cannot be waited on, and trying
 * that over and over would keep the tracer thread from the processor.
 */
static void rest(struct taps *taps, const struct recent *recent, bool asks, uint64_t wait_ns)
{
	const struct timespec pause = {.tv_nsec = ASKED_WAIT_NS};
	if (atomic_load_explicit(&taps->wanted, memory_order_relaxed))
		sched_yield();
	if (asks)
		nanosleep(&pause, NULL);
	else if (recent->count)
		channel_wait(recent->channels[0], wait_ns);
}

/*
 * Where more threads want to run than there are processors, each waits its turn, and a target whose
 * rings are full goes on without us before ours has come: what it does then is lost. Root only;
 * others cannot.
 */
static void run_soon(void)
{
	enum { NICE = -10 };
	setpriority(PRIO_PROCESS, 0, NICE);
}

static void *reader_main(void *context)
{
	struct session *session = context;
	struct taps *taps = &session->taps;
	struct recent recent = {.count = 0};
	uint64_t wait_ns = BUSY_WAIT_NS;
	run_soon();
	while (!atomic_load(&taps->stop)) {
		uint64_t taken = 0;
		bool asks = false;
		lock_showing_life(taps, &recent);
		destroy_all(taps, &taps->done);
		if (!taps->failure)
			taps->failure = take(session, false, &taken, &asks);
		note_recent(taps, &recent);
		pthread_mutex_unlock(&taps->lock);
		if (asks) {
			atomic_store(&taps->linker_asks, true);
			session_poke(session);
		}
		wait_ns = taken ? BUSY_WAIT_NS : wait_ns * 2;
		rest(taps, &recent, asks,
		     wait_ns < IDLE_WAIT_NS ? wait_ns : (wait_ns = IDLE_WAIT_NS));
	}
	return NULL;
}

static struct error *start_reader(struct session *session)
{
	sigset_t all, old;
	if (session->taps.reading)
		return NULL;
	sigfillset(&all); /* signals are the main thread's and, one, the tracer thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = pthread_create(&session->taps.reader, NULL, reader_main, session);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failure)
		return error_system(failure, "cannot start a thread");
	session->taps.reading = true;
	return NULL;
}

void taps_stop_reader(struct session *session)
{
	if (!session->taps.reading)
		return;
	atomic_store(&session->taps.stop, true);
	pthread_join(session->taps.reader, NULL);
	session->taps.reading = false;
}

/* ---- taps */

static double measure_tick(void)
{
	enum { MEASURE_NS = 1000000 };
	uint64_t ns = clock_now_ns(), ticks = __rdtsc(), now;
	do
		now = clock_now_ns();
	while (now - ns < MEASURE_NS);
	return (double)(now - ns) / (double)(__rdtsc() - ticks);
}

struct error *taps_add(struct session *session, struct channel *channel)
{
	struct tap *tap = calloc(1, sizeof *tap);
	if (!tap)
		return error_no_memory();
	struct rings_sink sink = {sink_stack, sink_event,   sink_cancelled,
				  sink_soon,  sink_is_live, tap};
	if (session->ns_per_tick == 0)
		session->ns_per_tick = measure_tick();
	struct rings_clock clock = {.base_ticks = __rdtsc(),
				    .base_ns = clock_now_ns() - session->started_ns,
				    .ns_per_tick = session->ns_per_tick};
	struct error *err = rings_create(channel->shared, &clock, &sink, &tap->rings);
	if (err) {
		free(tap);
		return err;
	}
	tap->session = session;
	tap->channel = channel;
	tap->next = session->taps.first;
	session->taps.first = tap;
	/* The reader may rest on what was the newest channel until now. */
	if (tap->next)
		channel_wake(tap->next->channel);
	return start_reader(session);
}

struct error *taps_take(struct session *session, bool all)
{
	uint64_t taken;
	bool asks = false;
	struct error *err = take_ptr(session->taps.failure);
	return err ? err : take(session, all, &taken, &asks);
}

/* The second take has all that was written before the first (probe/rings.h). */
void taps_lock_settled(struct session *session)
{
	enum { TAKES = 2 };
	struct taps *taps = &session->taps;
	for (int i = 0; i < TAKES; i++) {
		uint64_t taken;
		bool asks = false;
		if (i)
			taps_unlock(taps);
		taps_lock(taps);
		if (!taps->failure && !session->stopped)
			taps->failure = take(session, false, &taken, &asks);
	}
}

struct error *taps_prune(struct session *session)
{
	struct tap **link = &session->taps.first;
	while (*link) {
		struct tap *tap = *link;
		uint64_t taken;
		if (tap->channel->users) {
			link = &tap->next;
			continue;
		}
		struct error *err = rings_take(tap->rings, true, &taken);
		if (err)
			return err;
		*link = tap->next;
		tap->next = session->taps.done;
		session->taps.done = tap;
	}
	return NULL;
}

bool taps_have(const struct taps *taps, const struct tap *tap)
{
	for (const struct tap *one = taps->first; one; one = one->next)
		if (one == tap)
			return true;
	return false;
}

void taps_thread_ended(struct session *session, uint32_t space, uint32_t thread)
{
	struct taps *taps = &session->taps;
	for (struct tap *tap = taps->first; tap; tap = tap->next)
		rings_thread_ended(tap->rings, (space_id){space}, thread);
	if (taps->first && array_reserve(&taps->ended, &taps->ended_capacity, taps->ended_count + 1,
					 sizeof *taps->ended))
		taps->ended[taps->ended_count++] = (struct tap_ended){space, thread, taps->takes};
	else
		end_thread(session, (space_id){space}, thread);
}

void taps_end_threads(struct session *session)
{
	end_threads(session, true);
}

static void add_all(struct rings_statistics *sum, const struct tap *list)
{
	for (const struct tap *tap = list; tap; tap = tap->next) {
		struct rings_statistics one = rings_statistics(tap->rings);
		add_statistics(sum, &one);
	}
}

struct rings_statistics taps_statistics(const struct taps *taps)
{
	struct rings_statistics sum = taps->past;
	add_all(&sum, taps->first);
	add_all(&sum, taps->done);
	return sum;
}

bool taps_are_busy(const struct taps *taps)
{
	for (const struct tap *tap = taps->first; tap; tap = tap->next)
		if (channel_is_busy(tap->channel))
			return true;
	return false;
}

void taps_empty(struct taps *taps)
{
	for (struct tap *tap = taps->first; tap; tap = tap->next)
		channel_empty(tap->channel);
}
