/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: whether the machine has a processor that nobody uses.
 *
 * Owns: nothing. Any thread.
 */
#ifndef SESSION_IDLE_H
#define SESSION_IDLE_H

#include <stdbool.h>

/* How many threads of the machine run or could run, from proc(5)'s loadavg; false: it is none. */
bool idle_parse(const char *loadavg, unsigned *running_ret);

/*
 * Whether fewer threads run than there are processors that the caller may use, not counting
 * `own` of them. False where that cannot be known.
 */
bool idle_is_there(unsigned own);

#endif
