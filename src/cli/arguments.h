/* SPDX-License-Identifier: MIT */
/*
 * Arguments of a command line, from which options are taken by their table.
 *
 * Owns: what is an option and what is its value, and the complaints about options that are unknown,
 * misplaced or without their value. Does not: own the strings, or know what an operand means.
 * Private to cli; main thread.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "base/error.h"
#include "cli/options.h"

/*
 * The arguments not yet read. Invariant: 0 <= next <= count, items[count] == NULL.
 * lenient: options of other commands are passed by.
 */
struct arguments {
	char **items;
	int next;
	int count;
	bool lenient;
};

/* The next one, whatever it is; NULL at the end. */
char *arguments_shift(struct arguments *arguments);

/*
 * Reads options up to the first argument that is none, which *operand_ret then is; NULL where
 * nothing is left or --help or --version ended it. A "--" is taken away, and what follows it is no
 * option. Errors: ERROR_USAGE, no memory.
 */
struct error *arguments_options(struct options *options, struct arguments *arguments,
				char **operand_ret);

/* Whether --help or --version was read, after which nothing is. */
bool arguments_ended(const struct options *options);

#endif
