/* SPDX-License-Identifier: MIT */
#include "lib/keeper.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

static char *make_progress(const struct scratch *scratch, struct keeper *keeper)
{
	char *path = scratch_file(scratch, "keeper.progress");
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || ftruncate(fd, sizeof(*keeper->progress)) < 0)
		ck_abort_msg("cannot make %s: %s", path, strerror(errno));
	keeper->progress =
		mmap(NULL, sizeof(*keeper->progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (keeper->progress == MAP_FAILED)
		ck_abort_msg("cannot map %s: %s", path, strerror(errno));
	return path;
}

static bool has_said(const struct keeper *keeper, const char *text)
{
	if (access(keeper->output, R_OK) < 0)
		return false;
	_cleanup_free_ char *said = scratch_read(keeper->output, NULL);

	return strstr(said, text) != NULL;
}

static bool is_alive(const struct keeper *keeper)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", keeper->pid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	const char *state = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	return state && state[2] != 'Z';
}

static bool is_ready(const void *context)
{
	const struct keeper *keeper = context;
	siginfo_t end = {0};

	if (waitid(P_PID, (id_t)keeper->process.pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    end.si_pid && !has_said(keeper, "ready"))
		ck_abort_msg("it ended before it was ready; see %s", keeper->process.errors_path);
	return has_said(keeper, "ready");
}

bool keeper_has_begun(const void *context)
{
	const struct keeper *keeper = context;

	return __atomic_load_n(&keeper->progress->pid, __ATOMIC_RELAXED) != 0;
}

void keeper_wait_ready(struct keeper *keeper)
{
	process_until(is_ready, keeper, "the keeper to be ready");
	keeper->pid = (pid_t)keeper->progress->pid;
}

void keeper_start(const struct scratch *scratch, const char *mode, int threads, struct keeper *ret)
{
	_cleanup_free_ char *program = suite_target("keeper");
	char count[16];

	*ret = (struct keeper){.threads = threads, .output = scratch_file(scratch, "keeper.out")};
	_cleanup_free_ char *path = make_progress(scratch, ret);
	snprintf(count, sizeof(count), "%d", threads);
	process_start(scratch, "keeper", ARGV(program, mode, count, path), &ret->process);
	keeper_wait_ready(ret);
	if (strcmp(mode, "idle") != 0 && strcmp(mode, "rounds") != 0)
		keeper_expect_turns(ret, 1);
}

void keeper_start_traced(const struct scratch *scratch, const char *const options[],
			 const char *mode, int threads, struct keeper *ret)
{
	_cleanup_free_ char *program = suite_target("keeper");
	char count[16];

	*ret = (struct keeper){.threads = threads, .output = scratch_file(scratch, "traced.out")};
	_cleanup_free_ char *path = make_progress(scratch, ret);
	snprintf(count, sizeof(count), "%d", threads);
	tracealloc_start_run(scratch, options, ARGV(program, mode, count, path), &ret->process);
}

void keeper_end(struct keeper *keeper)
{
	if (!keeper->progress)
		return;
	if (keeper->pid != keeper->process.pid && keeper->pid && is_alive(keeper))
		kill(keeper->pid, SIGKILL);
	process_end(&keeper->process);
	munmap(keeper->progress, sizeof(*keeper->progress));
	free(take_ptr(keeper->output));
}

struct turns_wait {
	const struct keeper *keeper;
	struct keeper_progress start;
	uint64_t turns;
};

static bool all_have_turned(const void *context)
{
	const struct turns_wait *wait = context;
	const struct keeper *keeper = wait->keeper;

	if (!is_alive(keeper))
		ck_abort_msg("the target is gone; see %s and its like", keeper->output);
	for (int i = 0; i < keeper->threads; i++) {
		if (__atomic_load_n(&keeper->progress->turns[i], __ATOMIC_RELAXED) <
		    wait->start.turns[i] + wait->turns)
			return false;
	}
	return true;
}

void keeper_expect_turns(const struct keeper *keeper, uint64_t turns)
{
	struct turns_wait wait = {keeper, *keeper->progress, turns};

	process_until(all_have_turned, &wait, "every thread of the target to move on");
}

static bool has_ended_well(const void *context)
{
	const struct keeper *keeper = context;
	bool alive = is_alive(keeper); /* asked first: what the dead have said is all there */

	if (has_said(keeper, "ok\n"))
		return true;
	if (!alive)
		ck_abort_msg("the target is gone without its \"ok\"; see %s", keeper->output);
	return false;
}

void keeper_expect_good_end(struct keeper *keeper)
{
	process_close_input(&keeper->process);
	process_until(has_ended_well, keeper, "the target's good end");
	if (keeper->pid != keeper->process.pid)
		return;
	int status = process_wait(&keeper->process);
	ck_assert_msg(status == 0, "the target's end: status %#x", status);
}

uint64_t keeper_take_longest_ns(const struct keeper *keeper)
{
	uint64_t longest = 0;

	for (int i = 0; i < keeper->threads; i++) {
		uint64_t one =
			__atomic_exchange_n(&keeper->progress->longest_ns[i], 0, __ATOMIC_RELAXED);
		longest = one > longest ? one : longest;
	}
	return longest;
}

struct rounds_wait {
	const struct keeper *keeper;
	size_t count;
};

static size_t count_rounds(const char *said, const char **last_ret)
{
	size_t count = 0;

	for (const char *at = said; (at = strstr(at, "round ")) && strchr(at, '\n'); at++) {
		*last_ret = at;
		count++;
	}
	return count;
}

static bool has_played(const void *context)
{
	const struct rounds_wait *wait = context;
	_cleanup_free_ char *said = scratch_read(wait->keeper->output, NULL);
	const char *last;

	if (!is_alive(wait->keeper))
		ck_abort_msg("the target is gone; see %s and its like", wait->keeper->output);
	return count_rounds(said, &last) > wait->count;
}

struct keeper_made keeper_play(struct keeper *keeper, long turns)
{
	_cleanup_free_ char *before = scratch_read(keeper->output, NULL);
	const char *last = NULL;
	struct rounds_wait wait = {keeper, count_rounds(before, &last)};
	struct keeper_made made;
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", turns);
	process_send(&keeper->process, text);
	process_until(has_played, &wait, "the round to be over");
	_cleanup_free_ char *said = scratch_read(keeper->output, NULL);
	count_rounds(said, &last);
	if (!last || sscanf(last, "round %" SCNd64 " %" SCNd64, &made.blocks, &made.bytes) != 2)
		ck_abort_msg("the keeper said \"%s\"", said);
	return made;
}
