/* SPDX-License-Identifier: MIT */
/*
 * Private to src/target: wait statuses, in the order in which they arrived.
 *
 * waitpid(2) gives the first tracee of a list that has something to tell, so that a few threads
 * that stop all the time would keep the others from ever being heard. Therefore everything that is
 * there is taken at once and handed out in turn: a thread that is resumed stands behind all that
 * had stopped before.
 *
 * A stop costs mostly wake-ups, so the wait spins for a while before it sleeps: as long as stops
 * come closer together than a sleep and a wake-up take, spinning is cheaper for target and tracer.
 * Pinned to the target's CPU, spinning would keep the target from running: then it never spins.
 */
#ifndef TARGET_ARRIVALS_H
#define TARGET_ARRIVALS_H

#include "target/target.h"

/* Whether a status was taken from the kernel that arrivals_next has not told of. */
bool arrivals_pending(const struct target *target);

/*
 * The next status. Returns its tid; 0 when nothing is there and `wait` is false; -1 with errno as
 * waitpid(2): EINTR when a signal came, ECHILD when there is nobody to wait for, ENOMEM.
 */
pid_t arrivals_next(struct target *target, bool wait, int *status_ret);

/* Makes room for two statuses of every thread; false without memory. */
bool arrivals_make_room(struct target *target);

/* Puts a status behind those that wait to be looked at; there must be room. */
void arrivals_defer(struct target *target, pid_t tid, int status);

/*
 * Waits, a second at most, for the next status of a thread, and takes it if it is a stop. False: it
 * is none (and is left to arrive as others do), or there was none, or no memory.
 */
bool arrivals_await_stop(struct target *target, pid_t tid);

#endif
