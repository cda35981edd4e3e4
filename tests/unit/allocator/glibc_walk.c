/* SPDX-License-Identifier: MIT */
/* The walk over this very process's heaps, held against what its C library says; and hostile ones.
 */
#include "allocator/glibc_walk.h"

#include <check.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator/glibc_heap.h"

enum { BLOCKS = 3000, REGIONS_MAX = 64 };

/* A sanitizer brings an allocator of its own, whose heaps have another form. */
static bool heap_is_foreign(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	printf("SKIP: the sanitizer has replaced the C library's allocator\n");
	fflush(stdout);
	return true;
#else
	return false;
#endif
}

/* Not from the heap that is looked at. */
static struct glibc_region regions[REGIONS_MAX];
static size_t region_count;

static size_t read_self(void *context, uint64_t address, void *bytes, size_t count)
{
	(void)context;
	for (size_t i = 0; i < region_count; i++)
		if (address >= regions[i].start && address < regions[i].end) {
			size_t left = regions[i].end - address;
			count = count < left ? count : left;
			memcpy(bytes, (const void *)address, count);
			return count;
		}
	if (regions[0].arena && address >= regions[0].arena &&
	    address + count <= regions[0].arena + GLIBC_ARENA_BYTES) {
		memcpy(bytes, (const void *)address, count);
		return count;
	}
	return 0;
}

static void note_mapping(unsigned long start, unsigned long end, const char *line, uint64_t *arena)
{
	if (strstr(line, "libc.so.6"))
		glibc_heap_find_arena((const uint64_t *)start, (end - start) / 8, start, arena);
	else if (strstr(line, "[heap]") && regions[0].end == start)
		regions[0].end = end;
	else if (strstr(line, "[heap]"))
		regions[0] = (struct glibc_region){.start = start, .end = end, .main = true};
	else if (start % GLIBC_HEAP_MAX_BYTES == 0 && region_count < REGIONS_MAX &&
		 glibc_heap_is_heap((const uint64_t *)start, start, end))
		regions[region_count++] =
			(struct glibc_region){.start = start,
					      .end = start + ((const uint64_t *)start)[2],
					      .arena = ((const uint64_t *)start)[0]};
}

static void find_regions(void)
{
	char line[512], mode[8];
	unsigned long start, end;
	uint64_t arena = 0;
	static char buffer[4096];
	FILE *maps = fopen("/proc/self/maps", "re");
	setvbuf(maps, buffer, _IOFBF, sizeof buffer);
	region_count = 1;
	regions[0] = (struct glibc_region){0};
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) == 3 && mode[1] == 'w')
			note_mapping(start, end, line, &arena);
	fclose(maps);
	ck_assert(regions[0].start && arena);
	regions[0].arena = arena;
}

static struct glibc_census walk_self(void)
{
	struct glibc_memory memory = {.read = read_self};
	struct glibc_census census;
	find_regions();
	ck_assert(glibc_walk(&memory, regions, region_count, NULL, NULL, &census));
	ck_assert_uint_eq(census.heap_bytes,
			  census.used_bytes + census.free_bytes + census.overhead_bytes);
	return census;
}

static void *blocks[BLOCKS];

START_TEST(new_blocks_are_counted_to_the_byte)
{
	if (heap_is_foreign())
		return;
	/* The walk's own memory, and what stdio keeps, is there before. */
	walk_self();
	struct glibc_census before = walk_self();
	uint64_t bytes = 0;
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(i * 13 % 3000);
		bytes += malloc_usable_size(blocks[i]);
	}
	struct glibc_census after = walk_self();
	ck_assert_uint_eq(after.used_blocks - before.used_blocks, BLOCKS);
	ck_assert_uint_eq(after.used_bytes - before.used_bytes, bytes);
	/* In whatever order they go, some to the cache, to fast bins and to others. */
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t one = i * 7 % BLOCKS;
		if (one % 3)
			continue;
		bytes -= malloc_usable_size(blocks[one]);
		free(blocks[one]);
		blocks[one] = NULL;
	}
	after = walk_self();
	ck_assert_uint_eq(after.used_blocks - before.used_blocks, BLOCKS - BLOCKS / 3);
	ck_assert_uint_eq(after.used_bytes - before.used_bytes, bytes);
	ck_assert_uint_eq(after.heap_bytes, mallinfo2().arena);
}
END_TEST

static pthread_barrier_t barrier;

static void *use_another_arena(void *unused)
{
	void *kept[100];
	for (size_t i = 0; i < 100; i++)
		kept[i] = malloc(100 + i);
	for (size_t i = 0; i < 100; i += 2)
		free(kept[i]);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	for (size_t i = 1; i < 100; i += 2)
		free(kept[i]);
	return unused;
}

START_TEST(heaps_of_threads_are_counted_too)
{
	if (heap_is_foreign())
		return;
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 2);
	walk_self();
	struct glibc_census before = walk_self();
	ck_assert_int_eq(pthread_create(&thread, NULL, use_another_arena, NULL), 0);
	pthread_barrier_wait(&barrier);
	struct glibc_census after = walk_self();
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	ck_assert_uint_ge(region_count, 2);
	/* The thread's own descriptor of thread-local storage is a block, too. */
	ck_assert_uint_eq(after.used_blocks - before.used_blocks, 50 + 1);
}
END_TEST

/* ---- heaps that are none */

enum { FAKE_BYTES = 1 << 16, FAKE_START = 0x10000 };
static uint64_t fake[FAKE_BYTES / 8];

static size_t read_fake(void *context, uint64_t address, void *bytes, size_t count)
{
	(void)context;
	if (address < FAKE_START || address >= FAKE_START + FAKE_BYTES)
		return 0;
	size_t left = FAKE_START + FAKE_BYTES - address;
	count = count < left ? count : left;
	memcpy(bytes, (const char *)fake + (address - FAKE_START), count);
	return count;
}

static bool walk_fake(struct glibc_census *ret)
{
	struct glibc_memory memory = {.read = read_fake};
	struct glibc_region region = {
		.start = FAKE_START, .end = FAKE_START + FAKE_BYTES, .main = true};
	return glibc_walk(&memory, &region, 1, NULL, NULL, ret);
}

static void put_chunk(uint64_t offset, uint64_t size_word)
{
	fake[offset / 8 + 1] = size_word;
}

/* Two chunks in use, one free, one in use, and the rest. */
static void make_fake(void)
{
	memset(fake, 0, sizeof fake);
	put_chunk(0, 0x20 | 1);
	put_chunk(0x20, 0x290 | 1);
	put_chunk(0x2b0, 0x100 | 1);
	put_chunk(0x3b0, 0x40);
	put_chunk(0x3f0, (FAKE_BYTES - 0x3f0) | 1);
}

START_TEST(a_heap_is_read_by_its_sizes)
{
	struct glibc_census census;
	make_fake();
	ck_assert(walk_fake(&census));
	ck_assert_uint_eq(census.used_blocks, 3);
	ck_assert_uint_eq(census.used_bytes, 0x18 + 0x288 + 0x38);
	ck_assert_uint_eq(census.free_bytes, 0x100 + FAKE_BYTES - 0x3f0);
}
END_TEST

START_TEST(a_heap_that_is_damaged_is_not_known)
{
	struct glibc_census census;
	static const uint64_t bad[] = {0,	    1,		8 | 1,	    0x10 | 1,
				       0x28 | 1,    UINT64_MAX, FAKE_BYTES, (FAKE_BYTES + 16) | 1,
				       0x40 | 2 | 1};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		make_fake();
		put_chunk(0x3b0, bad[i]);
		ck_assert_msg(!walk_fake(&census), "size %#lx", (unsigned long)bad[i]);
	}
}
END_TEST

START_TEST(a_list_of_a_cache_that_has_no_end_is_refused)
{
	struct glibc_census census;
	make_fake();
	/* A cache in the second chunk: 9 blocks of 32 bytes that are one and the same. */
	uint16_t count = 9;
	memcpy((char *)fake + 0x30, &count, sizeof count);
	fake[(0x30 + 128) / 8] = FAKE_START + 0x10;
	fake[0x10 / 8] = (FAKE_START + 0x10) ^ (FAKE_START + 0x10) >> 12;
	ck_assert(!walk_fake(&census));
	fake[0x10 / 8] = (FAKE_START + 0x10) >> 12;
	ck_assert(walk_fake(&census));
	ck_assert_uint_eq(census.used_blocks, 1);
}
END_TEST

START_TEST(random_memory_ends_the_walk)
{
	struct glibc_census census;
	for (unsigned round = 0; round < 2000; round++) {
		srand(round);
		make_fake();
		for (int i = 0; i < 40; i++)
			fake[(size_t)rand() % (round % 2 ? 200 : FAKE_BYTES / 8)] =
				(uint64_t)rand() % 3 ? (uint64_t)rand() % FAKE_BYTES
						     : FAKE_START + (uint64_t)rand() % FAKE_BYTES;
		if (walk_fake(&census))
			ck_assert_uint_eq(census.heap_bytes, census.used_bytes + census.free_bytes +
								     census.overhead_bytes);
	}
}
END_TEST

START_TEST(a_mapping_with_one_block_is_told_by_its_header)
{
	ck_assert_uint_eq(glibc_walk_mapped((const uint64_t[]){0, 0x3000 | 2}, 0x1000, 0x4000),
			  0x3000);
	ck_assert_uint_eq(glibc_walk_mapped((const uint64_t[]){0, 0x3000 | 2}, 0x1000, 0x3000), 0);
	ck_assert_uint_eq(glibc_walk_mapped((const uint64_t[]){0, 0x3000}, 0x1000, 0x4000), 0);
	ck_assert_uint_eq(glibc_walk_mapped((const uint64_t[]){0, 0x3010 | 2}, 0x1000, 0x8000), 0);
	ck_assert_uint_eq(glibc_walk_mapped((const uint64_t[]){0x4000, 0x3000 | 2}, 0x1000, 0x8000),
			  0);
}
END_TEST

int main(void)
{
	/* The walk's own memory stays out of the heap, however often it is given back. */
	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	Suite *suite = suite_create("allocator/glibc_walk");
	TCase *tcase = tcase_create("glibc_walk");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, new_blocks_are_counted_to_the_byte);
	tcase_add_test(tcase, heaps_of_threads_are_counted_too);
	tcase_add_test(tcase, a_heap_is_read_by_its_sizes);
	tcase_add_test(tcase, a_heap_that_is_damaged_is_not_known);
	tcase_add_test(tcase, a_list_of_a_cache_that_has_no_end_is_refused);
	tcase_add_test(tcase, random_memory_ends_the_walk);
	tcase_add_test(tcase, a_mapping_with_one_block_is_told_by_its_header);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
