/* SPDX-License-Identifier: MIT */
#include "cli/top_live.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/top_keys.h"
#include "cli/top_view.h"

/* Nobody tells that the terminal is ours again. */
enum { FILES_MAX = 10000, AWAY_MS = 200 };

struct live {
	struct top_session *session;
	struct top_view view;
	uint64_t interval_ns, next_ns;
	int signal_fd;
	pid_t pid;
	bool quit;
	int signal;
};

/* Those that end a view stand first. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
enum { ENDING = 4, SIGNALS = sizeof signals / sizeof *signals };

static sigset_t first_signals(size_t count)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	return set;
}

sigset_t top_ending_signals(void)
{
	return first_signals(ENDING);
}

sigset_t top_signals(void)
{
	return first_signals(SIGNALS);
}

uint64_t top_interval_ns(const struct options *options)
{
	static const uint64_t second_ns = 1000000000u, least_ns = TOP_INTERVAL_MIN_MS * 1000000u;
	uint64_t asked_ns = options->session.interval_ns ? options->session.interval_ns : second_ns;
	return asked_ns < least_ns ? least_ns : asked_ns;
}

/* ---- what is asked of the tracer */

static struct error *take(struct live *live)
{
	struct snapshot *snapshot = NULL;
	struct error *err = top_session_fetch(live->session, CONTROL_GLANCE, NULL, &snapshot);
	return err ? err : top_model_take(&live->view.model, snapshot);
}

/* Where tracing has ended the last picture stays, for who wants to look at it. */
static void refresh(struct live *live)
{
	struct error *err = take(live);
	if (err && error_kind_of(err) == ERROR_GONE)
		live->view.ended = true;
	top_view_note(&live->view, err);
	live->next_ns = clock_now_ns() + live->interval_ns;
}

/* The first name of our own that nobody has. */
static bool find_name(pid_t pid, char *ret, size_t room)
{
	for (unsigned i = 1; i <= FILES_MAX; i++) {
		snprintf(ret, room, "tracealloc-%d.%u.snapshot", pid, i);
		if (access(ret, F_OK) != 0 && errno == ENOENT)
			return true;
	}
	return false;
}

static struct error *save(struct live *live)
{
	char name[64];
	_cleanup_output_ struct output output = {.fd = -1};
	_cleanup_buffer_ struct buffer bytes = {0};
	if (!find_name(live->pid, name, sizeof name))
		return error_new(ERROR_UNSUPPORTED, "no snapshot can be saved in this directory");
	struct error *err = top_session_fetch(live->session, CONTROL_SNAPSHOT, &bytes, NULL);
	if (!err)
		err = output_open("snapshot", name, -1, &output);
	if (!err)
		err = output_finish(&output, bytes.bytes, bytes.count);
	if (!err)
		snprintf(live->view.note, sizeof live->view.note, "saved %s", name);
	return err;
}

static struct error *reset_peak(struct live *live)
{
	struct error *err = top_session_reset_peak(live->session);
	if (!err)
		snprintf(live->view.note, sizeof live->view.note, "the peak counts from here");
	return err;
}

static void grant(struct live *live, enum top_wish wish)
{
	if (wish == TOP_QUIT)
		live->quit = true;
	else if (wish == TOP_SAVE)
		top_view_note(&live->view, save(live));
	else if (wish == TOP_RESET_PEAK)
		top_view_note(&live->view, reset_peak(live));
}

/* ---- signals */

/* Stops as the signal would have stopped us, with the terminal as others left it. */
static void suspend(struct live *live)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	top_screen_leave(&live->view.screen);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	live->next_ns = clock_now_ns();
}

/*
 * Takes the terminal, if that is ours to take. In the background it would stop us, and then no
 * signal that is to end us would.
 */
static struct error *take_terminal(struct live *live)
{
	struct top_screen *screen = &live->view.screen;
	if (top_screen_is_shown(screen) || !terminal_is_ours(STDIN_FILENO))
		return NULL;
	if (!screen->terminal)
		return top_screen_open(screen);
	top_screen_return(screen);
	return NULL;
}

static void handle_signal(struct live *live)
{
	struct signalfd_siginfo info;
	if (read(live->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	switch (info.ssi_signo) {
	case SIGTSTP:
		suspend(live);
		return;
	case SIGCONT:
		return;
	case SIGWINCH:
		top_screen_resize(&live->view.screen);
		return;
	case SIGINT:
		live->quit = true;
		return;
	default:
		live->quit = true;
		live->signal = (int)info.ssi_signo;
	}
}

static int patience_ms(const struct live *live)
{
	uint64_t now_ns = clock_now_ns();
	if (!top_screen_is_shown(&live->view.screen))
		return AWAY_MS;
	if (live->view.ended)
		return -1;
	uint64_t left_ms = live->next_ns > now_ns ? (live->next_ns - now_ns) / 1000000 + 1 : 0;
	return left_ms > 1000000 ? 1000000 : (int)left_ms;
}

static void read_keys(struct live *live)
{
	int key;
	while (!live->quit && (key = top_screen_key()) != TOP_NO_KEY)
		grant(live, top_keys_press(&live->view, key));
}

static void step(struct live *live)
{
	bool shown = top_screen_is_shown(&live->view.screen);
	struct pollfd sources[] = {{.fd = live->signal_fd, .events = POLLIN},
				   {.fd = STDIN_FILENO, .events = shown ? POLLIN : 0}};
	if (poll(sources, 2, patience_ms(live)) < 0)
		return;
	if (sources[0].revents) {
		handle_signal(live);
	} else if (sources[1].revents & (POLLHUP | POLLERR | POLLNVAL)) {
		live->quit = true;
		live->signal = SIGHUP;
	} else if (sources[1].revents) {
		read_keys(live);
	}
	if (!live->quit && !live->view.ended && clock_now_ns() >= live->next_ns)
		refresh(live);
}

static struct error *show_until_quit(struct live *live)
{
	struct error *err = take(live);
	live->next_ns = clock_now_ns() + live->interval_ns;
	while (!err && !live->quit) {
		err = take_terminal(live);
		if (!err && top_screen_is_shown(&live->view.screen))
			top_view_draw(&live->view);
		if (!err)
			step(live);
	}
	return err;
}

struct error *top_live(const struct options *options, struct top_session *session, int *signal_ret)
{
	sigset_t all = top_signals();
	_cleanup_close_ int signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	struct live live = {.session = session,
			    .interval_ns = top_interval_ns(options),
			    .signal_fd = signal_fd,
			    .pid = options->pid};
	if (signal_fd < 0)
		return error_system(errno, "cannot wait for signals");
	top_model_init(&options->query, &live.view.model);
	struct error *err = show_until_quit(&live);
	top_screen_close(&live.view.screen);
	top_model_deinit(&live.view.model);
	*signal_ret = live.signal;
	return err;
}
