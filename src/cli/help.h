/* SPDX-License-Identifier: MIT */
/*
 * The text of --help, made from the table of options.
 *
 * Owns: the usage of the commands. Does not: print. Private to cli; main thread.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "base/buffer.h"

/* A command and how it is called: "run [OPTIONS] [--] PROGRAM [ARG...]". */
struct help_command {
	unsigned command; /* of enum options_command */
	const char *usage;
	const char *text;    /* its first clause alone says what it does */
	const char *example; /* a call of it; NULL: there is none */
};

/* All commands, in the order help shows them. */
const struct help_command *help_commands(size_t *count_ret);

/*
 * Appends the help of a command (one of OPTIONS_TOPICS), or with 0 that of the whole program. No
 * line is longer than 80 columns.
 */
void help_render(unsigned topic, struct buffer *out);

#endif
