/* SPDX-License-Identifier: MIT */
/*
 * Windows written and taken away under the feet of running threads: two threads run generated
 * functions all the time, while this process stops both, sees that neither stands within the
 * window, writes copy and jump through /proc/PID/mem and lets them go on. Not one result may be
 * another than before.
 */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "arch/window.h"
#include "base/cleanup.h"
#include "unit/arch/window_function.h"
#include "unit/arch/window_threads.h"

enum {
	FUNCTIONS = 600,
	LONG_FUNCTIONS = 14000, /* of which 10 000 can be patched */
	FUNCTIONS_MAX = LONG_FUNCTIONS,
	CALLS = 300, /* of each thread, between one change and the next */
	PARKED_FUNCTIONS = 24,
	SLOT_BYTES = 256,
	SLOTS = 64,
	PAGE = 4096,
	TRIES = 100000, /* to find both threads elsewhere */
};

/* Code and what it refers to, in one mapping that parent and child have at the same place. */
struct field {
	uint8_t code[FUNCTIONS_MAX][SLOT_BYTES] __attribute__((aligned(4096)));
	uint8_t slots[SLOTS][SLOT_BYTES] __attribute__((aligned(4096)));
	uint8_t ways_out[PAGE] __attribute__((aligned(4096)));
	uint8_t data[2 * PAGE] __attribute__((aligned(4096)));
};

struct place {
	uint64_t entry;
	size_t length;
};

static struct live {
	struct field *field;
	struct control *control;
	struct place places[FUNCTIONS_MAX];
	uint64_t count, seed;
	pid_t pid;
	int memory;
	size_t accepted, refused, retries, changes;
} live;

static uint64_t entry_of(uint64_t number)
{
	return live.places[number].entry;
}

static void *map(size_t count, int flags)
{
	void *memory = mmap(NULL, count, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

/* movl $i,%gs:168; jmp *word(%rip), which leads to live_leave. */
static uint64_t write_way_out(uint32_t i)
{
	uint8_t *at = live.field->ways_out + 32 * i;
	uint64_t leave = (uint64_t)(uintptr_t)live_leave;
	memcpy(at, "\x65\xc7\x04\x25\xa8\x00\x00\x00", 8);
	memcpy(at + 8, &i, 4);
	memcpy(at + 12, "\xff\x25\x00\x00\x00\x00", 6);
	memcpy(at + 18, &leave, 8);
	return (uint64_t)(uintptr_t)at;
}

static void write_functions(void)
{
	struct field *field = live.field;
	struct surroundings around = {.data = (uint64_t)(uintptr_t)field->data,
				      .data_bytes = sizeof field->data - 8,
				      .slot = (uint64_t)(uintptr_t)(field->data + 2 * PAGE - 8),
				      .is_data_constant = true,
				      .seed = &live.seed};
	for (uint32_t i = 0; i < 8; i++)
		around.exits[i] = write_way_out(i);
	for (size_t i = 0; i < sizeof field->data; i += 8) {
		uint64_t word = random_word(&live.seed);
		memcpy(field->data + i, i + 8 < sizeof field->data ? &word : &around.exits[7], 8);
	}
	memset(field->code, CODE_BREAKPOINT, sizeof field->code);
	for (uint64_t i = 0; i < live.count; i++) {
		struct function function;
		size_t offset = random_below(&live.seed, 64);
		around.address = (uint64_t)(uintptr_t)field->code[i] + offset;
		do
			generate(&function, &around);
		while (offset + function.padded_length > SLOT_BYTES);
		memcpy(field->code[i] + offset, function.code, function.padded_length);
		live.places[i] = (struct place){around.address, function.length};
	}
}

/* What a thread starts from: noise, and a stack whose top leads out. */
static void write_starts(struct lane *lane)
{
	for (int i = 0; i < INPUTS; i++) {
		struct result *start = &lane->start[i];
		for (size_t j = 0; j < 16; j++)
			start->registers[j] = random_below(&live.seed, 2)
						      ? random_word(&live.seed)
						      : random_below(&live.seed, 4);
		start->registers[FUNCTION_LOOPS] = random_below(&live.seed, 3);
		start->registers[4] = (uint64_t)(uintptr_t)lane->stack + THREAD_STACK_BYTES / 2;
		start->flags = (random_word(&live.seed) & 0x8d5) | 0x202;
		uint64_t out = (uint64_t)(uintptr_t)live.field->ways_out;
		for (size_t j = 0; j < THREAD_STACK_BYTES; j += 8)
			memcpy(start->stack + j, &out, 8);
	}
}

/* Nobody stops unless told to: what does has run into something. */
static void check_nobody_stopped(void)
{
	int status;
	struct user_regs_struct registers = {0};
	pid_t tid = waitpid(-1, &status, WNOHANG | __WALL);
	if (tid == 0)
		return;
	ptrace(PTRACE_GETREGS, tid, NULL, &registers);
	uint64_t number = live.control->wanted;
	ck_abort_msg("status 0x%x at %" PRIx64 " in function %" PRIu64 " at %" PRIx64,
		     (unsigned)status, (uint64_t)registers.rip, number, live.places[number].entry);
}

static void wait_for(const _Atomic uint64_t *value, uint64_t least)
{
	while (atomic_load(value) < least) {
		check_nobody_stopped();
		/* Sleeping, unlike yielding, brings this process back soon among busy threads. */
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
}

static void start(void)
{
	const char *seed = getenv("SEED");
	live = (struct live){.seed = seed ? strtoull(seed, NULL, 0) | 1 : 0x5851f42d4c957f2du,
			     .count = getenv("TRACEALLOC_LONG") ? LONG_FUNCTIONS : FUNCTIONS};
	live.field = map(sizeof *live.field, MAP_PRIVATE);
	live.control = map(sizeof *live.control, MAP_SHARED);
	write_functions();
	for (int i = 0; i < THREADS; i++)
		write_starts(&live.control->lanes[i]);
	live.control->entry_of = entry_of;
	ck_assert(!mprotect(live.field, offsetof(struct field, data), PROT_READ | PROT_EXEC));
	live.pid = threads_start(live.control);
	ck_assert_int_gt(live.pid, 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", live.pid);
	live.memory = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(live.memory, 0);
	for (int i = 0; i < THREADS; i++) {
		wait_for(&live.control->lanes[i].calls, 1);
		ck_assert(!ptrace(PTRACE_SEIZE, live.control->lanes[i].tid, NULL, NULL));
	}
}

static void finish(void)
{
	kill(live.pid, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	close(live.memory);
}

static struct user_regs_struct registers_of(int thread)
{
	struct user_regs_struct registers;
	ck_assert(!ptrace(PTRACE_GETREGS, live.control->lanes[thread].tid, NULL, &registers));
	return registers;
}

static void stop_thread(int thread)
{
	int status, tid = live.control->lanes[thread].tid;
	ck_assert(!ptrace(PTRACE_INTERRUPT, tid, NULL, NULL));
	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert_msg(status >> 16 == PTRACE_EVENT_STOP, "status 0x%x at %" PRIx64,
		      (unsigned)status, (uint64_t)registers_of(thread).rip);
}

static void resume_thread(int thread)
{
	ck_assert(!ptrace(PTRACE_CONT, live.control->lanes[thread].tid, NULL, NULL));
}

static void stop_all(void)
{
	for (int i = 0; i < THREADS; i++)
		stop_thread(i);
}

static void resume_all(void)
{
	for (int i = 0; i < THREADS; i++)
		resume_thread(i);
}

static bool is_anyone_inside(const struct window *window)
{
	for (int i = 0; i < THREADS; i++)
		if (window_holds(window, (target_addr){registers_of(i).rip}))
			return true;
	return false;
}

static void write_target(uint64_t address, const void *bytes, size_t count)
{
	ck_assert_int_eq(pwrite(live.memory, bytes, count, (off_t)address), (ssize_t)count);
}

static bool read_own(void *context, target_addr address, void *bytes, size_t count)
{
	(void)context;
	uint64_t start = (uint64_t)(uintptr_t)live.field->code;
	if (address.v < start || address.v - start + count > sizeof live.field->code)
		return false;
	memcpy(bytes, (const void *)(uintptr_t)address.v, count);
	return true;
}

static bool place_bounds(void *context, target_addr address, target_addr *start, target_addr *end)
{
	(void)context;
	uint64_t offset = address.v - (uint64_t)(uintptr_t)live.field->code;
	if (offset / SLOT_BYTES >= live.count)
		return false;
	const struct place *place = &live.places[offset / SLOT_BYTES];
	start->v = place->entry;
	end->v = place->entry + place->length;
	return address.v >= start->v && address.v < end->v;
}

static bool own_pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	memcpy(&ret->v, (const void *)(uintptr_t)slot.v, 8);
	return true;
}

static const struct code_reader reader = {read_own, place_bounds, own_pointer, NULL};

/* The text is the page: nothing of what is generated branches further. */
static bool is_planned(uint64_t number, struct window *ret)
{
	uint64_t entry = live.places[number].entry, page = entry & ~(uint64_t)(PAGE - 1);
	_cleanup_window_survey_ struct window_survey survey = {0};
	ck_assert_ptr_null(window_survey_make((const uint8_t *)(uintptr_t)page, PAGE,
					      (target_addr){page}, &survey));
	_cleanup_error_ struct error *err =
		window_plan(&reader, (target_addr){entry}, &survey, ret);
	ck_assert(!err || error_kind_of(err) == ERROR_UNSUPPORTED);
	return !err;
}

/* mov %rax,%gs:144; mov %gs:152,%rax; lea 1(%rax),%rax; mov %rax,%gs:152; mov %gs:144,%rax */
static const uint8_t counting[] =
	"\x65\x48\x89\x04\x25\x90\x00\x00\x00\x65\x48\x8b\x04\x25\x98\x00\x00\x00"
	"\x48\x8d\x40\x01\x65\x48\x89\x04\x25\x98\x00\x00\x00"
	"\x65\x48\x8b\x04\x25\x90\x00\x00\x00";

/* Counts a pass, then the copy; both threads are stopped and outside of the window. */
static void write_jump(const struct window *window)
{
	uint8_t *slot = live.field->slots[live.changes++ % SLOTS];
	uint8_t bytes[SLOT_BYTES], jump[CODE_JUMP_BYTES];
	size_t counting_bytes = sizeof counting - 1, count;
	target_addr at = {(uint64_t)(uintptr_t)slot};
	memcpy(bytes, counting, counting_bytes);
	ck_assert_ptr_null(window_relocate(&reader, window,
					   target_addr_add(at, (int64_t)counting_bytes),
					   bytes + counting_bytes, &count));
	ck_assert(code_encode_jump(window->entry, at, jump));
	write_target(at.v, bytes, counting_bytes + count);
	write_target(window->entry.v, jump, sizeof jump);
}

/* All are stopped: writes the jump unless one stands where it would be torn. */
static bool try_jump(const struct window *window)
{
	if (is_anyone_inside(window))
		return false;
	write_jump(window);
	return true;
}

static void check_results(void)
{
	for (int i = 0; i < THREADS; i++)
		ck_assert_msg(live.control->lanes[i].wrong == 0, "thread %d: %" PRIu64 " wrong", i,
			      (uint64_t)live.control->lanes[i].wrong);
}

static void wait_for_calls(void)
{
	for (int i = 0; i < THREADS; i++) {
		struct lane *lane = &live.control->lanes[i];
		wait_for(&lane->calls, atomic_load(&lane->calls) + CALLS);
	}
	check_results();
}

/* Both run through the copy, and get what they should; both are stopped before and after. */
static void let_pass(void)
{
	uint64_t passes[THREADS];
	for (int i = 0; i < THREADS; i++)
		passes[i] = live.control->lanes[i].state.passes;
	resume_all();
	wait_for_calls();
	stop_all();
	for (int i = 0; i < THREADS; i++)
		ck_assert_uint_ge(live.control->lanes[i].state.passes, passes[i] + CALLS / 2);
}

static void take_jump_away(const struct window *window)
{
	ck_assert_msg(!is_anyone_inside(window), "a thread stands behind the jump");
	write_target(window->entry.v, window->bytes, CODE_JUMP_BYTES);
}

static void patch_running(const struct window *window)
{
	int tries = 0;
	stop_all();
	while (!try_jump(window)) {
		ck_assert_int_lt(tries++, TRIES);
		resume_all();
		stop_all();
	}
	live.retries += (size_t)tries;
	let_pass();
	take_jump_away(window);
	resume_all();
	wait_for_calls();
}

static void go_to(uint64_t number)
{
	atomic_store(&live.control->wanted, number);
	for (int i = 0; i < THREADS; i++)
		while (atomic_load(&live.control->lanes[i].ready) != number)
			wait_for(&live.control->lanes[i].calls,
				 atomic_load(&live.control->lanes[i].calls) + 1);
}

START_TEST(functions_are_patched_and_restored_while_threads_run_them)
{
	start();
	for (uint64_t i = 0; i < live.count; i++) {
		struct window window;
		if (!is_planned(i, &window)) {
			live.refused++;
			continue;
		}
		go_to(i);
		patch_running(&window);
		live.accepted++;
	}
	finish();
	printf("%zu functions patched, %zu refused, %zu times a thread was within the window\n",
	       live.accepted, live.refused, live.retries);
	ck_assert_uint_ge(live.accepted, live.count * 5 / 7);
}
END_TEST

/* Lets one thread run to the entry, with a breakpoint there for as long as that takes. */
static void park_at_entry(const struct window *window)
{
	uint8_t breakpoint = CODE_BREAKPOINT;
	int status, tid = live.control->lanes[0].tid;
	write_target(window->entry.v, &breakpoint, 1);
	resume_thread(0);
	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	write_target(window->entry.v, window->bytes, 1);
	struct user_regs_struct registers = registers_of(0);
	ck_assert_uint_eq(registers.rip, window->entry.v + 1);
	registers.rip = window->entry.v;
	ck_assert(!ptrace(PTRACE_SETREGS, tid, NULL, &registers));
}

static uint64_t step(void)
{
	int status, tid = live.control->lanes[0].tid;
	ck_assert(!ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL));
	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	return registers_of(0).rip;
}

static void check_unchanged(const struct window *window)
{
	uint8_t bytes[WINDOW_MAX_BYTES];
	ck_assert_int_eq(pread(live.memory, bytes, window->count, (off_t)window->entry.v),
			 (ssize_t)window->count);
	ck_assert_mem_eq(bytes, window->bytes, window->count);
}

/* A thread that is made to stand at any byte within the window forbids the jump. */
static void check_every_byte(const struct window *window)
{
	struct user_regs_struct original = registers_of(0), moved = original;
	for (size_t i = 1; i < window->count; i++) {
		moved.rip = window->entry.v + i;
		ck_assert(!ptrace(PTRACE_SETREGS, live.control->lanes[0].tid, NULL, &moved));
		ck_assert(!try_jump(window));
		check_unchanged(window);
	}
	ck_assert(!ptrace(PTRACE_SETREGS, live.control->lanes[0].tid, NULL, &original));
}

/*
 * The thread goes through the window one step after the other; the jump comes when it stands at
 * the given step: refused within the window, right at its start and behind it. false: it left
 * before that step.
 */
static bool patch_at_step(const struct window *window, int steps)
{
	uint64_t rip = window->entry.v;
	park_at_entry(window);
	check_every_byte(window);
	for (int i = 0; i < steps; i++) {
		rip = step();
		uint64_t offset = rip - window->entry.v;
		if (i + 1 < steps && offset >= window->count)
			return false;
		if (offset < window->count)
			ck_assert(window->starts >> offset & 1);
	}
	bool inside = rip > window->entry.v && rip < window->entry.v + window->count;
	ck_assert(try_jump(window) == !inside);
	if (inside) {
		check_unchanged(window);
		return true;
	}
	let_pass();
	take_jump_away(window);
	return true;
}

START_TEST(a_thread_parked_anywhere_in_a_window_is_respected)
{
	start();
	size_t parked = 0;
	for (uint64_t i = 0; parked < PARKED_FUNCTIONS; i++) {
		struct window window;
		ck_assert_uint_lt(i, live.count);
		if (!is_planned(i, &window))
			continue;
		go_to(i);
		stop_all();
		for (int steps = 0; steps <= 6; steps++)
			if (!patch_at_step(&window, steps))
				break;
		resume_all();
		wait_for_calls();
		parked++;
	}
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("windows, live");
	TCase *tests = tcase_create("live");
	tcase_set_timeout(tests, getenv("TRACEALLOC_LONG") ? 3600 : 120);
	tcase_add_test(tests, functions_are_patched_and_restored_while_threads_run_them);
	tcase_add_test(tests, a_thread_parked_anywhere_in_a_window_is_respected);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
