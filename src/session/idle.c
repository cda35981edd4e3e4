/* SPDX-License-Identifier: MIT */
#include "session/idle.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

bool idle_parse(const char *loadavg, unsigned *running_ret)
{
	unsigned threads;
	return sscanf(loadavg, "%*f %*f %*f %u/%u", running_ret, &threads) == 2 &&
	       *running_ret <= threads;
}

static bool count_running(unsigned *ret)
{
	char text[128];
	_cleanup_close_ int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (count < 0)
		return false;
	text[count] = 0;
	return idle_parse(text, ret);
}

bool idle_is_there(unsigned own)
{
	cpu_set_t ours;
	unsigned running;
	if (sched_getaffinity(0, sizeof ours, &ours) < 0 || !count_running(&running))
		return false;
	return running < (unsigned)CPU_COUNT(&ours) + own;
}
