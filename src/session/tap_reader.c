/* SPDX-License-Identifier: MIT */
/* The thread that takes what agents write while tracing goes on. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "session/private.h"

static const uint64_t BUSY_WAIT_NS = 500000; /* rings have room for far more */
static const uint64_t IDLE_WAIT_NS = 5000000;
enum {
	ASKED_WAIT_NS = 200000,
	WANTED_WAIT_NS = 50000,
	WANTED_WAITS = 40,
	MUCH_WORDS = AGENT_RING_WORDS / 8
};

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

/*
 * Takes the lock; agents that wait for whoever has it see that somebody lives. False: whoever has
 * it waits for the reader's end.
 */
static bool lock_showing_life(struct taps *taps, const struct recent *recent)
{
	while (pthread_mutex_trylock(&taps->lock) != 0) {
		if (atomic_load(&taps->stop))
			return false;
		for (size_t i = 0; i < recent->count; i++)
			channel_show_life(recent->channels[i]);
		struct timespec limit;
		clock_gettime(CLOCK_REALTIME, &limit);
		limit.tv_nsec += (long)IDLE_WAIT_NS;
		limit.tv_sec += limit.tv_nsec / 1000000000;
		limit.tv_nsec %= 1000000000;
		if (pthread_mutex_timedlock(&taps->lock, &limit) == 0)
			return true;
	}
	return true;
}

/*
 * wait_ns 0: not at all. asks: a linker waits for the tracer thread. A channel that asks cannot be
 * waited on, and trying that over and over would keep the tracer thread from the processor.
 */
static void rest(struct taps *taps, const struct recent *recent, bool asks, uint64_t wait_ns)
{
	const struct timespec asked = {.tv_nsec = ASKED_WAIT_NS},
			      wanted = {.tv_nsec = WANTED_WAIT_NS},
			      idle = {.tv_nsec = (long)IDLE_WAIT_NS};
	/* We would have the lock again at once, before whoever wants it has got a processor. */
	for (int i = 0;
	     i < WANTED_WAITS && atomic_load_explicit(&taps->wanted, memory_order_relaxed); i++)
		nanosleep(&wanted, NULL);
	if (asks)
		nanosleep(&asked, NULL);
	else if (!recent->count)
		nanosleep(&idle, NULL);
	else if (wait_ns)
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

enum { NICE = -20 };

void taps_run_soon(void)
{
	setpriority(PRIO_PROCESS, 0, NICE);
}

static void *reader_main(void *context)
{
	struct session *session = context;
	struct taps *taps = &session->taps;
	/* Whoever has started us has the lock for a while, and agents may wait already. */
	struct recent recent = {.channels = {taps->begun_with}, .count = 1};
	uint64_t wait_ns = BUSY_WAIT_NS;
	atomic_store(&taps->reader_works, true);
	while (!atomic_load(&taps->stop)) {
		uint64_t taken = 0;
		bool asks = false;
		if (!lock_showing_life(taps, &recent))
			break;
		taps_free_done(taps);
		if (!taps->failure)
			taps->failure = taps_take_some(session, false, &taken, &asks);
		note_recent(taps, &recent);
		pthread_mutex_unlock(&taps->lock);
		if (asks) {
			atomic_store(&taps->linker_asks, true);
			session_poke(session);
		}
		wait_ns = next_wait(wait_ns, taken);
		atomic_store(&taps->reader_works, false);
		rest(taps, &recent, asks, wait_ns);
		atomic_store(&taps->reader_works, true);
	}
	atomic_store(&taps->reader_works, false);
	return NULL;
}

/*
 * A thread that begins with less precedence than it is to have waits for its first turn to say so.
 * Neither is it to have what the tracer thread has in a pause (SCHED_FIFO).
 */
static int create_first(struct session *session)
{
	const struct sched_param none = {0};
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	if (session->target.policy >= 0) {
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
		pthread_attr_setschedparam(&attributes, &none);
	}
	int own = getpriority(PRIO_PROCESS, 0);
	taps_run_soon();
	int failure = pthread_create(&session->taps.reader, &attributes, reader_main, session);
	setpriority(PRIO_PROCESS, 0, own);
	pthread_attr_destroy(&attributes);
	return failure;
}

struct error *taps_start_reader(struct session *session)
{
	sigset_t all, old;
	if (session->taps.reading)
		return NULL;
	session->taps.begun_with = session->taps.first->channel;
	sigfillset(&all); /* signals are the main thread's and, one, the tracer thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = create_first(session);
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
