/* SPDX-License-Identifier: MIT */
#include "cli/operands.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "cli/completion.h"
#include "cli/parse.h"

/* To look for unreachable blocks and to ask for them imply each other. */
static void settle_unreachable(struct options *options)
{
	if (options->session.unreachable && !options->show_given)
		options->query.show = QUERY_UNREACHABLE;
	if (options->query.show == QUERY_UNREACHABLE ||
	    limits_have(&options->limits, QUERY_UNREACHABLE))
		options->session.unreachable = true;
}

static struct error *parse_run(struct options *options, struct arguments *arguments)
{
	char *program;
	struct error *err = arguments_options(options, arguments, &program);
	if (err || arguments_ended(options))
		return err;
	if (!program)
		return error_new(
			ERROR_USAGE,
			"no program given: tracealloc run [OPTIONS] [--] PROGRAM [ARG...]");
	options->program = arguments->items + arguments->next - 1;
	if (!options->show_given)
		options->query.show = QUERY_PEAK;
	settle_unreachable(options);
	return NULL;
}

/* The one argument of attach and top. */
static struct error *parse_pid(struct options *options, struct arguments *arguments,
			       const char *command)
{
	char *text, *more;
	struct error *err = arguments_options(options, arguments, &text);
	if (err || arguments_ended(options))
		return err;
	if (!text)
		return error_new(ERROR_USAGE, "no process id given: tracealloc %s [OPTIONS] PID",
				 command);
	uint64_t pid;
	if (!parse_number(text, 1, INT_MAX, &pid))
		return error_new(ERROR_USAGE,
				 "bad process id '%s': give a number, as 'pgrep -n NAME' prints it",
				 text);
	err = arguments_options(options, arguments, &more);
	if (err || arguments_ended(options))
		return err;
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': give one process id",
				 more);
	options->pid = (pid_t)pid;
	return NULL;
}

static struct error *parse_attach(struct options *options, struct arguments *arguments)
{
	struct error *err = parse_pid(options, arguments, "attach");
	if (!err && !options->show_given)
		options->query.show = QUERY_CURRENT;
	if (!err)
		settle_unreachable(options);
	return err;
}

/* Rows of the view are places, so that each of them has stacks. */
static struct error *parse_top(struct options *options, struct arguments *arguments)
{
	struct error *err = parse_pid(options, arguments, "top");
	if (err || arguments_ended(options))
		return err;
	if (options->query.group_by > QUERY_MODULE)
		return error_new(ERROR_USAGE,
				 "top groups by one of line|file|function|module alone");
	if (!options->show_given)
		options->query.show = QUERY_CURRENT;
	return NULL;
}

/* A number of an address space, as debuggers and %p write it. */
static bool parse_address(const char *text, target_addr *ret)
{
	char *end;
	if (strncmp(text, "0x", 2) != 0 || !isxdigit((unsigned char)text[2]))
		return false;
	errno = 0;
	ret->v = strtoull(text + 2, &end, 16);
	return !*end && !errno;
}

/* The requests of ctl in the words of the command line; see parse_request for their arguments. */
#define REQUESTS "status|snapshot|reset-peak|mark|where|stop"

static struct error *parse_request(struct options *options, const char *word, const char *argument)
{
	static const enum control_verb verbs[] = {CONTROL_STATUS, CONTROL_SAVE,	 CONTROL_RESET_PEAK,
						  CONTROL_MARK,	  CONTROL_WHERE, CONTROL_STOP};
	size_t choice;
	if (!parse_choice(word, REQUESTS, &choice))
		return error_new(ERROR_USAGE, "unknown request '%s': give one of " REQUESTS, word);
	enum control_verb verb = verbs[choice];
	if (verb == CONTROL_MARK && (!argument || !*argument))
		return error_new(ERROR_USAGE, "no name given: tracealloc ctl PID mark NAME");
	if (verb == CONTROL_WHERE && (!argument || !parse_address(argument, &options->ctl_address)))
		return error_new(ERROR_USAGE, "bad address '%s': give one such as 0x55d0c0ffee00",
				 argument ? argument : "");
	bool takes = verb == CONTROL_MARK || verb == CONTROL_WHERE || verb == CONTROL_SAVE;
	if (argument && (!takes || !*argument))
		return error_new(ERROR_USAGE, "unexpected argument '%s': %s takes none", argument,
				 word);
	/* Where a file is named it is ours to write. */
	options->ctl_verb = verb == CONTROL_SAVE && argument ? CONTROL_SNAPSHOT : verb;
	options->ctl_text = argument;
	return NULL;
}

static struct error *parse_ctl(struct options *options, struct arguments *arguments)
{
	enum { OPERANDS = 4 };
	char *operands[OPERANDS] = {NULL};
	struct error *err = NULL;
	for (size_t i = 0; !err && i < OPERANDS && (!i || operands[i - 1]); i++)
		err = arguments_options(options, arguments, &operands[i]);
	if (err || arguments_ended(options))
		return err;
	uint64_t pid;
	if (!operands[0] || !operands[1])
		return error_new(ERROR_USAGE, "no %s given: tracealloc ctl PID " REQUESTS,
				 operands[0] ? "request" : "process id");
	if (!parse_number(operands[0], 1, INT_MAX, &pid))
		return error_new(ERROR_USAGE,
				 "bad process id '%s': give a number, as 'pgrep -n NAME' prints it",
				 operands[0]);
	if (operands[3])
		return error_new(ERROR_USAGE,
				 "unexpected argument '%s': tracealloc ctl PID " REQUESTS,
				 operands[3]);
	options->pid = (pid_t)pid;
	return parse_request(options, operands[1], operands[2]);
}

/* A process id, or else the name of a program; or nothing. */
static struct error *parse_doctor(struct options *options, struct arguments *arguments)
{
	char *text, *more;
	struct error *err = arguments_options(options, arguments, &text);
	if (err || arguments_ended(options))
		return err;
	if (!text && options->clean)
		return error_new(ERROR_USAGE, "no process id given: tracealloc doctor --clean PID");
	if (!text)
		return NULL;
	err = arguments_options(options, arguments, &more);
	if (err || arguments_ended(options))
		return err;
	if (more)
		return error_new(ERROR_USAGE,
				 "unexpected argument '%s': give one process id or program", more);
	uint64_t pid;
	if (parse_number(text, 1, INT_MAX, &pid))
		options->pid = (pid_t)pid;
	else
		options->examined = text;
	if (options->clean && options->examined)
		return error_new(ERROR_USAGE,
				 "bad process id '%s' for --clean: only a process "
				 "can have something left in it",
				 text);
	return NULL;
}

/* Options and any number of operands, in any order. */
static struct error *parse_paths(struct options *options, struct arguments *arguments)
{
	for (;;) {
		char *path;
		struct error *err = arguments_options(options, arguments, &path);
		if (err || arguments_ended(options) || !path)
			return err;
		if (!array_reserve(&options->paths, &options->path_capacity,
				   options->path_count + 1, sizeof *options->paths))
			return error_no_memory();
		options->paths[options->path_count++] = path;
	}
}

static struct error *parse_report(struct options *options, struct arguments *arguments)
{
	struct error *err = parse_paths(options, arguments);
	if (err || arguments_ended(options))
		return err;
	if (!options->path_count && options->command == OPTIONS_EXPORT)
		return error_new(ERROR_USAGE, "no snapshot given: tracealloc export [OPTIONS] "
					      "--format=FORMAT SNAPSHOT...");
	if (!options->path_count)
		return error_new(ERROR_USAGE,
				 "no snapshot given: tracealloc report [OPTIONS] SNAPSHOT...");
	return NULL;
}

static struct error *parse_diff(struct options *options, struct arguments *arguments)
{
	struct error *err = parse_paths(options, arguments);
	if (err || arguments_ended(options))
		return err;
	if (options->path_count < 2)
		return error_new(ERROR_USAGE,
				 "two snapshots are needed: tracealloc diff [OPTIONS] OLD NEW");
	if (options->path_count > 2)
		return error_new(ERROR_USAGE, "unexpected argument '%s': give two snapshots",
				 options->paths[2]);
	if (options->query.show == QUERY_TEMPORARY || options->query.show == QUERY_LIFETIME)
		return error_new(ERROR_USAGE,
				 "diff does not show %s: give one of "
				 "peak|current|total|leaked|count",
				 options->query.show == QUERY_LIFETIME ? "lifetime" : "temporary");
	return NULL;
}

struct error *operands_completion(struct options *options, struct arguments *arguments)
{
	char *shell;
	struct error *err = arguments_options(options, arguments, &shell);
	if (err || arguments_ended(options))
		return err;
	if (!shell)
		return error_new(ERROR_USAGE,
				 "no shell given: tracealloc completion " COMPLETION_SHELLS);
	if (strcmp(shell, "words") == 0) {
		options->words = arguments->items + arguments->next;
		return NULL;
	}
	if (!parse_choice(shell, COMPLETION_SHELLS, &options->shell))
		return error_new(ERROR_USAGE, "unknown shell '%s': give one of " COMPLETION_SHELLS,
				 shell);
	char *more = arguments_shift(arguments);
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': give one shell", more);
	return NULL;
}

struct error *operands_command(const char *name, enum options_command *ret)
{
	size_t choice;
	if (!parse_choice(name, OPTIONS_COMMANDS, &choice))
		return error_new(ERROR_USAGE, "unknown command '%s': give one of " OPTIONS_COMMANDS,
				 name);
	*ret = (enum options_command)(1u << choice);
	return NULL;
}

struct error *operands_help(struct options *options, struct arguments *arguments)
{
	char *topic, *more;
	enum options_command command = OPTIONS_HELP;
	struct error *err = arguments_options(options, arguments, &topic);
	if (err || arguments_ended(options))
		return err;
	if (topic)
		err = operands_command(topic, &command);
	if (err)
		return err;
	more = arguments_shift(arguments);
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': tracealloc help [COMMAND]",
				 more);
	options->command = OPTIONS_HELP;
	options->help_topic = command & OPTIONS_TOPICS;
	return NULL;
}

struct error *operands_parse(struct options *options, struct arguments *arguments)
{
	switch (options->command) {
	case OPTIONS_RUN:
		return parse_run(options, arguments);
	case OPTIONS_ATTACH:
		return parse_attach(options, arguments);
	case OPTIONS_DOCTOR:
		return parse_doctor(options, arguments);
	case OPTIONS_TOP:
		return parse_top(options, arguments);
	case OPTIONS_CTL:
		return parse_ctl(options, arguments);
	case OPTIONS_REPORT:
	case OPTIONS_EXPORT:
		return parse_report(options, arguments);
	default:
		return parse_diff(options, arguments);
	}
}
