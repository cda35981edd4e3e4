/* SPDX-License-Identifier: MIT */
/*
 * The live view on a terminal: refreshes, keys, signals.
 *
 * Owns: when what happens. Does not: work out rows (top_model.h), write them (top_text.h), know
 * ncurses (top_screen.h) or who traces (top_session.h). The signals of top_signals() are to be
 * blocked by the caller: they arrive here when it suits. Private to cli; main thread.
 */
#ifndef CLI_TOP_LIVE_H
#define CLI_TOP_LIVE_H

#include <signal.h>

#include "cli/top_session.h"

enum { TOP_INTERVAL_MIN_MS = 100 };

/* Those that end a view; and with them those of a terminal. */
sigset_t top_ending_signals(void);
sigset_t top_signals(void);

/* The time between two refreshes: --interval, a second where it was not given. */
uint64_t top_interval_ns(const struct options *options);

/*
 * Until a key or a signal ends it; *signal_ret is that which we are to die of, 0: none. Errors:
 * those of the first snapshot, and of the screen.
 */
struct error *top_live(const struct options *options, struct top_session *session, int *signal_ret);

#endif
