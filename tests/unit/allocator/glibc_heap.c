/* SPDX-License-Identifier: MIT */
#include "allocator/glibc_heap.h"

#include <check.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { WORDS = 4096, AT = 700, BASE = 0x7f0000000000 };

/* An arena all of whose bins are empty. */
static void make_arena(uint64_t *words, uint64_t address)
{
	for (size_t i = 14; i < 14 + 254; i += 2)
		words[i] = words[i + 1] = address + i * 8 - 16;
	words[0x870 / 8] = address;
}

START_TEST(an_arena_is_found_among_other_words)
{
	static uint64_t words[WORDS];
	uint64_t at;
	for (size_t i = 0; i < AT; i++)
		words[i] = BASE + i * 8;
	ck_assert(!glibc_heap_find_arena(words, WORDS, BASE, &at));
	make_arena(words + AT, BASE + AT * 8);
	words[AT + 20] = words[AT + 21] = 0x1234560; /* one bin in use */
	ck_assert(glibc_heap_find_arena(words, WORDS, BASE, &at));
	ck_assert_uint_eq(at, BASE + AT * 8);
	words[AT + 22] = 0; /* a link that no bin has */
	ck_assert(!glibc_heap_find_arena(words, WORDS, BASE, &at));
}
END_TEST

START_TEST(an_arena_that_is_cut_off_is_none)
{
	static uint64_t words[WORDS];
	uint64_t at;
	make_arena(words, BASE);
	ck_assert(glibc_heap_find_arena(words, GLIBC_ARENA_BYTES / 8, BASE, &at));
	ck_assert(!glibc_heap_find_arena(words, GLIBC_ARENA_BYTES / 8 - 1, BASE, &at));
	ck_assert(!glibc_heap_find_arena(words, 0, BASE, &at));
}
END_TEST

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

/* Our own C library's: in one of the writable mappings of its file. */
START_TEST(the_arena_of_this_very_process_is_found_once)
{
	if (heap_is_foreign())
		return;
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	size_t found = 0;
	_cleanup_free_ void *block = malloc(100);
	ck_assert_ptr_nonnull(block);
	while (fgets(line, sizeof line, maps)) {
		unsigned long start, end;
		char mode[8];
		uint64_t at;
		if (!strstr(line, "libc.so.6") ||
		    sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3 || mode[1] != 'w')
			continue;
		found += glibc_heap_find_arena((const uint64_t *)start, (end - start) / 8, start,
					       &at);
	}
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(only_what_has_the_shape_is_a_heap)
{
	const uint64_t start = 0x7f1234000000, end = start + 0x21000;
	const uint64_t good[] = {start + 0x30, 0, 0x21000, 0x21000};
	const uint64_t second[] = {0x7f1230000030, 0x7f1230000000, 0x20000, 0x21000};
	ck_assert(glibc_heap_is_heap(good, start, end));
	ck_assert(glibc_heap_is_heap(second, start, end));
	ck_assert(!glibc_heap_is_heap(good, start + 4096, end));
	ck_assert(!glibc_heap_is_heap(good, start, end + 4096));
	ck_assert(!glibc_heap_is_heap((const uint64_t[]){start + 8, 0, 0x21000, 0x21000}, start,
				      end));
	ck_assert(!glibc_heap_is_heap((const uint64_t[]){start + 0x30, 0, 0x22000, 0x21000}, start,
				      end));
}
END_TEST

static uint64_t word_before(uintptr_t block)
{
	volatile const uint64_t *word = (const uint64_t *)(block - 8);
	return *word;
}

START_TEST(a_block_with_a_mapping_of_its_own_is_told_by_its_header)
{
	if (heap_is_foreign())
		return;
	_cleanup_free_ char *large = malloc(1 << 20), *small = malloc(100);
	_cleanup_free_ char *aligned = memalign(1 << 16, 1 << 20);
	ck_assert(glibc_heap_is_mapped((uintptr_t)large, word_before((uintptr_t)large)));
	ck_assert(glibc_heap_is_mapped((uintptr_t)aligned, word_before((uintptr_t)aligned)));
	ck_assert(!glibc_heap_is_mapped((uintptr_t)small, word_before((uintptr_t)small)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("allocator/glibc_heap");
	TCase *tcase = tcase_create("glibc_heap");
	tcase_add_test(tcase, an_arena_is_found_among_other_words);
	tcase_add_test(tcase, an_arena_that_is_cut_off_is_none);
	tcase_add_test(tcase, the_arena_of_this_very_process_is_found_once);
	tcase_add_test(tcase, only_what_has_the_shape_is_a_heap);
	tcase_add_test(tcase, a_block_with_a_mapping_of_its_own_is_told_by_its_header);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
