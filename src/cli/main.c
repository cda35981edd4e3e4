/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/command_line.h"
#include "cli/message.h"
#include "cli/options.h"

enum {
	EXIT_OURS = 1,
	EXIT_USAGE = 2,
	EXIT_LIMIT = 3,
	EXIT_UNDELIVERED = 4,
	EXIT_SIGNALLED = 128,
};

/*
 * A standard descriptor that we were started without must not become that of the next file we open:
 * messages would land in it. The place is taken by one that refuses the use it stands for (EBADF,
 * as if it were closed), and that the target does not inherit.
 */
static void occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	}
}

static void ignore(int signal_number)
{
	(void)signal_number;
}

/*
 * A reader that goes away must not end us while a target depends on us: write(2) then fails with
 * EPIPE. Nor must a limit on the size of files (RLIMIT_FSIZE), which then gives EFBIG. A handler
 * rather than SIG_IGN, because exec resets it: the target starts with the disposition that we were
 * started with. One that was ignored already stays so, for both.
 */
static void survive_refused_writes(void)
{
	static const int signals[] = {SIGPIPE, SIGXFSZ};
	struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART}, before;
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
}

/*
 * Ends us as the target ended, so that a caller sees the same wait status. The core dump would be
 * ours, and nobody asked for it; a limit of 0 alone does not stop a pipe in core_pattern (core(5)).
 */
static void die_of(int signal_number)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t mask;
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	prctl(PR_SET_DUMPABLE, 0);
	sigaction(signal_number, &action, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, signal_number);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	raise(signal_number);
}

static int status_of(const struct error *err, const struct ending *ending)
{
	if (ending->signal)
		return EXIT_SIGNALLED + ending->signal;
	if (ending->status)
		return ending->status;
	if (!err)
		return ending->limit_exceeded ? EXIT_LIMIT : 0;
	if (ending->undelivered)
		return EXIT_UNDELIVERED;
	return error_kind_of(err) == ERROR_USAGE ? EXIT_USAGE : EXIT_OURS;
}

int main(int argc, char **argv)
{
	occupy_standard_descriptors();
	survive_refused_writes();
	_cleanup_options_ struct options options;
	options_init(&options);
	struct ending ending = {0};
	_cleanup_error_ struct error *err =
		command_line_parse(&options, secure_getenv(COMMAND_LINE_VARIABLE), argc, argv);
	if (!err)
		err = command_perform(&options, environ, &ending);
	if (err)
		message_error(err);
	if (ending.signal)
		die_of(ending.signal);
	return status_of(err, &ending);
}
