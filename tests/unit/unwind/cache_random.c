/* SPDX-License-Identifier: MIT */
/*
 * The cache and what a walk notes, against the plainest model there is: walking anew.
 *
 * Stacks are made of random frames of every kind of rule and then changed word by word. A walk
 * without notes and without kept rules says what is right, every time.
 */
#include "unit/unwind/code.h"
#include "unwind/cache.h"

enum { STACKS = 64, ROUNDS = 300000 };

struct result {
	enum unwind_stop stop;
	size_t count;
	uint64_t frames[FRAMES_MAX];
};

/* What can be put back, so that the cache meets it again. */
struct saved {
	struct unwind_registers registers;
	uint64_t high;
	uint64_t stack[STACK_WORDS];
};

struct model {
	struct fixture fixture;
	struct unwind_registers registers;
	struct unwind_cache *cache;
	struct unwind_reads reads;
	struct result *results; /* by entry */
	struct saved saved[STACKS];
	uint64_t state;
	size_t finds, hits, stores, kept, refused;
};

static uint64_t draw(struct model *model, uint64_t limit)
{
	model->state = model->state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (model->state >> 33) % limit;
}

static uint64_t draw_word(struct model *model)
{
	switch (draw(model, 8)) {
	case 0:
		return draw(model, 4) == 0 ? 0 : model->state;
	case 1:
	case 2:
		return slot(draw(model, STACK_WORDS));
	case 3:
		return OTHER_CODE + draw(model, 0x1000);
	default:
		return CODE + draw(model, FUNCTIONS * 0x100);
	}
}

static uint64_t draw_return(struct model *model)
{
	static const enum function usual[] = {BY_SP,	BY_SP,	  BY_BP,       BY_BP,	 SAVES_BP,
					      SAVES_BP, SAVES_BP, LOSES_BP,    BY_DEREF, AT_BP,
					      BY_PLT,	UNKNOWN,  UNSUPPORTED, OUTERMOST};
	if (draw(model, 30) == 0)
		return draw_word(model);
	return in(usual[draw(model, sizeof usual / sizeof *usual)]);
}

/*
 * Lays frames that fit their rules, as a program would: every word that can be a return address
 * gets one, and what is saved of rbp leads some words up.
 */
static void draw_stack(struct model *model)
{
	struct fixture *fixture = &model->fixture;
	for (size_t i = 0; i < STACK_WORDS; i++)
		fixture->stack[i] =
			draw(model, 2) ? draw_return(model) : slot(i + 2 + draw(model, 12));
	model->registers = (struct unwind_registers){
		.pc = CODE,
		.sp = slot(draw(model, 4)),
		.bp = slot(4 + draw(model, 8)),
		.bp_lost = draw(model, 16) == 0,
	};
	fixture->memory.high =
		draw(model, 8) == 0 ? slot(STACK_WORDS - draw(model, 400)) : STACK_HIGH;
}

static void walk_into(struct model *model, struct result *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->stop = unwind_walk(&model->fixture.space, &model->fixture.memory, model->registers,
				ret->frames, FRAMES_MAX, &ret->count);
}

static struct result walk_plainly(struct model *model)
{
	struct result result;
	model->fixture.memory.reads = NULL;
	model->fixture.memory.rules = NULL;
	walk_into(model, &result);
	return result;
}

static void check_equal(const struct result *a, const struct result *b)
{
	if (a->stop != b->stop || a->count != b->count ||
	    memcmp(a->frames, b->frames, a->count * sizeof *a->frames) != 0)
		ck_abort_msg("%zu frames, stop %d, where there are %zu, stop %d", a->count, a->stop,
			     b->count, b->stop);
}

static int32_t find(struct model *model)
{
	const struct fixture *fixture = &model->fixture;
	int32_t entry = UNWIND_CACHE_NONE;
	if (model->registers.sp < fixture->memory.high)
		entry = unwind_cache_find(model->cache, model->registers,
					  &fixture->stack[(model->registers.sp - STACK_LOW) / 8],
					  fixture->memory.high - model->registers.sp);
	model->finds++;
	if (entry != UNWIND_CACHE_NONE) {
		struct result fresh = walk_plainly(model);
		model->hits++;
		check_equal(&model->results[entry], &fresh);
	}
	return entry;
}

/* Finds the stack or stores it; a stored one must be found. */
static int32_t meet(struct model *model)
{
	int32_t entry = find(model);
	if (entry != UNWIND_CACHE_NONE)
		return entry;
	struct result result;
	struct result fresh = walk_plainly(model);
	model->fixture.memory.reads = &model->reads;
	model->fixture.memory.rules = &model->cache->rules;
	walk_into(model, &result);
	check_equal(&result, &fresh);
	entry = unwind_cache_store(model->cache, model->registers, &model->reads);
	if (entry == UNWIND_CACHE_NONE) {
		model->refused++;
		return entry;
	}
	model->stores++;
	model->results[entry] = result;
	ck_assert_int_eq(find(model), entry);
	return entry;
}

static bool was_noted(const struct model *model, size_t word)
{
	for (uint32_t i = 0; i < model->reads.count; i++)
		if (model->reads.items[i].address == slot(word))
			return true;
	return false;
}

/*
 * Changes one word of a stack that the cache has just met. One that was noted makes it unknown, or
 * another stack that is known; any other changes nothing, neither for the cache nor for a walk.
 */
static void change_word(struct model *model, int32_t entry)
{
	struct result before, after;
	size_t word = draw(model, STACK_WORDS);
	uint64_t *place = &model->fixture.stack[word];
	uint64_t old = *place;
	model->fixture.memory.reads = &model->reads;
	walk_into(model, &before);
	*place = draw(model, 4) == 0 ? old ^ UINT64_C(1) << draw(model, 64) : draw_word(model);
	int32_t found = find(model);
	if (*place == old || !was_noted(model, word)) {
		model->kept++;
		after = walk_plainly(model);
		check_equal(&after, &before);
		ck_assert_int_eq(found, entry);
	} else {
		ck_assert_int_ne(found, entry);
	}
	if (draw(model, 4) != 0)
		*place = old;
}

static void save(struct model *model, struct saved *saved)
{
	saved->registers = model->registers;
	saved->high = model->fixture.memory.high;
	memcpy(saved->stack, model->fixture.stack, sizeof saved->stack);
}

static void put_back(struct model *model, const struct saved *saved)
{
	model->registers = saved->registers;
	model->fixture.memory.high = saved->high;
	memcpy(model->fixture.stack, saved->stack, sizeof saved->stack);
}

/* Only one thing of these: registers or bound. */
static void change_beginning(struct model *model)
{
	switch (draw(model, 4)) {
	case 0:
		model->registers.sp = slot(draw(model, 8));
		break;
	case 1:
		model->registers.bp = draw_word(model);
		break;
	case 2:
		model->registers.bp_lost = !model->registers.bp_lost;
		break;
	default:
		model->fixture.memory.high = slot(20 + draw(model, STACK_WORDS - 20));
		break;
	}
}

static void run(struct model *model, uint64_t seed)
{
	setup(&model->fixture);
	model->state = seed;
	for (size_t i = 0; i < STACKS; i++) {
		draw_stack(model);
		save(model, &model->saved[i]);
	}
	for (size_t round = 0; round < ROUNDS; round++) {
		struct saved *saved = &model->saved[draw(model, STACKS)];
		put_back(model, saved);
		int32_t entry = meet(model);
		for (uint64_t i = draw(model, 4); entry != UNWIND_CACHE_NONE && i > 0; i--) {
			change_word(model, entry);
			entry = meet(model);
		}
		if (draw(model, 4) == 0) {
			change_beginning(model);
			meet(model);
		}
		if (draw(model, 40) == 0)
			draw_stack(model);
		if (draw(model, 10) == 0)
			save(model, saved);
		if (draw(model, 20000) == 0)
			unwind_cache_clear(model->cache);
	}
}

START_TEST(a_stack_that_is_found_is_what_a_walk_says)
{
	struct model *model = calloc(1, sizeof *model);
	model->cache = calloc(1, sizeof *model->cache);
	model->results = calloc(UNWIND_CACHE_ENTRIES, sizeof *model->results);
	run(model, (uint64_t)_i + 1);
	/* so that it is known that something was tested */
	ck_assert_uint_gt(model->finds, ROUNDS * 2);
	ck_assert_uint_gt(model->hits, ROUNDS);
	ck_assert_uint_gt(model->stores, ROUNDS / 100);
	ck_assert_uint_gt(model->kept, ROUNDS / 100);
	ck_assert_uint_gt(model->refused, 0);
	free(model->results);
	free(model->cache);
	free(model);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("unwind/cache_random");
	TCase *walked = tcase_create("walked anew");
	tcase_set_timeout(walked, 240);
	tcase_add_loop_test(walked, a_stack_that_is_found_is_what_a_walk_says, 0, 2);
	suite_add_tcase(suite, walked);
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
