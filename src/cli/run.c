/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/delivery.h"
#include "session/session.h"

/* What is written is opened first: a target must not run for hours to a report that cannot be. */
struct error *command_run(const struct options *options, char *const envp[], struct ending *ret)
{
	_cleanup_delivery_ struct delivery delivery;
	struct error *err = delivery_open(options, STDERR_FILENO, &delivery);
	if (err)
		return err;
	struct log log = command_log(options);
	struct session_options session = options->session;
	session.log = &log;
	struct session_result result = {0};
	err = session_run(&session, options->program, envp, &result);
	if (!err)
		err = delivery_write(&delivery, options, result.snapshot);
	/* Its end is ours even where it was let go of before: after the report, which is ready. */
	session_await(&result);
	if (result.exited)
		*ret = (struct ending){.status = result.exit_status, .signal = result.signal};
	snapshot_destroy(result.snapshot);
	return err;
}
