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
enum { ASKED_WAIT_NS = 200000, WANTED_WAIT_NS = 50000, MUCH_WORDS = AGENT_RING_WORDS / 8 };

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

/* ---- the reader */

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
 * wait_ns 0: not at all. asks: a linker waits for the tracer thread. A channel that asks cannot be
 * waited on, and trying that over and over would keep the tracer thread from the processor.
 */
static void rest(struct taps *taps, const struct recent *recent, bool asks, uint64_t wait_ns)
{
	const struct timespec asked = {.tv_nsec = ASKED_WAIT_NS},
			      wanted = {.tv_nsec = WANTED_WAIT_NS};
	if (asks)
		nanosleep(&asked, NULL);
	else if (atomic_load_explicit(&taps->wanted, memory_order_relaxed))
		nanosleep(&wanted, NULL); /* else we would have the lock again at once */
	else if (recent->count && wait_ns)
		channel_wait(recent->channels[0], wait_ns);
}

/* How long to rest after a take: not at all where more has come meanwhile. */
static uint64_t next_wait(uint64_t wait_ns, uint64_t taken)
{
	if (taken)
		return taken > MUCH_WORDS ? 0 : BUSY_WAIT_NS;
	if (wait_ns < BUSY_WAIT_NS)
		return BUSY_WAIT_NS;
	return wait_ns * 2 < IDLE_WAIT_NS ? wait_ns * 2 : IDLE_WAIT_NS;
}

/*
 * Of the calling thread, for good. Where more threads want to run than there are processors, each
 * waits its turn, and a target whose rings are full goes on without us before ours has come: what
 * it does then is lost. Root only; others cannot.
 */
static void run_soon(void)
{
	enum { NICE = -20 };
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
		wait_ns = next_wait(wait_ns, taken);
		rest(taps, &recent, asks, wait_ns);
	}
	return NULL;
}

static struct error *start_reader(struct session *session)
{
	sigset_t all, old;
	pthread_attr_t attributes;
	const struct sched_param none = {0};
	if (session->taps.reading)
		return NULL;
	/* The tracer thread may run ahead of everybody at this moment (target_pause). */
	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
	pthread_attr_setschedparam(&attributes, &none);
	sigfillset(&all); /* signals are the main thread's and, one, the tracer thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = pthread_create(&session->taps.reader, &attributes, reader_main, session);
	pthread_attr_destroy(&attributes);
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
	return start_reader(session);
}

struct error *taps_take(struct session *session, bool all)
{
	uint64_t taken;
	bool asks = false;
	struct error *err = take_ptr(session->taps.failure);
	return err ? err : take(session, all, &taken, &asks);
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

struct error *taps_take_rest(struct session *session)
{
	run_soon();
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
