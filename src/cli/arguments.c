/* SPDX-License-Identifier: MIT */
#include "cli/arguments.h"

#include <string.h>

#include "base/buffer.h"

char *arguments_shift(struct arguments *arguments)
{
	return arguments->next < arguments->count ? arguments->items[arguments->next++] : NULL;
}

bool arguments_ended(const struct options *options)
{
	return options->command == OPTIONS_HELP || options->command == OPTIONS_VERSION;
}

/* Appends "run|attach": the names of the commands in the bits. */
static void print_commands(struct buffer *out, unsigned commands)
{
	const char *name = OPTIONS_COMMANDS;
	for (unsigned bit = 1; *name; bit <<= 1) {
		size_t length = strcspn(name, "|");
		if (commands & bit) {
			if (out->count)
				buffer_char(out, '|');
			buffer_append(out, name, length);
		}
		name += length + (name[length] == '|');
	}
}

/* The option stands before any command, or after one that it does not belong to. */
static struct error *misplaced(const struct options *options, const struct options_row *row)
{
	_cleanup_buffer_ struct buffer owners = {0}, command = {0};
	print_commands(&owners, row->commands & OPTIONS_TOPICS);
	print_commands(&command, options->command);
	if (!(options->command & OPTIONS_TOPICS))
		return error_new(ERROR_USAGE, "option '--%s' must follow its command: %s",
				 row->name, buffer_text(&owners));
	return error_new(ERROR_USAGE, "option '--%s' is none of '%s': it belongs to %s", row->name,
			 buffer_text(&command), buffer_text(&owners));
}

/* Sets the row's option; value is what stood in the same argument, NULL if nothing did. */
static struct error *apply(struct options *options, const struct options_row *row,
			   const char *value, struct arguments *arguments)
{
	unsigned command = options->command ? options->command : OPTIONS_HELP;
	bool belongs = row->commands & command;
	if (!belongs && !arguments->lenient)
		return misplaced(options, row);
	if (row->value && !value)
		value = arguments_shift(arguments);
	if (row->value && !value)
		return error_new(ERROR_USAGE, "option '--%s' needs a value: --%s %s", row->name,
				 row->name, row->value);
	if (!row->value && value)
		return error_new(ERROR_USAGE,
				 "option '--%s' takes no value, not '%s': write --%s alone",
				 row->name, value, row->name);
	return belongs ? row->set(options, row, value) : NULL;
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
	while (*letters && !err && !arguments_ended(options))
		err = parse_letter(options, &letters, arguments);
	return err;
}

struct error *arguments_options(struct options *options, struct arguments *arguments,
				char **operand_ret)
{
	*operand_ret = NULL;
	while (!arguments_ended(options)) {
		char *argument = arguments_shift(arguments);
		if (!argument || argument[0] != '-' || !argument[1]) {
			*operand_ret = argument;
			return NULL;
		}
		if (strcmp(argument, "--") == 0) {
			*operand_ret = arguments_shift(arguments);
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
