/* SPDX-License-Identifier: MIT */
#include "cli/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "cli/symbols.h"
#include "snapshot/file.h"
#include "snapshot/merge.h"

/* Larger than any that is written: a session of a million sites makes some ten MiB. */
static const uint64_t file_max_bytes = UINT64_C(1) << 30;

static struct error *read_all(int fd, struct buffer *out)
{
	char piece[1 << 16];
	for (;;) {
		ssize_t got = read(fd, piece, sizeof piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_system(errno, "read");
		if (got == 0)
			return buffer_failed(out) ? error_no_memory() : NULL;
		buffer_append(out, piece, (size_t)got);
		if (out->count > file_max_bytes)
			return error_new(ERROR_BAD_INPUT, "it is too large for a snapshot");
	}
}

/* The flags: a FIFO must not make us wait, nor a terminal become ours. */
static struct error *read_file(const char *path, struct buffer *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return error_system(errno, "cannot read snapshot '%s'", path);
	struct error *err = S_ISREG(status.st_mode)
				    ? read_all(fd, out)
				    : error_new(ERROR_BAD_INPUT, "it is no regular file");
	return err ? error_wrap(err, "cannot read snapshot '%s'", path) : NULL;
}

struct error *saved_read(const char *path, const struct lookup *lookup, const struct log *log,
			 struct snapshot **ret)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct error *err = read_file(path, &bytes);
	if (err)
		return err;
	_cleanup_snapshot_ struct snapshot *snapshot = NULL;
	err = file_decode(bytes.bytes, bytes.count, &snapshot);
	if (!err)
		err = symbols_resolve(snapshot, lookup, log);
	if (err)
		return error_wrap(err, "cannot read snapshot '%s'", path);
	*ret = take_ptr(snapshot);
	return NULL;
}

struct error *saved_read_all(const char *const *paths, size_t count, const struct lookup *lookup,
			     const struct log *log, struct snapshot **ret)
{
	if (count == 1)
		return saved_read(paths[0], lookup, log, ret);
	_cleanup_free_ struct snapshot **parts = calloc(count, sizeof *parts);
	struct error *err = parts ? NULL : error_no_memory();
	size_t loaded = 0;
	while (!err && loaded < count) {
		err = saved_read(paths[loaded], lookup, log, &parts[loaded]);
		loaded += !err;
	}
	if (!err)
		err = merge_snapshots((const struct snapshot *const *)parts, count, ret);
	for (size_t i = 0; i < loaded; i++)
		snapshot_destroy(parts[i]);
	return err;
}

struct error *saved_write(const struct snapshot *snapshot, struct output *output)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct error *err = file_encode(snapshot, &bytes);
	if (err)
		return error_wrap(err, "cannot write snapshot '%s'", output->path);
	return output_finish(output, bytes.bytes, bytes.count);
}
