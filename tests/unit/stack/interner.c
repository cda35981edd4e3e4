/* SPDX-License-Identifier: MIT */
/*
 * The interner against sorting: stacks that stand beside each other in order and are the same have
 * the same site, others have not.
 */
#include "stack/interner.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum {
	STACKS = 100000,
	DEPTH_MAX = 64,
};

/* Invariant: frames[0 .. count). */
struct sample {
	struct frame frames[DEPTH_MAX];
	size_t count;
	bool truncated;
	site_id site;
};

static void destroyp(struct interner **interner)
{
	interner_destroy(*interner);
}

#define _cleanup_interner_ __attribute__((__cleanup__(destroyp)))

static struct interner *new_interner(void)
{
	struct interner *interner = NULL;
	struct error *err = interner_create(&interner);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	return interner;
}

static uint32_t site_of(struct interner *interner, const struct frame *frames, size_t count,
			bool truncated)
{
	site_id site = {UINT32_MAX};
	struct error *err = interner_site(interner, frames, count, truncated, &site);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	ck_assert_uint_lt(site.v, interner_count(interner));
	return site.v;
}

static bool same_frames(const struct frame *one, const struct frame *other, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (one[i].image.v != other[i].image.v || one[i].address != other[i].address)
			return false;
	return true;
}

static void check_kept(const struct interner *interner, uint32_t site, const struct frame *frames,
		       size_t count, bool truncated)
{
	size_t kept_count;
	bool kept_truncated;
	const struct frame *kept =
		interner_frames(interner, (site_id){site}, &kept_count, &kept_truncated);
	ck_assert_uint_eq(kept_count, count);
	ck_assert_int_eq(kept_truncated, truncated);
	ck_assert(same_frames(kept, frames, count));
}

START_TEST(equal_stacks_are_one_site)
{
	_cleanup_interner_ struct interner *interner = new_interner();
	struct frame one[] = {{{1}, 0x10}, {{2}, 0x20}, {{0}, 0x7f0000001234}}, other[3];
	memcpy(other, one, sizeof one);
	ck_assert_uint_eq(interner_count(interner), 0);
	ck_assert_uint_eq(site_of(interner, one, 3, false), 0);
	ck_assert_uint_eq(site_of(interner, other, 3, false), 0);
	ck_assert_uint_eq(interner_count(interner), 1);
	/* The interner has a copy of its own. */
	one[1].address = 0x99;
	check_kept(interner, 0, other, 3, false);
	ck_assert_uint_eq(site_of(interner, one, 3, false), 1);
}
END_TEST

START_TEST(stacks_that_differ_in_anything_are_different_sites)
{
	_cleanup_interner_ struct interner *interner = new_interner();
	static const struct frame stacks[][3] = {
		{{{1}, 0x10}, {{2}, 0x20}, {{3}, 0x30}},
		{{{2}, 0x20}, {{1}, 0x10}, {{3}, 0x30}}, /* order */
		{{{1}, 0x10}, {{3}, 0x30}, {{2}, 0x20}},
		{{{2}, 0x10}, {{1}, 0x20}, {{3}, 0x30}}, /* images exchanged */
		{{{1}, 0x20}, {{2}, 0x10}, {{3}, 0x30}}, /* addresses exchanged */
		{{{1}, 0x10}, {{2}, 0x20}, {{0}, 0x30}}, /* one image */
		{{{1}, 0x10}, {{2}, 0x20}, {{3}, 0x31}}, /* one address, at each end of the word */
		{{{1}, 0x10}, {{2}, 0x20}, {{3}, 0x8000000000000030}},
		{{{1}, 0x8000000000000010}, {{2}, 0x20}, {{3}, 0x30}},
		{{{0}, 0}, {{0}, 0}, {{0}, 0}},
	};
	const size_t whole = sizeof stacks / sizeof *stacks;
	uint32_t expected = 0;
	for (size_t i = 0; i < whole; i++) {
		ck_assert_uint_eq(site_of(interner, stacks[i], 3, false), expected++);
		ck_assert_uint_eq(site_of(interner, stacks[i], 3, true), expected++);
	}
	/* Shorter by a frame, down to nothing. */
	for (size_t count = 3; count-- > 0;) {
		ck_assert_uint_eq(site_of(interner, stacks[0], count, false), expected++);
		ck_assert_uint_eq(site_of(interner, stacks[0], count, true), expected++);
	}
	/* A frame of zeroes is not the absence of one. */
	ck_assert_uint_eq(site_of(interner, stacks[whole - 1], 2, false), expected++);
	ck_assert_uint_eq(site_of(interner, stacks[whole - 1], 1, false), expected++);
	ck_assert_uint_eq(interner_count(interner), expected);
}
END_TEST

START_TEST(what_is_no_part_of_a_frame_does_not_matter)
{
	/* Between image and address lie four bytes that belong to neither. */
	_cleanup_interner_ struct interner *interner = new_interner();
	struct frame one, other;
	memset(&one, 0x00, sizeof one);
	memset(&other, 0xff, sizeof other);
	one.image = other.image = (image_id){4};
	one.address = other.address = 0x40;
	ck_assert_uint_eq(site_of(interner, &one, 1, false), site_of(interner, &other, 1, false));
}
END_TEST

/* What the hash of a stack is after one frame outside of every image. */
static uint64_t hash_after(uint64_t address)
{
	uint64_t hash = address * 0x9e3779b97f4a7c15u;
	return (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9u;
}

START_TEST(stacks_of_one_hash_are_still_different_sites)
{
	/* A target with code of its own making can choose return addresses: so many of one hash. */
	_cleanup_interner_ struct interner *interner = new_interner();
	for (uint64_t i = 0; i < 1000; i++) {
		struct frame frames[] = {{{0}, 0x1000 + i},
					 {{0}, 0x77 ^ hash_after(0x1000) ^ hash_after(0x1000 + i)}};
		ck_assert_uint_eq(site_of(interner, frames, 2, false), i);
		ck_assert_uint_eq(site_of(interner, frames, 2, false), i);
	}
}
END_TEST

START_TEST(a_deep_stack_is_kept_whole)
{
	_cleanup_interner_ struct interner *interner = new_interner();
	enum { DEEP = 100000 };
	_cleanup_free_ struct frame *frames = calloc(DEEP, sizeof *frames);
	ck_assert_ptr_nonnull(frames);
	for (uint32_t i = 0; i < DEEP; i++)
		frames[i] = (struct frame){{i % 7}, i * 3};
	ck_assert_uint_eq(site_of(interner, frames, DEEP, true), 0);
	check_kept(interner, 0, frames, DEEP, true);
	frames[DEEP - 1].address++;
	ck_assert_uint_eq(site_of(interner, frames, DEEP, true), 1);
}
END_TEST

START_TEST(the_memory_held_is_at_least_what_was_given)
{
	_cleanup_interner_ struct interner *interner = new_interner();
	for (uint64_t i = 0; i < 5000; i++) {
		struct frame frames[] = {{{1}, i}, {{1}, i * i}, {{2}, 5}};
		site_of(interner, frames, 3, false);
	}
	ck_assert_uint_ge(interner_memory_bytes(interner), 5000 * 3 * sizeof(struct frame));
	/* And no wild multiple of it: 48 bytes of frames, a description and two buckets a stack. */
	ck_assert_uint_le(interner_memory_bytes(interner), UINT64_C(5000) * 250);
}
END_TEST

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1du;
}

/* Often a stack from before, or one with a small change; few different frames in any case. */
static void fill(struct sample *samples, size_t index, uint64_t *seed)
{
	struct sample *sample = &samples[index];
	uint64_t choice = random_word(seed) >> 61;
	if (index && choice < 5) {
		*sample = samples[(random_word(seed) >> 20) % index];
		if (choice < 3 && sample->count)
			sample->frames[(random_word(seed) >> 20) % sample->count].address =
				random_word(seed) >> 62;
		return;
	}
	sample->count = (random_word(seed) >> 20) % (choice == 7 ? DEPTH_MAX + 1 : 8);
	sample->truncated = random_word(seed) >> 63;
	for (size_t i = 0; i < sample->count; i++) {
		sample->frames[i].image.v = (uint32_t)(random_word(seed) >> 62);
		sample->frames[i].address = (random_word(seed) >> 61) << 12;
	}
}

/* Any total order in which the same stacks, and only they, are equal. */
static int compare(const void *one_pointer, const void *other_pointer)
{
	const struct sample *one = one_pointer, *other = other_pointer;
	if (one->truncated != other->truncated)
		return one->truncated ? 1 : -1;
	if (one->count != other->count)
		return one->count > other->count ? 1 : -1;
	for (size_t i = 0; i < one->count; i++) {
		const struct frame *a = &one->frames[i], *b = &other->frames[i];
		if (a->image.v != b->image.v)
			return a->image.v > b->image.v ? 1 : -1;
		if (a->address != b->address)
			return a->address > b->address ? 1 : -1;
	}
	return 0;
}

START_TEST(random_stacks_are_numbered_as_sorting_tells_them_apart)
{
	_cleanup_interner_ struct interner *interner = new_interner();
	_cleanup_free_ struct sample *samples = calloc(STACKS, sizeof *samples);
	ck_assert_ptr_nonnull(samples);
	uint64_t seed = 0xabcdef123456789u;
	uint32_t issued = 0;
	for (size_t i = 0; i < STACKS; i++) {
		fill(samples, i, &seed);
		samples[i].site.v = site_of(interner, samples[i].frames, samples[i].count,
					    samples[i].truncated);
		/* Dense, from 0. */
		ck_assert_uint_le(samples[i].site.v, issued);
		issued += samples[i].site.v == issued;
	}
	ck_assert_uint_eq(interner_count(interner), issued);
	qsort(samples, STACKS, sizeof *samples, compare);
	uint32_t distinct = 1;
	for (size_t i = 1; i < STACKS; i++) {
		bool same = compare(&samples[i - 1], &samples[i]) == 0;
		distinct += !same;
		ck_assert_int_eq(samples[i - 1].site.v == samples[i].site.v, same);
	}
	ck_assert_uint_eq(distinct, issued);
	ck_assert_uint_gt(distinct, STACKS / 4);
	ck_assert_uint_lt(distinct, STACKS * 3 / 4);
	for (size_t i = 0; i < STACKS; i++)
		check_kept(interner, samples[i].site.v, samples[i].frames, samples[i].count,
			   samples[i].truncated);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interner");
	TCase *tests = tcase_create("interner");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, equal_stacks_are_one_site);
	tcase_add_test(tests, stacks_that_differ_in_anything_are_different_sites);
	tcase_add_test(tests, what_is_no_part_of_a_frame_does_not_matter);
	tcase_add_test(tests, stacks_of_one_hash_are_still_different_sites);
	tcase_add_test(tests, a_deep_stack_is_kept_whole);
	tcase_add_test(tests, the_memory_held_is_at_least_what_was_given);
	tcase_add_test(tests, random_stacks_are_numbered_as_sorting_tells_them_apart);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
