/* SPDX-License-Identifier: MIT */
#include "ledger/live_memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool is_mapped(size_t bytes)
{
	return bytes >= LIVE_MEMORY_HUGE_PAGE_BYTES;
}

static struct error *grow_heap(struct live_memory *memory, size_t bytes)
{
	char *start = aligned_alloc(LIVE_MEMORY_ALIGNMENT, bytes);
	if (!start)
		return error_no_memory();
	if (memory->bytes)
		memcpy(start, memory->start, memory->bytes);
	memset(start + memory->bytes, 0, bytes - memory->bytes);
	live_memory_free(memory);
	*memory = (struct live_memory){start, bytes};
	return NULL;
}

/* Addresses for `bytes`, aligned to a huge page, that nobody else uses; NULL where there are none.
 */
static char *reserve(size_t bytes)
{
	const size_t page = LIVE_MEMORY_HUGE_PAGE_BYTES;
	size_t with_slack;
	if (__builtin_add_overflow(bytes, page, &with_slack))
		return NULL;
	char *memory = mmap(NULL, with_slack, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)memory & (page - 1);
	if (before)
		munmap(memory, before);
	munmap(memory + before + bytes, page - before);
	return memory + before;
}

static struct error *map_first(struct live_memory *memory, size_t bytes)
{
	char *start = reserve(bytes);
	if (!start)
		return error_no_memory();
	if (mprotect(start, bytes, PROT_READ | PROT_WRITE) < 0) {
		munmap(start, bytes);
		return error_no_memory();
	}
	/* Advice: where the kernel has no huge pages the table is slower, not wrong. */
	madvise(start, bytes, MADV_HUGEPAGE);
	if (memory->bytes)
		memcpy(start, memory->start, memory->bytes);
	live_memory_free(memory);
	*memory = (struct live_memory){start, bytes};
	return NULL;
}

static struct error *map_longer(struct live_memory *memory, size_t bytes)
{
	char *to = reserve(bytes);
	if (!to)
		return error_no_memory();
	/* One mapping before and after, so that the next time it can be moved whole, too. */
	void *start =
		mremap(memory->start, memory->bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (start == MAP_FAILED) {
		munmap(to, bytes);
		return error_no_memory();
	}
	*memory = (struct live_memory){start, bytes};
	return NULL;
}

struct error *live_memory_grow(struct live_memory *memory, size_t bytes)
{
	if (!is_mapped(bytes))
		return grow_heap(memory, bytes);
	return is_mapped(memory->bytes) ? map_longer(memory, bytes) : map_first(memory, bytes);
}

void live_memory_free(struct live_memory *memory)
{
	if (is_mapped(memory->bytes))
		munmap(memory->start, memory->bytes);
	else
		free(memory->start);
	*memory = (struct live_memory){0};
}
