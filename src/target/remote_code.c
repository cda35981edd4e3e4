/* SPDX-License-Identifier: MIT */
#include "target/remote_code.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum {
	CHUNK_BYTES = 256 << 10,
	PATTERN_MAX_BYTES = 9,
	SEARCH_MAX_BYTES = 512 << 20, /* larger programs have libc elsewhere, which comes first */
};

/* The same bytes mean the same wherever they stand, in the middle of an instruction, too. */
struct pattern {
	const char *bytes;
	size_t count;
};

static const struct pattern call_pattern = {"\x0f\x05\xc3", 3}; /* syscall; ret */
/* mov $15,%rax; syscall: what libc names as sa_restorer, and gdb knows signal frames by. */
static const struct pattern restore_pattern = {"\x48\xc7\xc0\x0f\0\0\0\x0f\x05", PATTERN_MAX_BYTES};

static bool is_there(const struct target_space *space, target_addr address,
		     const struct pattern *pattern)
{
	uint8_t bytes[PATTERN_MAX_BYTES];
	return address.v &&
	       target_read_some(space, address, bytes, pattern->count) == pattern->count &&
	       memcmp(bytes, pattern->bytes, pattern->count) == 0;
}

static void look_for(const struct pattern *pattern, const uint8_t *bytes, size_t count,
		     uint64_t start, target_addr *ret)
{
	const uint8_t *found = ret->v ? NULL : memmem(bytes, count, pattern->bytes, pattern->count);
	if (found)
		ret->v = start + (uint64_t)(found - bytes);
}

static void search_mapping(struct target_space *space, const struct proc_mapping *mapping,
			   uint8_t *chunk)
{
	/* Chunks overlap, so that what stands across a border is seen. */
	for (uint64_t at = mapping->start; at < mapping->end;
	     at += CHUNK_BYTES - PATTERN_MAX_BYTES + 1) {
		uint64_t left = mapping->end - at;
		size_t count = target_read_some(space, (target_addr){at}, chunk,
						left < CHUNK_BYTES ? left : CHUNK_BYTES);
		look_for(&call_pattern, chunk, count, at, &space->remote_call);
		look_for(&restore_pattern, chunk, count, at, &space->remote_restore);
		if (count < CHUNK_BYTES || (space->remote_call.v && space->remote_restore.v))
			return;
	}
}

static bool serves(const struct proc_mapping *mapping)
{
	return mapping->executable && mapping->readable && !mapping->writable &&
	       (mapping->inode || strcmp(mapping->path, "[vdso]") == 0);
}

static bool is_libc(const struct proc_mapping *mapping)
{
	return strstr(mapping->path, "/libc.") || strstr(mapping->path, "/libc-") ||
	       strstr(mapping->path, "/ld-");
}

/* libc has both: looked at before a program that may have a hundred megabytes of text. */
static void search(struct target_space *space, const struct proc_maps *maps, bool libc,
		   uint8_t *chunk)
{
	uint64_t searched = 0;
	for (size_t i = 0; i < maps->count && searched < SEARCH_MAX_BYTES; i++) {
		const struct proc_mapping *mapping = &maps->items[i];
		if (!serves(mapping) || is_libc(mapping) != libc)
			continue;
		search_mapping(space, mapping, chunk);
		searched += mapping->end - mapping->start;
		if (space->remote_call.v && space->remote_restore.v)
			return;
	}
}

struct error *remote_code_find(struct target_space *space, const struct proc_maps *maps)
{
	if (!is_there(space, space->remote_call, &call_pattern))
		space->remote_call = (target_addr){0};
	if (!is_there(space, space->remote_restore, &restore_pattern))
		space->remote_restore = (target_addr){0};
	if (space->remote_call.v && space->remote_restore.v)
		return NULL;
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return error_no_memory();
	search(space, maps, true, chunk);
	if (!space->remote_call.v || !space->remote_restore.v)
		search(space, maps, false, chunk);
	if (!space->remote_call.v)
		return error_new(ERROR_UNSUPPORTED,
				 "process %d has no `syscall; ret` that could be used", space->pid);
	if (!space->remote_restore.v)
		return error_new(ERROR_UNSUPPORTED,
				 "process %d has no code (yet) that returns from a signal",
				 space->pid);
	return NULL;
}
