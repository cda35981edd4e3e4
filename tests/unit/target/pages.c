/* SPDX-License-Identifier: MIT */
#include "target/pages.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PAGES = 40000 };
static const size_t TERABYTE = (size_t)1 << 40;

static uint8_t *map(size_t bytes)
{
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	/* Huge pages would touch more than was asked for. */
	ck_assert_int_eq(madvise(memory, bytes, MADV_NOHUGEPAGE), 0);
	return memory;
}

static void mark(bool *there, const uint8_t *memory, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += PAGE_BYTES)
		there[(at - (uintptr_t)memory) / PAGE_BYTES] = true;
}

/* What pages_next tells of the pages [first, last) of the memory. */
static void ask(const uint8_t *memory, size_t first, size_t last, bool scans, bool there[PAGES])
{
	_cleanup_pages_ struct pages pages;
	uint64_t at = (uintptr_t)memory + first * PAGE_BYTES, start, end;
	uint64_t limit = (uintptr_t)memory + last * PAGE_BYTES;
	pages_open(getpid(), &pages);
	pages.scans = scans;
	for (; pages_next(&pages, at, limit, &start, &end); at = end) {
		ck_assert_uint_le(at, start);
		ck_assert_uint_lt(start, end);
		ck_assert_uint_le(end, limit);
		mark(there, memory, start, end);
	}
}

static void expect(const uint8_t *memory, const bool *touched, size_t first, size_t last,
		   bool scans)
{
	static bool there[PAGES];
	for (size_t i = 0; i < PAGES; i++)
		there[i] = false;
	ask(memory, first, last, scans, there);
	for (size_t i = 0; i < PAGES; i++)
		if (there[i] != (touched[i] && i >= first && i < last))
			ck_abort_msg("page %zu: %d", i, there[i]);
}

/* Runs of every length, more of them and longer than one question is answered for. */
START_TEST(the_pages_that_were_touched_are_found)
{
	static bool touched[PAGES];
	uint8_t *memory = map((size_t)PAGES * PAGE_BYTES);
	for (size_t i = 0; i < PAGES; i++) {
		touched[i] = i < 34000 ? i % 1000 != 999 : i % (2 + i / 5000) == 0;
		if (touched[i])
			memory[i * PAGE_BYTES] = 1;
	}
	bool scans = _i != 0;
	expect(memory, touched, 0, PAGES, scans);
	expect(memory, touched, 1, PAGES - 1, scans);
	expect(memory, touched, 998, 1001, scans);
	expect(memory, touched, 999, 1000, scans);
	expect(memory, touched, 35000, 35000, scans);
	munmap(memory, (size_t)PAGES * PAGE_BYTES);
}
END_TEST

/* By its entries, as before Linux 6.7, a terabyte takes half a minute: a gigabyte must do there. */
START_TEST(untouched_terabytes_are_passed_over)
{
	static const size_t touched[] = {0, 5, TERABYTE / PAGE_BYTES - 1};
	_cleanup_pages_ struct pages pages;
	uint8_t *memory = map(TERABYTE);
	uint64_t at = (uintptr_t)memory, limit = at + TERABYTE, start, end;
	size_t count = 3;
	for (size_t i = 0; i < count; i++)
		memory[touched[i] * PAGE_BYTES] = 1;
	pages_open(getpid(), &pages);
	for (size_t i = 0; i < count; i++, at = end) {
		ck_assert(pages_next(&pages, at, limit, &start, &end));
		ck_assert_uint_eq(start, (uintptr_t)memory + touched[i] * PAGE_BYTES);
		ck_assert_uint_eq(end, start + PAGE_BYTES);
		if (!pages.scans) {
			count = 2;
			limit = (uintptr_t)memory + TERABYTE / 1024;
		}
	}
	ck_assert(!pages_next(&pages, at, limit, &start, &end));
	munmap(memory, TERABYTE);
}
END_TEST

START_TEST(what_cannot_be_asked_is_taken_to_be_there)
{
	struct pages pages = {.fd = -1};
	uint64_t start, end;
	ck_assert(pages_next(&pages, PAGE_BYTES, 3 * PAGE_BYTES, &start, &end));
	ck_assert_uint_eq(start, PAGE_BYTES);
	ck_assert_uint_eq(end, 3 * PAGE_BYTES);
	ck_assert(!pages_next(&pages, end, end, &start, &end));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("target/pages");
	TCase *cases = tcase_create("pages");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, the_pages_that_were_touched_are_found, 0, 2);
	tcase_add_test(cases, untouched_terabytes_are_passed_over);
	tcase_add_test(cases, what_cannot_be_asked_is_taken_to_be_there);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
