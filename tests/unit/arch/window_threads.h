/* SPDX-License-Identifier: MIT */
/*
 * A process whose threads run machine code in a loop and compare what it leaves with what it left
 * the first time: every general register but rsp of the host, flags, the stack, the way out.
 * Included once by a test program.
 *
 * A thread's state is what gs points to, so that code that uses every register can be left.
 */
#ifndef TESTS_UNIT_ARCH_WINDOW_THREADS_H
#define TESTS_UNIT_ARCH_WINDOW_THREADS_H

#include <asm/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	THREADS = 2,
	INPUTS = 4,
	THREAD_STACK_BYTES = 4096, /* holds what a function of three laps can push or pop */
};

/* The assembly below, and code that the test writes, know the offsets. */
struct state {
	uint64_t registers[16];
	uint64_t flags;
	uint64_t host_stack;
	uint64_t scratch;
	uint64_t passes; /* how often the thread has run through a copy */
	uint64_t entry;
	uint64_t way_out;
};
_Static_assert(offsetof(struct state, flags) == 128 && offsetof(struct state, host_stack) == 136 &&
		       offsetof(struct state, scratch) == 144 &&
		       offsetof(struct state, passes) == 152 &&
		       offsetof(struct state, entry) == 160 &&
		       offsetof(struct state, way_out) == 168,
	       "the assembly knows these offsets");

struct result {
	uint64_t registers[16], flags, way_out;
	uint8_t stack[THREAD_STACK_BYTES];
};

/* Shared by the test and the threads; `wanted` is the number of the function to run. */
struct lane {
	struct state state;
	struct result expected[INPUTS], start[INPUTS];
	uint8_t stack[THREAD_STACK_BYTES] __attribute__((aligned(64)));
	_Atomic uint64_t ready; /* the function whose results are known */
	_Atomic uint64_t calls, wrong;
	_Atomic int tid;
};

struct control {
	_Atomic uint64_t wanted;
	uint64_t (*entry_of)(uint64_t number);
	struct lane lanes[THREADS];
};

void live_enter(void);
void live_leave(void);

/* clang-format off */
__asm__(".text\n"
	".type live_enter, @function\n"
	"live_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n	pushfq\n"
	"	mov %rsp, %gs:136\n"
	"	pushq %gs:128\n	popfq\n"
	"	mov %gs:0, %rax\n	mov %gs:8, %rcx\n	mov %gs:16, %rdx\n"
	"	mov %gs:24, %rbx\n	mov %gs:32, %rsp\n	mov %gs:40, %rbp\n"
	"	mov %gs:48, %rsi\n	mov %gs:56, %rdi\n	mov %gs:64, %r8\n"
	"	mov %gs:72, %r9\n	mov %gs:80, %r10\n	mov %gs:88, %r11\n"
	"	mov %gs:96, %r12\n	mov %gs:104, %r13\n	mov %gs:112, %r14\n"
	"	mov %gs:120, %r15\n"
	"	jmp *%gs:160\n"
	".type live_leave, @function\n"
	"live_leave:\n"
	"	mov %rax, %gs:0\n	mov %rcx, %gs:8\n	mov %rdx, %gs:16\n"
	"	mov %rbx, %gs:24\n	mov %rsp, %gs:32\n	mov %rbp, %gs:40\n"
	"	mov %rsi, %gs:48\n	mov %rdi, %gs:56\n	mov %r8, %gs:64\n"
	"	mov %r9, %gs:72\n	mov %r10, %gs:80\n	mov %r11, %gs:88\n"
	"	mov %r12, %gs:96\n	mov %r13, %gs:104\n	mov %r14, %gs:112\n"
	"	mov %r15, %gs:120\n"
	"	mov %gs:136, %rsp\n"
	"	pushfq\n	popq %gs:128\n"
	"	popfq\n	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n	ret\n");
/* clang-format on */

/* One call from a start; its result stands in *ret. */
static inline void lane_run(struct lane *lane, uint64_t entry, const struct result *start,
			    struct result *ret)
{
	memcpy(lane->stack, start->stack, sizeof lane->stack);
	memcpy(lane->state.registers, start->registers, sizeof lane->state.registers);
	lane->state.flags = start->flags;
	lane->state.entry = entry;
	live_enter();
	memcpy(ret->registers, lane->state.registers, sizeof ret->registers);
	ret->flags = lane->state.flags & 0xcd5;
	ret->way_out = lane->state.way_out;
	memcpy(ret->stack, lane->stack, sizeof ret->stack);
}

static inline void lane_loop(struct control *control, struct lane *lane)
{
	uint64_t number = UINT64_MAX;
	struct result result;
	for (;;) {
		uint64_t wanted = atomic_load(&control->wanted);
		uint64_t entry = control->entry_of(wanted);
		for (int i = 0; i < INPUTS && wanted != number; i++)
			lane_run(lane, entry, &lane->start[i], &lane->expected[i]);
		number = wanted;
		atomic_store(&lane->ready, number);
		for (int i = 0; i < INPUTS; i++) {
			lane_run(lane, entry, &lane->start[i], &result);
			if (memcmp(&result, &lane->expected[i], sizeof result))
				atomic_fetch_add(&lane->wrong, 1);
			atomic_fetch_add(&lane->calls, 1);
		}
	}
}

struct thread_argument {
	struct control *control;
	struct lane *lane;
};

static inline void *thread_main(void *context)
{
	struct thread_argument *argument = context;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &argument->lane->state))
		_exit(1);
	atomic_store(&argument->lane->tid, (int)syscall(SYS_gettid));
	lane_loop(argument->control, argument->lane);
	return NULL;
}

/* A child with THREADS threads at work on control->wanted; it dies with the caller. */
static inline pid_t threads_start(struct control *control)
{
	pid_t parent = getpid(), pid = fork();
	if (pid)
		return pid;
	struct thread_argument arguments[THREADS];
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;
		arguments[i] = (struct thread_argument){control, &control->lanes[i]};
		if (pthread_create(&thread, NULL, thread_main, &arguments[i]))
			_exit(1);
	}
	for (;;)
		pause();
}

#endif
