/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "target/target.h"

size_t target_read_some(const struct target_space *space, target_addr address, void *bytes,
			size_t count)
{
	size_t done = 0;
	while (done < count) {
		ssize_t got = pread(space->memory_fd, (char *)bytes + done, count - done,
				    (off_t)(address.v + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

struct error *target_read(const struct target_space *space, target_addr address, void *bytes,
			  size_t count)
{
	if (target_read_some(space, address, bytes, count) != count)
		return error_new(ERROR_FAULT, "cannot read %zu bytes at 0x%lx of process %d", count,
				 address.v, space->pid);
	return NULL;
}

struct error *target_write(const struct target_space *space, target_addr address, const void *bytes,
			   size_t count)
{
	ssize_t put;
	do
		put = pwrite(space->memory_fd, bytes, count, (off_t)address.v);
	while (put < 0 && errno == EINTR);
	if (put < 0 || (size_t)put != count)
		return error_new(ERROR_FAULT, "cannot write %zu bytes at 0x%lx of process %d",
				 count, address.v, space->pid);
	return NULL;
}
