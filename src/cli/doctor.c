/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cli/output.h"
#include "session/session.h"

static void cleanup_findings(struct session_findings *findings)
{
	session_findings_deinit(findings);
}
#define _cleanup_findings_ __attribute__((__cleanup__(cleanup_findings)))

/* Names come from the target: what is not plain is escaped. One line a function, by module. */
static void write_functions(struct buffer *out, const struct session_findings *findings)
{
	const char *module = NULL;
	for (size_t i = 0; i < findings->count; i++) {
		const struct session_finding *one = &findings->items[i];
		if (!module || strcmp(module, one->module) != 0) {
			buffer_escaped(out, one->module);
			buffer_string(out, "\n");
		}
		module = one->module;
		buffer_printf(out, "  %-16s %s", one->function, one->kind);
		if (one->reason) {
			buffer_string(out, ": ");
			buffer_escaped(out, one->reason);
		}
		buffer_string(out, "\n");
	}
	if (!findings->count)
		buffer_string(out, "no allocator that tracealloc knows\n");
}

static void write_leftovers(struct buffer *out, const struct session_findings *findings, pid_t pid)
{
	if (!findings->leftovers)
		buffer_string(out, "nothing left by a tracealloc that was killed\n");
	else if (findings->removed)
		buffer_printf(out, "%zu jumps of a tracealloc that was killed: removed\n",
			      findings->removed);
	else
		buffer_printf(
			out,
			"%zu jumps of a tracealloc that was killed: harmless; the next attach "
			"takes them over, 'tracealloc doctor --clean %d' removes them\n",
			findings->leftovers, pid);
}

struct error *command_doctor(const struct options *options)
{
	_cleanup_output_ struct output output;
	_cleanup_findings_ struct session_findings findings = {0};
	_cleanup_buffer_ struct buffer text = {0};
	struct log log = command_log(options, NULL);
	struct session_options session = options->session;
	session.log = &log;
	struct error *err = output_open("report", NULL, STDOUT_FILENO, &output);
	if (!err)
		err = session_examine(&session, options->pid, options->clean, &findings);
	if (err)
		return err;
	write_functions(&text, &findings);
	write_leftovers(&text, &findings, options->pid);
	return buffer_failed(&text) ? error_no_memory()
				    : output_finish(&output, buffer_text(&text), text.count);
}
