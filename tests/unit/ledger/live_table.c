/* SPDX-License-Identifier: MIT */
#include "ledger/live_table.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum { SEED = 12345 };

static void ok(struct error *err)
{
	ck_assert_msg(err == NULL, "%s", err ? error_message(err) : "");
}

/* A block whose other fields follow from its address; every seventh is too large for a bucket. */
static struct live_block block_at(uint64_t address)
{
	return (struct live_block){
		.address = address,
		.born_ns = ~address,
		.size_bytes =
			address % 7 ? address & 0xffffffff : LIVE_BLOCK_SIZE_MAX - address % 9,
		.thread = (uint16_t)address,
		.site = (uint32_t)(address >> 3) & 0xffffff,
	};
}

/* The same without the large ones, for what is said of the buckets alone. */
static struct live_block small_at(uint64_t address)
{
	struct live_block block = block_at(address);
	block.size_bytes = address & 0xffffffff;
	return block;
}

static bool same(const struct live_block *a, const struct live_block *b)
{
	return a->address == b->address && a->born_ns == b->born_ns &&
	       a->size_bytes == b->size_bytes && a->thread == b->thread && a->site == b->site;
}

/* Puts a block; what it replaces must be the block of that address. */
static bool put(struct live_table *table, struct live_block block)
{
	struct live_block old;
	bool stood;
	struct error *err = live_table_put(table, &block, &old, &stood);
	if (err)
		ck_abort_msg("%s", error_message(err));
	if (stood && old.address != block.address)
		ck_abort_msg("another block than the one of its address was replaced");
	return stood;
}

static bool stands(const struct live_table *table, struct live_block want)
{
	struct live_block block;
	return live_table_find(table, want.address, &block) && same(&block, &want);
}

START_TEST(blocks_are_found_through_every_step_of_growth)
{
	struct live_table table;
	live_table_init(&table, SEED);
	/* Past the size from which the table grows by a fifth, several times. */
	const uint64_t count = 2500000;
	for (uint64_t i = 1; i <= count; i++) {
		bool stood = put(&table, small_at(i * 48));
		struct live_block none;
		/* An old one, the one in the middle, the new one and one that is not there. */
		if (stood || !stands(&table, small_at(48)) ||
		    !stands(&table, small_at((i + 1) / 2 * 48)) ||
		    !stands(&table, small_at(i * 48)) || live_table_find(&table, i * 48 + 1, &none))
			ck_abort_msg("wrong after %lu puts", (unsigned long)i);
		uint64_t bytes = live_table_memory_bytes(&table);
		/* The store grows by pages of 2 MiB, which weigh less the more blocks there are. */
		if (i > 1000000 && bytes > 40 * i)
			ck_abort_msg("%.2f bytes a block of %lu", (double)bytes / (double)i,
				     (unsigned long)i);
	}
	ok(live_table_check(&table));
	ck_assert_uint_eq(table.count, count);
	live_table_deinit(&table);
}
END_TEST

START_TEST(random_puts_and_takes_agree_with_a_plain_array)
{
	enum { ADDRESSES = 300000, STEPS = 3000000 };
	_cleanup_free_ bool *live = calloc(ADDRESSES, sizeof *live);
	struct live_table table;
	live_table_init(&table, SEED);
	uint64_t state = 88172645463325252u;
	size_t count = 0, wrong = 0;
	for (int step = 0; step < STEPS; step++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		size_t i = state >> 20 & 0x7ffffff;
		i %= ADDRESSES;
		uint64_t address = 0x7f0000000000 + i * 16;
		struct live_block want = block_at(address);
		/* Waves: mostly puts, then mostly takes. */
		if ((state & 15) < (step / 500000 % 2 ? 4 : 13)) {
			wrong += put(&table, want) != live[i];
			count += !live[i];
			live[i] = true;
		} else {
			struct live_block block;
			wrong += live_table_take(&table, address, &block) != live[i];
			wrong += live[i] && !same(&block, &want);
			count -= live[i];
			live[i] = false;
		}
		if (step % 300000 == 7)
			ok(live_table_check(&table));
	}
	for (size_t i = 0; i < ADDRESSES; i++)
		wrong += stands(&table, block_at(0x7f0000000000 + i * 16)) != live[i];
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(table.count + table.rest.by_hash.count, count);
	ck_assert_uint_gt(table.rest.by_hash.count, 0);
	live_table_deinit(&table);
}
END_TEST

START_TEST(walking_meets_every_block_once_also_in_the_middle_of_growth)
{
	struct live_table table;
	live_table_init(&table, SEED);
	uint64_t put_count = 0;
	bool met_growing = false;
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 37; i++)
			put(&table, block_at(++put_count));
		met_growing |= table.border != 0;
		_cleanup_free_ bool *seen = calloc(put_count + 1, sizeof *seen);
		size_t cursor = 0, count = 0;
		struct live_block block;
		while (live_table_next(&table, &cursor, &block)) {
			struct live_block want = block_at(block.address);
			ck_assert(same(&block, &want));
			count += !seen[block.address];
			seen[block.address] = true;
		}
		ck_assert_uint_eq(count, put_count);
		ok(live_table_check(&table));
	}
	ck_assert(met_growing);
	live_table_deinit(&table);
}
END_TEST

START_TEST(no_put_moves_more_than_a_few_homes_and_growth_ends_before_the_next)
{
	struct live_table table;
	live_table_init(&table, SEED);
	size_t longest = 0, overfull = 0;
	for (uint64_t i = 1; i <= 1000000; i++) {
		size_t before = table.border;
		size_t bytes = table.memory.bytes;
		put(&table, small_at(i * 16));
		/* Growth that begins moves nothing yet. */
		if (table.memory.bytes == bytes && before - table.border > longest)
			longest = before - table.border;
		overfull += table.border && table.count >= table.capacity * 4;
	}
	ck_assert_uint_gt(longest, 0);
	ck_assert_uint_lt(longest, 16);
	ck_assert_uint_eq(overfull, 0);
	live_table_deinit(&table);
}
END_TEST

/* Addresses whose homes among `capacity` ones are `home` or later ones. */
static void find_hostile(uint64_t *addresses, size_t count, size_t capacity, size_t home)
{
	size_t found = 0;
	for (uint64_t a = 1; found < count; a++)
		if (live_table_home(live_table_hash(SEED, a), capacity) >= home)
			addresses[found++] = a;
}

START_TEST(addresses_that_all_collide_are_kept_nevertheless)
{
	/* Only someone who knows the seed can do this: every block at home in the last places. */
	enum { MOST = 3000 };
	struct live_table table;
	live_table_init(&table, SEED);
	for (uint64_t i = 1; table.capacity < 1000 || table.border; i++)
		put(&table, small_at(i));
	struct live_block gone;
	for (uint64_t i = 1; table.count; i++)
		ck_assert(live_table_take(&table, i, &gone));
	uint64_t hostile[MOST];
	find_hostile(hostile, MOST, table.capacity, table.capacity - 4);
	for (size_t i = 0; i < MOST; i++)
		put(&table, small_at(hostile[i]));
	ck_assert_uint_gt(table.rest.by_hash.count, 0);
	ck_assert_uint_eq(table.count + table.rest.by_hash.count, MOST);
	ok(live_table_check(&table));
	for (size_t i = 0; i < MOST; i++)
		ck_assert(stands(&table, small_at(hostile[i])));
	for (size_t i = 0; i < MOST; i++)
		ck_assert(live_table_take(&table, hostile[i], &gone));
	ck_assert_uint_eq(table.count + table.rest.by_hash.count, 0);
	ok(live_table_check(&table));
	live_table_deinit(&table);
}
END_TEST

START_TEST(a_move_that_finds_no_room_keeps_every_block)
{
	/* Nobody's growth is so small: more homes in the same memory. */
	enum { BLOCKS = 180 };
	struct live_table table;
	live_table_init(&table, SEED);
	put(&table, small_at(1));
	struct live_block block;
	ck_assert(live_table_take(&table, 1, &block));
	uint64_t last[BLOCKS + 1];
	find_hostile(last, BLOCKS + 1, table.capacity, table.capacity - 1);
	for (size_t i = 0; i < BLOCKS; i++)
		put(&table, small_at(last[i]));
	ck_assert_uint_eq(table.rest.by_hash.count, 0);
	table.border = table.old_capacity = table.capacity;
	table.capacity += 7;
	table.generation ^= 1;
	ok(live_table_check(&table));
	put(&table, small_at(last[BLOCKS]));
	ok(live_table_check(&table));
	ck_assert_uint_ge(table.rest.by_hash.count, BLOCKS);
	for (size_t i = 0; i <= BLOCKS; i++)
		ck_assert(stands(&table, small_at(last[i])));
	live_table_deinit(&table);
}
END_TEST

/* Every way in which a block can be too large for a bucket, and the last that is not. */
static const struct live_block extremes[] = {
	{.address = 16, .size_bytes = (UINT64_C(1) << 38) - 1, .site = (1 << 26) - 1, .thread = 9},
	{.address = 16, .size_bytes = UINT64_C(1) << 38},
	{.address = 16, .site = 1 << 26, .born_ns = UINT64_MAX},
	{.address = 16,
	 .size_bytes = LIVE_BLOCK_SIZE_MAX,
	 .site = UINT32_MAX,
	 .thread = UINT16_MAX},
	{.address = 16, .born_ns = UINT64_MAX, .thread = UINT16_MAX},
	{.address = (UINT64_C(1) << 48) + 16, .size_bytes = 3},
	{.address = UINT64_MAX, .size_bytes = LIVE_BLOCK_SIZE_MAX},
};
enum { EXTREMES = sizeof extremes / sizeof *extremes };

START_TEST(extraordinary_blocks_stand_beside_usual_ones_and_replace_them)
{
	struct live_table table;
	live_table_init(&table, SEED);
	struct live_block old, block;
	bool stood;
	for (size_t i = 0; i < EXTREMES; i++)
		for (size_t j = 0; j < EXTREMES; j++) {
			ok(live_table_put(&table, &extremes[i], &old, &stood));
			ck_assert(!stood);
			ok(live_table_put(&table, &extremes[j], &old, &stood));
			ck_assert_int_eq(stood, extremes[i].address == extremes[j].address);
			ck_assert(!stood || same(&old, &extremes[i]));
			ck_assert(stands(&table, extremes[j]));
			ok(live_table_check(&table));
			ck_assert(live_table_take(&table, extremes[j].address, &block));
			ck_assert(same(&block, &extremes[j]));
			ck_assert(stood || live_table_take(&table, extremes[i].address, &block));
			ck_assert(!live_table_take(&table, extremes[i].address, &block));
		}
	ck_assert_uint_eq(table.count + table.rest.by_hash.count, 0);
	live_table_deinit(&table);
}
END_TEST

START_TEST(prefetching_is_harmless_for_any_address_at_any_time)
{
	struct live_table table;
	live_table_init(&table, SEED);
	uint64_t addresses[2 * LIVE_TABLE_AHEAD] = {16};
	live_table_prefetch(&table, addresses, 1);
	/* Far enough that the table is large enough to bother. */
	for (uint64_t i = 1; i < 60000; i++) {
		put(&table, block_at(i));
		for (uint64_t j = 0; j < 2 * LIVE_TABLE_AHEAD; j++)
			addresses[j] = j % 2 ? i * 0x123456789abcdef + j : i - j;
		live_table_prefetch(&table, addresses, i % (2 * LIVE_TABLE_AHEAD + 1));
	}
	ok(live_table_check(&table));
	ck_assert_uint_eq(table.count + table.rest.by_hash.count, 59999);
	live_table_deinit(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("live_table");
	TCase *cases = tcase_create("live_table");
	tcase_set_timeout(cases, 240);
	tcase_add_test(cases, blocks_are_found_through_every_step_of_growth);
	tcase_add_test(cases, random_puts_and_takes_agree_with_a_plain_array);
	tcase_add_test(cases, walking_meets_every_block_once_also_in_the_middle_of_growth);
	tcase_add_test(cases, no_put_moves_more_than_a_few_homes_and_growth_ends_before_the_next);
	tcase_add_test(cases, addresses_that_all_collide_are_kept_nevertheless);
	tcase_add_test(cases, a_move_that_finds_no_room_keeps_every_block);
	tcase_add_test(cases, extraordinary_blocks_stand_beside_usual_ones_and_replace_them);
	tcase_add_test(cases, prefetching_is_harmless_for_any_address_at_any_time);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
