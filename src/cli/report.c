/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <unistd.h>

#include "cli/output.h"
#include "cli/presentation.h"
#include "cli/saved.h"
#include "cli/status.h"

/* As the session would have shown it: a run at its peak, an attach at its end. */
static struct query query_of(const struct options *options, const struct snapshot *snapshot)
{
	struct query query = options->query;
	if (!options->show_given)
		query.show = snapshot->origin == SNAPSHOT_RUN ? QUERY_PEAK : QUERY_CURRENT;
	return query;
}

struct error *command_report(const struct options *options, struct ending *ret)
{
	_cleanup_status_line_ struct status status;
	status_open(options, &status);
	status_follow(&status, options->lookup.server);
	struct lookup lookup = options->lookup;
	lookup.progress = status_symbols(&status);
	struct log log = command_log(options, &status);
	_cleanup_output_ struct output output;
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	struct error *err = output_open("report", options->report_path, STDOUT_FILENO, &output);
	if (!err)
		err = presentation_check(options, &output);
	if (!err)
		err = saved_read_all(options->paths, options->path_count, &lookup, &log, &snapshot);
	status_close(&status);
	if (err)
		return err;
	struct query query = query_of(options, snapshot);
	err = presentation_check_question(&query, snapshot);
	if (!err)
		err = presentation_write(options, &query, snapshot, PRESENTATION_SAVED, &output);
	return err ? err
		   : limits_check(&options->limits, &query, NULL, snapshot, &ret->limit_exceeded);
}
