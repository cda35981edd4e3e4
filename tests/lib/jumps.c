/* SPDX-License-Identifier: MIT */
#include "lib/jumps.h"

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/abi.h"
#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/status.h"

enum { LINE_MAX_LENGTH = 4352 };

struct mapping {
	uint64_t start, end, inode;
	bool is_channel;
};

typedef void mapping_fn(void *context, pid_t pid, const struct mapping *mapping);

static void visit_mappings(pid_t pid, mapping_fn *visit, void *context)
{
	char path[64], line[LINE_MAX_LENGTH];
	struct mapping mapping;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_fclose_ FILE *maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &mapping.start,
			   &mapping.end, &mapping.inode) != 3)
			continue;
		mapping.is_channel = strstr(line, "/memfd:" AGENT_MEMFD_NAME) != NULL;
		visit(context, pid, &mapping);
	}
}

static bool read_memory(pid_t pid, uint64_t address, void *bytes, size_t count)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && pread(fd, bytes, count, (off_t)address) == (ssize_t)count;
}

static void add_memory(void *context, pid_t pid, const struct mapping *mapping)
{
	struct jumps_memory *memory = context;
	uint64_t magic = 0;

	if (mapping->is_channel) {
		memory->shared_count++;
		memory->shared_bytes += mapping->end - mapping->start;
	} else if (mapping->end - mapping->start == AGENT_CODE_BYTES &&
		   read_memory(pid, mapping->start, &magic, sizeof(magic)) &&
		   magic == AGENT_MAGIC) {
		memory->code_count++;
		memory->code_bytes += mapping->end - mapping->start;
	}
}

struct jumps_memory jumps_memory_of(pid_t pid)
{
	struct jumps_memory memory = {0};

	visit_mappings(pid, add_memory, &memory);
	return memory;
}

uint64_t jumps_resident_bytes(pid_t pid)
{
	char path[64], line[LINE_MAX_LENGTH];
	uint64_t start, sum_kb = 0, kb;
	bool ours = false;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	_cleanup_fclose_ FILE *maps = fopen(path, "re");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%*x ", &start) == 1)
			ours = strstr(line, "/memfd:" AGENT_MEMFD_NAME) != NULL;
		else if (ours && sscanf(line, "Rss: %" SCNu64 " kB", &kb) == 1)
			sum_kb += kb;
	}
	return sum_kb * 1024;
}

static void add_bytes(void *context, pid_t pid, const struct mapping *mapping)
{
	(void)pid;
	*(uint64_t *)context += mapping->end - mapping->start;
}

uint64_t jumps_mapped_bytes(pid_t pid)
{
	uint64_t bytes = 0;

	visit_mappings(pid, add_bytes, &bytes);
	return bytes;
}

static void look_for_armed(void *context, pid_t pid, const struct mapping *mapping)
{
	struct agent_shared shared;
	struct agent_private private;

	if (mapping->is_channel && read_memory(pid, mapping->start, &shared, sizeof(shared)) &&
	    read_memory(pid, shared.code + AGENT_CODE_BYTES, &private, sizeof(private)) &&
	    private.state == AGENT_ON && private.shared == mapping->start)
		*(uint64_t *)context = mapping->inode;
}

uint64_t jumps_armed(pid_t pid)
{
	uint64_t inode = 0;

	visit_mappings(pid, look_for_armed, &inode);
	return inode;
}

struct recording_wait {
	const struct process *attach;
	pid_t pid;
	uint64_t armed_before;
};

static size_t count_in_state(pid_t pid, char state, size_t *all_ret)
{
	_cleanup_status_ struct status status = {0};
	size_t count = 0;

	status_read(pid, &status);
	for (size_t i = 0; i < status.count; i++)
		count += status.threads[i].state == state;
	*all_ret = status.count;
	return count;
}

/*
 * Jumps are written while every running thread is stopped: they are all there when one runs and
 * none is stopped any more. Where all are asleep, tracealloc is done when it is asleep, too.
 */
static bool is_written(const struct recording_wait *wait)
{
	size_t all;

	return code_count_differences(wait->pid) > 0 && count_in_state(wait->pid, 't', &all) == 0 &&
	       (count_in_state(wait->pid, 'R', &all) > 0 ||
		count_in_state(wait->attach->pid, 'S', &all) == all);
}

static void expect_alive(const struct process *attach)
{
	siginfo_t end = {0};

	if (waitid(P_PID, (id_t)attach->pid, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || !end.si_pid)
		return;
	_cleanup_free_ char *errors = process_errors(attach);
	ck_abort_msg("tracealloc ended before it recorded: %s", errors);
}

static bool is_recording(const void *context)
{
	const struct recording_wait *wait = context;

	expect_alive(wait->attach);
	uint64_t armed = jumps_armed(wait->pid);
	return armed && armed != wait->armed_before && is_written(wait);
}

void jumps_until_recording(const struct process *attach, pid_t pid, uint64_t armed_before)
{
	process_until(is_recording, &(struct recording_wait){attach, pid, armed_before},
		      "the jumps to be in and their agent to record");
}

static bool is_probed(const void *context)
{
	const struct recording_wait *wait = context;
	size_t all;

	expect_alive(wait->attach);
	return code_count_differences(wait->pid) > 0 &&
	       count_in_state(wait->attach->pid, 'S', &all) == all;
}

void jumps_until_probed(const struct process *attach, pid_t pid)
{
	process_until(is_probed, &(struct recording_wait){attach, pid, 0}, "the probes to be in");
}
