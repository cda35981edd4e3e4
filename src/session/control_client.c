/* SPDX-License-Identifier: MIT */
#include "session/control_client.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "session/control_place.h"
#include "snapshot/file.h"

enum { PATIENCE_MS = 60000 };

/* Larger than any that is made: see cli/saved.c. */
static const off_t SNAPSHOT_MAX_BYTES = (off_t)1 << 30;

void control_client_close(struct control_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* ---- finding */

/* Who answers must be ourselves or root; root may ask everybody. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0 || geteuid() == 0);
}

static int connect_to(int directory_fd, const char *name)
{
	struct sockaddr_un address = control_place_address(directory_fd, name);
	/* Of connecting, where others wait in line (unix(7)). */
	const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 || !is_trusted(fd))
		return -1;
	int connected = fd;
	fd = -1;
	return connected;
}

/* Whether the tracealloc at the other end knows the process. */
static bool traces(struct control_client *client)
{
	struct control_request request = {.verb = CONTROL_STATUS};
	struct control_reply reply;
	struct error *err = control_client_ask(client, &request, &reply);
	error_free(err);
	return !err;
}

static bool try_name(int directory_fd, const char *name, struct control_client *client)
{
	client->fd = connect_to(directory_fd, name);
	if (client->fd >= 0 && traces(client))
		return true;
	control_client_close(client);
	return false;
}

/* A child of a tree has no socket of its own: so everybody is asked. */
static bool try_all(int directory_fd, struct control_client *client)
{
	int fd = dup(directory_fd);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	bool found = false;
	const struct dirent *entry;
	while (!found && (entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			found = try_name(directory_fd, entry->d_name, client);
	closedir(directory);
	return found;
}

struct error *control_client_open(pid_t pid, struct control_client *ret)
{
	char name[CONTROL_NAME_BYTES];
	bool found = false;
	*ret = (struct control_client){.fd = -1, .interrupt_fd = -1, .pid = pid};
	control_place_name(pid, name);
	for (unsigned i = 0; i < CONTROL_PLACES && !found; i++) {
		_cleanup_close_ int directory_fd = control_place_open(i, pid);
		if (directory_fd >= 0)
			found = try_name(directory_fd, name, ret) || try_all(directory_fd, ret);
	}
	if (found)
		return NULL;
	return error_new(ERROR_NOT_FOUND,
			 "no tracealloc of yours traces process %d: start one with 'tracealloc "
			 "attach %d'",
			 pid, pid);
}

/* ---- asking */

static struct error *ended(const struct control_client *client)
{
	return error_new(ERROR_GONE, "tracing of process %d has ended", client->pid);
}

static struct error *await_reply(const struct control_client *client)
{
	struct pollfd sources[] = {{.fd = client->fd, .events = POLLIN},
				   {.fd = client->interrupt_fd, .events = POLLIN}};
	int ready;
	do
		ready = poll(sources, 2, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return error_system(errno, "cannot wait for an answer");
	return sources[0].revents
		       ? NULL
		       : error_new(ERROR_UNSUPPORTED,
				   "the tracealloc that traces process %d does not answer",
				   client->pid);
}

/* At most one descriptor is taken; the kernel closes those beyond the room for it. */
static struct error *receive(const struct control_client *client, struct buffer *out, int *fd_ret)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	_cleanup_free_ char *bytes = malloc(CONTROL_REPLY_BYTES);
	if (!bytes)
		return error_no_memory();
	struct iovec piece = {.iov_base = bytes, .iov_len = CONTROL_REPLY_BYTES};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control.bytes};
	ssize_t count = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC);
	if (count <= 0)
		return ended(client);
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd_ret, CMSG_DATA(header), sizeof *fd_ret);
	buffer_append(out, bytes, (size_t)count);
	return buffer_failed(out) ? error_no_memory() : NULL;
}

static struct error *converse(const struct control_client *client, struct control_request *request,
			      struct control_reply *reply, int *fd_ret)
{
	_cleanup_buffer_ struct buffer question = {0}, answer = {0};
	request->pid = client->pid;
	control_message_ask(request, &question);
	if (buffer_failed(&question))
		return error_no_memory();
	if (send(client->fd, question.bytes, question.count, MSG_NOSIGNAL) < 0)
		return ended(client);
	struct error *err = await_reply(client);
	if (!err)
		err = receive(client, &answer, fd_ret);
	return err ? err : control_message_answered(answer.bytes, answer.count, reply);
}

struct error *control_client_ask(struct control_client *client, struct control_request *request,
				 struct control_reply *reply)
{
	_cleanup_close_ int fd = -1;
	return converse(client, request, reply, &fd);
}

static struct error *read_all(int fd, struct buffer *out)
{
	struct stat status;
	char piece[1 << 16];
	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
	    status.st_size > SNAPSHOT_MAX_BYTES)
		return error_new(ERROR_BAD_INPUT, "the answer came without its snapshot");
	for (off_t at = 0; at < status.st_size;) {
		ssize_t got = pread(fd, piece, sizeof piece, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_system(got ? errno : EIO, "cannot read the snapshot");
		buffer_append(out, piece, (size_t)got);
		at += got;
	}
	return buffer_failed(out) ? error_no_memory() : NULL;
}

struct error *control_client_fetch(struct control_client *client, struct control_request *request,
				   struct control_reply *reply, struct buffer *bytes,
				   struct snapshot **ret)
{
	_cleanup_close_ int fd = -1;
	struct error *err = converse(client, request, reply, &fd);
	if (!err)
		err = read_all(fd, bytes);
	if (err || !ret)
		return err;
	err = file_decode(bytes->bytes, bytes->count, ret);
	return err ? error_wrap(err, "cannot read the snapshot") : NULL;
}

void control_client_await_end(struct control_client *client)
{
	struct pollfd end = {.fd = client->fd, .events = POLLIN};
	while (poll(&end, 1, PATIENCE_MS) < 0 && errno == EINTR)
		;
}
