/* SPDX-License-Identifier: MIT */
#include "ledger/reach.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { BASE = 0x10000, WORDS = 6000, MODEL_BLOCKS = 400, ROUNDS = 400 };

static void ok(struct error *err)
{
	ck_assert_msg(err == NULL, "%s", err ? error_message(err) : "");
}

/* The verdict of each block, by its site. */
struct verdicts {
	enum reach_verdict of[MODEL_BLOCKS];
	size_t count;
};

static void note(void *context, const struct reach_block *block, enum reach_verdict verdict)
{
	struct verdicts *verdicts = context;
	verdicts->of[block->site.v] = verdict;
	verdicts->count++;
}

static uint64_t word_address(size_t i)
{
	return BASE + i * 8;
}

/* The marker takes what it is given. */
static void create(const struct reach_block *blocks, size_t count, struct reach **ret)
{
	struct reach_block *copy = calloc(count + 1, sizeof *copy);
	ck_assert_ptr_nonnull(copy);
	if (count)
		memcpy(copy, blocks, count * sizeof *copy);
	ok(reach_create(copy, count, ret));
}

/* ---- a model that is too slow to be wrong */

struct model {
	uint64_t memory[WORDS];
	struct reach_block blocks[MODEL_BLOCKS];
	size_t count;
	uint64_t registers[4];
	bool others_are_roots;
	bool reachable[MODEL_BLOCKS];
};

static bool points_to(uint64_t word, const struct reach_block *block)
{
	uint64_t bytes = block->size_bytes;
	bytes += bytes == 0 || bytes == 8;
	return word >= block->start && word < block->start + bytes;
}

static bool block_points_to(const struct model *model, size_t from, size_t to)
{
	const struct reach_block *block = &model->blocks[from];
	for (uint64_t at = block->start; at + 8 <= block->start + block->size_bytes; at += 8)
		if (points_to(model->memory[(at - BASE) / 8], &model->blocks[to]))
			return from != to;
	return false;
}

static bool is_in_block(const struct model *model, uint64_t address)
{
	for (size_t i = 0; i < model->count; i++)
		if (points_to(address, &model->blocks[i]))
			return true;
	return false;
}

static void mark_from_roots(struct model *model)
{
	for (size_t b = 0; b < model->count; b++) {
		for (size_t i = 0; i < 4; i++)
			model->reachable[b] |= points_to(model->registers[i], &model->blocks[b]);
		for (size_t i = 0; model->others_are_roots && i < WORDS; i++)
			model->reachable[b] |= points_to(model->memory[i], &model->blocks[b]) &&
					       !is_in_block(model, word_address(i));
	}
}

static void mark_until_nothing_changes(struct model *model)
{
	bool changed = true;
	while (changed) {
		changed = false;
		for (size_t from = 0; from < model->count; from++)
			for (size_t to = 0; model->reachable[from] && to < model->count; to++)
				if (!model->reachable[to] && block_points_to(model, from, to))
					changed = model->reachable[to] = true;
	}
}

static enum reach_verdict model_verdict(const struct model *model, size_t block)
{
	if (model->reachable[block])
		return REACH_REACHABLE;
	for (size_t from = 0; from < model->count; from++)
		if (!model->reachable[from] && block_points_to(model, from, block))
			return REACH_INDIRECT;
	return REACH_DIRECT;
}

/* Blocks side by side with gaps, some of size 0 and 8; a third of all words are pointers. */
static void make_model(struct model *model, unsigned seed)
{
	srand(seed);
	memset(model, 0, sizeof *model);
	model->others_are_roots = seed % 3 == 0;
	size_t word = 0;
	while (model->count < MODEL_BLOCKS && word + 40 < WORDS) {
		static const uint64_t sizes[] = {0, 1, 8, 16, 20, 24, 40, 100, 130};
		uint64_t size = sizes[(size_t)rand() % 9];
		model->blocks[model->count] =
			(struct reach_block){word_address(word), size, {(uint32_t)model->count}};
		model->count++;
		word += (size + 1 + 7) / 8 + 1 + (size_t)rand() % 8;
	}
	int density = 3 + rand() % 30;
	for (size_t i = 0; i < WORDS; i++)
		if (rand() % density == 0)
			model->memory[i] = BASE + (uint64_t)rand() % (WORDS * 8);
	for (size_t i = 0; i < 4; i++)
		model->registers[i] = BASE + (uint64_t)rand() % (WORDS * 8);
}

/* The blocks in another order than that of their addresses, memory in pieces of any length. */
static void ask(const struct model *model, struct verdicts *ret)
{
	_cleanup_reach_ struct reach *reach = NULL;
	struct reach_block shuffled[MODEL_BLOCKS];
	for (size_t i = 0; i < model->count; i++)
		shuffled[i] = model->blocks[i * 7 % model->count];
	if (model->count % 7 == 0)
		memcpy(shuffled, model->blocks, sizeof shuffled);
	create(shuffled, model->count, &reach);
	reach_add_roots(reach, model->registers, 4);
	for (size_t at = 0; at < WORDS;) {
		size_t length = 1 + (size_t)rand() % 700;
		length = length < WORDS - at ? length : WORDS - at;
		ok(reach_add_memory(reach, word_address(at), model->memory + at, length,
				    model->others_are_roots));
		at += length;
	}
	*ret = (struct verdicts){.count = 0};
	ok(reach_finish(reach, note, ret));
}

START_TEST(random_heaps_are_judged_as_by_a_slow_model)
{
	static struct model model;
	size_t seen[3] = {0};
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct verdicts verdicts;
		make_model(&model, round);
		mark_from_roots(&model);
		mark_until_nothing_changes(&model);
		ask(&model, &verdicts);
		ck_assert_uint_eq(verdicts.count, model.count);
		for (size_t i = 0; i < model.count; i++) {
			ck_assert_msg(verdicts.of[i] == model_verdict(&model, i),
				      "round %u, block %zu: %d instead of %d", round, i,
				      verdicts.of[i], model_verdict(&model, i));
			seen[verdicts.of[i]]++;
		}
	}
	for (size_t i = 0; i < 3; i++)
		ck_assert_msg(seen[i] > 1000, "verdict %zu came only %zu times", i, seen[i]);
}
END_TEST

/* ---- single rules */

static struct verdicts judge(const struct reach_block *blocks, size_t count, const uint64_t *roots,
			     size_t root_count, uint64_t address, const uint64_t *words,
			     size_t word_count)
{
	_cleanup_reach_ struct reach *reach = NULL;
	struct verdicts verdicts = {.count = 0};
	create(blocks, count, &reach);
	reach_add_roots(reach, roots, root_count);
	ok(reach_add_memory(reach, address, words, word_count, false));
	ok(reach_finish(reach, note, &verdicts));
	return verdicts;
}

START_TEST(the_middle_of_a_block_counts_and_its_end_does_not)
{
	const struct reach_block blocks[] = {
		{0x1000, 32, {0}}, {0x2000, 32, {1}}, {0x3000, 8, {2}}, {0x4000, 0, {3}}};
	const uint64_t roots[] = {0x101f, 0x2020, 0x3008, 0x4000};
	struct verdicts verdicts = judge(blocks, 4, roots, 4, 0, NULL, 0);
	ck_assert_int_eq(verdicts.of[0], REACH_REACHABLE);
	ck_assert_int_eq(verdicts.of[1], REACH_DIRECT);
	ck_assert_int_eq(verdicts.of[2], REACH_REACHABLE);
	ck_assert_int_eq(verdicts.of[3], REACH_REACHABLE);
}
END_TEST

START_TEST(of_a_ring_all_are_indirect_and_a_pointer_to_itself_counts_for_nothing)
{
	const struct reach_block blocks[] = {{0x1000, 8, {0}}, {0x1010, 8, {1}}, {0x1020, 8, {2}}};
	const uint64_t words[] = {0x1010, 0, 0x1000, 0, 0x1020, 0};
	struct verdicts verdicts = judge(blocks, 3, NULL, 0, 0x1000, words, 6);
	ck_assert_int_eq(verdicts.of[0], REACH_INDIRECT);
	ck_assert_int_eq(verdicts.of[1], REACH_INDIRECT);
	ck_assert_int_eq(verdicts.of[2], REACH_DIRECT);
}
END_TEST

START_TEST(forged_blocks_that_overlap_or_leave_memory_do_no_harm)
{
	const struct reach_block blocks[] = {
		{0x1000, UINT64_MAX, {0}}, {0x1000, 5, {1}},	   {0x1008, 1ull << 48, {2}},
		{UINT64_MAX, 16, {3}},	   {0x1001, 3, {4}},	   {0, 1, {5}},
		{0x7fff00000000, 1, {6}},  {0x1ull << 60, 9, {7}},
	};
	const uint64_t words[] = {0x1001, 0x1008, 0, UINT64_MAX};
	struct verdicts verdicts = judge(blocks, 8, NULL, 0, 0x1000, words, 4);
	ck_assert_uint_eq(verdicts.count, 8);
}
END_TEST

START_TEST(a_word_cut_off_by_the_end_of_a_block_is_no_pointer)
{
	const struct reach_block blocks[] = {{0x1000, 12, {0}}, {0x1020, 16, {1}}};
	const uint64_t words[] = {0, 0x1020};
	struct verdicts verdicts = judge(blocks, 2, (uint64_t[]){0x1000}, 1, 0x1000, words, 2);
	ck_assert_int_eq(verdicts.of[0], REACH_REACHABLE);
	ck_assert_int_eq(verdicts.of[1], REACH_DIRECT);
}
END_TEST

START_TEST(ranges_cover_every_block_and_no_page_without_one)
{
	const struct reach_block blocks[] = {{0x10010, 0x20, {0}},
					     {0x10ff0, 0x30, {1}},
					     {0x15000, 8, {2}},
					     {0x40000, 0x2000, {3}}};
	_cleanup_reach_ struct reach *reach = NULL;
	uint64_t start, end;
	create(blocks, 4, &reach);
	ck_assert(reach_next_range(reach, 0x10000, 0x100000, &start, &end));
	ck_assert_uint_eq(start, 0x10000);
	ck_assert_uint_eq(end, 0x12000);
	ck_assert(reach_next_range(reach, end, 0x100000, &start, &end));
	ck_assert_uint_eq(start, 0x15000);
	ck_assert_uint_eq(end, 0x16000);
	ck_assert(reach_next_range(reach, end, 0x41000, &start, &end));
	ck_assert_uint_eq(start, 0x40000);
	ck_assert_uint_eq(end, 0x41000);
	ck_assert(!reach_next_range(reach, 0x42000, 0x100000, &start, &end));
}
END_TEST

START_TEST(blocks_far_apart_and_large_ones_are_found)
{
	enum { COUNT = 300 };
	struct reach_block blocks[COUNT];
	uint64_t roots[COUNT];
	for (uint32_t i = 0; i < COUNT; i++) {
		uint64_t size = i % 3 == 0 ? 1u << 20 : i % 3 == 1 ? 65536 : 48;
		blocks[i] =
			(struct reach_block){0x100000000 + (uint64_t)i * i * 0x1f0000, size, {i}};
		roots[i] = i % 2 ? blocks[i].start + size - 1 : blocks[i].start - 1;
	}
	struct verdicts verdicts = judge(blocks, COUNT, roots, COUNT, 0, NULL, 0);
	for (uint32_t i = 0; i < COUNT; i++)
		ck_assert_int_eq(verdicts.of[i], i % 2 ? REACH_REACHABLE : REACH_DIRECT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger/reach");
	TCase *tcase = tcase_create("reach");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, random_heaps_are_judged_as_by_a_slow_model);
	tcase_add_test(tcase, the_middle_of_a_block_counts_and_its_end_does_not);
	tcase_add_test(tcase,
		       of_a_ring_all_are_indirect_and_a_pointer_to_itself_counts_for_nothing);
	tcase_add_test(tcase, forged_blocks_that_overlap_or_leave_memory_do_no_harm);
	tcase_add_test(tcase, a_word_cut_off_by_the_end_of_a_block_is_no_pointer);
	tcase_add_test(tcase, ranges_cover_every_block_and_no_page_without_one);
	tcase_add_test(tcase, blocks_far_apart_and_large_ones_are_found);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
