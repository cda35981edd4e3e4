/* SPDX-License-Identifier: MIT */
/*
 * The functions that --reset-peak-at and --snapshot-at name.
 *
 * Owns: the form "[MODULE:]FUNCTION[:exit]". Private to cli; main thread.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stdbool.h>

#include "base/error.h"
#include "session/session.h"

/*
 * Reads one; its strings are new (watch_deinit). "::" belongs to a name. exits: ":exit" is taken.
 * ERROR_USAGE for what has no function, with *ret empty; no memory.
 */
struct error *watch_parse(const char *text, bool exits, struct session_watch *ret);
void watch_deinit(struct session_watch *watch);

#endif
