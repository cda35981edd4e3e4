/* SPDX-License-Identifier: MIT */
/*
 * Signal handlers in the middle of allocations. handlers MODE ROUNDS: "timer" (an interval timer
 * whose handler counts; the C library does not allow it to allocate inside an interrupted malloc,
 * so the handler allocates only where the program says it may), "stack" (the same on an alternate
 * stack), "jump" (the handler leaves a mapped-memory loop by siglongjmp while another thread
 * allocates). Prints "ok ALLOCATIONS BYTES" with the sums of all successful creations.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "brief.h"

enum { INTERVAL_US = 500, ALTERNATE_STACK_BYTES = 64 << 10 };

static volatile sig_atomic_t may_allocate, interrupted, jumps;
static atomic_long made, made_bytes;
static sigjmp_buf landing;
static atomic_bool stopping;

static void count(size_t size)
{
	made++;
	made_bytes += (long)size;
}

static void take_timer(int signal)
{
	(void)signal;
	interrupted++;
	if (!may_allocate)
		return;
	use_briefly(77);
	count(77);
}

static void take_jump(int signal)
{
	(void)signal;
	interrupted++;
	if (!jumps)
		return;
	jumps = 0;
	siglongjmp(landing, 1);
}

static void start_timer(void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	struct itimerval interval = {.it_interval.tv_usec = INTERVAL_US,
				     .it_value.tv_usec = INTERVAL_US};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

static void stop_timer(void)
{
	struct itimerval none = {0};

	setitimer(ITIMER_REAL, &none, NULL);
}

static void allocate(size_t size)
{
	use_briefly(size);
	count(size);
}

static void run_timer(int rounds, int flags)
{
	start_timer(take_timer, flags | SA_RESTART);
	for (int i = 0; i < rounds || interrupted < 20; i++) {
		allocate(50);
		may_allocate = 1;
		for (volatile int spin = 0; spin < 2000; spin++)
			continue;
		may_allocate = 0;
	}
	stop_timer();
}

static void *storm(void *unused)
{
	(void)unused;
	while (!stopping)
		allocate(60);
	return NULL;
}

static void run_jump(int rounds)
{
	pthread_t thread;
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	if (pthread_create(&thread, NULL, storm, NULL) != 0)
		_exit(99);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	start_timer(take_jump, SA_NODEFER);
	for (volatile int i = 0; i < rounds; i++) {
		allocate(50);
		if (sigsetjmp(landing, 1) == 0) {
			jumps = 1;
			for (;;)
				continue;
		}
		allocate(70);
	}
	stop_timer();
	stopping = true;
	pthread_join(thread, NULL);
}

static void use_alternate_stack(void)
{
	stack_t stack = {.ss_size = ALTERNATE_STACK_BYTES};

	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
		_exit(99);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int rounds = argc > 2 ? atoi(argv[2]) : 100;
	char text[64];

	if (strcmp(mode, "timer") == 0) {
		run_timer(rounds, 0);
	} else if (strcmp(mode, "stack") == 0) {
		use_alternate_stack();
		run_timer(rounds, SA_ONSTACK);
	} else if (strcmp(mode, "jump") == 0) {
		run_jump(rounds);
	} else {
		return 2;
	}
	int length = snprintf(text, sizeof(text), "ok %ld %ld\n", made, made_bytes);
	return write(1, text, (size_t)length) == length ? 0 : 1;
}
