/* SPDX-License-Identifier: MIT */
#include "cli/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static struct error *cannot_read(const char *path, const char *why)
{
	return error_new(ERROR_USAGE, "cannot read rules '%s': %s", path, why);
}

/* The flags: a FIFO must not make us wait, nor a terminal become ours. */
static struct error *read_text(const char *path, struct buffer *out)
{
	char piece[4096];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0)
		return cannot_read(path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return cannot_read(path, "it is no regular file");
	for (;;) {
		ssize_t got = read(fd, piece, sizeof piece);
		if (got < 0 && errno != EINTR)
			return cannot_read(path, strerror(errno));
		if (got == 0)
			return buffer_failed(out) ? error_no_memory() : NULL;
		if (got > 0)
			buffer_append(out, piece, (size_t)got);
		if (out->count > FILE_MAX_BYTES)
			return cannot_read(path, "it is larger than 1 MiB");
	}
}

struct error *rules_read(const char *path, struct allocator_rules *rules)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct error *err = read_text(path, &text);
	if (err)
		return err;
	if (strlen(buffer_text(&text)) != text.count)
		return cannot_read(path, "it is no text: it holds a zero byte");
	err = allocator_rules_add_lines(rules, buffer_text(&text));
	return err ? error_wrap(err, "bad rule in '%s'", path) : NULL;
}
