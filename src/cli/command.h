/* SPDX-License-Identifier: MIT */
/*
 * The commands: what happens once the command line is understood.
 *
 * run.c, attach.c: one command each, session to report. report.c: saved snapshots to report
 * or export, diff.c: to a comparison. command.c: the choice among them, and those that only print.
 * Does not: parse, print errors, or exit. Private to cli; main thread.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "cli/status.h"
#include "snapshot/snapshot.h"

/*
 * How our process has to end where no error says otherwise: with the status, or, when signal is not
 * 0, by that signal; where both are 0 and a limit of --fail-on is exceeded, with status 3. Valid
 * also beside an error (the target ended, then its report failed).
 */
struct ending {
	int status;
	int signal;
	bool undelivered; /* what was found out could not be written */
	bool limit_exceeded;
};

/* Performs options->command. envp is the target's environment. */
struct error *command_perform(const struct options *options, char *const envp[],
			      struct ending *ret);

struct error *command_run(const struct options *options, char *const envp[], struct ending *ret);
struct error *command_attach(const struct options *options, struct ending *ret);
struct error *command_report(const struct options *options, struct ending *ret);
struct error *command_diff(const struct options *options, struct ending *ret);
struct error *command_doctor(const struct options *options);
struct error *command_ctl(const struct options *options);
struct error *command_top(const struct options *options, struct ending *ret);

/* The log that --quiet and --verbose ask for, around the status line where there is one. */
struct log command_log(const struct options *options, struct status *status);

#endif
