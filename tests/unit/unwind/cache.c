/* SPDX-License-Identifier: MIT */
/*
 * The stack cache, with words given by hand: what it recognizes, what it must not, what it forgets.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unwind/cache.h"

enum { STACK_WORDS = 16384 };

struct fixture {
	struct unwind_cache *cache;
	struct unwind_reads reads;
	struct unwind_registers registers;
	uint64_t stack[STACK_WORDS]; /* from registers.sp upwards */
};

static struct fixture *fixture;

static void setup(void)
{
	fixture = calloc(1, sizeof *fixture);
	fixture->cache = calloc(1, sizeof *fixture->cache);
	fixture->registers = (struct unwind_registers){.sp = 0x7ffd00001000, .bp = 0x1234};
	fixture->reads.high = fixture->registers.sp + sizeof fixture->stack;
}

static void teardown(void)
{
	free(fixture->cache);
	free(fixture);
}

/* Puts a word where it is told on the stack and notes it. */
static void add(uint32_t offset, uint64_t value)
{
	struct unwind_reads *reads = &fixture->reads;
	reads->items[reads->count].address = fixture->registers.sp + 8 * (uint64_t)offset;
	reads->items[reads->count].value = value;
	reads->count++;
	fixture->stack[offset] = value;
}

static void add_some(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		add(7 * i, 0x555500000000 + 0x123 * i);
}

static int32_t find(void)
{
	return unwind_cache_find(fixture->cache, fixture->registers, fixture->stack,
				 sizeof fixture->stack);
}

static int32_t store(void)
{
	int32_t entry = unwind_cache_store(fixture->cache, fixture->registers, &fixture->reads);
	ck_assert_int_lt(entry, UNWIND_CACHE_ENTRIES);
	return entry;
}

START_TEST(an_empty_cache_knows_nothing)
{
	fixture->registers.sp = 0;
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	for (int i = 0; i < 1000; i++) {
		fixture->registers.sp = 8 * (uint64_t)rand();
		fixture->stack[0] = (uint64_t)rand();
		ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	}
}
END_TEST

START_TEST(a_stack_is_found_again_until_any_of_its_words_changes)
{
	for (uint32_t count = 1; count < 40; count++) {
		fixture->reads.count = 0;
		unwind_cache_clear(fixture->cache);
		add_some(count);
		int32_t entry = store();
		ck_assert_int_ge(entry, 0);
		ck_assert_int_eq(find(), entry);
		for (uint32_t i = 0; i < count; i++)
			for (unsigned bit = 0; bit < 64; bit++) {
				fixture->stack[7 * i] ^= UINT64_C(1) << bit;
				ck_assert_int_ne(find(), entry);
				fixture->stack[7 * i] ^= UINT64_C(1) << bit;
			}
		fixture->stack[1] = ~fixture->stack[1]; /* between two words that matter */
		ck_assert_int_eq(find(), entry);
		fixture->registers.sp += 8;
		ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
		fixture->registers.sp -= 8;
	}
}
END_TEST

START_TEST(words_may_have_been_read_in_any_order)
{
	add(0, 0x5555);
	add(4000, 0x7777);
	add(20, 0x6666);
	add(20, 0x6666);
	int32_t entry = store();
	ck_assert_int_ge(entry, 0);
	ck_assert_int_eq(find(), entry);
	fixture->stack[20]++;
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
}
END_TEST

START_TEST(the_frame_pointer_counts_where_it_was_used)
{
	add_some(5);
	fixture->reads.bp_used = true;
	int32_t with = store();
	ck_assert_int_eq(find(), with);
	fixture->registers.bp++;
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	fixture->registers.bp--;
	fixture->registers.bp_lost = true;
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	ck_assert_int_eq(store(), UNWIND_CACHE_NONE);
	fixture->reads.bp_used = false;
	int32_t without = store();
	ck_assert_int_ge(without, 0);
	ck_assert_int_eq(find(), without);
}
END_TEST

START_TEST(stacks_that_differ_in_the_frame_pointer_alone_are_told_apart)
{
	int32_t entries[3];
	add_some(5);
	fixture->reads.bp_used = true;
	for (uint64_t i = 0; i < 3; i++) {
		fixture->registers.bp = i;
		entries[i] = store();
	}
	for (uint64_t i = 0; i < 3; i++) {
		fixture->registers.bp = i;
		ck_assert_int_eq(find(), entries[i]);
	}
}
END_TEST

START_TEST(the_upper_bound_counts_where_it_was_used)
{
	const struct unwind_cache *cache = fixture->cache;
	add_some(5);
	int32_t entry = store();
	ck_assert_int_eq(unwind_cache_find(cache, fixture->registers, fixture->stack, 800), entry);
	/* a word was read up there that did not matter but for being there */
	fixture->reads.top = fixture->registers.sp + 808;
	unwind_cache_clear(fixture->cache);
	entry = store();
	ck_assert_int_eq(unwind_cache_find(cache, fixture->registers, fixture->stack, 808), entry);
	ck_assert_int_eq(unwind_cache_find(cache, fixture->registers, fixture->stack, 800),
			 UNWIND_CACHE_NONE);
	unwind_cache_clear(fixture->cache);
	fixture->reads.high_used = true;
	entry = store();
	ck_assert_int_eq(find(), entry);
	ck_assert_int_eq(unwind_cache_find(cache, fixture->registers, fixture->stack, 800),
			 UNWIND_CACHE_NONE);
	ck_assert_int_eq(unwind_cache_find(cache, fixture->registers, fixture->stack,
					   sizeof fixture->stack + 8),
			 UNWIND_CACHE_NONE);
}
END_TEST

/* The last words before memory that nobody may read. */
START_TEST(nothing_is_read_beyond_the_bytes_there_are)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	/* enough stacks with one return address for a split by a word far up */
	for (uint64_t i = 0; i < 50; i++) {
		fixture->reads.count = 0;
		add(0, 0x5555);
		add(1, 0x6666);
		add(300, 0x7000 + i);
		ck_assert_int_ge(store(), 0);
	}
	for (size_t words = 0; words <= page / 8; words++) {
		uint64_t *stack = (uint64_t *)(memory + page) - words;
		if (words > 0)
			stack[0] = 0x5555;
		if (words > 1)
			stack[1] = 0x6666;
		if (words > 300)
			stack[300] = 0x7000 + 49;
		int32_t entry =
			unwind_cache_find(fixture->cache, fixture->registers, stack, words * 8);
		if (words > 300)
			ck_assert_int_ge(entry, 0);
		else
			ck_assert_int_eq(entry, UNWIND_CACHE_NONE);
	}
	munmap(memory, 2 * page);
}
END_TEST

START_TEST(what_cannot_be_told_is_not_remembered)
{
	struct unwind_cache *before = malloc(sizeof *before);
	memcpy(before, fixture->cache, sizeof *before);
	ck_assert_int_eq(store(), UNWIND_CACHE_NONE); /* nothing was read */
	add_some(3);
	fixture->reads.incomplete = true;
	ck_assert_int_eq(store(), UNWIND_CACHE_NONE);
	fixture->reads.incomplete = false;
	const uint64_t addresses[] = {fixture->registers.sp - 8, 0, UINT64_MAX - 7,
				      fixture->registers.sp + (UINT64_C(8) << 32)};
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		fixture->reads.items[2].address = addresses[i];
		ck_assert_int_eq(store(), UNWIND_CACHE_NONE);
	}
	fixture->reads.items[0].address += 8; /* no walk begins anywhere but at sp */
	ck_assert_int_eq(store(), UNWIND_CACHE_NONE);
	ck_assert_mem_eq(before, fixture->cache, sizeof *before);
	free(before);
}
END_TEST

START_TEST(an_unaligned_stack_is_not_known)
{
	add_some(3);
	ck_assert_int_ge(store(), 0);
	fixture->registers.sp += 4;
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
}
END_TEST

START_TEST(a_cleared_cache_knows_nothing_and_keeps_its_generation)
{
	fixture->cache->generation = 77;
	unwind_cache_clear(fixture->cache);
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 100; i++) {
			fixture->reads.count = 0;
			add(0, 0x5555);
			add(9, i);
			store();
			ck_assert_int_ge(find(), 0);
		}
		unwind_cache_clear(fixture->cache);
		for (uint64_t i = 0; i < 100; i++) {
			fixture->stack[9] = i;
			ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
		}
	}
	ck_assert_uint_eq(fixture->cache->generation, 77);
}
END_TEST

/* Stacks as a wrapper around malloc makes them: numbered by words behind its return address. */
static void make_wrapped(uint64_t number)
{
	fixture->reads.count = 0;
	add(0, 0x5555);
	add(10, 0x6000 + number % 3);
	add(20, 0x7000 + number / 3 % 7);
	/* from here on frames are where the word before says */
	uint32_t base = 30 + (uint32_t)(number / 3 % 7);
	add(base, 0x8000 + number / 21 % 11);
	add(base + 20, 0x9000 + number / 231);
}

START_TEST(many_stacks_with_one_return_address_are_all_remembered)
{
	enum { STACKS = 3000 };
	int misses = 0;
	for (int round = 0; round < 4; round++) {
		misses = 0;
		for (uint64_t i = 0; i < STACKS; i++) {
			make_wrapped(i);
			if (find() != UNWIND_CACHE_NONE)
				continue;
			misses++;
			store();
			ck_assert_int_ge(find(), 0);
		}
		if (round == 0)
			ck_assert_int_eq(misses, STACKS);
	}
	/* without the splits every one of them would be missed in every round */
	ck_assert_int_lt(misses, STACKS / 20);
}
END_TEST

/*
 * Twice what there is room for, by a model that knows who has which entry: a stack is found under
 * its own number or not at all, and the last ones are found.
 */
static void check_room(uint64_t stacks)
{
	uint64_t *owners = calloc(UNWIND_CACHE_ENTRIES, sizeof *owners);
	for (uint64_t i = 1; i <= stacks; i++) {
		uint32_t count = 1 + (uint32_t)(i * 7919 % 300);
		uint64_t back = i * 104729 % 3000;
		fixture->reads.count = 0;
		fixture->registers.sp = 0x7ffd00000000 + 8 * (i % 1000);
		for (uint32_t k = 0; k < count; k++)
			add(k, i + 1000 * k);
		int32_t entry = store();
		ck_assert_int_ge(entry, 0);
		owners[entry] = i;
		ck_assert_int_eq(find(), entry);
		if (back >= i)
			continue;
		uint64_t old = i - back;
		fixture->registers.sp = 0x7ffd00000000 + 8 * (old % 1000);
		for (uint32_t k = 0; k < 300; k++)
			fixture->stack[k] = old + 1000 * k;
		entry = find();
		if (entry != UNWIND_CACHE_NONE)
			ck_assert_uint_eq(owners[entry], old);
		else
			ck_assert_uint_gt(back, 10);
	}
	free(owners);
}

START_TEST(when_there_is_no_room_the_oldest_stacks_are_forgotten)
{
	check_room(40000);
}
END_TEST

START_TEST(the_count_of_laps_begins_again)
{
	fixture->cache->lap = (UINT32_C(1) << 13) - 3;
	check_room(10000);
	ck_assert_uint_lt(fixture->cache->lap, 100);
}
END_TEST

/* Even if its words were still there: what stands in its place may be anything. */
static void check_overwritten(uint32_t laps)
{
	uint32_t *units = malloc(sizeof fixture->cache->units);
	fixture->cache->lap = laps;
	add_some(9);
	ck_assert_int_ge(store(), 0);
	ck_assert_int_ge(find(), 0);
	memcpy(units, fixture->cache->units, sizeof fixture->cache->units);
	for (uint32_t i = 0; i < 100; i++) {
		fixture->registers.sp += 8;
		fixture->reads.count = 0;
		add_some(1500);
		ck_assert_int_ge(store(), 0);
		ck_assert_int_ge(find(), 0);
	}
	fixture->registers.sp -= 800;
	memcpy(fixture->cache->units, units, sizeof fixture->cache->units);
	ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	free(units);
}

START_TEST(what_was_written_over_is_not_looked_at)
{
	check_overwritten(0);
	ck_assert_uint_eq(fixture->cache->lap, 1);
}
END_TEST

START_TEST(what_was_written_in_the_last_lap_of_all_is_not_looked_at)
{
	check_overwritten((UINT32_C(1) << 13) - 1);
	ck_assert_uint_eq(fixture->cache->lap, 0);
}
END_TEST

START_TEST(the_longest_stacks_there_are_can_be_remembered)
{
	for (uint64_t i = 0; i < 200; i++) {
		fixture->reads.count = 0;
		fixture->registers.sp = 0x7ffd00000000 + 8 * i;
		for (uint32_t k = 0; k < UNWIND_READS_MAX; k++)
			add(k, i + k);
		int32_t entry = store();
		ck_assert_int_ge(entry, 0);
		ck_assert_int_eq(find(), entry);
		fixture->stack[UNWIND_READS_MAX - 1]++;
		ck_assert_int_eq(find(), UNWIND_CACHE_NONE);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("unwind/cache");
	TCase *known = tcase_create("recognizing");
	tcase_add_checked_fixture(known, setup, teardown);
	tcase_add_test(known, an_empty_cache_knows_nothing);
	tcase_add_test(known, a_stack_is_found_again_until_any_of_its_words_changes);
	tcase_add_test(known, words_may_have_been_read_in_any_order);
	tcase_add_test(known, the_frame_pointer_counts_where_it_was_used);
	tcase_add_test(known, stacks_that_differ_in_the_frame_pointer_alone_are_told_apart);
	tcase_add_test(known, the_upper_bound_counts_where_it_was_used);
	tcase_add_test(known, nothing_is_read_beyond_the_bytes_there_are);
	tcase_add_test(known, what_cannot_be_told_is_not_remembered);
	tcase_add_test(known, an_unaligned_stack_is_not_known);
	suite_add_tcase(suite, known);
	TCase *room = tcase_create("room");
	tcase_add_checked_fixture(room, setup, teardown);
	tcase_set_timeout(room, 60);
	tcase_add_test(room, a_cleared_cache_knows_nothing_and_keeps_its_generation);
	tcase_add_test(room, many_stacks_with_one_return_address_are_all_remembered);
	tcase_add_test(room, when_there_is_no_room_the_oldest_stacks_are_forgotten);
	tcase_add_test(room, the_count_of_laps_begins_again);
	tcase_add_test(room, what_was_written_over_is_not_looked_at);
	tcase_add_test(room, what_was_written_in_the_last_lap_of_all_is_not_looked_at);
	tcase_add_test(room, the_longest_stacks_there_are_can_be_remembered);
	suite_add_tcase(suite, room);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
