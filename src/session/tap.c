/* SPDX-License-Identifier: MIT */
#include "session/tap.h"

#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"
#include "target/proc.h"

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

void taps_free_done(struct taps *taps)
{
	destroy_all(taps, &taps->done);
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
	atomic_fetch_add_explicit(&taps->wanted, 1, memory_order_relaxed);
	pthread_mutex_lock(&taps->lock);
	atomic_fetch_sub_explicit(&taps->wanted, 1, memory_order_relaxed);
}

bool taps_lock_within(struct taps *taps, uint64_t wait_ns)
{
	uint64_t limit_ns = clock_now_ns() + wait_ns;
	const struct timespec limit = {.tv_sec = (time_t)(limit_ns / 1000000000u),
				       .tv_nsec = (long)(limit_ns % 1000000000u)};
	atomic_fetch_add_explicit(&taps->wanted, 1, memory_order_relaxed);
	int failure = pthread_mutex_clocklock(&taps->lock, CLOCK_MONOTONIC, &limit);
	atomic_fetch_sub_explicit(&taps->wanted, 1, memory_order_relaxed);
	return failure == 0;
}

void taps_unlock(struct taps *taps)
{
	pthread_mutex_unlock(&taps->lock);
}

/* ---- taking */

/* Where the stack at sp ends. The main thread's grows down, so its low end is its neighbour's. */
static struct agent_bounds find_bounds(void *context, space_id space_key, uint32_t thread,
				       uint64_t sp)
{
	(void)thread;
	const struct session_space *space = tap_space_of(context, space_key);
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

struct error *taps_take_some(struct session *session, bool all, uint64_t *taken_ret, bool *asks_ret)
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

/* ---- coming and going */

static double measure_tick(void)
{
	enum { MEASURE_NS = 1000000 };
	uint64_t ns = clock_now_ns(), ticks = __rdtsc(), now;
	do
		now = clock_now_ns();
	while (now - ns < MEASURE_NS);
	return (double)(now - ns) / (double)(__rdtsc() - ticks);
}

void taps_prepare(struct session *session)
{
	if (session->ns_per_tick == 0)
		session->ns_per_tick = measure_tick();
}

struct error *taps_add(struct session *session, struct channel *channel)
{
	struct tap *tap = calloc(1, sizeof *tap);
	if (!tap)
		return error_no_memory();
	struct rings_sink sink = tap_sink(tap);
	taps_prepare(session);
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
	return taps_start_reader(session);
}

struct error *taps_take(struct session *session, bool all)
{
	uint64_t taken;
	bool asks = false;
	struct error *err = take_ptr(session->taps.failure);
	return err ? err : taps_take_some(session, all, &taken, &asks);
}

struct error *taps_seal(struct taps *taps)
{
	struct error *err = NULL;
	for (struct tap *tap = taps->first; !err && tap; tap = tap->next)
		err = rings_seal(tap->rings);
	return err;
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
			taps->failure = taps_take_some(session, false, &taken, &asks);
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

struct error *taps_take_rest(struct session *session)
{
	taps_run_soon();
	struct error *err = taps_take(session, true);
	end_threads(session, true);
	return err;
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
