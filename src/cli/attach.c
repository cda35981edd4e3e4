/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/output.h"
#include "cli/presentation.h"
#include "session/session.h"

/* The report is opened first: no target is touched for a report that cannot be written. */
struct error *command_attach(const struct options *options)
{
	_cleanup_output_ struct output output;
	struct error *err = output_open(options->report_path, STDOUT_FILENO, &output);
	if (err)
		return err;
	struct log log = command_log(options);
	struct session_options session = options->session;
	session.log = &log;
	struct session_result result = {0};
	err = session_attach(&session, options->pid, &result);
	if (!err)
		err = presentation_write(options, result.snapshot, &output);
	snapshot_destroy(result.snapshot);
	return err;
}
