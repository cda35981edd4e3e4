/* SPDX-License-Identifier: MIT */
/*
 * Reads argv, and the defaults of the environment, by the table of options.
 *
 * Owns: the order in which commands, options and operands may stand, and the complaints about it.
 * Does not: print, exit, or know what an option means. Private to cli; main thread.
 */
#ifndef CLI_COMMAND_LINE_H
#define CLI_COMMAND_LINE_H

#include "base/error.h"
#include "cli/options.h"

/* Where defaults come from: a privileged program must not take it from whoever starts it. */
#define COMMAND_LINE_VARIABLE "TRACEALLOC_OPTIONS"

/*
 * Fills options, which options_init made, from argv (argv[0] is our own name). `run` reads options
 * up to its program, whose arguments are its own; the others take them on both sides of their
 * operands.
 * --help and --version end the reading: what follows them is not looked at.
 * defaults (NULL: none): the value of TRACEALLOC_OPTIONS. Its options are taken before those of
 * argv, as far as they belong to the command; nothing else may stand there.
 * Errors: ERROR_USAGE with the whole complaint, ERROR_NO_MEMORY.
 */
struct error *command_line_parse(struct options *options, const char *defaults, int argc,
				 char **argv);

#endif
