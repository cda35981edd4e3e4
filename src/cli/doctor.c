/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "cli/output.h"
#include "report/diagnosis.h"
#include "session/permitted.h"
#include "session/session.h"

static void cleanup_findings(struct session_findings *findings)
{
	session_findings_deinit(findings);
}
#define _cleanup_findings_ __attribute__((__cleanup__(cleanup_findings)))

static void copy_functions(const struct session_findings *findings, struct diagnosis_function *ret)
{
	for (size_t i = 0; i < findings->count; i++)
		ret[i] = (struct diagnosis_function){
			.function = findings->items[i].function,
			.module = findings->items[i].module,
			.kind = findings->items[i].kind,
			.reason = findings->items[i].reason,
		};
}

static void copy_modules(const struct session_findings *findings, struct diagnosis_module *ret)
{
	for (size_t i = 0; i < findings->module_count; i++)
		ret[i] = (struct diagnosis_module){
			.path = findings->modules[i].path,
			.build_id = findings->modules[i].build_id,
			.debug_file = findings->modules[i].debug_file,
			.lines = findings->modules[i].lines,
			.absent = findings->modules[i].absent,
			.unwind_rows = findings->modules[i].unwind_rows,
		};
}

static bool is_json(const struct options *options)
{
	return strcmp(options->format->name, "json") == 0;
}

static struct error *render(const struct options *options, const struct session_findings *findings,
			    struct buffer *out)
{
	_cleanup_free_ struct diagnosis_function *functions =
		calloc(findings->count + 1, sizeof *functions);
	_cleanup_free_ struct diagnosis_module *modules =
		calloc(findings->module_count + 1, sizeof *modules);
	if (!functions || !modules)
		return error_no_memory();
	copy_functions(findings, functions);
	copy_modules(findings, modules);
	struct diagnosis diagnosis = {
		.functions = functions,
		.function_count = findings->count,
		.modules = modules,
		.module_count = findings->module_count,
		.pid = (uint32_t)options->pid,
		.program = options->examined,
		.leftovers = findings->leftovers,
		.removed = findings->removed,
	};
	if (is_json(options))
		return diagnosis_json(&diagnosis, out);
	diagnosis_text(&diagnosis, out);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

static struct error *render_permissions(const struct options *options, struct buffer *out)
{
	struct permitted_circumstances now;
	struct permitted_row rows[PERMITTED_ROWS];
	struct diagnosis_permission permissions[PERMITTED_ROWS];
	struct error *err = permitted_look(&now);
	if (err)
		return err;
	permitted_judge(&now, rows);
	for (size_t i = 0; i < PERMITTED_ROWS; i++)
		permissions[i] = (struct diagnosis_permission){
			.what = rows[i].what, .reason = rows[i].reason, .remedy = rows[i].remedy};
	if (is_json(options))
		return diagnosis_permissions_json(permissions, PERMITTED_ROWS, now.contained, out);
	diagnosis_permissions_text(permissions, PERMITTED_ROWS, now.contained, out);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

/* Of a process or a program. */
static struct error *examine(const struct options *options, struct buffer *out)
{
	_cleanup_findings_ struct session_findings findings = {0};
	struct log log = command_log(options, NULL);
	struct session_options session = options->session;
	session.log = &log;
	struct error *err =
		options->examined
			? session_examine_program(&session, options->examined, &findings)
			: session_examine(&session, options->pid, options->clean, &findings);
	return err ? err : render(options, &findings, out);
}

struct error *command_doctor(const struct options *options)
{
	_cleanup_output_ struct output output;
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = output_open("report", NULL, STDOUT_FILENO, &output);
	if (!err)
		err = options->pid || options->examined ? examine(options, &text)
							: render_permissions(options, &text);
	return err ? err : output_finish(&output, buffer_text(&text), text.count);
}
