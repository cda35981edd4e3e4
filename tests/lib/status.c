/* SPDX-License-Identifier: MIT */
#include "lib/status.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "lib/process.h"

static bool read_thread(pid_t pid, pid_t tid, struct status_thread *ret)
{
	char path[64], line[256];
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	if (!file)
		return false;
	*ret = (struct status_thread){.tid = tid};
	while (fgets(line, sizeof(line), file)) {
		found += sscanf(line, "State: %c", &ret->state) == 1;
		found += sscanf(line, "TracerPid: %d", &ret->tracer) == 1;
		found += sscanf(line, "SigBlk: %" SCNx64, &ret->blocked) == 1;
		found += sscanf(line, "SigIgn: %" SCNx64, &ret->ignored) == 1;
		found += sscanf(line, "SigCgt: %" SCNx64, &ret->caught) == 1;
	}
	return found == 5;
}

static int by_tid(const void *left, const void *right)
{
	const struct status_thread *a = left, *b = right;

	return (a->tid > b->tid) - (a->tid < b->tid);
}

bool status_read(pid_t pid, struct status *ret)
{
	char path[64];
	const struct dirent *entry;

	*ret = (struct status){0};
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return false;
	while ((entry = readdir(tasks))) {
		struct status_thread one;

		if (entry->d_name[0] == '.' || !read_thread(pid, atoi(entry->d_name), &one))
			continue;
		ret->threads = realloc(ret->threads, (ret->count + 1) * sizeof(*ret->threads));
		if (!ret->threads)
			ck_abort_msg("no memory");
		ret->threads[ret->count++] = one;
	}
	closedir(tasks);
	if (ret->count)
		qsort(ret->threads, ret->count, sizeof(*ret->threads), by_tid);
	return ret->count > 0;
}

void status_free(struct status *status)
{
	free(take_ptr(status->threads));
}

bool status_is_traced(const struct status *status)
{
	for (size_t i = 0; i < status->count; i++) {
		if (!status->threads[i].tracer)
			return false;
	}
	return status->count > 0;
}

static bool is_stopped(const struct status_thread *thread)
{
	return thread->state == 'T' || thread->state == 't';
}

void status_expect_same(const struct status *before, const struct status *after)
{
	for (size_t i = 0; i < after->count; i++) {
		const struct status_thread *now = &after->threads[i];
		const struct status_thread *then = NULL;

		ck_assert_msg(now->tracer == 0, "thread %d is still traced by %d", now->tid,
			      now->tracer);
		if (before->count)
			then = bsearch(now, before->threads, before->count, sizeof(*now), by_tid);
		if (!then)
			continue;
		ck_assert_msg(now->blocked == then->blocked, "thread %d: SigBlk %#jx became %#jx",
			      now->tid, (uintmax_t)then->blocked, (uintmax_t)now->blocked);
		ck_assert_msg(now->ignored == then->ignored, "thread %d: SigIgn %#jx became %#jx",
			      now->tid, (uintmax_t)then->ignored, (uintmax_t)now->ignored);
		ck_assert_msg(now->caught == then->caught, "thread %d: SigCgt %#jx became %#jx",
			      now->tid, (uintmax_t)then->caught, (uintmax_t)now->caught);
		ck_assert_msg(is_stopped(now) == is_stopped(then), "thread %d: state %c became %c",
			      now->tid, then->state, now->state);
	}
}

static bool is_untraced(const void *context)
{
	_cleanup_status_ struct status status = {0};

	if (!status_read(*(const pid_t *)context, &status))
		return true;
	for (size_t i = 0; i < status.count; i++) {
		if (status.threads[i].tracer)
			return false;
	}
	return true;
}

void status_until_untraced(pid_t pid)
{
	process_until(is_untraced, &pid, "the process to be traced by nobody");
}

static bool is_all_held(const void *context)
{
	_cleanup_status_ struct status status = {0};

	if (!status_read(*(const pid_t *)context, &status))
		return false;
	for (size_t i = 0; i < status.count; i++) {
		if (!is_stopped(&status.threads[i]))
			return false;
	}
	return true;
}

void status_until_held(pid_t pid)
{
	process_until(is_all_held, &pid, "every thread to be stopped, by whomever");
}

static bool is_all_stopped(const void *context)
{
	_cleanup_status_ struct status status = {0};

	if (!status_read(*(const pid_t *)context, &status))
		return false;
	for (size_t i = 0; i < status.count; i++) {
		if (status.threads[i].state != 'T')
			return false;
	}
	return true;
}

void status_until_stopped(pid_t pid)
{
	process_until(is_all_stopped, &pid, "every thread to be stopped");
}
