/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "base/buffer.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/message.h"
#include "cli/output.h"

struct log command_log(const struct options *options, struct status *status)
{
	enum log_level levels[] = {LOG_WARNING, LOG_INFO, LOG_DEBUG};
	return (struct log){
		.level = levels[options->verbose < 2 ? options->verbose : 2],
		.write = options->quiet ? NULL : message_log,
		.context = status,
	};
}

static struct error *print(const struct buffer *text)
{
	if (buffer_failed(text))
		return error_no_memory();
	_cleanup_output_ struct output output;
	struct error *err = output_open("text", NULL, STDOUT_FILENO, &output);
	return err ? err : output_finish(&output, buffer_text(text), text->count);
}

static struct error *print_help(unsigned topic)
{
	_cleanup_buffer_ struct buffer text = {0};
	help_render(topic, &text);
	return print(&text);
}

static struct error *print_completion(const struct options *options)
{
	_cleanup_buffer_ struct buffer text = {0};
	size_t count = 0;
	while (options->words && options->words[count])
		count++;
	if (count)
		completion_offer(options->words, count, &text);
	else if (!options->words)
		completion_script(options->shell, &text);
	return print(&text);
}

static struct error *print_version(void)
{
	_cleanup_buffer_ struct buffer text = {0};
	buffer_string(&text, "tracealloc " TRACEALLOC_VERSION "\n");
	return print(&text);
}

struct error *command_perform(const struct options *options, char *const envp[], struct ending *ret)
{
	*ret = (struct ending){0};
	switch (options->command) {
	case OPTIONS_RUN:
		return command_run(options, envp, ret);
	case OPTIONS_ATTACH:
		return command_attach(options, ret);
	case OPTIONS_REPORT:
	case OPTIONS_EXPORT:
		return command_report(options, ret);
	case OPTIONS_DIFF:
		return command_diff(options, ret);
	case OPTIONS_DOCTOR:
		return command_doctor(options);
	case OPTIONS_CTL:
		return command_ctl(options);
	case OPTIONS_TOP:
		return command_top(options, ret);
	case OPTIONS_COMPLETION:
		return print_completion(options);
	case OPTIONS_HELP:
		return print_help(options->help_topic);
	case OPTIONS_VERSION:
		return print_version();
	}
	return error_new(ERROR_USAGE, "no command");
}
