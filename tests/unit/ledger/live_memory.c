/* SPDX-License-Identifier: MIT */
#include "ledger/live_memory.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

enum { PAGE = LIVE_MEMORY_HUGE_PAGE_BYTES };

static void ok(struct error *err)
{
	ck_assert_msg(err == NULL, "%s", err ? error_message(err) : "");
}

/* Bytes that say where they stand, at every 64th place of [from, to). */
static void fill(struct live_memory *memory, size_t from, size_t to)
{
	uint64_t *words = memory->start;
	for (size_t i = from / 8; i < to / 8; i += 8)
		words[i] = ~(uint64_t)i;
}

static size_t count_wrong(const struct live_memory *memory, size_t filled)
{
	const uint64_t *words = memory->start;
	size_t wrong = 0;
	for (size_t i = 0; i < memory->bytes / 8; i += 8)
		wrong += words[i] != (i < filled / 8 ? ~(uint64_t)i : 0);
	return wrong;
}

START_TEST(growth_keeps_what_was_written_and_adds_zeroes_from_a_few_bytes_to_many_huge_pages)
{
	static const size_t steps[] = {4096,	 8192,	   65536,     PAGE / 2,	 PAGE,
				       2 * PAGE, 3 * PAGE, 10 * PAGE, 11 * PAGE, 40 * PAGE};
	struct live_memory memory = {0};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		size_t filled = memory.bytes;
		ok(live_memory_grow(&memory, steps[i]));
		ck_assert_uint_eq(memory.bytes, steps[i]);
		ck_assert_uint_eq(count_wrong(&memory, filled), 0);
		size_t alignment = steps[i] < PAGE ? LIVE_MEMORY_ALIGNMENT : PAGE;
		ck_assert_uint_eq((uintptr_t)memory.start % alignment, 0);
		fill(&memory, filled, memory.bytes);
	}
	live_memory_free(&memory);
	ck_assert_ptr_null(memory.start);
	ck_assert_uint_eq(memory.bytes, 0);
}
END_TEST

START_TEST(growth_that_cannot_be_leaves_everything_as_it_was)
{
	static const size_t firsts[] = {4096, PAGE};
	for (size_t i = 0; i < 2; i++) {
		struct live_memory memory = {0};
		ok(live_memory_grow(&memory, firsts[i]));
		fill(&memory, 0, memory.bytes);
		/* More than there are addresses, and more than fits a size with its slack. */
		static const size_t impossible[] = {(size_t)1 << 50, -(size_t)PAGE};
		for (size_t j = 0; j < 2; j++) {
			struct live_memory before = memory;
			struct error *err = live_memory_grow(&memory, impossible[j]);
			ck_assert_ptr_nonnull(err);
			ck_assert_int_eq(error_kind_of(err), ERROR_NO_MEMORY);
			error_free(err);
			ck_assert_ptr_eq(memory.start, before.start);
			ck_assert_uint_eq(memory.bytes, before.bytes);
			ck_assert_uint_eq(count_wrong(&memory, memory.bytes), 0);
		}
		live_memory_free(&memory);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("live_memory");
	TCase *cases = tcase_create("live_memory");
	tcase_set_timeout(cases, 240);
	tcase_add_test(
		cases,
		growth_keeps_what_was_written_and_adds_zeroes_from_a_few_bytes_to_many_huge_pages);
	tcase_add_test(cases, growth_that_cannot_be_leaves_everything_as_it_was);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
