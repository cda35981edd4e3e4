/* SPDX-License-Identifier: MIT */
/*
 * Handlers that allocate, coming between any two instructions of the agent: the processor's trap
 * flag makes each instruction end in SIGTRAP. Some handlers do not come back.
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "lib/agent/rig.h"

enum {
	IDS = 1 << 20,
	FIRST_ID = 1 << 12, /* ids are addresses and sizes at the same time */
	HANDLER_STACK_BYTES = 64 << 10,
	DRAIN_EVERY = 8, /* calls: a ring for handlers is small */
	NEST_EVERY = 37,
	NEVER = -1,
};

/* Each block's address is its size, so that any number of calls may be under way at once. */
static __attribute__((naked)) void *returns_argument(size_t size __attribute__((unused)))
{
	__asm__ volatile("mov %rdi, %rax\n"
			 "ret\n");
}

static __attribute__((naked)) void returns(void *address __attribute__((unused)))
{
	__asm__ volatile("ret\n");
}

static __attribute__((naked)) void *returns_second(void *old __attribute__((unused)),
						   size_t size __attribute__((unused)))
{
	__asm__ volatile("mov %rsi, %rax\n"
			 "ret\n");
}

/* A call with another one inside: that one is never to be seen. */
static void *create_by_inner(size_t id);

/* All that a handler and the test share. */
static struct {
	struct rig rig;
	void *(*create)(size_t size);
	void (*release)(void *address);
	void *(*resize)(void *old, size_t size);
	void *(*create_nested)(size_t size);
	size_t inner_id;
	volatile int depth, max_depth;
	volatile long step, leave_at;
	volatile size_t next_id;
	sigjmp_buf way_out;
	struct rig_records records;
} world;

static __attribute__((noinline)) void *create_by_inner(size_t id)
{
	world.create(world.inner_id);
	return (void *)id;
}

static size_t new_id(void)
{
	return world.next_id++;
}

/* The red zone of whoever this is inlined into is stepped over. */
#define SET_TRAP_FLAG()                                                                            \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n"                                                \
			 "pushf\n"                                                                 \
			 "orl $0x100, (%%rsp)\n"                                                   \
			 "popf\n"                                                                  \
			 "lea 128(%%rsp), %%rsp\n" ::                                              \
				 : "cc", "memory")
#define CLEAR_TRAP_FLAG()                                                                          \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n"                                                \
			 "pushf\n"                                                                 \
			 "andl $~0x100, (%%rsp)\n"                                                 \
			 "popf\n"                                                                  \
			 "lea 128(%%rsp), %%rsp\n" ::                                              \
				 : "cc", "memory")

static __attribute__((noinline)) void create_and_release(size_t id)
{
	void *block = world.create(id);
	world.release(block);
}

static void on_step(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	uint64_t pc = (uint64_t)interrupted->uc_mcontext.gregs[REG_RIP];
	(void)signal;
	(void)info;
	if (pc - (uint64_t)world.rig.code >= AGENT_CODE_BYTES || world.depth == world.max_depth)
		return;
	long step = world.depth == 0 ? world.step++ : 0;
	if (world.leave_at != NEVER && step != world.leave_at)
		return;
	world.depth++;
	if (world.depth < world.max_depth && step % NEST_EVERY == 0)
		SET_TRAP_FLAG();
	create_and_release(new_id());
	CLEAR_TRAP_FLAG();
	world.depth--;
	/* What was interrupted is the agent, not the C library: here anything may be called. */
	if (world.next_id % DRAIN_EVERY == 0)
		rig_read(&world.rig, &world.records);
	if (step == world.leave_at && world.depth == 0)
		siglongjmp(world.way_out, 1);
}

static void set_up(int flags)
{
	memset(&world, 0, sizeof world);
	rig_create(&world.rig);
	world.next_id = FIRST_ID;
	world.max_depth = 1;
	world.leave_at = NEVER;
	world.create = rig_stub(&world.rig, &(struct rig_function){.role = AGENT_CREATE,
								   .leaf = true,
								   .size_argument = 1,
								   .function = returns_argument});
	world.release = rig_stub(&world.rig, &(struct rig_function){.role = AGENT_RELEASE,
								    .leaf = true,
								    .pointer_argument = 1,
								    .function = returns});
	world.resize = rig_stub(&world.rig, &(struct rig_function){.role = AGENT_RESIZE,
								   .pointer_argument = 1,
								   .size_argument = 2,
								   .function = returns_second});
	world.create_nested =
		rig_stub(&world.rig, &(struct rig_function){.role = AGENT_CREATE,
							    .size_argument = 1,
							    .function = create_by_inner});
	struct sigaction action = {.sa_sigaction = on_step,
				   .sa_flags = SA_SIGINFO | SA_NODEFER | flags};
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
}

static void use_handler_stack(void *memory)
{
	stack_t stack = {.ss_sp = memory, .ss_size = HANDLER_STACK_BYTES};
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
}

static void *map_stack(void)
{
	void *stack = mmap(NULL, HANDLER_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stack, MAP_FAILED);
	return stack;
}

/* How often each id was created and released. */
struct tally {
	uint8_t created[IDS], released[IDS];
};

static struct tally *read_tally(void)
{
	struct tally *tally = calloc(1, sizeof *tally);
	ck_assert_ptr_nonnull(tally);
	rig_read(&world.rig, &world.records);
	for (size_t i = 0; i < world.records.count; i++) {
		const struct rig_record *record = &world.records.items[i];
		if (record->address >= IDS)
			ck_abort_msg("address %lx was never given", record->address);
		if (record->kind == RING_CREATE) {
			if (record->size_bytes != record->address)
				ck_abort_msg("a record is torn");
			tally->created[record->address]++;
		} else if (record->kind == RING_RELEASE) {
			tally->released[record->address]++;
		}
	}
	return tally;
}

/* Every id of [first, end) was created and released once. */
static void expect_each_once(const struct tally *tally, size_t first, size_t end)
{
	for (size_t id = first; id < end; id++)
		if (tally->created[id] != 1 || tally->released[id] != 1)
			ck_abort_msg("block %zu of [%zu, %zu): %d creations, %d releases", id,
				     first, end, tally->created[id], tally->released[id]);
	uint64_t lost = world.rig.shared->lost;
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		if (world.rig.shared->area_state[i])
			lost += rig_area(&world.rig, i)->lost;
	ck_assert_uint_eq(lost, 0);
}

/* Makes the next look-up of a stack fail, as when modules have changed. */
static void forget_stacks(void)
{
	world.rig.modules->lists[(world.rig.modules->generation / 2 + 1) % 2] =
		world.rig.modules->lists[world.rig.modules->generation / 2 % 2];
	world.rig.modules->generation += 2;
}

/* Where levels above the first are in use, a block's records are ordered by their times. */
static void expect_times_in_order(void)
{
	uint64_t *created = calloc(IDS, sizeof *created);
	ck_assert_ptr_nonnull(created);
	for (size_t i = 0; i < world.records.count; i++) {
		if (world.records.items[i].level > 0 && !world.records.items[i].time)
			ck_abort_msg("a handler's record has no time");
		if (world.records.items[i].kind == RING_CREATE)
			created[world.records.items[i].address] = world.records.items[i].time;
	}
	for (size_t i = 0; i < world.records.count; i++) {
		const struct rig_record *record = &world.records.items[i];
		if (record->kind == RING_RELEASE && record->time &&
		    record->time < created[record->address])
			ck_abort_msg("block %lx is released before it is created", record->address);
	}
	free(created);
}

/* Steps through a creation and a release, known stack or not, bounds known or not. */
static void step_through(int rounds)
{
	world.create((size_t)new_id());
	world.release((void *)(world.next_id - 1));
	for (int i = 0; i < rounds; i++) {
		if (i == rounds / 2)
			rig_tell_bounds(&world.rig);
		if (i % 2)
			forget_stacks();
		size_t id = new_id();
		SET_TRAP_FLAG();
		create_and_release(id);
		CLEAR_TRAP_FLAG();
	}
	ck_assert_int_gt(world.step, 100 * rounds);
	struct tally *tally = read_tally();
	expect_each_once(tally, FIRST_ID, world.next_id);
	expect_times_in_order();
	ck_assert_uint_eq(world.rig.shared->many, 1);
	free(tally);
}

START_TEST(handlers_on_the_same_stack_lose_nothing)
{
	set_up(0);
	step_through(8);
}
END_TEST

START_TEST(handlers_on_a_stack_of_their_own_lose_nothing)
{
	set_up(SA_ONSTACK);
	use_handler_stack(map_stack());
	step_through(8);
}
END_TEST

START_TEST(handlers_on_a_part_of_the_same_stack_lose_nothing)
{
	char stack[HANDLER_STACK_BYTES];
	set_up(SA_ONSTACK);
	use_handler_stack(stack);
	step_through(8);
}
END_TEST

START_TEST(handlers_inside_handlers_lose_nothing)
{
	set_up(0);
	world.max_depth = 2;
	step_through(1);
}
END_TEST

/*
 * A call that the handler leaves at one step; false once there are fewer steps. The same call is
 * made before, where its stack is to be known, and afterwards, to see what was left of that.
 */
static __attribute__((noinline)) bool leave_at(long step, bool known_stack)
{
	enum { BEFORE, LEFT, AFTER, PASSES };
	volatile long steps = 0;
	for (volatile int pass = known_stack ? BEFORE : LEFT; pass < PASSES; pass++) {
		if (pass == LEFT && sigsetjmp(world.way_out, 1) != 0)
			continue;
		world.step = 0;
		world.depth = 0;
		if (pass == LEFT) {
			world.leave_at = step;
			SET_TRAP_FLAG();
		}
		create_and_release(new_id());
		CLEAR_TRAP_FLAG();
		world.leave_at = NEVER;
		if (pass == LEFT)
			steps = world.step;
	}
	return steps == 0;
}

/* The same at another place of the stack for each step, where no reader has heard of it. */
static __attribute__((noinline)) bool leave_elsewhere_at(long step)
{
	volatile char *room = __builtin_alloca(16 * ((size_t)step + 1));
	room[0] = 1;
	bool left = leave_at(step, false);
	return left && room[0];
}

static __attribute__((noinline)) void create_from_below(int frames, size_t id)
{
	volatile char room[256];
	room[0] = 1;
	if (frames)
		create_from_below(frames - 1, id);
	else
		create_and_release(id);
	room[1] = room[0];
}

static void leave_at_every_step(bool known_stack)
{
	/* A walk has a thousand steps: all of them are for the long run. */
	long stride = known_stack || getenv("TRACEALLOC_LONG") ? 1 : 29;
	long step = 0;
	bool more;
	do {
		if (!known_stack)
			forget_stacks();
		more = known_stack ? leave_at(step, true) : leave_elsewhere_at(step);
		step += stride;
		size_t first = world.next_id;
		create_and_release(new_id());
		create_from_below(3, new_id());
		create_and_release(new_id());
		rig_forget(&world.rig, &world.records);
		create_from_below(1, new_id());
		create_and_release(new_id());
		size_t end = world.next_id;
		struct tally *tally = read_tally();
		expect_each_once(tally, end - 2, end);
		ck_assert_uint_gt(end, first);
		/* Level 0 is not lost for ever. */
		size_t last = world.records.count - 1;
		ck_assert_int_eq(world.records.items[last].level, 0);
		free(tally);
		rig_tell_bounds(&world.rig);
	} while (more);
	ck_assert_int_gt(step, known_stack ? 100 : 400);
}

START_TEST(a_handler_that_does_not_come_back_leaves_nothing_behind)
{
	set_up(0);
	create_and_release(new_id());
	rig_tell_bounds(&world.rig);
	create_and_release(new_id());
	leave_at_every_step(true);
}
END_TEST

START_TEST(a_handler_that_does_not_come_back_may_leave_a_walk)
{
	set_up(0);
	create_and_release(new_id());
	rig_tell_bounds(&world.rig);
	leave_at_every_step(false);
}
END_TEST

START_TEST(a_resize_that_is_interrupted_anywhere_stays_whole)
{
	set_up(SA_ONSTACK);
	use_handler_stack(map_stack());
	create_and_release(new_id());
	rig_tell_bounds(&world.rig);
	size_t old = new_id(), new = new_id();
	size_t first = world.next_id;
	rig_forget(&world.rig, &world.records);
	SET_TRAP_FLAG();
	world.resize((void *)old, new);
	CLEAR_TRAP_FLAG();
	struct tally *tally = read_tally();
	expect_each_once(tally, first, world.next_id);
	ck_assert_uint_eq(rig_count(&world.records, RING_RESIZE_BEGIN), 1);
	ck_assert_uint_eq(rig_count(&world.records, RING_RESIZE_END), 1);
	ck_assert_uint_eq(rig_count(&world.records, RING_RESIZE_CANCELLED), 0);
	ck_assert_int_gt(world.step, 150);
	free(tally);
}
END_TEST

static __attribute__((noinline)) bool leave_resize_at(long step)
{
	volatile bool left = true;
	for (volatile int pass = 0; pass < 2; pass++) {
		if (pass == 1 && sigsetjmp(world.way_out, 1) != 0)
			break;
		world.step = 0;
		world.depth = 0;
		size_t old = new_id(), new = new_id();
		if (pass == 1) {
			world.leave_at = step;
			SET_TRAP_FLAG();
		}
		world.resize((void *)old, new);
		CLEAR_TRAP_FLAG();
		left = pass == 0;
	}
	world.leave_at = NEVER;
	return left;
}

START_TEST(a_resize_that_a_handler_leaves_anywhere_hides_nothing)
{
	long step = 0;
	set_up(0);
	create_and_release(new_id());
	rig_tell_bounds(&world.rig);
	while (leave_resize_at(step++)) {
		create_and_release(new_id());
		rig_forget(&world.rig, &world.records);
		size_t old = new_id(), new = new_id(), last = new_id();
		create_and_release(last);
		world.resize((void *)old, new);
		struct tally *tally = read_tally();
		expect_each_once(tally, last, world.next_id);
		ck_assert_uint_eq(rig_count(&world.records, RING_RESIZE_BEGIN), 1);
		ck_assert_uint_eq(rig_count(&world.records, RING_RESIZE_END), 1);
		free(tally);
	}
	ck_assert_int_gt(step, 150);
}
END_TEST

/* What handlers do while the outer call is under way is taken for a part of it, and not seen. */
START_TEST(an_inner_call_stays_unseen_whatever_interrupts)
{
	set_up(0);
	for (int i = 0; i < 6; i++) {
		if (i == 3)
			rig_tell_bounds(&world.rig);
		if (i % 2)
			forget_stacks();
		size_t outer = new_id();
		world.inner_id = new_id();
		SET_TRAP_FLAG();
		world.create_nested(outer);
		CLEAR_TRAP_FLAG();
		struct tally *tally = read_tally();
		ck_assert_uint_eq(tally->created[outer], 1);
		ck_assert_uint_eq(tally->created[world.inner_id], 0);
		for (size_t id = world.inner_id + 1; id < world.next_id; id++)
			ck_assert_uint_le(tally->created[id], 1);
		free(tally);
	}
	ck_assert_int_gt(world.step, 600);
	ck_assert_uint_eq(rig_area(&world.rig, 0)->outer_sp, 0);
}
END_TEST

static Suite *interrupted_suite(void)
{
	Suite *suite = suite_create("agent interrupted");
	TCase *tests = tcase_create("interrupted");
	tcase_set_timeout(tests, 300);
	tcase_add_test(tests, handlers_on_the_same_stack_lose_nothing);
	tcase_add_test(tests, handlers_on_a_stack_of_their_own_lose_nothing);
	tcase_add_test(tests, handlers_on_a_part_of_the_same_stack_lose_nothing);
	tcase_add_test(tests, handlers_inside_handlers_lose_nothing);
	tcase_add_test(tests, a_handler_that_does_not_come_back_leaves_nothing_behind);
	tcase_add_test(tests, a_handler_that_does_not_come_back_may_leave_a_walk);
	tcase_add_test(tests, a_resize_that_is_interrupted_anywhere_stays_whole);
	tcase_add_test(tests, a_resize_that_a_handler_leaves_anywhere_hides_nothing);
	tcase_add_test(tests, an_inner_call_stays_unseen_whatever_interrupts);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(interrupted_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
