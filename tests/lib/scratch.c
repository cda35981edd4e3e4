/* SPDX-License-Identifier: MIT */
#include "lib/scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

void scratch_make(struct scratch *ret)
{
	snprintf(ret->path, sizeof(ret->path), "/tmp/tracealloc-test-XXXXXX");
	if (!mkdtemp(ret->path))
		ck_abort_msg("cannot make a directory %s: %s", ret->path, strerror(errno));
	chmod(ret->path, 0755);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)kind;
	(void)where;
	return remove(path);
}

void scratch_remove(struct scratch *scratch)
{
	if (scratch->path[0])
		nftw(scratch->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

char *scratch_file(const struct scratch *scratch, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", scratch->path, name) < 0)
		ck_abort_msg("no memory");
	return path;
}

char *scratch_read(const char *path, size_t *size_ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0, capacity = 1 << 16;
	char *bytes = malloc(capacity);

	if (fd < 0 || !bytes)
		ck_abort_msg("cannot read %s: %s", path, strerror(errno));
	for (;;) {
		ssize_t got = read(fd, bytes + size, capacity - size - 1);

		if (got < 0)
			ck_abort_msg("cannot read %s: %s", path, strerror(errno));
		if (got == 0)
			break;
		size += (size_t)got;
		if (size + 1 == capacity) {
			capacity *= 2;
			bytes = realloc(bytes, capacity);
			if (!bytes)
				ck_abort_msg("no memory for %s", path);
		}
	}
	bytes[size] = '\0';
	if (size_ret)
		*size_ret = size;
	return bytes;
}

void scratch_write(const char *path, const void *bytes, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	if (!file || fwrite(bytes, 1, size, file) != size || fflush(file) != 0)
		ck_abort_msg("cannot write %s: %s", path, strerror(errno));
}
