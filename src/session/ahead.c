/* SPDX-License-Identifier: MIT */
#include "session/ahead.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/idle.h"
#include "session/private.h"

enum { FRAMES_MAX = 4096, NICE_USUAL = 0, NICE_FIRST = -20 };

static const uint64_t FIRST_WAIT_NS = 2000000;
static const uint64_t LONGEST_WAIT_NS = 250000000;
static const uint64_t WATCH_NS = 1000000; /* between two looks at what else runs */

/* Frames of the stacks of [first site not yet asked for, next), as many as there is room for. */
struct work {
	struct session *session;
	uint64_t watched_ns;
	uint32_t next;
	size_t count;
	struct frame frames[FRAMES_MAX];
};

static bool is_over(struct ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	bool over = ahead->stop;
	pthread_mutex_unlock(&ahead->lock);
	return over;
}

static void copy_stacks(struct work *work)
{
	struct session *session = work->session;
	work->count = 0;
	taps_lock(&session->taps);
	uint32_t sites = interner_count(session->interner);
	for (; work->next < sites; work->next++) {
		size_t count;
		bool truncated;
		const struct frame *frames = interner_frames(
			session->interner, (site_id){work->next}, &count, &truncated);
		if (count > FRAMES_MAX - work->count)
			break;
		memcpy(work->frames + work->count, frames, count * sizeof *frames);
		work->count += count;
	}
	taps_unlock(&session->taps);
}

/* False: no memory. Any other error comes again where it is told, when the report is made. */
static bool look_up(struct session *session, const struct frame *frame)
{
	const struct image_position *positions;
	size_t count;
	symbols_lock(&session->symbols);
	_cleanup_error_ struct error *err = symbols_of(session, frame, &positions, &count);
	symbols_unlock(&session->symbols);
	return !err || error_kind_of(err) != ERROR_NO_MEMORY;
}

static void wait_for(struct ahead *ahead, uint64_t ns)
{
	struct timespec limit;
	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_nsec += (long)ns;
	limit.tv_sec += limit.tv_nsec / 1000000000;
	limit.tv_nsec %= 1000000000;
	pthread_mutex_lock(&ahead->lock);
	if (!ahead->stop)
		pthread_cond_clockwait(&ahead->woken, &ahead->lock, CLOCK_MONOTONIC, &limit);
	pthread_mutex_unlock(&ahead->lock);
}

/*
 * Whoever looks symbols up maps memory, and a thread that has to wait for a processor amid that
 * keeps all others of the process from doing so: the reader among them, for whom agents wait. No
 * precedence of the reader's helps it then. So nothing is looked up while others want all the
 * processors, and what is begun is done with as much precedence as the target has.
 */
static bool wait_for_idle_cpu(struct work *work)
{
	struct ahead *ahead = &work->session->ahead;
	uint64_t now = clock_now_ns();
	if (now - work->watched_ns < WATCH_NS)
		return !is_over(ahead);
	setpriority(PRIO_PROCESS, 0, NICE_USUAL);
	for (uint64_t wait_ns = FIRST_WAIT_NS; !is_over(ahead); wait_ns *= 2) {
		work->watched_ns = clock_now_ns();
		if (idle_is_there(1u + atomic_load(&work->session->taps.reader_works)))
			return true;
		wait_for(ahead, wait_ns < LONGEST_WAIT_NS ? wait_ns : LONGEST_WAIT_NS);
	}
	return false;
}

static bool look_up_all(struct work *work)
{
	for (size_t i = 0; i < work->count; i++)
		if (!wait_for_idle_cpu(work) || !look_up(work->session, &work->frames[i]))
			return false;
	return true;
}

void ahead_hurry(struct session *session)
{
	pid_t tid = atomic_load(&session->ahead.tid);
	if (tid)
		setpriority(PRIO_PROCESS, (id_t)tid, NICE_FIRST);
}

static void *ahead_main(void *context)
{
	_cleanup_free_ struct work *work = context;
	struct ahead *ahead = &work->session->ahead;
	uint64_t wait_ns = FIRST_WAIT_NS;
	atomic_store(&ahead->tid, gettid());
	do {
		copy_stacks(work);
		wait_ns = work->count ? FIRST_WAIT_NS : wait_ns * 2;
		if (wait_ns > LONGEST_WAIT_NS)
			wait_ns = LONGEST_WAIT_NS;
		if (!look_up_all(work))
			break;
		if (!work->count)
			wait_for(ahead, wait_ns);
	} while (!is_over(ahead));
	return NULL;
}

void ahead_start(struct session *session)
{
	struct ahead *ahead = &session->ahead;
	sigset_t all, old;
	if (session->options->keep & KEPT_RAW)
		return;
	_cleanup_free_ struct work *work = malloc(sizeof *work);
	if (!work)
		return;
	/* All of it touched: under the lock of the taps nobody is to wait for a page. */
	memset(work, 0, sizeof *work);
	work->session = session;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->woken, NULL);
	sigfillset(&all); /* signals are the main thread's and, one, the tracer thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ahead->running = pthread_create(&ahead->thread, NULL, ahead_main, work) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ahead->running)
		work = NULL;
}

void ahead_stop(struct session *session)
{
	struct ahead *ahead = &session->ahead;
	if (!ahead->running)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->stop = true;
	pthread_cond_signal(&ahead->woken);
	pthread_mutex_unlock(&ahead->lock);
	ahead_hurry(session);
	pthread_join(ahead->thread, NULL);
	ahead->running = false;
	atomic_store(&ahead->tid, 0);
	pthread_cond_destroy(&ahead->woken);
	pthread_mutex_destroy(&ahead->lock);
}
