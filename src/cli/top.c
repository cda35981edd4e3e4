/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/output.h"
#include "cli/presentation.h"
#include "cli/saved.h"
#include "cli/terminal.h"
#include "cli/top_live.h"
#include "cli/top_session.h"

static bool has_terminal(void)
{
	return terminal_can_move(STDOUT_FILENO) && isatty(STDIN_FILENO);
}

/* Whether nobody reads any more what we write (a pipe whose reader has gone). */
static bool is_unread(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	return poll(&output, 1, 0) > 0 && output.revents & POLLERR;
}

static struct error *report(const struct options *options, struct top_session *session)
{
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	_cleanup_output_ struct output output;
	struct error *err = output_open("report", NULL, STDOUT_FILENO, &output);
	if (!err)
		err = top_session_fetch(session, CONTROL_SNAPSHOT, NULL, &snapshot);
	if (!err)
		err = presentation_check_question(&options->query, snapshot);
	return err ? err
		   : presentation_write(options, &options->query, snapshot, PRESENTATION_SAVED,
					&output);
}

/* A report each interval, until a signal, the end of tracing, or nobody reads them. */
static struct error *report_on(const struct options *options, struct top_session *session,
			       int *signal_ret)
{
	uint64_t interval_ns = top_interval_ns(options);
	const struct timespec interval = {.tv_sec = (time_t)(interval_ns / 1000000000u),
					  .tv_nsec = (long)(interval_ns % 1000000000u)};
	static const struct timespec at_once;
	sigset_t signals = top_ending_signals();
	struct error *err = NULL;
	int number = -1;
	while (!err && number < 0 && !is_unread()) {
		number = sigtimedwait(&signals, NULL, &interval);
		if (number < 0 && errno == EAGAIN)
			err = report(options, session);
	}
	/* That there was no answer may be because we were told to end. */
	if (number < 0)
		number = sigtimedwait(&signals, NULL, &at_once);
	if (number < 0) {
		error_catch(&err, ERROR_GONE);
		return err;
	}
	error_free(err);
	*signal_ret = number == SIGINT ? 0 : number;
	return NULL;
}

struct error *command_top(const struct options *options, struct ending *ret)
{
	bool live = has_terminal();
	sigset_t ending = top_ending_signals(), signals = live ? top_signals() : ending;
	_cleanup_close_ int ending_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!live && !options->session.interval_ns)
		return error_new(ERROR_USAGE, "top needs a terminal to show its view on: give "
					      "--interval 5s to have reports written");
	_cleanup_top_session_ struct top_session session;
	struct error *err = top_session_open(options, live, &session);
	if (err)
		return err;
	session.client.interrupt_fd = ending_fd;
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return live ? top_live(options, &session, &ret->signal)
		    : report_on(options, &session, &ret->signal);
}
