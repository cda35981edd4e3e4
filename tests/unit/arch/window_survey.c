/* SPDX-License-Identifier: MIT */
/*
 * Jumps into a function from elsewhere in the text: every encoding, at the edges, and in random
 * bytes and the C library against a table.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "arch/window_survey.h"
#include "base/cleanup.h"

enum {
	BASE = 0x1000,
	RANDOM_TEXTS = 2000,
	TEXT_BYTES = 400,
};

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (*seed * 0x2545f4914f6cdd1du) >> 20;
}

struct known {
	uint64_t jump; /* accepted, 0: none */
	uint64_t asked;
};

/* One survey, one question. */
static bool is_entered(const uint8_t *text, size_t count, uint64_t base, uint64_t start,
		       uint64_t end, bool (*known)(void *context, target_addr jump), void *context)
{
	_cleanup_window_survey_ struct window_survey survey = {0};
	ck_assert_ptr_null(window_survey_make(text, count, (target_addr){base}, &survey));
	return window_survey_is_entered(&survey, (target_addr){start}, (target_addr){end}, known,
					context);
}

static bool is_known(void *context, target_addr jump)
{
	struct known *known = context;
	known->asked = jump.v;
	return known->jump == jump.v;
}

enum { FUNCTION_START = 0x2080, FUNCTION_END = 0x20a0, TEXT_START = 0x2000 };

/* Whether a jump of those bytes whose distance field is count wide, at `at`, to `target`, is seen.
 */
static bool is_seen(const uint8_t *opcode, size_t count, size_t width, uint64_t at, uint64_t target)
{
	uint8_t text[0x140];
	memset(text, 0x90, sizeof text);
	int64_t distance = (int64_t)(target - (at + count + width));
	memcpy(text + (at - TEXT_START), opcode, count);
	memcpy(text + (at - TEXT_START) + count, &distance, width);
	struct known known = {0};
	bool seen = is_entered(text, sizeof text, TEXT_START, FUNCTION_START, FUNCTION_END,
			       is_known, &known);
	ck_assert_uint_eq(known.asked, seen ? at : 0);
	known.jump = at;
	ck_assert(!is_entered(text, sizeof text, TEXT_START, FUNCTION_START, FUNCTION_END, is_known,
			      &known));
	return seen;
}

static void check_encoding(const uint8_t *opcode, size_t count, size_t width)
{
	const uint64_t places[] = {TEXT_START + 8, FUNCTION_START - 8, FUNCTION_END,
				   FUNCTION_END + 0x20};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (width == 1 && places[i] == TEXT_START + 8)
			continue;
		ck_assert(!is_seen(opcode, count, width, places[i], FUNCTION_START));
		ck_assert(is_seen(opcode, count, width, places[i], FUNCTION_START + 1));
		ck_assert(is_seen(opcode, count, width, places[i], FUNCTION_END - 1));
		ck_assert(!is_seen(opcode, count, width, places[i], FUNCTION_END));
	}
	/* Its own jumps are the caller's to follow. */
	ck_assert(!is_seen(opcode, count, width, FUNCTION_START, FUNCTION_START + 16));
	ck_assert(!is_seen(opcode, count, width, FUNCTION_END - 8, FUNCTION_START + 16));
}

START_TEST(every_encoding_of_a_direct_jump_or_call_from_elsewhere_is_seen)
{
	for (int low = 0; low < 16; low++) {
		check_encoding((const uint8_t[]){(uint8_t)(0x70 + low)}, 1, 1);
		check_encoding((const uint8_t[]){0x0f, (uint8_t)(0x80 + low)}, 2, 4);
	}
	for (int low = 0; low < 4; low++)
		check_encoding((const uint8_t[]){(uint8_t)(0xe0 + low)}, 1, 1);
	check_encoding((const uint8_t[]){0xeb}, 1, 1);
	check_encoding((const uint8_t[]){0xe8}, 1, 4);
	check_encoding((const uint8_t[]){0xe9}, 1, 4);
	check_encoding((const uint8_t[]){0xc7, 0xf8}, 2, 4);
	/* What is none. */
	ck_assert(!is_seen((const uint8_t[]){0xea}, 1, 4, TEXT_START + 8, FUNCTION_START + 4));
	ck_assert(
		!is_seen((const uint8_t[]){0x0f, 0x90}, 2, 4, TEXT_START + 8, FUNCTION_START + 4));
	ck_assert(!is_seen((const uint8_t[]){0xe4}, 1, 1, FUNCTION_END, FUNCTION_START + 4));
}
END_TEST

START_TEST(a_jump_that_the_text_cuts_off_is_none)
{
	const uint8_t near[] = {0x90, 0xe9, 0x10, 0x00, 0x00, 0x00}, short_[] = {0x90, 0xeb, 0x10};
	const uint8_t wide[] = {0x90, 0x0f, 0x84, 0x10, 0x00, 0x00, 0x00};
	uint64_t start = BASE + 8, end = BASE + 100;
	for (size_t left_out = 0; left_out < 2; left_out++) {
		struct known known = {0};
		ck_assert(is_entered(near, sizeof near - left_out, BASE, start, end, is_known,
				     &known) == !left_out);
		ck_assert(is_entered(wide, sizeof wide - left_out, BASE, start, end, is_known,
				     &known) == !left_out);
		ck_assert(is_entered(short_, sizeof short_ - left_out, BASE, start, end, is_known,
				     &known) == !left_out);
	}
	struct known known = {0};
	ck_assert(!is_entered(near, 0, BASE, start, end, is_known, &known));
}
END_TEST

/* Every encoding as a row: the opcode, which bits of its last byte count, and the distance's width.
 */
static const struct row {
	uint8_t opcode[2], mask;
	size_t count, width;
} rows[] = {
	{{0xe8}, 0xff, 1, 4},	    {{0xe9}, 0xff, 1, 4}, {{0xeb}, 0xff, 1, 1},
	{{0x70}, 0xf0, 1, 1},	    {{0xe0}, 0xfc, 1, 1}, {{0x0f, 0x80}, 0xf0, 2, 4},
	{{0xc7, 0xf8}, 0xff, 2, 4},
};

static size_t count_plainly(const uint8_t *text, size_t count, uint64_t base, uint64_t start,
			    uint64_t end)
{
	size_t found = 0;
	for (size_t at = 0; at < count; at++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			const struct row *row = &rows[i];
			uint64_t address = base + at;
			if (at + row->count + row->width > count ||
			    (row->count == 2 && text[at] != row->opcode[0]) ||
			    (text[at + row->count - 1] & row->mask) !=
				    row->opcode[row->count - 1] ||
			    (address >= start && address < end))
				continue;
			int32_t wide;
			memcpy(&wide, text + at + row->count, row->width == 4 ? 4 : 0);
			int64_t distance = row->width == 4 ? wide : (int8_t)text[at + row->count];
			uint64_t target = address + row->count + row->width + (uint64_t)distance;
			found += target > start && target < end;
		}
	return found;
}

static bool count_known(void *context, target_addr jump)
{
	(void)jump;
	++*(size_t *)context;
	return true;
}

static size_t count_surveyed(const uint8_t *text, size_t count, uint64_t base, uint64_t start,
			     uint64_t end)
{
	size_t asked = 0;
	ck_assert(!is_entered(text, count, base, start, end, count_known, &asked));
	return asked;
}

/* Of the heap and of exact size, so that a sanitizer sees a read behind it. */
static uint8_t *random_text(uint64_t *seed, size_t count)
{
	static const uint8_t likely[] = {0xe8, 0xe9, 0xeb, 0x74, 0xe2, 0x0f, 0x85, 0xc7,
					 0xf8, 0x00, 0x00, 0x00, 0xff, 0xff, 0x20, 0xc0};
	uint8_t *text = malloc(count);
	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < count; i++) {
		uint64_t word = random_word(seed);
		text[i] = word & 1 ? (uint8_t)(word >> 8) : likely[(word >> 8) % sizeof likely];
	}
	return text;
}

START_TEST(the_jumps_of_random_text_are_those_a_table_finds)
{
	uint64_t seed = 0x5deece66du;
	size_t all = 0;
	for (int i = 0; i < RANDOM_TEXTS; i++) {
		size_t count = 1 + random_word(&seed) % TEXT_BYTES;
		_cleanup_free_ uint8_t *text = random_text(&seed, count);
		const uint64_t bases[] = {0x400000, UINT64_MAX - TEXT_BYTES / 2,
					  UINT64_MAX - count + 1, 0, 100};
		uint64_t base = bases[i % 5];
		/* Within the text, or in part before or behind it. */
		uint64_t start = base + random_word(&seed) % (count + 40) - 20;
		uint64_t end = start + random_word(&seed) % 60;
		if (end < start)
			continue;
		size_t asked = count_surveyed(text, count, base, start, end);
		ck_assert_uint_eq(asked, count_plainly(text, count, base, start, end));
		all += asked;
	}
	ck_assert_uint_gt(all, RANDOM_TEXTS);
}
END_TEST

START_TEST(a_range_of_any_size_may_be_asked_for)
{
	uint64_t seed = 0x2545f491u;
	for (int i = 0; i < RANDOM_TEXTS; i++) {
		_cleanup_free_ uint8_t *text = random_text(&seed, TEXT_BYTES);
		uint64_t base = random_word(&seed) << (i % 44);
		uint64_t start = random_word(&seed) << (i % 43), end = random_word(&seed) << 20;
		ck_assert_uint_eq(count_surveyed(text, TEXT_BYTES, base, start, end),
				  count_plainly(text, TEXT_BYTES, base, start, end));
	}
	_cleanup_free_ uint8_t *text = random_text(&seed, TEXT_BYTES);
	ck_assert_uint_eq(count_surveyed(text, TEXT_BYTES, BASE, 0, UINT64_MAX),
			  count_plainly(text, TEXT_BYTES, BASE, 0, UINT64_MAX));
	ck_assert_uint_eq(count_surveyed(text, TEXT_BYTES, BASE, UINT64_MAX, 0), 0);
	/* From the second half of a text that begins at 0 to the end of all addresses. */
	size_t found = count_surveyed(text, TEXT_BYTES, 0, TEXT_BYTES / 2, UINT64_MAX);
	ck_assert_uint_gt(found, 0);
	ck_assert_uint_eq(found, count_plainly(text, TEXT_BYTES, 0, TEXT_BYTES / 2, UINT64_MAX));
}
END_TEST

START_TEST(the_jumps_of_the_c_library_are_those_a_table_finds)
{
	const uint64_t functions[] = {
		(uint64_t)(uintptr_t)qsort,    (uint64_t)(uintptr_t)qsort_r,
		(uint64_t)(uintptr_t)abort,    (uint64_t)(uintptr_t)fopen,
		(uint64_t)(uintptr_t)strtoull,
	};
	Dl_info library;
	size_t all = 0;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		const uint8_t *text = (const uint8_t *)(uintptr_t)(functions[i] & ~4095ul);
		/* Whatever lies around it, as far as it is the library's. */
		size_t count = 0;
		while (count < 40 << 12 && dladdr(text + count, &library) &&
		       strstr(library.dli_fname, "libc.so"))
			count += 4096;
		uint64_t base = (uint64_t)(uintptr_t)text;
		size_t found = count_surveyed(text, count, base, functions[i], functions[i] + 2000);
		ck_assert_uint_eq(
			found, count_plainly(text, count, base, functions[i], functions[i] + 2000));
		all += found;
	}
	ck_assert_uint_gt(all, 0);
}
END_TEST

START_TEST(a_text_of_nothing_but_branches_is_refused)
{
	enum { MANY = 1 << 20 };
	_cleanup_free_ uint8_t *text = malloc(MANY);
	ck_assert_ptr_nonnull(text);
	memset(text, 0xe8, MANY);
	struct window_survey survey;
	_cleanup_error_ struct error *err =
		window_survey_make(text, MANY, (target_addr){BASE}, &survey);
	ck_assert_int_eq(error_kind_of(err), ERROR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(error_message(err), "look like branches"));
	/* Every fourth byte may be one. */
	for (size_t i = 0; i < MANY; i++)
		text[i] = i % 4 ? 0x90 : 0xe8;
	ck_assert_ptr_null(window_survey_make(text, MANY, (target_addr){BASE}, &survey));
	ck_assert_uint_eq(survey.branch_count, MANY / 4 - 1);
	window_survey_deinit(&survey);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jumps from elsewhere");
	TCase *tests = tcase_create("elsewhere");
	tcase_add_test(tests, every_encoding_of_a_direct_jump_or_call_from_elsewhere_is_seen);
	tcase_add_test(tests, a_jump_that_the_text_cuts_off_is_none);
	tcase_add_test(tests, the_jumps_of_random_text_are_those_a_table_finds);
	tcase_add_test(tests, a_range_of_any_size_may_be_asked_for);
	tcase_add_test(tests, the_jumps_of_the_c_library_are_those_a_table_finds);
	tcase_add_test(tests, a_text_of_nothing_but_branches_is_refused);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
