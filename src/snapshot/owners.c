/* SPDX-License-Identifier: MIT */
#include "snapshot/owners.h"

#include <stdlib.h>

#include "base/cleanup.h"

/* Processes by pid, those of one pid in their order. */
static int compare(const void *left, const void *right, void *context)
{
	const struct snapshot_process *processes = context;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = (processes[a].pid > processes[b].pid) - (processes[a].pid < processes[b].pid);
	return order ? order : (a > b) - (a < b);
}

/* The first number at or after which processes in `order` have that pid or a higher one. */
static size_t first_of(const struct snapshot *snapshot, const uint32_t *order, uint32_t pid)
{
	size_t low = 0, high = snapshot->process_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (snapshot->processes[order[middle]].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The only process of that pid; several trees may each have one. */
static uint32_t find(const struct snapshot *snapshot, const uint32_t *order, uint32_t pid)
{
	size_t i = first_of(snapshot, order, pid);
	bool found = i < snapshot->process_count && snapshot->processes[order[i]].pid == pid;
	bool again =
		i + 1 < snapshot->process_count && snapshot->processes[order[i + 1]].pid == pid;
	return found && !again ? order[i] : SNAPSHOT_NO_PROCESS;
}

struct error *owners_init(struct owners *owners, const struct snapshot *snapshot)
{
	*owners = (struct owners){.snapshot = snapshot};
	if (!(snapshot->kept.flags & KEPT_THREADS))
		return NULL;
	_cleanup_free_ uint32_t *order = calloc(snapshot->process_count + 1, sizeof *order);
	owners->of_thread = calloc(snapshot->kept.thread_count + 1, sizeof *owners->of_thread);
	if (!order || !owners->of_thread)
		return error_no_memory();
	for (uint32_t i = 0; i < snapshot->process_count; i++)
		order[i] = i;
	if (snapshot->process_count)
		qsort_r(order, snapshot->process_count, sizeof *order, compare,
			snapshot->processes);
	for (size_t i = 0; i < snapshot->kept.thread_count; i++)
		owners->of_thread[i + 1] = find(snapshot, order, snapshot->kept.threads[i].pid);
	return NULL;
}

void owners_deinit(struct owners *owners)
{
	free(owners->of_thread);
	*owners = (struct owners){0};
}

const struct snapshot_process *owners_of(const struct owners *owners,
					 const struct snapshot_site *site)
{
	const struct snapshot *snapshot = owners->snapshot;
	uint32_t number = owners->of_thread && site->traits.thread
				  ? owners->of_thread[site->traits.thread]
				  : SNAPSHOT_NO_PROCESS;
	if (number == SNAPSHOT_NO_PROCESS)
		number = site->process;
	return number == SNAPSHOT_NO_PROCESS ? NULL : &snapshot->processes[number];
}
