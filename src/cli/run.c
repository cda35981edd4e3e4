/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/output.h"
#include "cli/presentation.h"
#include "session/session.h"

/* The report is opened first: a target must not run for hours to a report that cannot be written.
 */
struct error *command_run(const struct options *options, char *const envp[], struct ending *ret)
{
	_cleanup_output_ struct output output;
	struct error *err = output_open(options->report_path, STDERR_FILENO, &output);
	if (err)
		return err;
	struct log log = command_log(options);
	struct session_options session = options->session;
	session.log = &log;
	struct session_result result = {0};
	err = session_run(&session, options->program, envp, &result);
	if (!err)
		err = presentation_write(options, result.snapshot, &output);
	/* Its end is ours even where it was let go of before: after the report, which is ready. */
	session_await(&result);
	if (result.exited)
		*ret = (struct ending){.status = result.exit_status, .signal = result.signal};
	snapshot_destroy(result.snapshot);
	return err;
}
