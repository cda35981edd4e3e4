/* SPDX-License-Identifier: MIT */
/*
 * The processor as judge of windows: generated functions, run as they are and run with a jump at
 * their entry to the copy of the window, on the same states, must leave the same registers, flags,
 * vector state and memory and come out at the same place. Which of them may be patched is known
 * from how they were made.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "unit/arch/machine.h"
#include "unit/arch/window_function.h"
#include "unit/arch/window_text_of.h"

enum {
	FUNCTIONS = 10000,
	STATES = 3,	/* each function is run on */
	DISTANT = 0x80, /* where another function is, away from those under test */
	DISTANT_BYTES = 0x20,
	FIRST_ENTRY = 0x200,
	SLOT_WORD = 16, /* of arena.landed */
};

struct bench {
	struct arena arena;
	uint64_t seed;
	struct machine start;
	uint8_t data[MEMORY_BYTES], stack[MEMORY_BYTES];
	uint8_t page[2 * PAGE]; /* the text: a page that can be run and one that cannot */
	size_t accepted, refused, runs, faulted;
	size_t lengths[WINDOW_MAX_BYTES + 1];
};

static struct bench bench;

static uint64_t data_address(void)
{
	return bench.arena.data + PAGE / 2 + random_below(&bench.seed, PAGE);
}

/* Registers and memory of every kind; the stack is full of ways out, r15 is how often to loop. */
static void poison(void)
{
	uint64_t *seed = &bench.seed;
	for (int i = 0; i < REGISTERS; i++) {
		uint64_t kind = random_below(seed, 10);
		bench.start.registers[i] = kind < 4   ? data_address()
					   : kind < 7 ? random_below(seed, 8)
						      : random_word(seed);
	}
	bench.start.registers[RSP] = bench.arena.stack + PAGE + 8 * random_below(seed, 64);
	bench.start.registers[FUNCTION_LOOPS] = random_below(seed, 6);
	bench.start.flags = (random_word(seed) & 0x8d5) | 0x202;
	for (size_t i = 0; i < MEMORY_BYTES; i += 8) {
		uint64_t noise = random_word(seed);
		uint64_t landing = bench.arena.pads + random_below(seed, PADS) * PAD_BYTES;
		memcpy(bench.data + i, &noise, 8);
		memcpy(bench.stack + i, &landing, 8);
	}
	memset(bench.start.vector, 0, sizeof bench.start.vector);
	memcpy(bench.start.vector, "\x7f\x03", 2);
	memcpy(bench.start.vector + 24, "\x80\x1f", 2);
	for (size_t i = 160; i < 416; i += 8) {
		uint64_t noise = random_word(seed);
		memcpy(bench.start.vector + i, &noise, 8);
	}
}

static void setup(void)
{
	bench = (struct bench){.arena = arena_new(), .seed = 0x9e3779b97f4a7c15u};
	const char *seed = getenv("SEED");
	if (seed)
		bench.seed = strtoull(seed, NULL, 0) | 1;
	uint64_t landing = bench.arena.pads + 9 * PAD_BYTES;
	bench.arena.landed[SLOT_WORD / 8] = landing;
	machine_catch_faults();
	poison();
}

static uint64_t page_address(void)
{
	return bench.arena.site - SITE_OFFSET;
}

static struct surroundings surroundings_at(size_t offset)
{
	struct surroundings around = {.address = page_address() + offset,
				      .data = bench.arena.data,
				      .data_bytes = MEMORY_BYTES,
				      .slot = (uint64_t)(uintptr_t)bench.arena.landed + SLOT_WORD,
				      .seed = &bench.seed};
	for (size_t i = 0; i < 8; i++)
		around.exits[i] = bench.arena.pads + (10 + i) * PAD_BYTES;
	return around;
}

static void run(uint64_t entry, struct outcome *ret)
{
	run_machine = bench.start;
	memcpy((void *)(uintptr_t)bench.arena.data, bench.data, MEMORY_BYTES);
	memcpy((void *)(uintptr_t)bench.arena.stack, bench.stack, MEMORY_BYTES);
	machine_run(&bench.arena, entry);
	ret->machine = run_machine;
	memcpy(ret->data, (void *)(uintptr_t)bench.arena.data, MEMORY_BYTES);
	memcpy(ret->stack, (void *)(uintptr_t)bench.arena.stack, MEMORY_BYTES);
	bench.runs++;
}

static void describe(const struct function *function, char *text, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < function->count && used + 40 < size; i++) {
		for (size_t j = 0; j < function->items[i].length; j++)
			used += (size_t)snprintf(text + used, size - used, "%02x",
						 function->items[i].bytes[j]);
		text[used++] = ' ';
	}
	text[used] = 0;
}

static void check_same(const struct function *function, const struct outcome *a,
		       const struct outcome *b)
{
	if (!memcmp(a, b, sizeof *a))
		return;
	char text[1024];
	describe(function, text, sizeof text);
	for (int i = 0; i < REGISTERS; i++)
		ck_assert_msg(a->machine.registers[i] == b->machine.registers[i],
			      "%s: register %d is %" PRIx64 " against %" PRIx64, text, i,
			      b->machine.registers[i], a->machine.registers[i]);
	ck_assert_msg(a->machine.landed == b->machine.landed &&
			      a->machine.fault_rip == b->machine.fault_rip,
		      "%s: landed at %" PRIx64 " against %" PRIx64, text, b->machine.landed,
		      a->machine.landed);
	ck_assert_msg(a->machine.flags == b->machine.flags,
		      "%s: flags %" PRIx64 " against %" PRIx64, text, b->machine.flags,
		      a->machine.flags);
	ck_abort_msg("%s: memory or vector state differ", text);
}

/* Writes jump and copy; what the window has behind the jump becomes a trap. */
static void patch(const struct window *window, int which)
{
	struct text text = {.base = page_address(), .bytes = bench.page, .count = 2 * PAGE};
	struct code_reader reader = text_reader(&text);
	uint8_t bytes[WINDOW_COPY_MAX_BYTES];
	size_t count;
	uint8_t *site = bench.arena.writable + (window->entry.v - page_address());
	uint8_t *slots = bench.arena.writable + (size_t)(1 + which) * PAGE;
	target_addr copy = {bench.arena.slots[which] + random_below(&bench.seed, 64)};
	ck_assert_ptr_null(window_relocate(&reader, window, copy, bytes, &count));
	ck_assert_uint_le(count, WINDOW_COPY_MAX_BYTES);
	memset(slots, CODE_BREAKPOINT, PAGE);
	memcpy(slots + copy.v % PAGE, bytes, count);
	memset(site, CODE_BREAKPOINT, window->count);
	ck_assert(code_encode_jump(window->entry, copy, site));
}

static void compare_runs(const struct function *function, size_t offset,
			 const struct window *window)
{
	uint64_t entry = page_address() + offset;
	for (int i = 0; i < STATES; i++) {
		struct outcome original, patched;
		if (i == 0 && random_below(&bench.seed, 4) == 0)
			poison();
		bench.start.flags ^= random_word(&bench.seed) & 0x8d5;
		bench.start.registers[random_register(&bench.seed)] = random_word(&bench.seed);
		memcpy(bench.arena.writable, bench.page, PAGE);
		run(entry, &original);
		bench.faulted += original.machine.landed >= LANDED_FAULT;
		for (int which = 0; which < 2; which++) {
			patch(window, which);
			run(entry, &patched);
			check_same(function, &original, &patched);
			memcpy(bench.arena.writable, bench.page, PAGE);
		}
	}
}

/*
 * Now and then another function branches there: into the window, to its start or behind it. Says
 * whether that forbids the jump.
 */
static bool add_distant(const struct function *function, size_t offset)
{
	struct expectation expected = {0};
	uint8_t *at = bench.page + DISTANT;
	memset(at, 0x90, DISTANT_BYTES);
	if (random_below(&bench.seed, 6))
		return false;
	expect_items(function, &expected);
	size_t to = expected.entry + random_below(&bench.seed, expected.count + 1);
	int32_t distance = (int32_t)(offset + to) - (DISTANT + 8);
	/* One in three is not run, but a part of what an instruction loads. */
	bool is_run = random_below(&bench.seed, 3) != 0;
	memcpy(at, is_run ? "\x90\x90\x90\xe9" : "\x66\x48\xb8\xe9", 4);
	memcpy(at + 4, &distance, 4);
	return is_run && is_within(&expected, to);
}

static void check_expected(const struct function *function, const struct expectation *expected,
			   const struct window *window, const struct error *err, size_t offset)
{
	char text[1024];
	describe(function, text, sizeof text);
	ck_assert_msg(!err || error_kind_of(err) == ERROR_UNSUPPORTED, "%s", error_message(err));
	ck_assert_msg(!err == !expected->objection, "%s: %s, expected: %s", text,
		      err ? error_message(err) : "accepted",
		      expected->objection ? expected->objection : "accepted");
	if (err)
		return;
	ck_assert_uint_eq(window->entry.v, page_address() + offset + expected->entry);
	ck_assert_uint_eq(window->count, expected->count);
	ck_assert_uint_eq(window->starts, expected->starts);
	bench.lengths[window->count]++;
}

static void try_function(size_t offset, struct function *function)
{
	struct text text = {.base = page_address(),
			    .bytes = bench.page,
			    .count = 2 * PAGE,
			    .slot = (uint64_t)(uintptr_t)bench.arena.landed + SLOT_WORD,
			    .slot_value = bench.arena.landed[SLOT_WORD / 8]};
	memset(bench.page, CODE_BREAKPOINT, sizeof bench.page);
	memcpy(bench.page + offset, function->code, function->padded_length);
	struct expectation expected = expect(function, page_address() + offset);
	if (add_distant(function, offset))
		expected.objection = "another function branches into it";
	text_add_part(&text, offset, offset + function->length);
	text_add_part(&text, DISTANT, DISTANT + DISTANT_BYTES);
	struct window window;
	_cleanup_error_ struct error *err = text_plan(&text, offset, &window);
	check_expected(function, &expected, &window, err, offset);
	if (err) {
		bench.refused++;
		return;
	}
	bench.accepted++;
	/* One that reaches into the second page cannot be run here. */
	if (offset + function->padded_length <= PAGE)
		compare_runs(function, offset, &window);
}

START_TEST(a_patched_function_does_what_it_did)
{
	setup();
	for (int i = 0; i < FUNCTIONS; i++) {
		struct function function;
		size_t offset = FIRST_ENTRY + random_below(&bench.seed, PAGE / 2);
		struct surroundings around = surroundings_at(offset);
		generate(&function, &around);
		try_function(offset, &function);
	}
	printf("%d functions: %zu accepted, %zu refused, %zu runs\n", FUNCTIONS, bench.accepted,
	       bench.refused, bench.runs);
	ck_assert_uint_ge(bench.accepted, FUNCTIONS / 2);
	ck_assert_uint_ge(bench.refused, FUNCTIONS / 20);
	ck_assert_uint_ge(bench.runs, bench.accepted * STATES * 3);
	ck_assert_uint_eq(bench.faulted, 0);
	/* Every length of a window up to that of a movabs behind four bytes. */
	for (size_t count = CODE_JUMP_BYTES; count <= 13; count++)
		ck_assert_uint_gt(bench.lengths[count], 0);
}
END_TEST

START_TEST(functions_at_the_end_of_a_page_are_patched_if_their_window_fits)
{
	setup();
	for (int i = 0; i < FUNCTIONS / 2; i++) {
		struct function function;
		size_t offset = PAGE - 1 - random_below(&bench.seed, 80);
		struct surroundings around = surroundings_at(offset);
		generate(&function, &around);
		try_function(offset, &function);
	}
	ck_assert_uint_ge(bench.accepted, FUNCTIONS / 8);
	ck_assert_uint_ge(bench.refused, FUNCTIONS / 20);
	ck_assert_uint_ge(bench.runs, FUNCTIONS / 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("windows, run");
	TCase *tests = tcase_create("run");
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_patched_function_does_what_it_did);
	tcase_add_test(tests, functions_at_the_end_of_a_page_are_patched_if_their_window_fits);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
