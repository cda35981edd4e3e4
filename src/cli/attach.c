/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/delivery.h"
#include "cli/interim.h"
#include "cli/status.h"
#include "session/session.h"

/* What is written is opened first: no target is touched for a report that cannot be. */
struct error *command_attach(const struct options *options, struct ending *ret)
{
	_cleanup_delivery_ struct delivery delivery;
	struct error *err = delivery_open(options, STDOUT_FILENO, &delivery);
	if (err)
		return err;
	_cleanup_status_line_ struct status status;
	status_open(options, &status);
	status_follow(&status, options->lookup.server);
	struct log log = command_log(options, &status);
	struct session_options session = options->session;
	session.log = &log;
	session.progress = status_progress(&status);
	struct interim interim = {.options = options, .standard_fd = STDOUT_FILENO};
	session.sink = interim_sink(&interim);
	struct session_result result = {0};
	err = session_attach(&session, options->pid, &result);
	status_close(&status);
	if (!err) {
		err = delivery_write(&delivery, options, result.snapshot);
		ret->undelivered = err != NULL;
	}
	if (!err)
		err = limits_check(&options->limits, &options->query, NULL, result.snapshot,
				   &ret->limit_exceeded);
	snapshot_destroy(result.snapshot);
	return err;
}
