/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: functions of the target at which something is done (--reset-peak-at,
 * --snapshot-at).
 *
 * Owns: which were found. Breakpoints alone: at the entry, or at each `ret`. Tracer thread.
 */
#ifndef SESSION_WATCH_H
#define SESSION_WATCH_H

#include "session/session.h"
#include "stack/modules.h"

struct session_space;

struct watches {
	const struct session_watch *items; /* the options' */
	size_t count;
	bool *found; /* it was in some module, and could be watched */
};

struct error *watches_init(struct watches *watches, const struct session_options *options);
void watches_deinit(struct watches *watches);

/* Watches what a module of a space has of them, if it is not watched yet. Errors: no memory. */
struct error *watches_place(struct session_space *space, const struct module *module);

/*
 * Before anything is written: whether the loaded modules have each function that is asked for
 * without a module. ERROR_NOT_FOUND names the first that they do not have.
 */
struct error *watches_check(const struct session_space *space);

/* The next one that was in no module so far, NULL: there is none. Start with *index 0. */
const struct session_watch *watches_next_missing(const struct watches *watches, size_t *index);

#endif
