/* SPDX-License-Identifier: MIT */
/*
 * Maps memory for itself, in every way, and counts page by page what each line has: a naive model
 * of its own address space. Between the calls it allocates and releases blocks so large that the
 * allocator maps memory for them: those are not its own mappings. Prints "truth: {...}" like
 * tests/targets/truth.h, without allocating.
 *
 *     mapper [plain]      plain: without any allocation
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES_MAX = 1 << 15, LINES_MAX = 64, BLOCK_BYTES = 1 << 20 };

struct page {
	uintptr_t address;
	int line;
	int mapping;
};

struct line {
	int line;
	long long total_bytes, total_blocks, live_bytes, peak_bytes;
};

static struct page pages[PAGES_MAX];
static size_t page_count;
static struct line lines[LINES_MAX];
static size_t line_count;
static int mapping_count;
static long long released_bytes, live_bytes, peak_bytes, failed;
static bool allocates;

static struct line *line_of(int number)
{
	for (size_t i = 0; i < line_count; i++)
		if (lines[i].line == number)
			return &lines[i];
	lines[line_count].line = number;
	return &lines[line_count++];
}

static void forget(uintptr_t start, size_t bytes)
{
	for (size_t i = 0; i < page_count;) {
		if (pages[i].address < start || pages[i].address >= start + bytes) {
			i++;
			continue;
		}
		line_of(pages[i].line)->live_bytes -= PAGE;
		live_bytes -= PAGE;
		released_bytes += PAGE;
		pages[i] = pages[--page_count];
	}
}

static void note(uintptr_t start, size_t bytes, int number)
{
	struct line *line = line_of(number);
	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	forget(start, bytes);
	mapping_count++;
	for (uintptr_t at = start; at < start + bytes; at += PAGE)
		pages[page_count++] = (struct page){at, number, mapping_count};
	line->total_bytes += (long long)bytes;
	line->total_blocks++;
	line->live_bytes += (long long)bytes;
	live_bytes += (long long)bytes;
	if (live_bytes <= peak_bytes)
		return;
	peak_bytes = live_bytes;
	for (size_t i = 0; i < line_count; i++)
		lines[i].peak_bytes = lines[i].live_bytes;
}

/* Mappings of a line (0: of all) with at least one page. */
static long long count_live(int number)
{
	static bool seen[PAGES_MAX];
	long long count = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < page_count; i++) {
		if (number && pages[i].line != number)
			continue;
		count += !seen[pages[i].mapping];
		seen[pages[i].mapping] = true;
	}
	return count;
}

static void *mapped(void *got, size_t bytes, int line)
{
	if (got == MAP_FAILED)
		failed++;
	else
		note((uintptr_t)got, bytes, line);
	return got;
}

static void *moved(void *got, void *old, size_t old_bytes, size_t bytes, int line)
{
	if (got != MAP_FAILED)
		forget((uintptr_t)old, old_bytes);
	return mapped(got, bytes, line);
}

static void grown(void *old, intptr_t bytes, int line)
{
	if (old == (void *)-1)
		failed++;
	else if (bytes > 0)
		note((uintptr_t)old, (size_t)bytes, line);
	else
		forget((uintptr_t)old + (uintptr_t)bytes, (size_t)-bytes);
}

enum { READ_WRITE = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

#define MMAP(at, bytes, flags)                                                                     \
	mapped(mmap(at, bytes, READ_WRITE, ANONYMOUS | (flags), -1, 0), bytes, __LINE__)
#define MUNMAP(at, bytes) (forget((uintptr_t)(at), bytes), munmap(at, bytes))
#define MREMAP(at, old, bytes)                                                                     \
	moved(mremap(at, old, bytes, MREMAP_MAYMOVE), at, old, bytes, __LINE__)
#define SBRK(bytes) grown(sbrk(bytes), bytes, __LINE__)

/* Blocks for which the allocator maps memory, remaps it, and gives it back. */
static void allocate(void)
{
	if (!allocates)
		return;
	void *block = malloc(BLOCK_BYTES);
	block = realloc(block, 8 * BLOCK_BYTES);
	void *aligned = aligned_alloc(PAGE, BLOCK_BYTES);
	void *cleared = calloc(3, BLOCK_BYTES);
	free(aligned);
	free(cleared);
	free(block);
}

static void use_maps(void)
{
	char *kept = MMAP(NULL, 10 * PAGE, 0);
	allocate();
	MUNMAP(kept + 2 * PAGE, 3 * PAGE);	/* a hole */
	MUNMAP(kept + 9 * PAGE, PAGE);		/* its end */
	MMAP(kept + 6 * PAGE, PAGE, MAP_FIXED); /* over a part of it */
	for (int i = 0; i < 50; i++) {
		char *passing = MMAP(NULL, (size_t)(i + 1) * PAGE - 5, 0);
		allocate();
		MUNMAP(passing, (size_t)(i + 1) * PAGE);
	}
	char *whole = MMAP(NULL, 4 * PAGE, 0);
	MUNMAP(whole, PAGE);
	MUNMAP(whole + PAGE, 3 * PAGE); /* in two parts */
	munmap(kept + 1, PAGE);		/* refused: nothing changes */
	MMAP(NULL, (size_t)1 << 60, 0);
}

static void use_moves(void)
{
	char *small = MMAP(NULL, 2 * PAGE, 0);
	MMAP(small + 2 * PAGE, PAGE, MAP_FIXED_NOREPLACE);
	char *large = MREMAP(small, 2 * PAGE, 64 * PAGE);
	allocate();
	large = MREMAP(large, 64 * PAGE, 16 * PAGE);
	MREMAP(large, 16 * PAGE, (size_t)1 << 60);
	MREMAP(large + 4 * PAGE, 4 * PAGE, 12 * PAGE); /* out of its middle */
}

static void use_break(void)
{
	char *end = sbrk(0);
	/* From here on whole pages; the rest of this one is mapped already. */
	sbrk((intptr_t)(((uintptr_t)end + PAGE - 1) / PAGE * PAGE - (uintptr_t)end));
	SBRK(5 * PAGE);
	SBRK(-2 * PAGE);
	end = sbrk(0);
	if (brk(end + 7 * PAGE) == 0)
		grown(end, 7 * PAGE, __LINE__ - 1);
	end = sbrk(0);
	if (brk(end - PAGE) == 0)
		grown(end, -PAGE, __LINE__ - 1);
}

static void print_truth(void)
{
	static char text[16384];
	long long total_bytes = 0, total_blocks = 0;
	size_t used = 0;
	for (size_t i = 0; i < line_count; i++) {
		total_bytes += lines[i].total_bytes;
		total_blocks += lines[i].total_blocks;
	}
	used += (size_t)snprintf(
		text, sizeof(text),
		"truth: {\"total_bytes\":%lld,\"total_blocks\":%lld,"
		"\"released_bytes\":%lld,\"peak_bytes\":%lld,\"failed_calls\":%lld,"
		"\"current_bytes\":%lld,\"current_blocks\":%lld,\"lines\":[",
		total_bytes, total_blocks, released_bytes, peak_bytes, failed, live_bytes,
		count_live(0));
	for (size_t i = 0; i < line_count; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"%s{\"line\":%d,\"total_bytes\":%lld,\"total_blocks\":%lld,"
			"\"peak_bytes\":%lld,\"current_bytes\":%lld,"
			"\"current_blocks\":%lld}",
			i ? "," : "", lines[i].line, lines[i].total_bytes, lines[i].total_blocks,
			lines[i].peak_bytes, lines[i].live_bytes, count_live(lines[i].line));
	used += (size_t)snprintf(text + used, sizeof(text) - used, "]}\n");
	if (write(1, text, used) != (ssize_t)used)
		_exit(99);
}

int main(int argc, char **argv)
{
	allocates = !(argc > 1 && strcmp(argv[1], "plain") == 0);
	write(1, "begin\n", 6);
	use_maps();
	use_moves();
	use_break();
	write(1, "end\n", 4);
	print_truth();
	return 0;
}
