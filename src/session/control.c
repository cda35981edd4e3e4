/* SPDX-License-Identifier: MIT */
#include "session/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/control_place.h"
#include "session/control_serve.h"
#include "session/private.h"

enum {
	CLIENTS_MAX = 16,
	PENDING_MAX = 16,
	PENDING_BLOCKS_MAX = 8 * FROZEN_BLOCKS_MAX, /* some 200 MB */
	SOCKET_MODE = 0600,
};

/* After each round of answers: nobody can keep the lock from others by asking without end. */
static const struct timespec REST = {.tv_nsec = 1000000};
static const uint64_t SAMPLE_NS = 1000000000;
static const uint64_t MILLISECOND_NS = 1000000;

struct client {
	int fd;
	uint64_t heard_ns;
};

/* Invariants: clients[0 .. client_count) are open; pending[0 .. pending_count) wait, oldest first.
 */
struct control {
	struct session *session;
	int directory_fd, listen_fd, wake_fd;
	char name[CONTROL_NAME_BYTES];
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	struct client clients[CLIENTS_MAX];
	size_t client_count;
	struct frozen *pending[PENDING_MAX]; /* under the lock of the taps, as the next two */
	size_t pending_count;
	uint64_t dropped;
	uint64_t next_interval_ns; /* UINT64_MAX: none */
	/* The rate of events: over the second before the last sample. */
	uint64_t next_sample_ns, sampled_events, sampled_ns, events_per_s;
};

struct error *control_create(struct session *session, struct control **ret)
{
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return error_no_memory();
	*control = (struct control){.session = session,
				    .directory_fd = -1,
				    .listen_fd = -1,
				    .next_interval_ns = UINT64_MAX};
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->wake_fd < 0) {
		free(control);
		return error_system(errno, "cannot make an event descriptor");
	}
	*ret = control;
	return NULL;
}

static void wake(struct control *control)
{
	uint64_t one = 1;
	while (write(control->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* ---- the socket */

/* Whether somebody listens at the address. */
static bool is_served(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
			   errno != ECONNREFUSED);
}

/*
 * A socket that nobody serves is of a tracealloc that was killed. Those who look for that take
 * turns.
 */
static struct error *bind_here(struct control *control)
{
	struct sockaddr_un address = control_place_address(control->directory_fd, control->name);
	const struct sockaddr *any = (const struct sockaddr *)&address;
	flock(control->directory_fd, LOCK_EX);
	int failed = bind(control->listen_fd, any, sizeof address);
	if (failed && errno == EADDRINUSE && !is_served(&address)) {
		unlinkat(control->directory_fd, control->name, 0);
		failed = bind(control->listen_fd, any, sizeof address);
	}
	int failure = failed ? errno : 0;
	flock(control->directory_fd, LOCK_UN);
	return failure ? error_system(failure, "cannot make the control socket '%s'", control->name)
		       : NULL;
}

static struct error *open_socket(struct control *control)
{
	struct error *err = control_place_make(&control->directory_fd);
	if (err)
		return err;
	control_place_name(control->session->root, control->name);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_system(errno, "cannot make the control socket");
	/* What bind(2) makes gets the mode of the descriptor. */
	if (fchmod(fd, SOCKET_MODE) != 0)
		return error_system(errno, "cannot make the control socket private");
	control->listen_fd = fd;
	err = bind_here(control);
	if (!err && listen(fd, CLIENTS_MAX) != 0) {
		err = error_system(errno, "cannot listen at the control socket");
		unlinkat(control->directory_fd, control->name, 0);
	}
	if (err)
		control->listen_fd = -1;
	else
		fd = -1;
	return err;
}

static void close_socket(struct control *control)
{
	if (control->listen_fd >= 0) {
		unlinkat(control->directory_fd, control->name, 0);
		close(control->listen_fd);
	}
	control->listen_fd = -1;
}

/* ---- clients */

static void drop(struct control *control, size_t i)
{
	close(control->clients[i].fd);
	control->clients[i] = control->clients[--control->client_count];
}

static void drop_most_silent(struct control *control)
{
	size_t oldest = 0;
	for (size_t i = 1; i < control->client_count; i++)
		if (control->clients[i].heard_ns < control->clients[oldest].heard_ns)
			oldest = i;
	drop(control, oldest);
}

static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void add_client(struct control *control, int fd)
{
	if (!is_trusted(fd)) {
		close(fd);
		return;
	}
	if (control->client_count == CLIENTS_MAX)
		drop_most_silent(control);
	control->clients[control->client_count++] =
		(struct client){.fd = fd, .heard_ns = clock_now_ns()};
}

/* Half of the places at a time: a round of answers comes before anyone new has to go. */
static void accept_clients(struct control *control)
{
	for (int i = 0; i < CLIENTS_MAX / 2; i++) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		add_client(control, fd);
	}
}

/* False: the client is gone, or does not take what it asked for. */
static bool reply_to(int fd, const struct buffer *text, int passed_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = {.bytes = {0}};
	struct iovec piece = {.iov_base = text->bytes, .iov_len = text->count};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	if (passed_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.bytes;
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof passed_fd);
	}
	return !buffer_failed(text) &&
	       sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text->count;
}

static void answer(struct control *control, const char *packet, size_t count, struct buffer *out,
		   int *fd_ret)
{
	struct control_request request;
	struct control_reply reply;
	struct error *err = control_message_asked(packet, count, &request);
	if (!err)
		err = control_serve(control->session, &request, &reply, fd_ret);
	if (err) {
		control_message_refuse(err, out);
		error_free(err);
		return;
	}
	reply.events_per_s = control->events_per_s;
	control_message_answer(&reply, out);
}

static bool serve_client(struct control *control, struct client *client)
{
	char packet[CONTROL_REQUEST_BYTES + 1];
	ssize_t count = recv(client->fd, packet, sizeof packet, MSG_DONTWAIT);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	if (count == 0)
		return false;
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_close_ int fd = -1;
	answer(control, packet, (size_t)count, &out, &fd);
	client->heard_ns = clock_now_ns();
	return reply_to(client->fd, &out, fd);
}

/* ---- what comes by itself */

static void log_failure(const struct session *session, struct error *err)
{
	if (err)
		log_write(session->options->log, LOG_WARNING, "a snapshot failed: %s",
			  error_message(err));
	error_free(err);
}

static struct frozen *next_pending(struct control *control)
{
	struct session *session = control->session;
	struct frozen *frozen = NULL;
	taps_lock(&session->taps);
	if (control->pending_count) {
		frozen = control->pending[0];
		memmove(control->pending, control->pending + 1,
			--control->pending_count * sizeof *control->pending);
	}
	taps_unlock(&session->taps);
	return frozen;
}

static void deliver_pending(struct control *control)
{
	struct frozen *frozen;
	while ((frozen = next_pending(control))) {
		log_failure(control->session, control_deliver(control->session, frozen, NULL));
		frozen_destroy(frozen);
	}
}

/* Whether there is room for one more: they hold what lived at their moments. */
static bool has_room(const struct control *control, const struct frozen *frozen)
{
	size_t blocks = frozen->block_count;
	for (size_t i = 0; i < control->pending_count; i++)
		blocks += control->pending[i]->block_count;
	return control->pending_count == 0 ||
	       (control->pending_count < PENDING_MAX && blocks <= PENDING_BLOCKS_MAX);
}

void control_submit(struct control *control, struct frozen *frozen)
{
	if (!has_room(control, frozen)) {
		control->dropped++;
		frozen_destroy(frozen);
		return;
	}
	control->pending[control->pending_count++] = frozen;
	wake(control);
}

/* What agents have recorded last is perhaps not taken yet: it is in the report alone. */
static bool has_ended(struct session *session)
{
	taps_lock(&session->taps);
	bool ended = session->stopped;
	taps_unlock(&session->taps);
	return ended;
}

/* Where a snapshot takes longer than the interval the next one comes late, not twice. */
static void keep_interval(struct control *control, uint64_t now_ns)
{
	struct session *session = control->session;
	if (now_ns < control->next_interval_ns || has_ended(session))
		return;
	log_failure(session, control_deliver_now(session, NULL));
	uint64_t step_ns = session->options->interval_ns;
	control->next_interval_ns += step_ns;
	now_ns = clock_now_ns();
	if (control->next_interval_ns <= now_ns)
		control->next_interval_ns = now_ns + step_ns;
}

static void sample(struct control *control, uint64_t now_ns)
{
	struct session *session = control->session;
	if (now_ns < control->next_sample_ns)
		return;
	taps_lock(&session->taps);
	uint64_t events = ledger_totals(session->ledger)->events;
	taps_unlock(&session->taps);
	uint64_t passed_ns = now_ns - control->sampled_ns;
	if (control->sampled_ns && passed_ns)
		control->events_per_s = (uint64_t)((double)(events - control->sampled_events) *
						   1e9 / (double)passed_ns);
	control->sampled_events = events;
	control->sampled_ns = now_ns;
	control->next_sample_ns = now_ns + SAMPLE_NS;
}

static int timeout_ms(const struct control *control, uint64_t now_ns)
{
	uint64_t next_ns = control->next_sample_ns;
	if (control->next_interval_ns < next_ns)
		next_ns = control->next_interval_ns;
	return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns) / MILLISECOND_NS + 1);
}

/* One look at everybody: at most one request of each client is served, in turn. */
static void serve_all(struct control *control)
{
	struct pollfd fds[CLIENTS_MAX + 2];
	size_t clients = control->client_count;
	for (size_t i = 0; i < clients; i++)
		fds[i] = (struct pollfd){.fd = control->clients[i].fd, .events = POLLIN};
	fds[clients] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	fds[clients + 1] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
	if (poll(fds, clients + 2, timeout_ms(control, clock_now_ns())) <= 0)
		return;
	uint64_t woken;
	if (fds[clients].revents && read(control->wake_fd, &woken, sizeof woken) < 0)
		return;
	bool served = false;
	for (size_t i = clients; i-- > 0;) {
		served |= fds[i].revents != 0;
		if (fds[i].revents && !serve_client(control, &control->clients[i]))
			drop(control, i);
	}
	if (fds[clients + 1].revents)
		accept_clients(control);
	if (served)
		nanosleep(&REST, NULL);
}

static void *control_main(void *context)
{
	struct control *control = context;
	struct session *session = control->session;
	if (session->options->interval_ns)
		control->next_interval_ns = clock_now_ns() + session->options->interval_ns;
	while (!atomic_load(&control->stop)) {
		serve_all(control);
		deliver_pending(control);
		uint64_t now_ns = clock_now_ns();
		sample(control, now_ns);
		if (!atomic_load(&control->stop))
			keep_interval(control, now_ns);
	}
	deliver_pending(control);
	return NULL;
}

/* ---- beginning and end */

struct error *control_start(struct control *control)
{
	sigset_t all, old;
	_cleanup_error_ struct error *unserved = open_socket(control);
	if (unserved)
		log_write(control->session->options->log, LOG_INFO,
			  "'tracealloc ctl' will not work: %s", error_message(unserved));
	sigfillset(&all); /* signals are the main thread's and, one, the tracer thread's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = pthread_create(&control->thread, NULL, control_main, control);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failure)
		return error_system(failure, "cannot start a thread");
	control->running = true;
	return NULL;
}

void control_stop(struct control *control)
{
	if (!control->running)
		return;
	atomic_store(&control->stop, true);
	wake(control);
	pthread_join(control->thread, NULL);
	control->running = false;
	close_socket(control);
	while (control->client_count)
		drop(control, 0);
	if (control->dropped)
		log_write(control->session->options->log, LOG_WARNING,
			  "%llu snapshots were not taken: they were asked for faster than they can "
			  "be written",
			  (unsigned long long)control->dropped);
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	control_stop(control);
	close_socket(control);
	if (control->directory_fd >= 0)
		close(control->directory_fd);
	close(control->wake_fd);
	for (size_t i = 0; i < control->pending_count; i++)
		frozen_destroy(control->pending[i]);
	free(control);
}
