/* SPDX-License-Identifier: MIT */
#include "cli/top_session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command_line.h"
#include "cli/output.h"
#include "cli/terminal.h"

/* A minute; and after half a second it is said what is waited for. */
enum { ROUND_NS = 20000000, ROUNDS_MAX = 3000, ROUNDS_UNSAID = 25 };

static const char *const engines[] = {"auto", "jump", "breakpoint"};

/* The tracer's command line, all of it options and the process; the caller frees the array. */
static char **tracer_argv(const struct options *options, const char *pid)
{
	const char *const first[] = {"tracealloc", "attach",   "--quiet",
				     "--status",   "no",       "--report",
				     "/dev/null",  "--engine", engines[options->session.engine]};
	size_t count = sizeof first / sizeof *first;
	const char **argv = calloc(count + 2 * options->lookup.debug_count + 2, sizeof *argv);
	if (!argv)
		return NULL;
	memcpy(argv, first, sizeof first);
	for (size_t i = 0; i < options->lookup.debug_count; i++) {
		argv[count++] = "--debug-path";
		argv[count++] = options->lookup.debug_paths[i];
	}
	argv[count] = pid;
	return (char **)argv;
}

/* In the child. Its standard error is the file, so that nothing lands on the screen. */
static _Noreturn void become_tracer(char *const argv[], pid_t parent, int messages_fd)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	int nothing_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (getppid() != parent || nothing_fd < 0 || dup2(nothing_fd, STDIN_FILENO) < 0 ||
	    dup2(nothing_fd, STDOUT_FILENO) < 0 || dup2(messages_fd, STDERR_FILENO) < 0)
		_exit(1);
	/* Defaults of the environment are of what we are asked, not of what we do for it. */
	unsetenv(COMMAND_LINE_VARIABLE);
	execv("/proc/self/exe", argv);
	_exit(1);
}

static struct error *start(const struct options *options, struct top_session *session)
{
	pid_t parent = getpid();
	char pid[16];
	snprintf(pid, sizeof pid, "%d", options->pid);
	_cleanup_free_ char **argv = tracer_argv(options, pid);
	if (!argv)
		return error_no_memory();
	session->messages_fd = memfd_create("messages", MFD_CLOEXEC);
	if (session->messages_fd < 0)
		return error_system(errno, "cannot start the tracer");
	pid_t tracer = fork();
	if (tracer < 0)
		return error_system(errno, "cannot start the tracer");
	if (tracer == 0)
		become_tracer(argv, parent, session->messages_fd);
	session->tracer = tracer;
	return NULL;
}

/* What the child said at its end, as an error of ours. */
static struct error *explain(const struct top_session *session)
{
	static const char prefix[] = "tracealloc: ";
	char text[1024];
	ssize_t count = pread(session->messages_fd, text, sizeof text - 1, 0);
	text[count > 0 ? count : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	const char *message =
		strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
	if (!*message)
		message = "tracing ended as soon as it began: has the process ended?";
	return error_new(ERROR_SYSTEM, "%s", message);
}

static void say_waiting(const struct options *options, struct top_session *session)
{
	char text[64];
	int count = snprintf(text, sizeof text, "attaching to process %d ...", options->pid);
	if (!terminal_is_ours(STDOUT_FILENO))
		return;
	error_free(output_write(STDOUT_FILENO, text, (size_t)count));
	session->says_waiting = true;
}

static void unsay(struct top_session *session)
{
	static const char erase[] = "\r\033[K";
	if (session->says_waiting && terminal_is_ours(STDOUT_FILENO))
		error_free(output_write(STDOUT_FILENO, erase, sizeof erase - 1));
	session->says_waiting = false;
}

/* Until it can be asked or has ended: it has a socket once its probes are in. */
static struct error *await(const struct options *options, bool tell, struct top_session *session)
{
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		if (tell && round == ROUNDS_UNSAID)
			say_waiting(options, session);
		struct error *err = control_client_open(options->pid, &session->client);
		if (!error_catch(&err, ERROR_NOT_FOUND))
			return err;
		if (waitpid(session->tracer, NULL, WNOHANG) != 0) {
			session->tracer = 0;
			return explain(session);
		}
		nanosleep(&(struct timespec){.tv_nsec = ROUND_NS}, NULL);
	}
	return error_new(ERROR_UNSUPPORTED,
			 "the tracer of process %d cannot be asked: does its directory for "
			 "sockets ($XDG_RUNTIME_DIR/tracealloc or /tmp/tracealloc-UID) belong to "
			 "another user?",
			 options->pid);
}

struct error *top_session_open(const struct options *options, bool live, struct top_session *ret)
{
	bool tell = live && !options->quiet;
	*ret = (struct top_session){.client = {.fd = -1}, .messages_fd = -1};
	struct error *err = control_client_open(options->pid, &ret->client);
	if (!error_catch(&err, ERROR_NOT_FOUND))
		return err;
	err = start(options, ret);
	if (!err)
		err = await(options, tell, ret);
	unsay(ret);
	if (err)
		top_session_close(ret);
	return err;
}

void top_session_close(struct top_session *session)
{
	control_client_close(&session->client);
	if (session->tracer) {
		kill(session->tracer, SIGTERM);
		kill(session->tracer, SIGCONT); /* in case somebody has stopped it */
		while (waitpid(session->tracer, NULL, 0) < 0 && errno == EINTR)
			;
	}
	session->tracer = 0;
	if (session->messages_fd >= 0)
		close(session->messages_fd);
	session->messages_fd = -1;
}

struct error *top_session_fetch(struct top_session *session, enum control_verb verb,
				struct buffer *bytes, struct snapshot **ret)
{
	_cleanup_buffer_ struct buffer own = {0};
	struct control_request request = {.verb = verb};
	struct control_reply reply;
	return control_client_fetch(&session->client, &request, &reply, bytes ? bytes : &own, ret);
}

struct error *top_session_reset_peak(struct top_session *session)
{
	struct control_request request = {.verb = CONTROL_RESET_PEAK};
	struct control_reply reply;
	return control_client_ask(&session->client, &request, &reply);
}
