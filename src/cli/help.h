/* SPDX-License-Identifier: MIT */
/*
 * The text of --help, made from the table of options.
 *
 * Does not: print. Private to cli; main thread.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "base/buffer.h"

/*
 * Appends the help of a command (one of OPTIONS_TOPICS), or with 0 that of the whole program. No
 * line is longer than 80 columns.
 */
void help_render(unsigned topic, struct buffer *out);

#endif
