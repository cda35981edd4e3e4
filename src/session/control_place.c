/* SPDX-License-Identifier: MIT */
#include "session/control_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { PRIVATE_MODE = 0700, OTHERS = 077 };

/* Whoever can write to the directory can put a socket of his own there. */
static struct error *check_private(int fd, uid_t owner, const char *path)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return error_system(errno, "cannot look at '%s'", path);
	if (status.st_uid != owner)
		return error_new(ERROR_DENIED, "'%s' belongs to user %u", path, status.st_uid);
	if (status.st_mode & OTHERS)
		return error_new(ERROR_DENIED, "'%s' is open to others (mode %o): chmod 700 it",
				 path, status.st_mode & 07777);
	return NULL;
}

static struct error *open_private(const char *path, uid_t owner, bool make, int *fd_ret)
{
	if (make && mkdir(path, PRIVATE_MODE) != 0 && errno != EEXIST)
		return error_system(errno, "cannot make '%s'", path);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_system(errno, "cannot open '%s'", path);
	struct error *err = check_private(fd, owner, path);
	if (err)
		return err;
	*fd_ret = fd;
	fd = -1;
	return NULL;
}

/* XDG_RUNTIME_DIR may be another user's, under sudo(8). */
static bool runtime_path(char ret[PATH_MAX])
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	struct stat status;
	if (!base || base[0] != '/' || stat(base, &status) != 0 || status.st_uid != geteuid())
		return false;
	return snprintf(ret, PATH_MAX, "%s/tracealloc", base) < PATH_MAX;
}

static void fallback_path(uid_t uid, char ret[PATH_MAX])
{
	snprintf(ret, PATH_MAX, "/tmp/tracealloc-%u", uid);
}

struct error *control_place_make(int *fd_ret)
{
	char path[PATH_MAX];
	if (runtime_path(path)) {
		struct error *err = open_private(path, geteuid(), true, fd_ret);
		if (!err)
			return NULL;
		error_free(err);
	}
	fallback_path(geteuid(), path);
	return open_private(path, geteuid(), true, fd_ret);
}

static uid_t owner_of(pid_t pid)
{
	char path[64];
	struct stat status;
	snprintf(path, sizeof path, "/proc/%d", pid);
	return stat(path, &status) == 0 ? status.st_uid : geteuid();
}

static bool candidate(unsigned i, pid_t pid, char path[PATH_MAX], uid_t *owner_ret)
{
	*owner_ret = i < 2 || geteuid() != 0 ? geteuid() : owner_of(pid);
	if (i == 0)
		return runtime_path(path);
	if (i == 2)
		snprintf(path, PATH_MAX, "/run/user/%u/tracealloc", *owner_ret);
	else
		fallback_path(*owner_ret, path);
	return true;
}

int control_place_open(unsigned i, pid_t pid)
{
	char path[PATH_MAX];
	uid_t owner;
	int fd = -1;
	if (candidate(i, pid, path, &owner))
		error_free(open_private(path, owner, false, &fd));
	return fd;
}

void control_place_name(pid_t pid, char ret[CONTROL_NAME_BYTES])
{
	snprintf(ret, CONTROL_NAME_BYTES, "%d.sock", pid);
}

struct sockaddr_un control_place_address(int directory_fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory_fd,
		 name);
	return address;
}
