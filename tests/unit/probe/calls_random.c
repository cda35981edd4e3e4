/* SPDX-License-Identifier: MIT */
/*
 * A simulated program calls, jumps, returns and longjmps at random on one or two stacks. It knows
 * itself what it has done: each of its own calls that ends must give exactly its events, what an
 * allocator calls inside gives none, and every resize that was begun ends or is cancelled, once.
 */
#include "probe/calls.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unit/probe/calls_fixture.h"

enum {
	DEPTH_MAX = 12,
	STEPS = 20000,
	BLOCKS_MAX = 8 * STEPS,
};

struct activation {
	const struct allocator_function *function; /* NULL: a plain one */
	uint64_t place;				   /* of its return address */
	struct arguments arguments;
};

/* Invariant: places descend. */
struct stack {
	struct activation items[DEPTH_MAX];
	size_t depth;
	uint64_t top;
	/*
	 * Where the outermost call stood that a longjmp has just left, 0 if none. The next call of
	 * the program is at or above it: that is how it can be known to have been left.
	 */
	uint64_t left;
	uint64_t left_block; /* the block it was resizing, 0 if none */
};

enum resize_state {
	RESIZE_NONE,
	RESIZE_OPEN,
	RESIZE_LEFT,
	RESIZE_CLOSED,
};

/* Addresses of blocks are never used twice, so that each resize is one of its own. */
struct program {
	struct calls calls;
	struct stack stacks[2];
	uint64_t seed;
	uint64_t next_block;
	unsigned char resizes[BLOCKS_MAX]; /* enum resize_state, by block */
	uint64_t events, cancels, tails, jumps;
};

/* xorshift64* */
static uint64_t random_below(struct program *program, uint64_t limit)
{
	uint64_t *seed = &program->seed;
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (*seed * 0x2545f4914f6cdd1du >> 32) % limit;
}

static uint64_t new_block(struct program *program)
{
	ck_assert_uint_lt(program->next_block, BLOCKS_MAX);
	return program->next_block++;
}

/* The allocator call that the program itself made; what stands on it is the allocator's business.
 */
static size_t outermost(const struct stack *stack)
{
	size_t i = 0;
	while (i < stack->depth && !stack->items[i].function)
		i++;
	return i;
}

static uint64_t resized_block(const struct activation *call)
{
	return call->function->role == ALLOCATOR_RESIZE ? call->arguments.items[0] : 0;
}

static uint64_t size_of(const struct activation *call)
{
	const uint64_t *arguments = call->arguments.items;
	if (call->function == &malloc_row)
		return arguments[0];
	if (call->function == &calloc_row)
		return arguments[0] * arguments[1];
	if (call->function == &reallocarray_row)
		return arguments[1] * arguments[2];
	return call->function == &posix_memalign_row ? arguments[2] : arguments[1];
}

static void expect_resize(struct program *program, uint64_t block, enum resize_state from,
			  enum resize_state to)
{
	ck_assert_int_eq(program->resizes[block], from);
	program->resizes[block] = (unsigned char)to;
}

/* Only what was left may be cancelled, and once. */
static void take_cancelled(struct program *program, const struct calls_outcome *outcome)
{
	for (size_t i = 0; i < outcome->cancelled_count; i++)
		expect_resize(program, outcome->cancelled[i].v, RESIZE_LEFT, RESIZE_CLOSED);
	program->cancels += outcome->cancelled_count;
}

static void expect_event(struct program *program, struct calls_outcome outcome,
			 enum event_kind kind, uint64_t address, uint64_t old_address,
			 uint64_t size_bytes)
{
	check_event(outcome, kind, address, old_address, size_bytes);
	program->events++;
}

static struct activation random_call(struct program *program, uint64_t place)
{
	static const struct allocator_function *const functions[] = {
		&malloc_row,   &calloc_row,	    &realloc_row, &reallocarray_row,
		&memalign_row, &posix_memalign_row, &free_row,	  &pool_put_row};
	struct activation call = {.function = functions[random_below(program, 8)], .place = place};
	bool with_block = random_below(program, 4) && call.function->pointer_argument;
	call.arguments = ARGUMENTS(random_below(program, 100), random_below(program, 3),
				   random_below(program, 50));
	if (call.function == &posix_memalign_row)
		call.arguments.items[0] = SLOT + random_below(program, 100);
	else if (call.function->pointer_argument)
		call.arguments.items[0] = with_block ? new_block(program) : 0;
	return call;
}

/* The call now stands on its stack; `replaced` is the one that jumped into it, NULL if none. */
static void tell_entry(struct program *program, const struct activation *call, bool seen,
		       const struct activation *replaced)
{
	uint64_t block = resized_block(call), before = replaced ? resized_block(replaced) : 0;
	if (seen && before && before != block)
		expect_resize(program, before, RESIZE_OPEN, RESIZE_LEFT);
	struct calls_outcome outcome =
		enter(&program->calls, call->function, call->place, call->arguments);
	take_cancelled(program, &outcome);
	if (seen && before && before != block)
		ck_assert_int_eq(program->resizes[before], RESIZE_CLOSED);
	if (seen && call->function->role == ALLOCATOR_RELEASE) {
		expect_event(program, outcome, EVENT_RELEASE, call->arguments.items[0], 0, 0);
	} else if (seen && block && block != before) {
		expect_event(program, outcome, EVENT_RESIZE_BEGIN, 0, block, 0);
		expect_resize(program, block, RESIZE_NONE, RESIZE_OPEN);
	} else {
		ck_assert_uint_eq(outcome.event_count, 0);
		ck_assert(!outcome.needs_site);
	}
}

static void step_call(struct program *program, struct stack *stack)
{
	if (stack->depth == DEPTH_MAX)
		return;
	uint64_t above = stack->depth ? stack->items[stack->depth - 1].place : stack->top;
	if (stack->depth && stack->items[stack->depth - 1].function &&
	    stack->items[stack->depth - 1].function->leaf)
		return;
	bool seen = outermost(stack) == stack->depth;
	uint64_t room = stack->left ? (above - stack->left) / 8 : 16;
	struct activation call =
		random_call(program, above - 8 * (1 + random_below(program, room)));
	if (!stack->left && random_below(program, 3) == 0)
		call.function = NULL;
	uint64_t left_block = stack->left_block;
	stack->left = stack->left_block = 0;
	stack->items[stack->depth++] = call;
	if (call.function)
		tell_entry(program, &call, seen, NULL);
	if (left_block)
		ck_assert_int_eq(program->resizes[left_block], RESIZE_CLOSED);
}

static void step_tail_call(struct program *program, struct stack *stack)
{
	if (!stack->depth || !stack->items[stack->depth - 1].function ||
	    stack->items[stack->depth - 1].function->leaf)
		return;
	struct activation *top = &stack->items[stack->depth - 1], before = *top;
	bool seen = outermost(stack) == stack->depth - 1;
	*top = random_call(program, before.place);
	if (resized_block(&before) && top->function->pointer_argument && random_below(program, 2))
		top->arguments.items[0] = before.arguments.items[0];
	program->tails++;
	tell_entry(program, top, seen, &before);
}

static void tell_exit(struct program *program, const struct activation *call)
{
	bool stores = call->function == &posix_memalign_row, refused = !random_below(program, 4);
	uint64_t address = refused ? 0 : new_block(program), block = resized_block(call);
	struct calls_outcome outcome =
		leave(&program->calls, call->place, stores ? (refused ? ENOMEM : 0) : address);
	take_cancelled(program, &outcome);
	ck_assert_uint_eq(outcome.result_slot.v, stores && !refused ? call->arguments.items[0] : 0);
	if (outcome.result_slot.v)
		calls_stored(&outcome, (target_addr){address});
	uint64_t size_bytes = size_of(call);
	if (call->function->role == ALLOCATOR_RELEASE) {
		ck_assert_uint_eq(outcome.event_count, 0);
	} else if (block) {
		expect_event(program, outcome,
			     refused && !size_bytes ? EVENT_RESIZE_RELEASED : EVENT_RESIZE_END,
			     address, block, size_bytes);
		expect_resize(program, block, RESIZE_OPEN, RESIZE_CLOSED);
	} else {
		expect_event(program, outcome, refused ? EVENT_FAILED : EVENT_CREATE, address, 0,
			     size_bytes);
	}
}

static void step_return(struct program *program, struct stack *stack)
{
	if (!stack->depth)
		return;
	bool seen = outermost(stack) == stack->depth - 1;
	struct activation call = stack->items[--stack->depth];
	if (!call.function)
		return;
	if (seen) {
		tell_exit(program, &call);
		return;
	}
	struct calls_outcome outcome = leave(&program->calls, call.place, new_block(program));
	take_cancelled(program, &outcome);
	ck_assert_uint_eq(outcome.event_count, 0);
}

/* A `ret` of a function that nobody has entered, deeper than all that stands. */
static void step_stray_return(struct program *program, const struct stack *stack)
{
	if (stack->left)
		return;
	uint64_t above = stack->depth ? stack->items[stack->depth - 1].place : stack->top;
	struct calls_outcome outcome =
		leave(&program->calls, above - 8 * (1 + random_below(program, 8)), 1);
	ck_assert_uint_eq(outcome.event_count + outcome.cancelled_count, 0);
}

static void step_longjmp(struct program *program, struct stack *stack, size_t depth)
{
	size_t first = outermost(stack);
	if (first < stack->depth && first >= depth) {
		stack->left = stack->items[first].place;
		stack->left_block = resized_block(&stack->items[first]);
		if (stack->left_block)
			expect_resize(program, stack->left_block, RESIZE_OPEN, RESIZE_LEFT);
	}
	stack->depth = depth;
	program->jumps++;
}

static void step(struct program *program, struct stack *stack)
{
	uint64_t choice = random_below(program, 100);
	if (choice < 45)
		step_call(program, stack);
	else if (choice < 55)
		step_tail_call(program, stack);
	else if (choice < 95)
		step_return(program, stack);
	else if (choice < 98)
		step_stray_return(program, stack);
	else if (stack->depth)
		step_longjmp(program, stack, random_below(program, stack->depth));
}

/* The program is killed: every resize has ended in one way by then. */
static void finish(struct program *program)
{
	for (size_t i = 0; i < 2; i++)
		if (program->stacks[i].depth)
			step_longjmp(program, &program->stacks[i], 0);
	struct calls_outcome outcome;
	calls_abandon(&program->calls, &outcome);
	take_cancelled(program, &outcome);
	for (size_t i = 0; i < BLOCKS_MAX; i++)
		if (program->resizes[i] != RESIZE_NONE && program->resizes[i] != RESIZE_CLOSED)
			ck_abort_msg("the resize of block %zu has no end", i);
	ck_assert_uint_gt(program->events, STEPS / 20);
	ck_assert_uint_gt(program->cancels, STEPS / 500);
	ck_assert_uint_gt(program->tails, STEPS / 100);
	ck_assert_uint_gt(program->jumps, STEPS / 200);
}

static struct program *new_program(int seed)
{
	struct program *program = calloc(1, sizeof *program);
	ck_assert_ptr_nonnull(program);
	program->seed = 0x9e3779b97f4a7c15u * (uint64_t)(seed + 1);
	program->next_block = 1;
	program->stacks[0].top = MAIN;
	program->stacks[1].top = HANDLER;
	return program;
}

START_TEST(a_random_program_gives_what_it_did_on_one_stack)
{
	_cleanup_free_ struct program *program = new_program(_i);
	for (int i = 0; i < STEPS; i++)
		step(program, &program->stacks[0]);
	finish(program);
}
END_TEST

START_TEST(a_random_program_with_a_signal_handler_gives_what_it_did)
{
	/* The first stack rests while the handler runs on the second; a longjmp may end both. */
	_cleanup_free_ struct program *program = new_program(_i);
	struct stack *interrupted = &program->stacks[0], *handler = &program->stacks[1];
	for (int i = 0; i < STEPS; i++) {
		if (handler->depth && random_below(program, 50) == 0) {
			step_longjmp(program, handler, 0);
			step_longjmp(program, interrupted,
				     random_below(program, interrupted->depth + 1));
		}
		bool in_handler = handler->depth || random_below(program, 10) == 0;
		step(program, in_handler ? handler : interrupted);
	}
	finish(program);
}
END_TEST

START_TEST(a_random_program_of_two_coroutines_gives_what_it_did)
{
	_cleanup_free_ struct program *program = new_program(_i);
	for (int i = 0; i < STEPS; i++)
		step(program, &program->stacks[random_below(program, 2)]);
	finish(program);
}
END_TEST

static TCase *random_programs(void)
{
	TCase *tests = tcase_create("random programs");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_random_program_gives_what_it_did_on_one_stack, 0, 10);
	tcase_add_loop_test(tests, a_random_program_with_a_signal_handler_gives_what_it_did, 0, 10);
	tcase_add_loop_test(tests, a_random_program_of_two_coroutines_gives_what_it_did, 0, 10);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("calls of random programs");
	suite_add_tcase(suite, random_programs());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
