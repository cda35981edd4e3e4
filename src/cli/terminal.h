/* SPDX-License-Identifier: MIT */
/*
 * What is known of the terminal that a standard stream may be.
 *
 * Does not: write to it, or change its modes. Private to cli; any thread.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum { TERMINAL_COLUMNS_DEFAULT = 80, TERMINAL_COLUMNS_MIN = 20 };

/* Whether fd is a terminal that understands control sequences: TERM is neither unset nor "dumb". */
bool terminal_can_move(int fd);

/* Whether we are in the foreground of the terminal fd: what a job in the background writes
 * disturbs. */
bool terminal_is_ours(int fd);

/*
 * Its width, at least TERMINAL_COLUMNS_MIN: what the terminal says, else COLUMNS of the
 * environment, else the default.
 */
size_t terminal_columns(int fd);

#endif
