/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what comes out of agents' rings, on its way into the ledger, and the
 * thread that fetches it.
 *
 * Owns: one tap for each shared memory of agents, the reader thread, the lock. Whoever touches the
 * session's ledger, interner, modules or taps while the reader runs holds the lock; it may be taken
 * again by the thread that holds it.
 */
#ifndef SESSION_TAP_H
#define SESSION_TAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "probe/channel.h"
#include "probe/rings.h"

struct session;
struct session_space;

/*
 * What a ring says of its space is the target's word: believed only for spaces that use the
 * channel. known_space (NULL: none) is the one asked for last, as most events are of the same as
 * the last.
 */
struct tap {
	struct session *session;
	struct channel *channel;
	struct rings *rings;
	space_id known_id;
	struct session_space *known_space;
	struct tap *next;
};

/* A thread whose last words may still lie in its ring: when `takes` had that value it was gone. */
struct tap_ended {
	uint32_t space;
	uint32_t thread;
	uint64_t at_take;
};

/*
 * `wanted`: so many wait for the lock, which the reader would otherwise take again at once. Counts
 * of what left the list stay in `past`.
 */
struct taps {
	struct tap *first; /* the newest */
	struct tap *done; /* used by no process; the reader, who may be asleep in one, frees them */
	struct rings_statistics past;
	pthread_mutex_t lock;
	_Atomic unsigned wanted;
	pthread_t reader;
	struct channel *begun_with; /* the one that it was started for */
	bool reading;		    /* the reader thread was started */
	_Atomic bool stop;
	_Atomic bool reader_works; /* it does not wait for agents just now */
	_Atomic bool linker_asks;
	struct error *failure; /* of the reader; under the lock */
	uint8_t *site_stops;   /* enum unwind_stop of each site */
	size_t site_stop_capacity;
	uint64_t takes;
	struct tap_ended *ended;
	size_t ended_count, ended_capacity;
	struct map spaces; /* space id + 1 -> struct session_space */
};

void taps_init(struct taps *taps);
/* The reader must have ended. */
void taps_deinit(struct taps *taps);

/* The space of that id, NULL if it has ended. */
struct session_space *taps_space(const struct taps *taps, space_id space);

/* The same, if its agents write what the tap takes. */
struct session_space *tap_space_of(struct tap *tap, space_id space);

/* What becomes of what it takes: tap_sink.c. */
struct rings_sink tap_sink(struct tap *tap);

/* That space ends: no event of it is taken from now on. */
void taps_forget_space(struct taps *taps, space_id space);

void taps_lock(struct taps *taps);
/* The same, but gives up after that time: false. */
bool taps_lock_within(struct taps *taps, uint64_t wait_ns);
void taps_unlock(struct taps *taps);

/*
 * Takes the lock when all that agents had written before the call has been taken. What fails then
 * is for the tracer thread to find.
 */
void taps_lock_settled(struct session *session);

/* What taps_add would have to wait for otherwise. */
void taps_prepare(struct session *session);

/* Adds a tap for a new channel, which it owns from now on, and starts the reader with the first. */
struct error *taps_add(struct session *session, struct channel *channel);

/*
 * Takes what is there: words, and whether a linker asks for the tracer thread. Threads whose last
 * words are out by then end for the ledger.
 */
struct error *taps_take_some(struct session *session, bool all, uint64_t *taken_ret,
			     bool *asks_ret);

/* Takes everything that is there (all: even what others may still have to be put before). */
struct error *taps_take(struct session *session, bool all);

/* No thread of the target runs: what is there now is all that will be taken. */
struct error *taps_seal(struct taps *taps);

/* Retires taps that no process uses any more, after taking what is left in them. */
struct error *taps_prune(struct session *session);

/* Frees what taps_prune has retired. The reader alone, or when it has ended. */
void taps_free_done(struct taps *taps);

/* tap_reader.c. Starts the reader thread for the newest tap, if it does not run. */
struct error *taps_start_reader(struct session *session);

/*
 * Of the calling thread. Where more threads want to run than there are processors, each waits its
 * turn, and a target whose rings are full goes on without us before ours has come: what it does
 * then is lost. Root only; others cannot.
 */
void taps_run_soon(void);

/*
 * Ends the reader thread; nothing comes out any more but by taps_take. With or without the lock.
 */
void taps_stop_reader(struct session *session);

/* Whether a tap is (still) in use. */
bool taps_have(const struct taps *taps, const struct tap *tap);

/* A thread has ended: for the ledger, too, once what it has written is out. */
void taps_thread_ended(struct session *session, uint32_t space, uint32_t thread);

/* What there is has been taken: threads that have ended have done so for the ledger, too. */
void taps_end_threads(struct session *session);

/* The last take. Whoever waits for the report does not wait for all others' turns as well. */
struct error *taps_take_rest(struct session *session);

/* The sum over all taps. */
struct rings_statistics taps_statistics(const struct taps *taps);

/* Whether some thread is at work in an agent. */
bool taps_are_busy(const struct taps *taps);

/* Gives the memory of all rings back to the system, at the end, when none is. */
void taps_empty(struct taps *taps);

#endif
