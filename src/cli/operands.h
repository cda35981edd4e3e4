/* SPDX-License-Identifier: MIT */
/*
 * What follows the name of a command: its operands, among options.
 *
 * Owns: what each command takes, and the complaints about it. Does not: know what an option means,
 * or which of them go together (conflicts.h). Private to cli; main thread.
 */
#ifndef CLI_OPERANDS_H
#define CLI_OPERANDS_H

#include "cli/arguments.h"

/* The command of that name. ERROR_USAGE: there is none. */
struct error *operands_command(const char *name, enum options_command *ret);

/*
 * Takes the rest of the arguments for options->command, which is none of those below, and settles
 * what the command decides where no option did. Errors: ERROR_USAGE, no memory.
 */
struct error *operands_parse(struct options *options, struct arguments *arguments);

/* Which command help is about. */
struct error *operands_help(struct options *options, struct arguments *arguments);

/* Which shell, or what a script of ours asks. */
struct error *operands_completion(struct options *options, struct arguments *arguments);

#endif
