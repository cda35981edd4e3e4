/* SPDX-License-Identifier: MIT */
/*
 * The map against an array searched from end to end. Which keys collide is not computed here from
 * the hash but seen: a key put alone into a map stands where it belongs.
 */
#include "base/map.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_map_ __attribute__((__cleanup__(map_deinit)))

enum {
	KEYS_MAX = 512,
	SMALLEST = 16, /* entries of a map that holds one key */
};

/* Invariant: keys are distinct; values[i] belongs to keys[i]. */
struct model {
	uint64_t keys[KEYS_MAX];
	void *values[KEYS_MAX];
	size_t count;
};

/* xorshift64* */
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1du;
}

static void *value_of(uint64_t number)
{
	return (void *)(uintptr_t)(number | 1);
}

static size_t model_find(const struct model *model, uint64_t key)
{
	size_t i = 0;
	while (i < model->count && model->keys[i] != key)
		i++;
	return i;
}

static void *model_get(const struct model *model, uint64_t key)
{
	size_t i = model_find(model, key);
	return i < model->count ? model->values[i] : NULL;
}

static void model_put(struct model *model, uint64_t key, void *value)
{
	size_t i = model_find(model, key);
	if (i == model->count)
		model->keys[model->count++] = key;
	model->values[i] = value;
}

static void model_remove(struct model *model, uint64_t key)
{
	size_t i = model_find(model, key);
	if (i == model->count)
		return;
	model->count--;
	model->keys[i] = model->keys[model->count];
	model->values[i] = model->values[model->count];
}

/* Every entry is met once, with the model's value, and none is missing. */
static void check_iteration(const struct map *map, const struct model *model)
{
	bool met[KEYS_MAX] = {0};
	size_t count = 0, cursor = 0;
	for (struct map_entry *entry; (entry = map_next(map, &cursor)); count++) {
		size_t i = model_find(model, entry->key);
		ck_assert_uint_lt(i, model->count);
		ck_assert(!met[i]);
		ck_assert_ptr_eq(entry->value, model->values[i]);
		met[i] = true;
	}
	ck_assert_uint_eq(count, model->count);
	ck_assert_ptr_null(map_next(map, &cursor));
}

static void check_map(const struct map *map, const struct model *model)
{
	ck_assert_uint_eq(map->count, model->count);
	ck_assert_uint_le(map->count * 4, map->capacity * 3);
	ck_assert_uint_eq(map->capacity & (map->capacity - 1), 0);
	for (size_t i = 0; i < model->count; i++)
		if (map_get(map, model->keys[i]) != model->values[i])
			ck_abort_msg("key %#lx is lost", (unsigned long)model->keys[i]);
	check_iteration(map, model);
}

/* Where a key stands in a map of its own. */
static size_t home_of(uint64_t key)
{
	_cleanup_map_ struct map map = {0};
	ck_assert(map_put(&map, key, value_of(1)));
	ck_assert_uint_eq(map.capacity, SMALLEST);
	size_t cursor = 0;
	ck_assert_ptr_nonnull(map_next(&map, &cursor));
	return cursor - 1;
}

/* The first `count` keys from *next on whose home is home. */
static void find_colliding(size_t home, uint64_t *next, uint64_t *keys, size_t count)
{
	for (size_t found = 0; found < count; ++*next)
		if (home_of(*next) == home)
			keys[found++] = *next;
}

static void random_operation(uint64_t *seed, const uint64_t *keys, size_t key_count,
			     struct map *map, struct model *model)
{
	uint64_t key = keys[random_word(seed) % key_count];
	void *expected = model_get(model, key);
	if (random_word(seed) >> 63) {
		void *value = value_of(random_word(seed));
		ck_assert(map_put(map, key, value));
		model_put(model, key, value);
		ck_assert_ptr_eq(map_get(map, key), value);
	} else {
		ck_assert_ptr_eq(map_get(map, key), expected);
		ck_assert_ptr_eq(map_remove(map, key), expected);
		model_remove(model, key);
		ck_assert_ptr_null(map_get(map, key));
	}
	ck_assert_uint_eq(map->count, model->count);
}

static void random_operations(uint64_t seed, const uint64_t *keys, size_t key_count, int steps)
{
	_cleanup_map_ struct map map = {0};
	struct model model = {.count = 0};
	for (int step = 0; step < steps; step++) {
		random_operation(&seed, keys, key_count, &map, &model);
		if (key_count <= SMALLEST || step % 64 == 0)
			check_map(&map, &model);
	}
	check_map(&map, &model);
}

START_TEST(an_empty_map_holds_and_gives_nothing)
{
	_cleanup_map_ struct map map = {0};
	size_t cursor = 0;
	ck_assert_ptr_null(map_get(&map, 0));
	ck_assert_ptr_null(map_remove(&map, 0));
	ck_assert_ptr_null(map_next(&map, &cursor));
	ck_assert(map_put(&map, 5, value_of(5)));
	ck_assert_ptr_eq(map_remove(&map, 5), value_of(5));
	ck_assert_ptr_null(map_remove(&map, 5));
	cursor = 0;
	ck_assert_ptr_null(map_next(&map, &cursor));
}
END_TEST

START_TEST(a_second_put_replaces_the_value)
{
	_cleanup_map_ struct map map = {0};
	ck_assert(map_put(&map, 7, value_of(2)));
	ck_assert(map_put(&map, 7, value_of(4)));
	ck_assert_uint_eq(map.count, 1);
	ck_assert_ptr_eq(map_get(&map, 7), value_of(4));
}
END_TEST

START_TEST(zero_and_the_largest_number_are_keys_like_any_other)
{
	_cleanup_map_ struct map map = {0};
	ck_assert(map_put(&map, 1, value_of(2)));
	ck_assert_ptr_null(map_get(&map, 0));
	ck_assert_ptr_null(map_get(&map, UINT64_MAX));
	ck_assert(map_put(&map, 0, value_of(4)));
	ck_assert(map_put(&map, UINT64_MAX, value_of(6)));
	ck_assert_ptr_eq(map_get(&map, 0), value_of(4));
	ck_assert_ptr_eq(map_get(&map, UINT64_MAX), value_of(6));
	ck_assert_ptr_eq(map_remove(&map, 0), value_of(4));
	ck_assert_ptr_eq(map_get(&map, UINT64_MAX), value_of(6));
}
END_TEST

START_TEST(random_operations_agree_with_a_plain_array)
{
	uint64_t keys[KEYS_MAX], seed = 0x123456789abcdef0u;
	for (size_t i = 0; i < KEYS_MAX; i++)
		keys[i] = random_word(&seed);
	random_operations(seed, keys, KEYS_MAX, 100000);
	/* Addresses as they come: page-aligned and close together. */
	for (size_t i = 0; i < KEYS_MAX; i++)
		keys[i] = 0x7f0000000000u + i * 0x1000;
	random_operations(seed, keys, KEYS_MAX, 100000);
}
END_TEST

START_TEST(random_operations_on_keys_of_one_home_agree_with_a_plain_array)
{
	/* The last home of the smallest map: every chain runs over its end to its beginning. */
	uint64_t keys[12], next = 1;
	find_colliding(SMALLEST - 1, &next, keys, 12);
	random_operations(0xfeedu, keys, 12, 20000);
}
END_TEST

START_TEST(random_operations_on_chains_that_grew_together_agree_with_a_plain_array)
{
	/* Homes 14, 15, 0 and 1: chains of different homes overlap across the end. */
	uint64_t keys[12], next = 1;
	for (size_t i = 0; i < 4; i++)
		find_colliding((SMALLEST - 2 + i) % SMALLEST, &next, keys + 3 * i, 3);
	random_operations(0xbeefu, keys, 12, 50000);
}
END_TEST

START_TEST(removal_leaves_the_rest_of_its_chain_reachable)
{
	uint64_t keys[8], next = 1;
	find_colliding(SMALLEST - 3, &next, keys, 8);
	/* Every subset of a chain, removed one after the other. */
	for (unsigned subset = 0; subset < 1u << 8; subset++) {
		_cleanup_map_ struct map map = {0};
		struct model model = {.count = 0};
		for (size_t i = 0; i < 8; i++) {
			ck_assert(map_put(&map, keys[i], value_of(2 * i)));
			model_put(&model, keys[i], value_of(2 * i));
		}
		for (size_t i = 0; i < 8; i++) {
			if (!(subset >> i & 1))
				continue;
			ck_assert_ptr_eq(map_remove(&map, keys[i]), value_of(2 * i));
			model_remove(&model, keys[i]);
			check_map(&map, &model);
		}
	}
}
END_TEST

START_TEST(a_map_gives_its_memory_back_and_can_be_used_again)
{
	struct map map = {0};
	for (uint64_t key = 0; key < 1000; key++)
		ck_assert(map_put(&map, key, value_of(key)));
	map_deinit(&map);
	ck_assert_ptr_null(map.entries);
	ck_assert_uint_eq(map.count, 0);
	ck_assert_ptr_null(map_get(&map, 1));
	ck_assert(map_put(&map, 1, value_of(8)));
	ck_assert_ptr_eq(map_get(&map, 1), value_of(8));
	map_deinit(&map);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map");
	TCase *tests = tcase_create("map");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, an_empty_map_holds_and_gives_nothing);
	tcase_add_test(tests, a_second_put_replaces_the_value);
	tcase_add_test(tests, zero_and_the_largest_number_are_keys_like_any_other);
	tcase_add_test(tests, random_operations_agree_with_a_plain_array);
	tcase_add_test(tests, random_operations_on_keys_of_one_home_agree_with_a_plain_array);
	tcase_add_test(tests,
		       random_operations_on_chains_that_grew_together_agree_with_a_plain_array);
	tcase_add_test(tests, removal_leaves_the_rest_of_its_chain_reachable);
	tcase_add_test(tests, a_map_gives_its_memory_back_and_can_be_used_again);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
