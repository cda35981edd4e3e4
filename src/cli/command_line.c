/* SPDX-License-Identifier: MIT */
#include "cli/command_line.h"

#include <limits.h>
#include <string.h>

#include "cli/parse.h"

/* The arguments not yet read. Invariant: 0 <= next <= count, items[count] == NULL. */
struct arguments {
	char **items;
	int next;
	int count;
};

static char *shift(struct arguments *arguments)
{
	return arguments->next < arguments->count ? arguments->items[arguments->next++] : NULL;
}

static bool ended(const struct options *options)
{
	return options->command == OPTIONS_HELP || options->command == OPTIONS_VERSION;
}

/* Sets the row's option; value is what stood in the same argument, NULL if nothing did. */
static struct error *apply(struct options *options, const struct options_row *row,
			   const char *value, struct arguments *arguments)
{
	unsigned command = options->command ? options->command : OPTIONS_HELP;
	if (!(row->commands & command))
		return error_new(ERROR_USAGE, "option '--%s' must follow its command: run|attach",
				 row->name);
	if (row->value && !value)
		value = shift(arguments);
	if (row->value && !value)
		return error_new(ERROR_USAGE, "option '--%s' needs a value: --%s %s", row->name,
				 row->name, row->value);
	if (!row->value && value)
		return error_new(ERROR_USAGE,
				 "option '--%s' takes no value, not '%s': write --%s alone",
				 row->name, value, row->name);
	return row->set(options, row, value);
}

static struct error *parse_long(struct options *options, const char *name,
				struct arguments *arguments)
{
	size_t length = strcspn(name, "=");
	const char *value = name[length] ? name + length + 1 : NULL;
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++) {
		if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
			return apply(options, &rows[i], value, arguments);
	}
	return error_new(ERROR_USAGE, "unknown option '--%.*s': 'tracealloc help' lists them",
			 (int)length, name);
}

/* One letter of "-qn5": letters without a value first, then one with the rest as its value. */
static struct error *parse_letter(struct options *options, const char **letters,
				  struct arguments *arguments)
{
	char letter = *(*letters)++;
	size_t count;
	const struct options_row *rows = options_rows(&count);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].short_name != letter)
			continue;
		const char *value = rows[i].value && **letters ? *letters : NULL;
		if (value)
			*letters += strlen(*letters);
		return apply(options, &rows[i], value, arguments);
	}
	return error_new(ERROR_USAGE, "unknown option '-%c': 'tracealloc help' lists them", letter);
}

static struct error *parse_letters(struct options *options, const char *letters,
				   struct arguments *arguments)
{
	struct error *err = NULL;
	while (*letters && !err && !ended(options))
		err = parse_letter(options, &letters, arguments);
	return err;
}

/*
 * Reads options up to the first argument that is none, which *operand_ret then is; NULL where
 * nothing is left or --help or --version ended it. A "--" is taken away, and what follows it is no
 * option.
 */
static struct error *parse_options(struct options *options, struct arguments *arguments,
				   char **operand_ret)
{
	*operand_ret = NULL;
	while (!ended(options)) {
		char *argument = shift(arguments);
		if (!argument || argument[0] != '-' || !argument[1]) {
			*operand_ret = argument;
			return NULL;
		}
		if (strcmp(argument, "--") == 0) {
			*operand_ret = shift(arguments);
			return NULL;
		}
		struct error *err = argument[1] == '-'
					    ? parse_long(options, argument + 2, arguments)
					    : parse_letters(options, argument + 1, arguments);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *parse_run(struct options *options, struct arguments *arguments)
{
	char *program;
	struct error *err = parse_options(options, arguments, &program);
	if (err || ended(options))
		return err;
	if (!program)
		return error_new(
			ERROR_USAGE,
			"no program given: tracealloc run [OPTIONS] [--] PROGRAM [ARG...]");
	options->program = arguments->items + arguments->next - 1;
	if (!options->show_given)
		options->query.show = QUERY_PEAK;
	return NULL;
}

static struct error *parse_attach(struct options *options, struct arguments *arguments)
{
	char *text, *more;
	struct error *err = parse_options(options, arguments, &text);
	if (err || ended(options))
		return err;
	if (!text)
		return error_new(ERROR_USAGE,
				 "no process id given: tracealloc attach [OPTIONS] PID");
	uint64_t pid;
	if (!parse_number(text, 1, INT_MAX, &pid))
		return error_new(ERROR_USAGE,
				 "bad process id '%s': give a number, as 'pgrep -n NAME' prints it",
				 text);
	err = parse_options(options, arguments, &more);
	if (err || ended(options))
		return err;
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': give one process id",
				 more);
	options->pid = (pid_t)pid;
	if (!options->show_given)
		options->query.show = QUERY_CURRENT;
	return NULL;
}

static struct error *parse_command(const char *name, enum options_command *ret)
{
	size_t choice;
	if (!parse_choice(name, "run|attach|help", &choice))
		return error_new(ERROR_USAGE, "unknown command '%s': give one of run|attach|help",
				 name);
	*ret = (enum options_command)(1u << choice);
	return NULL;
}

static struct error *parse_help(struct options *options, struct arguments *arguments)
{
	char *topic, *more;
	enum options_command command = OPTIONS_HELP;
	struct error *err = parse_options(options, arguments, &topic);
	if (err || ended(options))
		return err;
	if (topic)
		err = parse_command(topic, &command);
	if (err)
		return err;
	more = shift(arguments);
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': tracealloc help [COMMAND]",
				 more);
	options->command = OPTIONS_HELP;
	options->help_topic = command & (OPTIONS_RUN | OPTIONS_ATTACH);
	return NULL;
}

struct error *command_line_parse(struct options *options, int argc, char **argv)
{
	struct arguments arguments = {.items = argv, .next = 1, .count = argc};
	char *name;
	struct error *err = parse_options(options, &arguments, &name);
	if (err || ended(options))
		return err;
	if (!name)
		return error_new(ERROR_USAGE, "no command given: 'tracealloc help' lists them");
	enum options_command command = OPTIONS_HELP;
	err = parse_command(name, &command);
	if (err)
		return err;
	if (command == OPTIONS_HELP)
		return parse_help(options, &arguments);
	options->command = command;
	return command == OPTIONS_RUN ? parse_run(options, &arguments)
				      : parse_attach(options, &arguments);
}
