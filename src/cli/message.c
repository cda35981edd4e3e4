/* SPDX-License-Identifier: MIT */
#include "cli/message.h"

#include <unistd.h>

#include "base/buffer.h"
#include "cli/output.h"
#include "cli/status.h"

static void say(const char *kind, const char *message)
{
	_cleanup_buffer_ struct buffer line = {0};
	buffer_printf(&line, "tracealloc: %s", kind);
	buffer_escaped(&line, message);
	buffer_char(&line, '\n');
	/* Where standard error cannot be written to, nobody is left to be told. */
	error_free(output_write(STDERR_FILENO, buffer_text(&line), line.count));
}

void message_error(const struct error *err)
{
	say("", error_message(err));
}

void message_say(const char *message)
{
	say("", message);
}

void message_log(void *context, enum log_level level, const char *message)
{
	struct status *status = context;
	if (status)
		status_hold(status);
	say(level == LOG_WARNING ? "warning: " : "", message);
	if (status)
		status_release(status);
}
