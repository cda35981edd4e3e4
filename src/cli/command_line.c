/* SPDX-License-Identifier: MIT */
#include "cli/command_line.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "cli/completion.h"
#include "cli/parse.h"

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

static char *shift(struct arguments *arguments)
{
	return arguments->next < arguments->count ? arguments->items[arguments->next++] : NULL;
}

static bool ended(const struct options *options)
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
		value = shift(arguments);
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
	settle_unreachable(options);
	return NULL;
}

/* The one argument of attach and top. */
static struct error *parse_pid(struct options *options, struct arguments *arguments,
			       const char *command)
{
	char *text, *more;
	struct error *err = parse_options(options, arguments, &text);
	if (err || ended(options))
		return err;
	if (!text)
		return error_new(ERROR_USAGE, "no process id given: tracealloc %s [OPTIONS] PID",
				 command);
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
	if (err || ended(options))
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
		err = parse_options(options, arguments, &operands[i]);
	if (err || ended(options))
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

/* A process id, or else the name of a program. */
static struct error *parse_doctor(struct options *options, struct arguments *arguments)
{
	char *text, *more;
	struct error *err = parse_options(options, arguments, &text);
	if (err || ended(options))
		return err;
	if (!text)
		return error_new(ERROR_USAGE, "no process id and no program given: tracealloc "
					      "doctor [OPTIONS] PID|PROGRAM");
	err = parse_options(options, arguments, &more);
	if (err || ended(options))
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
		struct error *err = parse_options(options, arguments, &path);
		if (err || ended(options) || !path)
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
	if (err || ended(options))
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
	if (err || ended(options))
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

static bool has_age(const struct query *query)
{
	for (size_t i = 0; i < query->filter_count; i++)
		if (query->filters[i].kind == FILTER_AGE)
			return true;
	return false;
}

/* Questions that have no answer. */
static struct error *check_query(const struct query *query)
{
	if (query->cumulative && !query_is_by_frame(query))
		return error_new(ERROR_USAGE,
				 "--cumulative is for rows of single frames: give --group-by "
				 "line|file|function|module");
	if (query->min_bytes && query->show == QUERY_TEMPORARY)
		return error_new(ERROR_USAGE,
				 "--min-size is for sizes, which --show temporary does not know");
	if (query->all_frames && !query->filter_count)
		return error_new(ERROR_USAGE,
				 "--all-frames says what --filter and --exclude look at: give one");
	if (query->histogram == QUERY_LIFETIME_HISTOGRAM && query->filter_count)
		return error_new(ERROR_USAGE, "--histogram lifetime is of the whole session: give "
					      "no --filter and no --exclude");
	if (query->histogram && has_age(query))
		return error_new(ERROR_USAGE, "--histogram does not go with age=: ages are of live "
					      "blocks alone");
	return NULL;
}

/* What the session must keep so that its own report answers. */
static struct error *keep_what_is_asked(struct options *options)
{
	const struct query *query = &options->query;
	if (has_age(query) && query->show != QUERY_CURRENT && query->show != QUERY_LEAKED)
		return error_new(ERROR_USAGE, "age= is of blocks that live: give --show current or "
					      "--show leaked");
	if (options->session.keep & KEPT_RAW && !options->output_path)
		return error_new(ERROR_USAGE, "--raw leaves the symbols to 'tracealloc report': "
					      "give --output FILE");
	options->session.keep |=
		query_needs(query) & (unsigned)(KEPT_SIZES | KEPT_THREADS | KEPT_WASTE);
	return NULL;
}

/* Appends "text|json": the formats that a comparison can have. */
static void print_table_formats(struct buffer *out)
{
	size_t count;
	const struct report_format *formats = report_formats(&count);
	for (size_t i = 0; i < count; i++)
		if (formats[i].write_table)
			buffer_printf(out, "%s%s", out->count ? "|" : "", formats[i].name);
}

/* Which option was given that only tables know; NULL: none was. */
static const char *table_option(const struct query *query)
{
	if (query->group_by != QUERY_LINE)
		return "--group-by";
	if (query->top != OPTIONS_TOP_DEFAULT)
		return "--top";
	if (query->min_bytes)
		return "--min-size";
	if (query->histogram)
		return "--histogram";
	if (has_age(query))
		return "--filter age=";
	return query->cumulative	       ? "--cumulative"
	       : query->show == QUERY_LIFETIME ? "--show lifetime"
	       : query->show == QUERY_WASTE    ? "--show waste"
					       : NULL;
}

/* A page groups by single frames, as its reader likes. */
static struct error *check_page_format(const struct options *options)
{
	if (query_is_by_frame(&options->query))
		return NULL;
	return error_new(ERROR_USAGE, "--format %s groups by one of line|file|function|module",
			 options->format->name);
}

/* Formats of whole stacks have no rows, and nothing of them is for people to read. */
static struct error *check_whole_format(const struct options *options)
{
	const char *name = options->format->name;
	const char *option = options->format->write_stacks ? table_option(&options->query) : NULL;
	_cleanup_buffer_ struct buffer formats = {0};
	print_table_formats(&formats);
	if (options->command == OPTIONS_DIFF)
		return error_new(ERROR_USAGE, "diff has no --format %s: give one of %s", name,
				 buffer_text(&formats));
	if (option)
		return error_new(ERROR_USAGE,
				 "%s is for tables (--format %s), --format %s has whole stacks",
				 option, buffer_text(&formats), name);
	if (options->command == OPTIONS_RUN && !options->report_path)
		return error_new(ERROR_USAGE,
				 "--format %s would mix with what the program itself writes to "
				 "standard error: give --report FILE",
				 name);
	return options->format->write_page ? check_page_format(options) : NULL;
}

static struct error *check_format(const struct options *options)
{
	if (options->command == OPTIONS_EXPORT && !options->format_given)
		return error_new(ERROR_USAGE,
				 "no format given: --format takes one of " REPORT_FORMATS);
	if (options->command == OPTIONS_CTL && options->format != report_format("text") &&
	    options->format != report_format("json"))
		return error_new(ERROR_USAGE, "ctl has no --format %s: give text or json",
				 options->format->name);
	if (options->command == OPTIONS_DOCTOR && strcmp(options->format->name, "text") != 0 &&
	    strcmp(options->format->name, "json") != 0)
		return error_new(ERROR_USAGE, "doctor has no --format %s: give one of text|json",
				 options->format->name);
	return options->format->write_table ? NULL : check_whole_format(options);
}

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
		err = parse_options(options, &arguments, &operand);
	if (!err && operand)
		err = error_new(ERROR_USAGE, "'%s' is no option: only options may stand there",
				operand);
	if (!err && options->command != command)
		err = error_new(ERROR_USAGE, "--help and --version are for the command line");
	return err ? error_wrap(err, "in the environment variable " COMMAND_LINE_VARIABLE) : NULL;
}

/* Which shell, or what a script of ours asks. */
static struct error *parse_completion(struct options *options, struct arguments *arguments)
{
	char *shell;
	struct error *err = parse_options(options, arguments, &shell);
	if (err || ended(options))
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
	char *more = shift(arguments);
	if (more)
		return error_new(ERROR_USAGE, "unexpected argument '%s': give one shell", more);
	return NULL;
}

static struct error *parse_command(const char *name, enum options_command *ret)
{
	size_t choice;
	if (!parse_choice(name, OPTIONS_COMMANDS, &choice))
		return error_new(ERROR_USAGE, "unknown command '%s': give one of " OPTIONS_COMMANDS,
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
	options->help_topic = command & OPTIONS_TOPICS;
	return NULL;
}

/* Two results under one name: the second would replace the first. */
static struct error *check_paths(const struct options *options)
{
	if (options->output_path && options->report_path &&
	    strcmp(options->output_path, options->report_path) == 0)
		return error_new(ERROR_USAGE, "--output and --report name the same file '%s'",
				 options->output_path);
	return NULL;
}

/* The rest of the arguments, by the command. */
static struct error *parse_operands(struct options *options, struct arguments *arguments)
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

static struct error *check(struct options *options)
{
	struct error *err = check_query(&options->query);
	if (!err && options->command & (OPTIONS_RUN | OPTIONS_ATTACH))
		err = keep_what_is_asked(options);
	if (!err)
		err = check_format(options);
	if (!err)
		err = check_paths(options);
	return err && options->defaults.count
		       ? error_wrap(err, "with the options of " COMMAND_LINE_VARIABLE)
		       : err;
}

struct error *command_line_parse(struct options *options, const char *defaults, int argc,
				 char **argv)
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
	if (command == OPTIONS_COMPLETION)
		return parse_completion(options, &arguments);
	if (defaults)
		err = parse_defaults(options, defaults);
	if (!err)
		err = parse_operands(options, &arguments);
	return err || ended(options) ? err : check(options);
}
