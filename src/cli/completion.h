/* SPDX-License-Identifier: MIT */
/*
 * Completion of our command line in shells.
 *
 * Owns: what may stand where, by the table of options and the usage of the commands; and a script
 * for each shell that asks for it. Does not: know how a shell matches or shows what it is offered.
 * Private to cli; main thread.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stddef.h>

#include "base/buffer.h"

/* The shells there is a script for, in the order of completion_script. */
#define COMPLETION_SHELLS "bash|zsh|fish"

/* Appends the script of the shell of that number. */
void completion_script(size_t shell, struct buffer *out);

/*
 * Appends what could stand in place of the last of the words (of at least one), which follow
 * "tracealloc" on a command line: a line each, "WORD<tab>TEXT" or "WORD" alone, whether or not it
 * begins as the last word does. A word that ends in "=" wants more. A line of its own stands for
 * what a shell knows better:
 *     ":files"              names of files; behind the "=" of the last word, if there is one
 *     ":program<tab>N"      a command line that begins at word N, counted from 0
 * Processes are those that exist now and are ours.
 */
void completion_offer(char *const words[], size_t count, struct buffer *out);

#endif
