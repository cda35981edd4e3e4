/* SPDX-License-Identifier: MIT */
/*
 * Bytes that nobody meant as code: every function ends, stays in bounds and keeps its invariants.
 * Meant to be run under the address and undefined-behaviour sanitizers as well.
 */
#include <check.h>
#include <stdlib.h>

#include "arch/code.h"
#include "base/cleanup.h"
#include "unit/arch/flat.h"

enum {
	STRINGS = 100000,
	STRING_MAX_BYTES = 96,
	ENDLESS_WALKS = 300,
};

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1du;
}

/* Every second byte or so is one that branches, prefixes or escapes. */
static void fill(uint64_t *seed, uint8_t *bytes, size_t count)
{
	static const uint8_t likely[] = {0xe8, 0xe9, 0xeb, 0x74, 0x0f, 0x85, 0xff, 0x15,
					 0x25, 0x66, 0x67, 0xf2, 0xf3, 0x48, 0x8b, 0x05,
					 0xe2, 0xe3, 0xc3, 0x62, 0xc4, 0xc5, 0x3d, 0x00,
					 0x02, 0x04, 0xfe, 0x24, 0xc7, 0xf8};
	for (size_t i = 0; i < count; i++) {
		uint64_t word = random_word(seed) >> 20;
		bytes[i] = word & 1 ? (uint8_t)(word >> 8) : likely[(word >> 8) % sizeof likely];
	}
}

static bool every_fourth(void *context, target_addr address)
{
	(void)context;
	return address.v % 4 == 3;
}

static void check_ascending(const target_addr *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		ck_assert_uint_lt(items[i - 1].v, items[i].v);
}

/* One call of code_find_exits; says whether it succeeded. */
static bool check_exits(const struct code_reader *reader, uint64_t entry,
			bool (*stop_at)(void *, target_addr))
{
	_cleanup_code_exits_ struct code_exits exits = {0};
	_cleanup_error_ struct error *err =
		code_find_exits(reader, (target_addr){entry}, stop_at, NULL, &exits);
	if (err) {
		ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
		ck_assert_uint_gt(strlen(error_message(err)), 0);
		ck_assert_ptr_null(exits.returns);
		return false;
	}
	check_ascending(exits.returns, exits.return_count);
	check_ascending(exits.handovers, exits.handover_count);
	ck_assert(stop_at || exits.handover_count == 0);
	return true;
}

static bool check_slot(const struct code_reader *reader, uint64_t site, uint64_t slot_address)
{
	struct code_slot slot;
	_cleanup_error_ struct error *err =
		code_relocate(reader, (target_addr){site}, (target_addr){slot_address}, &slot);
	if (err)
		return false;
	ck_assert(slot.count > 0 && slot.count <= CODE_SLOT_MAX_BYTES);
	ck_assert(slot.length > 0 && slot.length <= CODE_INSTRUCTION_MAX_BYTES);
	ck_assert(slot.finished_offset < slot.count && slot.taken_offset < slot.count);
	ck_assert(slot.finished_offset != slot.taken_offset || slot.taken_offset == 0);
	size_t length;
	ck_assert_ptr_null(code_length(reader, (target_addr){site}, &length));
	ck_assert_uint_eq(length, slot.length);
	target_addr address;
	for (size_t offset = 0; offset < CODE_SLOT_MAX_BYTES + 8; offset++)
		code_slot_resume(&slot, offset, (target_addr){site}, &address);
	return true;
}

static void check_length(const struct code_reader *reader, const struct flat *flat,
			 uint64_t address)
{
	size_t length = 0;
	_cleanup_error_ struct error *err = code_length(reader, (target_addr){address}, &length);
	if (!err)
		ck_assert(length > 0 && length <= flat->count - (address - flat->base));
	else
		ck_assert(error_kind_of(err) == ERROR_BAD_INPUT ||
			  error_kind_of(err) == ERROR_FAULT);
}

START_TEST(random_strings_neither_crash_nor_hang)
{
	uint64_t seed = 0x0123456789abcdefu;
	size_t found = 0, moved = 0;
	for (int i = 0; i < STRINGS; i++) {
		size_t count = 1 + random_word(&seed) % STRING_MAX_BYTES;
		/* Of the heap and of exact size, so that a sanitizer sees a read behind it. */
		_cleanup_free_ uint8_t *bytes = malloc(count);
		ck_assert_ptr_nonnull(bytes);
		fill(&seed, bytes, count);
		/* Some lie at the ends of the address space, where sums wrap around. */
		uint64_t base = i % 3 == 0   ? 0x400000
				: i % 3 == 1 ? UINT64_MAX - count + 1
					     : random_word(&seed) & ~(uint64_t)0xfff;
		struct flat flat = {.base = base, .bytes = bytes, .count = count};
		flat.bounds_start = base;
		flat.bounds_end = base + random_word(&seed) % (2 * count);
		flat.slot = base + count;
		flat.slot_value = base + random_word(&seed) % count;
		struct code_reader reader = flat_reader(&flat);
		uint64_t distance = (uint64_t)((int64_t)random_word(&seed) >> (i % 64));
		found += check_exits(&reader, base, i & 1 ? every_fourth : NULL);
		moved += check_slot(&reader, base, base + distance);
		check_length(&reader, &flat, base + random_word(&seed) % count);
	}
	ck_assert_uint_gt(found, STRINGS / 50);
	ck_assert_uint_gt(moved, STRINGS / 10);
}
END_TEST

/* Memory without end: the same bytes at every 4096. */
static bool endless_read(void *context, target_addr address, void *bytes, size_t count)
{
	const uint8_t *pattern = context;
	for (size_t i = 0; i < count; i++)
		((uint8_t *)bytes)[i] = pattern[(address.v + i) % 4096];
	return true;
}

/* Bounds that do not even hold the address. */
static bool lying_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	(void)context;
	start->v = address.v + 100;
	end->v = UINT64_MAX;
	return true;
}

static bool endless_pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	ret->v = slot.v * 0x9e3779b97f4a7c15u;
	return true;
}

START_TEST(code_without_end_is_given_up)
{
	uint64_t seed = 0xfedcba9876543210u;
	uint8_t pattern[4096];
	struct code_reader reader = {endless_read, lying_bounds, endless_pointer, pattern};
	for (int i = 0; i < ENDLESS_WALKS; i++) {
		fill(&seed, pattern, sizeof pattern);
		check_exits(&reader, random_word(&seed), NULL);
		check_exits(&reader, random_word(&seed), every_fourth);
	}
	/* Nothing but nops. */
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = 0x90;
	ck_assert(!check_exits(&reader, 0, NULL));
	ck_assert(!check_exits(&reader, UINT64_MAX - 10, NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile code");
	TCase *tests = tcase_create("hostile");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, random_strings_neither_crash_nor_hang);
	tcase_add_test(tests, code_without_end_is_given_up);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
