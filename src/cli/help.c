/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <string.h>

#include "cli/options.h"

enum { TEXT_COLUMN = 26, LAST_COLUMN = 80 };

static const struct help_command commands[] = {
	{OPTIONS_RUN, "run [OPTIONS] [--] PROGRAM [ARG...]",
	 "Starts PROGRAM and traces it until it ends. The report goes to standard error, "
	 "and PROGRAM's exit status is passed on.",
	 "tracealloc run --top 5 --report heap.txt -- ./prog input.txt"},
	{OPTIONS_ATTACH, "attach [OPTIONS] PID",
	 "Traces a running process until Ctrl-C, the time of --for or its end; then detaches "
	 "and reports on standard output.",
	 "tracealloc attach --for 10s --group-by function \"$(pgrep -n myserver)\""},
	{OPTIONS_REPORT, "report [OPTIONS] SNAPSHOT...",
	 "Asks a saved snapshot another question, and reports on standard output. No "
	 "other file is read. Several are summed up.",
	 "tracealloc report --show total --filter 'file=*/parse.c' a.snapshot"},
	{OPTIONS_DIFF, "diff [OPTIONS] OLD NEW",
	 "Compares two saved snapshots: what grew, what shrank.",
	 "tracealloc diff before.snapshot after.snapshot"},
	{OPTIONS_EXPORT, "export [OPTIONS] --format=FORMAT SNAPSHOT...",
	 "Writes a saved snapshot in the form of another tool, to standard output or the file of "
	 "--report.",
	 "tracealloc export --format pprof --report heap.pb.gz a.snapshot"},
	{OPTIONS_DOCTOR, "doctor [OPTIONS] [PID|PROGRAM]",
	 "Says how the allocator functions of a process would be probed, which debug information "
	 "its files have, and what a tracealloc that was killed has left in it. Nothing is "
	 "written to it without --clean. Of a PROGRAM, what its files say; it is not run. "
	 "Without either, whether tracing is permitted here.",
	 "tracealloc doctor \"$(pgrep -n myserver)\""},
	{OPTIONS_CTL, "ctl [OPTIONS] PID REQUEST [ARG]",
	 "Asks the tracealloc that traces a process, while it goes on. REQUEST is one of: status; "
	 "snapshot [FILE]; reset-peak; mark NAME; where ADDRESS; stop.",
	 "tracealloc ctl \"$(pgrep -n myserver)\" status"},
	{OPTIONS_TOP, "top [OPTIONS] PID",
	 "Shows live on the terminal which lines hold memory and how that changes, of a process "
	 "that is traced already or is then attached to. Without a terminal it reports each time "
	 "of --interval.",
	 "tracealloc top \"$(pgrep -n myserver)\""},
	{OPTIONS_COMPLETION, "completion bash|zsh|fish",
	 "Prints what makes a shell complete our command line. For the one at hand: "
	 "source <(tracealloc completion bash)",
	 NULL},
	{OPTIONS_HELP, "help [COMMAND]", "Prints this help, or that of one command.", NULL},
};

const struct help_command *help_commands(size_t *count_ret)
{
	*count_ret = sizeof commands / sizeof *commands;
	return commands;
}

static void pad(struct buffer *out, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		buffer_char(out, ' ');
}

/* Appends text in lines that begin at column indent; the cursor already stands there. */
static void wrap(struct buffer *out, size_t indent, const char *text)
{
	size_t column = indent;
	while (*text) {
		size_t word = strcspn(text, " ");
		if (column > indent && column + 1 + word > LAST_COLUMN) {
			buffer_char(out, '\n');
			pad(out, indent);
			column = indent;
		} else if (column > indent) {
			buffer_char(out, ' ');
			column++;
		}
		buffer_append(out, text, word);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	buffer_char(out, '\n');
}

static void render_row(struct buffer *out, const struct options_row *row)
{
	_cleanup_buffer_ struct buffer head = {0};
	if (row->short_name)
		buffer_printf(&head, "  -%c, --%s", row->short_name, row->name);
	else
		buffer_printf(&head, "      --%s", row->name);
	if (row->value)
		buffer_printf(&head, " %s", row->value);
	buffer_string(out, buffer_text(&head));
	if (head.count + 2 > TEXT_COLUMN) {
		buffer_char(out, '\n');
		pad(out, TEXT_COLUMN);
	} else {
		pad(out, TEXT_COLUMN - head.count);
	}
	wrap(out, TEXT_COLUMN, row->text);
}

static void render_group(struct buffer *out, unsigned topic, enum options_group group,
			 const char *title)
{
	size_t count;
	const struct options_row *rows = options_rows(&count);
	bool titled = false;
	for (size_t i = 0; i < count; i++) {
		if (rows[i].group != group || (topic && !(rows[i].commands & topic)))
			continue;
		if (!titled)
			buffer_printf(out, "\n%s\n", title);
		titled = true;
		render_row(out, &rows[i]);
	}
}

static void render_commands(struct buffer *out, unsigned topic)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (topic && commands[i].command != topic)
			continue;
		buffer_printf(out, "\n  tracealloc %s\n", commands[i].usage);
		pad(out, 6);
		wrap(out, 6, commands[i].text);
	}
}

/* Of one command; all of them would hide what they explain. */
static void render_example(struct buffer *out, unsigned topic)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (commands[i].command == topic && commands[i].example)
			buffer_printf(out, "\nExample:\n      %s\n", commands[i].example);
}

void help_render(unsigned topic, struct buffer *out)
{
	buffer_string(out, "Which source lines hold a process's heap memory.\n");
	render_commands(out, topic);
	render_example(out, topic);
	render_group(out, topic, OPTIONS_TRACING, "Tracing:");
	render_group(out, topic, OPTIONS_ANSWER, "Report:");
	render_group(out, topic, OPTIONS_GENERAL, "General:");
	buffer_string(out, "\nThe manual page tracealloc(1) says what the report's lines mean.\n");
}
