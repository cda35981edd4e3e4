/* SPDX-License-Identifier: MIT */
#include "lib/storm.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"

struct storm_counters storm_read(const struct storm *storm)
{
	struct storm_counters counters = {0};
	ssize_t size = (ssize_t)(sizeof(*counters.of) * (size_t)storm->threads);

	if (pread(storm->counters_fd, counters.of, (size_t)size, 0) != size)
		ck_abort_msg("the storm has no counters");
	return counters;
}

struct progress_wait {
	struct storm *storm;
	struct storm_counters start;
};

static bool all_moved(const void *context)
{
	const struct progress_wait *wait = context;
	struct storm_counters now = storm_read(wait->storm);

	if (process_wait_seconds(&wait->storm->process, 0))
		ck_abort_msg("the target has ended: status %#x", wait->storm->process.status);
	for (int i = 0; i < wait->storm->threads; i++) {
		if (now.of[i] == wait->start.of[i])
			return false;
	}
	return true;
}

void storm_expect_progress(struct storm *storm)
{
	struct progress_wait wait = {storm, storm_read(storm)};

	process_until(all_moved, &wait, "every thread of the target to move on");
}

void storm_start(const struct scratch *scratch, int threads, struct storm *ret)
{
	_cleanup_free_ char *program = suite_target("storm");
	_cleanup_free_ char *path = scratch_file(scratch, "progress");
	char count[16];

	snprintf(count, sizeof(count), "%d", threads);
	scratch_write(path, "", 0);
	*ret = (struct storm){.threads = threads, .counters_fd = open(path, O_RDONLY | O_CLOEXEC)};
	process_start(scratch, "storm", ARGV(program, count, "0", path), &ret->process);
	process_wait_output(&ret->process, "ready");
	storm_expect_progress(ret);
}

void storm_end(struct storm *storm)
{
	if (!storm->threads)
		return;
	process_end(&storm->process);
	close(storm->counters_fd);
}

void storm_expect_good_end(struct storm *storm)
{
	process_close_input(&storm->process);
	int status = process_wait(&storm->process);
	ck_assert_msg(status == 0, "the target's end: status %#x", status);
}
