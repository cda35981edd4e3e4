/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/saved.h"
#include "report/live.h"
#include "session/control_client.h"

static struct error *print(const struct buffer *text)
{
	if (buffer_failed(text))
		return error_no_memory();
	_cleanup_output_ struct output output;
	struct error *err = output_open("answer", NULL, STDOUT_FILENO, &output);
	return err ? err : output_finish(&output, buffer_text(text), text->count);
}

static bool wants_json(const struct options *options)
{
	return options->format == report_format("json");
}

static struct error *print_status(const struct options *options, const struct control_reply *reply)
{
	const struct report_status status = {
		.pid = reply->pid,
		.processes = reply->processes,
		.command = reply->command,
		.engine = reply->engine,
		.attached = reply->attached,
		.time_ns = reply->time_ns,
		.current_bytes = reply->current_bytes,
		.current_blocks = reply->current_blocks,
		.peak_bytes = reply->peak_bytes,
		.peak_blocks = reply->peak_blocks,
		.peak_at_ns = reply->peak_at_ns,
		.total_bytes = reply->total_bytes,
		.total_blocks = reply->total_blocks,
		.events = reply->events,
		.events_per_s = reply->events_per_s,
		.lost_events = reply->lost_events,
		.stops = reply->stops,
	};
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = wants_json(options) ? report_status_json(&status, &text)
						: report_status_text(&status, &text);
	return err ? err : print(&text);
}

/* A snapshot from the tracer is as untrusted as one from a file: what is no snapshot is not kept.
 */
static struct error *save(const struct options *options, struct control_client *client,
			  struct control_request *request)
{
	_cleanup_output_ struct output output;
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	struct control_reply reply;
	struct error *err = output_open("snapshot", options->ctl_text, -1, &output);
	if (!err)
		err = control_client_fetch(client, request, &reply, &bytes, &snapshot);
	return err ? err : output_finish(&output, bytes.bytes, bytes.count);
}

static const char *source_line(void *context, const char *file, uint32_t line)
{
	return snapshot_source_text(context, file, line);
}

static struct error *print_block(const struct options *options, struct control_client *client,
				 struct control_request *request)
{
	_cleanup_buffer_ struct buffer bytes = {0}, text = {0};
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	struct control_reply reply;
	struct error *err = control_client_fetch(client, request, &reply, &bytes, &snapshot);
	if (err)
		return err;
	const struct report_source source = {.line = source_line, .context = snapshot};
	const struct report_block block = {
		.asked = request->address.v,
		.address = reply.address,
		.size_bytes = reply.size_bytes,
		.age_ns = reply.age_ns,
		.thread = reply.thread,
		.process = reply.process,
	};
	err = wants_json(options) ? report_block_json(&block, snapshot, &source, &text)
				  : report_block_text(&block, snapshot, &source, &text);
	return err ? err : print(&text);
}

static struct error *print_file(const char *file)
{
	_cleanup_buffer_ struct buffer text = {0};
	buffer_escaped(&text, file);
	buffer_char(&text, '\n');
	return print(&text);
}

struct error *command_ctl(const struct options *options)
{
	_cleanup_control_client_ struct control_client client;
	struct control_request request = {.verb = options->ctl_verb,
					  .address = options->ctl_address};
	struct control_reply reply;
	struct error *err = control_client_open(options->pid, &client);
	if (err)
		return err;
	if (request.verb == CONTROL_SNAPSHOT)
		return save(options, &client, &request);
	if (request.verb == CONTROL_WHERE)
		return print_block(options, &client, &request);
	if (request.verb == CONTROL_MARK)
		strncpy(request.name, options->ctl_text, sizeof request.name - 1);
	err = control_client_ask(&client, &request, &reply);
	if (!err && request.verb == CONTROL_STATUS)
		err = print_status(options, &reply);
	if (!err && request.verb == CONTROL_SAVE)
		err = print_file(reply.file);
	if (!err && request.verb == CONTROL_STOP)
		control_client_await_end(&client);
	return err;
}
