/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: source positions looked up while the target still runs, so that its end
 * is not followed by reading debug information: that takes longer than all the rest of a report.
 *
 * Owns: a thread, which goes through the stacks as they come and asks for each frame once
 * (symbols.h keeps the answers), while the machine has a processor that nobody uses. Does not:
 * matter. A report is the same without it.
 */
#ifndef SESSION_AHEAD_H
#define SESSION_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct session;

struct ahead {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool running;
	_Atomic pid_t tid; /* 0: it has not begun, or has ended */
	bool stop;	   /* under lock */
};

/* Starts the thread, if it can be started. Tracer thread. */
void ahead_start(struct session *session);

/* Somebody waits for what it is looking up: it goes before others until it is looked up. */
void ahead_hurry(struct session *session);

/* Ends it: what it is looking up just now is waited for. Main thread. */
void ahead_stop(struct session *session);

#endif
