/* SPDX-License-Identifier: MIT */
#include "lib/code.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { CHUNK = 1 << 16, LINE_MAX_LENGTH = 4352 };

struct comparison {
	int memory_fd;
	size_t compared;
	size_t differences;
	char first[512]; /* the first difference, in words */
};

static void compare_chunk(struct comparison *comparison, const char *path, uint64_t address,
			  const unsigned char *memory, const unsigned char *file, size_t size)
{
	comparison->compared += size;
	for (size_t i = 0; i < size; i++) {
		if (memory[i] == file[i])
			continue;
		if (comparison->differences++ == 0)
			snprintf(comparison->first, sizeof(comparison->first),
				 "at %#jx in %.300s: %#x instead of %#x", (uintmax_t)(address + i),
				 path, memory[i], file[i]);
	}
}

static void compare_mapping(struct comparison *comparison, const char *path, uint64_t start,
			    uint64_t end, uint64_t offset)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char memory[CHUNK], file[CHUNK];

	while (fd >= 0 && start < end) {
		size_t size = end - start < CHUNK ? end - start : CHUNK;
		ssize_t in_file = pread(fd, file, size, (off_t)offset);
		ssize_t in_memory = pread(comparison->memory_fd, memory, size, (off_t)start);

		/* A mapping may be longer than its file; the rest of its last page is zero. */
		if (in_file <= 0 || in_memory <= 0)
			return;
		size_t both = (size_t)(in_file < in_memory ? in_file : in_memory);
		compare_chunk(comparison, path, start, memory, file, both);
		start += both;
		offset += both;
	}
}

static void compare_process(pid_t pid, struct comparison *ret)
{
	char path[64], line[LINE_MAX_LENGTH], file[LINE_MAX_LENGTH], access[5];
	uint64_t start, end, offset;

	*ret = (struct comparison){0};
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	_cleanup_close_ int memory_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_fclose_ FILE *maps = fopen(path, "re");
	if (memory_fd < 0 || !maps)
		return;
	ret->memory_fd = memory_fd;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %4351[^\n]",
			   &start, &end, access, &offset, file) == 5 &&
		    strncmp(access, "r-x", 3) == 0 && file[0] == '/')
			compare_mapping(ret, file, start, end, offset);
	}
}

size_t code_expect_clean(pid_t pid)
{
	struct comparison comparison;

	compare_process(pid, &comparison);
	ck_assert_msg(comparison.compared > 0, "pid %d has no executable mapping", pid);
	ck_assert_msg(comparison.differences == 0, "pid %d: %zu bytes of code differ, the first %s",
		      pid, comparison.differences, comparison.first);
	return comparison.compared;
}

size_t code_count_differences(pid_t pid)
{
	struct comparison comparison;

	compare_process(pid, &comparison);
	return comparison.differences;
}
