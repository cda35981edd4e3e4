/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { NAME_ATTEMPTS = 100 };

static struct error *cannot_write(const struct output *output, int errno_value)
{
	if (!output->path)
		return error_system(errno_value, "cannot write the %s", output->noun);
	return error_system(errno_value, "cannot write %s '%s'", output->noun, output->path);
}

static struct error *open_in_place(struct output *output)
{
	_cleanup_close_ int fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cannot_write(output, errno);
	struct stat status;
	if (fstat(fd, &status) != 0)
		return cannot_write(output, errno);
	if (S_ISREG(status.st_mode))
		return error_new(ERROR_UNSUPPORTED,
				 "cannot write %s '%s': it is a symbolic link: name the file "
				 "itself",
				 output->noun, output->path);
	output->fd = fd;
	fd = -1;
	return NULL;
}

/* A name left over by a killed run of the same process id is passed by. */
static struct error *open_temporary(struct output *output)
{
	for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
		_cleanup_free_ char *name = NULL;
		if (asprintf(&name, "%s.%d-%d.tmp", output->path, (int)getpid(), attempt) < 0) {
			name = NULL;
			return error_no_memory();
		}
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (fd >= 0) {
			output->fd = fd;
			output->temporary = take_ptr(name);
			return NULL;
		}
		if (errno != EEXIST)
			return cannot_write(output, errno);
	}
	return cannot_write(output, EEXIST);
}

struct error *output_open(const char *noun, const char *path, int standard_fd, struct output *ret)
{
	*ret = (struct output){.noun = noun, .fd = -1, .path = path};
	if (!path) {
		ret->fd = standard_fd;
		return NULL;
	}
	struct stat status;
	if (lstat(path, &status) != 0)
		return errno == ENOENT ? open_temporary(ret) : cannot_write(ret, errno);
	return S_ISREG(status.st_mode) ? open_temporary(ret) : open_in_place(ret);
}

struct error *output_write(int fd, const char *text, size_t count)
{
	while (count > 0) {
		ssize_t written = write(fd, text, count);
		if (written >= 0) {
			text += written;
			count -= (size_t)written;
		} else if (errno == EAGAIN) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};
			poll(&room, 1, -1);
		} else if (errno != EINTR) {
			return error_system(errno, "write");
		}
	}
	return NULL;
}

/* A disk may say that it is full only here. */
static struct error *settle(struct output *output)
{
	int fd = output->fd;
	if (output->temporary && fsync(fd) != 0)
		return cannot_write(output, errno);
	output->fd = -1;
	if (close(fd) != 0 && errno != EINTR)
		return cannot_write(output, errno);
	if (!output->temporary)
		return NULL;
	if (rename(output->temporary, output->path) != 0)
		return cannot_write(output, errno);
	free(take_ptr(output->temporary));
	return NULL;
}

struct error *output_finish(struct output *output, const char *text, size_t count)
{
	_cleanup_error_ struct error *err = output_write(output->fd, text, count);
	if (err && !output->path && error_errno(err) == EPIPE)
		return NULL;
	if (err)
		return cannot_write(output, error_errno(err));
	return output->path ? settle(output) : NULL;
}

void output_deinit(struct output *output)
{
	if (output->path && output->fd >= 0)
		close(output->fd);
	if (output->temporary)
		unlink(output->temporary);
	free(output->temporary);
	*output = (struct output){.fd = -1};
}
