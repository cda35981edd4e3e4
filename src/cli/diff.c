/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/output.h"
#include "cli/presentation.h"
#include "cli/saved.h"
#include "cli/status.h"

struct error *command_diff(const struct options *options, struct ending *ret)
{
	_cleanup_status_line_ struct status status;
	status_open(options, &status);
	status_follow(&status, options->lookup.server);
	struct lookup lookup = options->lookup;
	lookup.progress = status_symbols(&status);
	struct log log = command_log(options, &status);
	_cleanup_output_ struct output output;
	_cleanup_snapshot_ struct snapshot *old = NULL, *new = NULL;
	struct error *err = output_open("report", options->report_path, STDOUT_FILENO, &output);
	if (!err)
		err = saved_read(options->paths[0], &lookup, &log, &old);
	if (!err)
		err = saved_read(options->paths[1], &lookup, &log, &new);
	status_close(&status);
	if (err)
		return err;
	struct query query = options->query;
	bool runs = old->origin == SNAPSHOT_RUN && new->origin == SNAPSHOT_RUN;
	if (!options->show_given)
		query.show = runs ? QUERY_PEAK : QUERY_CURRENT;
	err = presentation_check_question(&query, old);
	if (!err)
		err = presentation_check_question(&query, new);
	if (!err)
		err = presentation_write_diff(options, &query, old, new, &output);
	return err ? err : limits_check(&options->limits, &query, old, new, &ret->limit_exceeded);
}
