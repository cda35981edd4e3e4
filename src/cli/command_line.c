/* SPDX-License-Identifier: MIT */
#include "cli/command_line.h"

#include "cli/arguments.h"
#include "cli/conflicts.h"
#include "cli/operands.h"

/*
 * Takes the options of the environment. One variable serves all commands, so what belongs to others
 * is no mistake; what belongs to none is.
 */
static struct error *parse_defaults(struct options *options, const char *defaults)
{
	char *operand = NULL;
	enum options_command command = options->command;
	struct error *err = words_split(defaults, &options->defaults);
	struct arguments arguments = {.items = options->defaults.items,
				      .count = (int)options->defaults.count,
				      .lenient = true};
	if (!err)
		err = arguments_options(options, &arguments, &operand);
	if (!err && operand)
		err = error_new(ERROR_USAGE, "'%s' is no option: only options may stand there",
				operand);
	if (!err && options->command != command)
		err = error_new(ERROR_USAGE, "--help and --version are for the command line");
	return err ? error_wrap(err, "in the environment variable " COMMAND_LINE_VARIABLE) : NULL;
}

/* Those of the environment, the operands with their options, and whether all that goes together. */
static struct error *parse_rest(struct options *options, const char *defaults,
				struct arguments *arguments)
{
	struct error *err = defaults ? parse_defaults(options, defaults) : NULL;
	if (!err)
		err = operands_parse(options, arguments);
	if (err || arguments_ended(options))
		return err;
	err = conflicts_check(options);
	return err && options->defaults.count
		       ? error_wrap(err, "with the options of " COMMAND_LINE_VARIABLE)
		       : err;
}

struct error *command_line_parse(struct options *options, const char *defaults, int argc,
				 char **argv)
{
	struct arguments arguments = {.items = argv, .next = 1, .count = argc};
	char *name;
	struct error *err = arguments_options(options, &arguments, &name);
	if (err || arguments_ended(options))
		return err;
	if (!name)
		return error_new(ERROR_USAGE, "no command given: 'tracealloc help' lists them");
	enum options_command command = OPTIONS_HELP;
	err = operands_command(name, &command);
	if (err)
		return err;
	if (command == OPTIONS_HELP)
		return operands_help(options, &arguments);
	options->command = command;
	return command == OPTIONS_COMPLETION ? operands_completion(options, &arguments)
					     : parse_rest(options, defaults, &arguments);
}
