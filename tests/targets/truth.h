/* SPDX-License-Identifier: MIT */
/*
 * What a single-threaded target knows of its own heap: every call goes through one of the macros,
 * which call the real function on the line where they stand and note what came of it in a plain
 * table. truth_print writes the sums as one line of JSON without allocating.
 *
 * The model is deliberately naive: a list of live blocks, searched from the newest; a list of
 * lines; at every new highest sum the lines' present figures are copied to their figures at the
 * peak.
 */
#ifndef TARGETS_TRUTH_H
#define TARGETS_TRUTH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRUTH_BLOCKS_MAX = 1 << 16, TRUTH_LINES_MAX = 40 };

struct truth_line {
	char file[96]; /* a copy: its module may be unloaded */
	int line;
	long long total_bytes, total_blocks;
	long long live_bytes, live_blocks;
	long long peak_bytes, peak_blocks;
};

struct truth_block {
	uintptr_t address;
	long long size;
	struct truth_line *line;
};

static struct truth_block truth_blocks[TRUTH_BLOCKS_MAX];
static size_t truth_block_count;
static struct truth_line truth_lines[TRUTH_LINES_MAX];
static size_t truth_line_count;
static struct truth_line truth_sum;
static long long truth_released_bytes, truth_released_blocks, truth_failed;
static uintptr_t truth_resized_address;

static void truth_fail(const char *why)
{
	ssize_t ignored = write(2, why, strlen(why));

	(void)ignored;
	_exit(99);
}

static struct truth_line *truth_line_of(const char *file, int line)
{
	for (size_t i = 0; i < truth_line_count; i++) {
		if (truth_lines[i].line == line && strcmp(truth_lines[i].file, file) == 0)
			return &truth_lines[i];
	}
	if (truth_line_count == TRUTH_LINES_MAX)
		truth_fail("too many lines\n");
	snprintf(truth_lines[truth_line_count].file, sizeof(truth_lines->file), "%s", file);
	truth_lines[truth_line_count].line = line;
	return &truth_lines[truth_line_count++];
}

static void truth_add(struct truth_line *line, long long size)
{
	line->total_bytes += size;
	line->total_blocks++;
	line->live_bytes += size;
	line->live_blocks++;
}

static void truth_note_peak(void)
{
	if (truth_sum.live_bytes <= truth_sum.peak_bytes)
		return;
	truth_sum.peak_bytes = truth_sum.live_bytes;
	truth_sum.peak_blocks = truth_sum.live_blocks;
	for (size_t i = 0; i < truth_line_count; i++) {
		truth_lines[i].peak_bytes = truth_lines[i].live_bytes;
		truth_lines[i].peak_blocks = truth_lines[i].live_blocks;
	}
}

/* From now on the peak counts anew. */
static __attribute__((unused)) void truth_reset_peak(void)
{
	truth_sum.peak_bytes = -1;
	truth_note_peak();
}

/* A call on that line gave `block` when asked for size; NULL is a refusal. */
static __attribute__((unused)) void *truth_created(void *block, size_t size, const char *file,
						   int line)
{
	struct truth_line *where = truth_line_of(file, line);

	if (!block) {
		truth_failed++;
		return NULL;
	}
	if (truth_block_count == TRUTH_BLOCKS_MAX)
		truth_fail("too many blocks\n");
	truth_blocks[truth_block_count].address = (uintptr_t)block;
	truth_blocks[truth_block_count].size = (long long)size;
	truth_blocks[truth_block_count++].line = where;
	truth_add(where, (long long)size);
	truth_add(&truth_sum, (long long)size);
	truth_note_peak();
	return block;
}

static __attribute__((unused)) void truth_released(uintptr_t address)
{
	size_t i = truth_block_count;

	if (!address)
		return;
	while (i > 0 && truth_blocks[i - 1].address != address)
		i--;
	if (i == 0)
		truth_fail("release of an unknown block\n");
	struct truth_block *block = &truth_blocks[i - 1];
	block->line->live_bytes -= block->size;
	block->line->live_blocks--;
	truth_sum.live_bytes -= block->size;
	truth_sum.live_blocks--;
	truth_released_bytes += block->size;
	truth_released_blocks++;
	*block = truth_blocks[--truth_block_count];
}

/* The two halves of a resize: the old address is noted before it becomes invalid. */
static __attribute__((unused)) void truth_resizing(void *old)
{
	truth_resized_address = (uintptr_t)old;
}

static __attribute__((unused)) void *truth_resized(void *block, size_t size, const char *file,
						   int line)
{
	/* realloc(p, 0) of the GNU C library releases p and gives NULL. */
	if (block || (size == 0 && truth_resized_address))
		truth_released(truth_resized_address);
	if (!block && size == 0 && truth_resized_address)
		return NULL;
	return truth_created(block, size, file, line);
}

static __attribute__((unused)) void truth_print(void)
{
	static char text[32768];
	size_t used = 0;

	used += (size_t)snprintf(text + used, sizeof(text) - used,
				 "truth: {\"total_blocks\":%lld,\"total_bytes\":%lld,"
				 "\"released_blocks\":%lld,\"released_bytes\":%lld,"
				 "\"peak_blocks\":%lld,\"peak_bytes\":%lld,\"failed_calls\":%lld,"
				 "\"lines\":[",
				 truth_sum.total_blocks, truth_sum.total_bytes,
				 truth_released_blocks, truth_released_bytes, truth_sum.peak_blocks,
				 truth_sum.peak_bytes, truth_failed);
	for (size_t i = 0; i < truth_line_count; i++) {
		const struct truth_line *line = &truth_lines[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s{\"file\":\"%s\",\"line\":%d,\"total_blocks\":%lld,"
					 "\"total_bytes\":%lld,\"peak_blocks\":%lld,"
					 "\"peak_bytes\":%lld,\"leaked_blocks\":%lld,"
					 "\"leaked_bytes\":%lld}",
					 i ? "," : "", line->file, line->line, line->total_blocks,
					 line->total_bytes, line->peak_blocks, line->peak_bytes,
					 line->live_blocks, line->live_bytes);
	}
	used += (size_t)snprintf(text + used, sizeof(text) - used, "]}\n");
	if (write(1, text, used) != (ssize_t)used)
		truth_fail("cannot write\n");
}

#define TRUTH_CREATED(call, size) truth_created((call), (size), __FILE__, __LINE__)
#define MALLOC(size)		  TRUTH_CREATED(malloc(size), size)
#define CALLOC(count, size)	  TRUTH_CREATED(calloc(count, size), (size_t)(count) * (size))
#define REALLOC(block, size)                                                                       \
	(truth_resizing(block), truth_resized(realloc(block, size), size, __FILE__, __LINE__))
#define REALLOCARRAY(block, count, size)                                                           \
	(truth_resizing(block), truth_resized(reallocarray(block, count, size),                    \
					      (size_t)(count) * (size), __FILE__, __LINE__))
#define FREE(block) (truth_released((uintptr_t)(block)), free(block))

#endif
