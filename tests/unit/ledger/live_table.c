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

/* Puts a block whose other fields follow from its address. */
static bool put(struct live_table *table, uint64_t address)
{
	struct live_block *block;
	bool stood;
	struct error *err = live_table_put(table, address, &block, &stood);
	if (err)
		ck_abort_msg("%s", error_message(err));
	block->size_bytes = address & 0xffffffff;
	block->born_ns = ~address;
	block->thread = (uint16_t)address;
	block->site = (uint32_t)(address >> 3);
	return stood;
}

static bool intact(const struct live_block *block, uint64_t address)
{
	return block && block->address == address && block->size_bytes == (address & 0xffffffff) &&
	       block->born_ns == ~address && block->thread == (uint16_t)address &&
	       block->site == (uint32_t)(address >> 3);
}

static bool stands(const struct live_table *table, uint64_t address)
{
	return intact(live_table_find(table, address), address);
}

START_TEST(blocks_are_found_through_every_step_of_growth)
{
	struct live_table table;
	live_table_init(&table, SEED);
	/* Past the size from which the table grows by an eighth, several times. */
	const uint64_t count = 1200000;
	for (uint64_t i = 1; i <= count; i++) {
		bool stood = put(&table, i * 48);
		/* An old one, the one in the middle, the new one and one that is not there. */
		if (stood || !stands(&table, 48) || !stands(&table, (i + 1) / 2 * 48) ||
		    !stands(&table, i * 48) || live_table_find(&table, i * 48 + 1))
			ck_abort_msg("wrong after %lu puts", (unsigned long)i);
		uint64_t bytes = live_table_memory_bytes(&table);
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
		/* Waves: mostly puts, then mostly takes. */
		if ((state & 15) < (step / 500000 % 2 ? 4 : 13)) {
			wrong += put(&table, address) != live[i];
			count += !live[i];
			live[i] = true;
		} else {
			struct live_block block;
			wrong += live_table_take(&table, address, &block) != live[i];
			wrong += live[i] && !intact(&block, address);
			count -= live[i];
			live[i] = false;
		}
		if (step % 300000 == 7)
			ok(live_table_check(&table));
	}
	for (size_t i = 0; i < ADDRESSES; i++)
		wrong += stands(&table, 0x7f0000000000 + i * 16) != live[i];
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(table.count, count);
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
			put(&table, ++put_count);
		met_growing |= table.old.blocks != NULL;
		_cleanup_free_ bool *seen = calloc(put_count + 1, sizeof *seen);
		size_t cursor = 0, count = 0;
		const struct live_block *block;
		while ((block = live_table_next(&table, &cursor))) {
			count += !seen[block->address];
			seen[block->address] = true;
		}
		ck_assert_uint_eq(count, put_count);
	}
	ck_assert(met_growing);
	live_table_deinit(&table);
}
END_TEST

START_TEST(no_put_moves_more_than_a_few_slots)
{
	/* The border between moved and unmoved advances by bounded steps. */
	struct live_table table;
	live_table_init(&table, SEED);
	size_t longest = 0;
	for (uint64_t i = 1; i <= 300000; i++) {
		size_t before = table.old.blocks ? table.drained : 0;
		put(&table, i * 16);
		if (table.old.blocks && table.drained > before && table.drained - before > longest)
			longest = table.drained - before;
	}
	ck_assert_uint_gt(longest, 0);
	ck_assert_uint_lt(longest, 1024);
	live_table_deinit(&table);
}
END_TEST

START_TEST(addresses_that_collide_at_the_very_end_are_refused_not_lost)
{
	/* Only someone who knows the seed can do this: every block at home in the last slots. */
	enum { CAPACITY = 8192, MOST = 2300 };
	struct live_table table;
	live_table_init(&table, SEED);
	for (uint64_t i = 1; table.now.capacity < CAPACITY || table.old.blocks; i++)
		put(&table, i);
	struct live_block gone;
	for (uint64_t i = 1; table.count; i++)
		ck_assert(live_table_take(&table, i, &gone));
	_cleanup_free_ uint64_t *hostile = calloc(MOST, sizeof *hostile);
	size_t found = 0, accepted = 0;
	for (uint64_t a = 1; found < MOST; a++)
		if (live_table_home(live_table_hash(SEED, a), CAPACITY) >= CAPACITY - 8)
			hostile[found++] = a;
	for (size_t i = 0; i < MOST; i++) {
		struct live_block *block;
		bool stood;
		struct error *err = live_table_put(&table, hostile[i], &block, &stood);
		accepted += err == NULL;
		error_free(err);
	}
	ck_assert_uint_lt(accepted, MOST);
	ck_assert_uint_eq(table.count, accepted);
	ok(live_table_check(&table));
	for (size_t i = 0; i < accepted; i++)
		ck_assert_ptr_nonnull(live_table_find(&table, hostile[i]));
	live_table_deinit(&table);
}
END_TEST

/* An array of capacity homes (and as many spare slots) for a table built by hand. */
static struct live_slots array(size_t capacity)
{
	return (struct live_slots){.blocks = calloc(2 * capacity, sizeof(struct live_block)),
				   .capacity = capacity,
				   .limit = capacity};
}

START_TEST(a_move_that_finds_no_room_keeps_every_block)
{
	/* Nobody's growth makes such a pair: the array to move into is the smaller one. */
	struct live_table table;
	live_table_init(&table, SEED);
	table.now = array(128);
	uint64_t last[110];
	size_t found = 0;
	for (uint64_t a = 1; found < 110; a++)
		if (live_table_home(live_table_hash(SEED, a), 128) == 127)
			last[found++] = a;
	for (size_t i = 0; i < 100; i++)
		put(&table, last[i]);
	table.old = table.now;
	table.now = array(64);
	for (size_t attempt = 0; attempt < 20; attempt++) {
		struct live_block *block;
		bool stood;
		struct error *err = live_table_put(&table, last[100], &block, &stood);
		if (attempt < 7)
			ck_assert_ptr_null(err);
		if (attempt == 19)
			ck_assert_ptr_nonnull(err);
		error_free(err);
	}
	table.now.limit = 128;
	ok(live_table_check(&table));
	for (size_t i = 0; i < 100; i++)
		ck_assert(stands(&table, last[i]));
	for (size_t i = 0; i < 64 * 2; i++)
		ck_assert_uint_eq(table.now.blocks[i].address, 0);
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
	tcase_add_test(cases, no_put_moves_more_than_a_few_slots);
	tcase_add_test(cases, addresses_that_collide_at_the_very_end_are_refused_not_lost);
	tcase_add_test(cases, a_move_that_finds_no_room_keeps_every_block);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
