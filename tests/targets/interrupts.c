/* SPDX-License-Identifier: MIT */
/*
 * Calls that are interrupted, left or made where there is hardly a stack. interrupts MODE ROUNDS:
 *
 *   signals    four threads allocate, each with a timer of its own that interrupts it anywhere
 *   jump       a handler leaves for good wherever the C library is not at work: before a call,
 * after it, or in whatever somebody has put in front of it cancel     threads are cancelled between
 * calls altstack   a handler allocates on the smallest alternate stack there can be coroutines
 * allocate on stacks of 4 KiB backtrace  prints stacks as the program itself sees them, around
 * calls
 *
 * Prints "ok BLOCKS ELSEWHERE": blocks made by brief.h's line (in mode jump: at least so many, and
 * at most one more a round), and in mode jump how often code was left that is neither the program's
 * nor the C library's.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "brief.h"

enum {
	THREADS = 4,
	INTERVAL_NS = 150000,
	INTERRUPTIONS = 200,
	PAGE_BYTES = 4096,
	HANDLER_BYTES = 1024, /* beyond what the kernel takes for itself */
	FRAMES_MAX = 32,
};

static atomic_long made, elsewhere;

static void fail(const char *what)
{
	perror(what);
	_exit(99);
}

static void make_block(size_t size)
{
	use_briefly(size);
	made++;
}

/* A mapping with a page below it that nobody may touch. */
static char *map_stack(size_t bytes)
{
	size_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	char *start = mmap(NULL, PAGE_BYTES + pages, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || mprotect(start, PAGE_BYTES, PROT_NONE) < 0)
		fail("stack");
	return start + PAGE_BYTES;
}

/* ---- signals */

static _Thread_local volatile sig_atomic_t interruptions;

static void note_interruption(int signal)
{
	(void)signal;
	interruptions++;
}

static timer_t start_own_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
	const struct itimerspec interval = {.it_interval.tv_nsec = INTERVAL_NS,
					    .it_value.tv_nsec = INTERVAL_NS};
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &interval, NULL) < 0)
		fail("timer");
	return timer;
}

static void *work_interrupted(void *argument)
{
	long rounds = *(const long *)argument;
	timer_t timer = start_own_timer();

	for (long i = 0; i < rounds || interruptions < INTERRUPTIONS; i++)
		make_block((size_t)i % 500 + 1);
	timer_delete(timer);
	return NULL;
}

static void run_signals(long rounds)
{
	struct sigaction action = {.sa_handler = note_interruption};
	pthread_t threads[THREADS];

	sigaction(SIGRTMIN, &action, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work_interrupted, &rounds);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- jump */

struct code_range {
	uintptr_t start, end;
};

static struct code_range libc_code, own_code;
static sigjmp_buf landing;
static volatile sig_atomic_t may_leave;

static int find_code(struct dl_phdr_info *info, size_t size, void *context)
{
	struct code_range *range = !info->dlpi_name[0]			  ? &own_code
				   : strstr(info->dlpi_name, "libc.so.6") ? &libc_code
									  : NULL;

	(void)size;
	(void)context;
	for (size_t i = 0; range && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		range->start = info->dlpi_addr + segment->p_vaddr;
		range->end = range->start + segment->p_memsz;
	}
	return 0;
}

static bool holds(const struct code_range *range, uintptr_t pc)
{
	return pc >= range->start && pc < range->end;
}

static void leave(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *interrupted = context;
	uintptr_t pc = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];

	(void)signal;
	(void)info;
	/* The allocator's own work is left by nobody: its locks would stay locked. */
	if (!may_leave || holds(&libc_code, pc))
		return;
	elsewhere += !holds(&own_code, pc);
	may_leave = 0;
	siglongjmp(landing, 1);
}

static void run_jump(long rounds)
{
	struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
	volatile long round = 0;

	dl_iterate_phdr(find_code, NULL);
	if (!libc_code.end || !own_code.end)
		fail("no code");
	sigaction(SIGRTMIN, &action, NULL);
	timer_t timer = start_own_timer();
	while (round < rounds) {
		round++;
		if (sigsetjmp(landing, 1) == 0) {
			may_leave = 1;
			for (;;)
				make_block((size_t)(made % 300) + 1);
		}
	}
	timer_delete(timer);
}

/* ---- cancel */

static void *work_until_cancelled(void *argument)
{
	atomic_long *turns = argument;

	for (;;) {
		make_block(60);
		(*turns)++;
		pthread_testcancel();
	}
	return NULL;
}

/* Cancelled at any instruction outside of calls. */
static void *work_until_cancelled_at_once(void *argument)
{
	atomic_long *turns = argument;
	int old;

	for (;;) {
		make_block(70);
		(*turns)++;
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
		for (volatile int spin = 0; spin < 200; spin++)
			continue;
		pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
	}
	return NULL;
}

static void run_cancel(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		atomic_long turns = 0;
		pthread_t thread;
		void *result;

		pthread_create(&thread, NULL,
			       i % 2 ? work_until_cancelled : work_until_cancelled_at_once, &turns);
		while (turns < 10)
			sched_yield();
		pthread_cancel(thread);
		pthread_join(thread, &result);
		if (result != PTHREAD_CANCELED)
			fail("a thread was not cancelled");
	}
}

/* ---- small stacks */

static void allocate_here(int signal)
{
	(void)signal;
	make_block(40);
	make_block(90);
}

static void run_altstack(long rounds)
{
	long least = (long)getauxval(AT_MINSIGSTKSZ);
	stack_t stack = {.ss_size = (size_t)(least > MINSIGSTKSZ ? least : MINSIGSTKSZ) +
				    HANDLER_BYTES};
	struct sigaction action = {.sa_handler = allocate_here, .sa_flags = SA_ONSTACK};

	stack.ss_sp = map_stack(stack.ss_size);
	if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGUSR1, &action, NULL) < 0)
		fail("alternate stack");
	allocate_here(0); /* what is done once is done on the large stack */
	for (long i = 0; i < rounds; i++)
		raise(SIGUSR1);
}

static ucontext_t around;

static void be_coroutine(ucontext_t *self)
{
	for (;;) {
		make_block(80);
		swapcontext(self, &around);
		make_block(30);
	}
}

static void be_coroutine_of_halves(unsigned high, unsigned low)
{
	be_coroutine((ucontext_t *)((uintptr_t)high << 32 | low));
}

static void run_coroutines(long rounds)
{
	enum { COROUTINES = 8 };
	static ucontext_t coroutines[COROUTINES];

	make_block(20);
	for (int i = 0; i < COROUTINES; i++) {
		uintptr_t self = (uintptr_t)&coroutines[i];

		getcontext(&coroutines[i]);
		coroutines[i].uc_stack.ss_sp = map_stack(PAGE_BYTES);
		coroutines[i].uc_stack.ss_size = PAGE_BYTES;
		makecontext(&coroutines[i], (void (*)(void))be_coroutine_of_halves, 2,
			    (unsigned)(self >> 32), (unsigned)self);
	}
	for (long i = 0; i < rounds; i++)
		swapcontext(&around, &coroutines[i % COROUTINES]);
}

/* ---- backtrace */

static void print_stack(const char *when)
{
	void *frames[FRAMES_MAX];
	int count = backtrace(frames, FRAMES_MAX);

	printf("%s:", when);
	for (int i = 0; i < count; i++) {
		Dl_info info = {0};

		dladdr(frames[i], &info);
		printf(" %s+%#jx", info.dli_fname ? strrchr(info.dli_fname, '/') : "?",
		       (uintmax_t)((uintptr_t)frames[i] - (uintptr_t)info.dli_fbase));
	}
	printf("\n");
}

static __attribute__((noinline)) void descend(long depth)
{
	void *volatile block = malloc((size_t)depth + 1);

	print_stack("after malloc");
	block = realloc(block, (size_t)depth + 5000);
	print_stack("after realloc");
	if (depth > 0)
		descend(depth - 1);
	free(block);
	print_stack("after free");
}

static void *descend_in_thread(void *depth)
{
	descend(*(const long *)depth);
	return NULL;
}

static void run_backtrace(long depth)
{
	pthread_t thread;

	print_stack("at first");
	descend(depth);
	pthread_create(&thread, NULL, descend_in_thread, &depth);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(long rounds);
	} modes[] = {
		{"signals", run_signals},	{"jump", run_jump},
		{"cancel", run_cancel},		{"altstack", run_altstack},
		{"coroutines", run_coroutines}, {"backtrace", run_backtrace},
	};

	if (argc != 3)
		return 2;
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(modes[i].name, argv[1]) == 0)
			modes[i].run(atol(argv[2]));
	}
	printf("ok %ld %ld\n", made, elsewhere);
	return 0;
}
