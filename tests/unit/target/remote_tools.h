/* SPDX-License-Identifier: MIT */
/*
 * What tests of remote share: a target that was attached to, stopping and going on by hand, and a
 * loop that notices when a register of its own is not what it was.
 */
#ifndef UNIT_TARGET_REMOTE_TOOLS_H
#define UNIT_TARGET_REMOTE_TOOLS_H

#include <elf.h>
#include <errno.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "base/clock.h"
#include "target/proc.h"
#include "target/remote.h"
#include "unit/target/child.h"

enum {
	PAGE = 4096,
	XSAVE_BYTES = 16384,
	XSAVE_IN_USE_OFFSET = 512,
	DEADLINE_S = 60, /* only a hang gets there */
};

static inline void wait_a_little(void)
{
	const struct timespec little = {.tv_nsec = 200000};
	nanosleep(&little, NULL);
}

/* Repeats a look until it finds what is waited for. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		const uint64_t limit_ = clock_now_ns() + DEADLINE_S * UINT64_C(1000000000);        \
		while (!(condition)) {                                                             \
			ck_assert_msg(clock_now_ns() < limit_, "never: %s", #condition);           \
			wait_a_little();                                                           \
		}                                                                                  \
	} while (0)

/* Memory that a child shares with the test. */
static inline void *shared_memory(size_t count)
{
	void *memory = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

/* ---- stopping and going on, as the wait loop would */

/* Owns: a target of one process that was attached to. Invariant: thread is one of its threads. */
struct traced {
	struct target target;
	_Atomic bool poke;
	struct target_thread *thread;
};

static inline void traced_deinit(struct traced *traced)
{
	target_release(&traced->target);
	target_deinit(&traced->target);
}

/* Ends a child of several threads: each of them must be waited for, before the first is reported.
 */
static inline void end_traced(struct traced *traced, struct child *child)
{
	struct target_event event = {0};
	kill(child->pid, SIGKILL);
	while (event.kind != TARGET_EVENT_EMPTY)
		ok(target_next(&traced->target, &event));
	child->pid = 0;
	traced_deinit(traced);
}

#define _cleanup_traced_ __attribute__((__cleanup__(traced_deinit)))

static inline void attach(struct traced *traced, pid_t pid, pid_t tid)
{
	*traced = (struct traced){0};
	target_init(&traced->target, NULL, &traced->poke);
	ok(target_attach(&traced->target, pid));
	traced->thread = map_get(&traced->target.threads, (uint64_t)tid);
	ck_assert_ptr_nonnull(traced->thread);
}

/* The next stop: its signal, and the event from bit 8 on. */
static inline int next_stop(const struct target_thread *thread)
{
	int status;
	ck_assert_int_eq(waitpid(thread->tid, &status, __WALL), thread->tid);
	ck_assert_msg(WIFSTOPPED(status), "thread %d ended: 0x%x", thread->tid, status);
	return status >> 8;
}

static inline void mark_stopped(struct target_thread *thread)
{
	thread->state = TARGET_THREAD_STOPPED;
	thread->registers_valid = false;
}

static inline void interrupt(struct target_thread *thread)
{
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL), 0);
	ck_assert_int_eq(next_stop(thread) >> 8, PTRACE_EVENT_STOP);
	mark_stopped(thread);
}

/* Resumes a thread that was borrowed, and answers the stop that remote_end has left. */
static inline void go_on(struct traced *traced)
{
	ok(target_resume(&traced->target, traced->thread, 0));
	int code = next_stop(traced->thread);
	ck_assert_int_eq(code, SIGTRAP | PTRACE_EVENT_STOP << 8);
	mark_stopped(traced->thread);
	ok(target_resume(&traced->target, traced->thread, 0));
}

/* Answers one stop, if there is one, as somebody who wants nothing of the target. */
static inline void pump(struct traced *traced)
{
	int status;
	struct target_thread *thread = traced->thread;
	if (waitpid(thread->tid, &status, __WALL | WNOHANG) != thread->tid)
		return;
	ck_assert_msg(WIFSTOPPED(status), "thread %d ended: 0x%x", thread->tid, status);
	int signal = status >> 8 & 0xff, event = status >> 16;
	mark_stopped(thread);
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
		thread->state = TARGET_THREAD_LISTENING;
		ck_assert_int_eq(ptrace(PTRACE_LISTEN, thread->tid, NULL, 0), 0);
	} else {
		ok(target_resume(&traced->target, thread, event ? 0 : signal));
	}
}

/* ---- what a system call does and what it is in, by what /proc says */

/* Number of the call that a thread sleeps in; -1 if it does not. */
static inline long sleeps_in(pid_t tid)
{
	char path[64], state;
	uint64_t start;
	long number = -1;
	snprintf(path, sizeof path, "/proc/%d/syscall", tid);
	ok(proc_stat(tid, &state, &start));
	if (state != 'S')
		return -1;
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	int fields = fscanf(file, "%ld", &number);
	fclose(file);
	return fields == 1 ? number : -1;
}

static inline bool is_mapped(pid_t pid, int64_t address)
{
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(pid, &maps));
	const struct proc_mapping *mapping = proc_maps_find(&maps, (uint64_t)address);
	return mapping && mapping->readable && mapping->writable;
}

static inline int64_t map_page(struct remote *remote)
{
	const uint64_t arguments[6] = {
		0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 0};
	int64_t result = -1;
	ok(remote_call(remote, SYS_mmap, arguments, &result));
	ck_assert_msg(result > 0, "mmap in the target: %ld", (long)result);
	return result;
}

/* ---- the whole state of a thread, as ptrace gives it */

struct thread_state {
	struct user_regs_struct registers;
	uint8_t xsave[XSAVE_BYTES];
	size_t xsave_count;
	uint64_t mask;
	uint8_t stack[2 * PAGE]; /* below rsp, as far as it can be read */
	size_t stack_count;
};

static inline void read_state(const struct target_thread *thread, struct thread_state *ret)
{
	memset(ret, 0, sizeof *ret);
	struct iovec area = {ret->xsave, sizeof ret->xsave};
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, thread->tid, NULL, &ret->registers), 0);
	ck_assert_int_eq(ptrace(PTRACE_GETREGSET, thread->tid, NT_X86_XSTATE, &area), 0);
	/* Which components are in use: the processor forgets those that are zero when it likes. */
	memset(ret->xsave + XSAVE_IN_USE_OFFSET, 0, sizeof(uint64_t));
	ck_assert_int_eq(ptrace(PTRACE_GETSIGMASK, thread->tid, sizeof ret->mask, &ret->mask), 0);
	ret->xsave_count = area.iov_len;
	ret->stack_count = sizeof ret->stack;
	uint64_t from = ret->registers.rsp - ret->stack_count;
	struct error *err = target_read(thread->process->space, (target_addr){from}, ret->stack,
					ret->stack_count);
	if (err)
		ret->stack_count = 0;
	error_free(err);
}

static inline void check_same_state(const struct thread_state *before,
				    const struct thread_state *after)
{
	ck_assert_mem_eq(&before->registers, &after->registers, sizeof before->registers);
	ck_assert_uint_eq(before->xsave_count, after->xsave_count);
	ck_assert_mem_eq(before->xsave, after->xsave, before->xsave_count);
	ck_assert_uint_eq(before->mask, after->mask);
	ck_assert_uint_eq(before->stack_count, after->stack_count);
	ck_assert_mem_eq(before->stack, after->stack, before->stack_count);
}

/* ---- a loop that notices */

/* Invariants: rounds grows as long as wrong is 0; `now` is what the last round found. */
struct vigil {
	_Atomic uint64_t rounds;
	_Atomic uint64_t
		wrong; /* 1: a register, a flag or the red zone; 2: vector state; 3: mask */
	_Atomic int tid;
	uint64_t mask;
	uint8_t reference[XSAVE_BYTES] __attribute__((aligned(64)));
	uint8_t now[XSAVE_BYTES] __attribute__((aligned(64)));
};

enum { VIGIL_TURNS = 20000, LEGACY_BYTES = 416, SOFTWARE_END = 512 };

/*
 * Turns round with known values in all general registers, the carry flag and the red zone; returns
 * false as soon as one is another. What it tests with changes no register and no word of the red
 * zone, and the direction flag is set all the time, which no C code would survive.
 */
static inline bool vigil_turn(uint64_t turns)
{
	uint64_t left;
	/* The compiler's own red zone is stepped over; what is kept stands above the watched one.
	 */
	__asm__ volatile("mov %%rdi, %%rcx\n"
			 "mov %%rsp, %%rax\n"
			 "sub $1024, %%rsp\n"
			 "mov %%rax, (%%rsp)\n mov %%rbx, 8(%%rsp)\n mov %%rbp, 16(%%rsp)\n"
			 "movq $0x11110001, -8(%%rsp)\n"
			 "movq $0x11110002, -64(%%rsp)\n"
			 "movq $0x11110003, -128(%%rsp)\n"
			 "mov $0x22220001, %%eax\n mov $0x22220002, %%ebx\n"
			 "mov $0x22220003, %%edx\n mov $0x22220004, %%esi\n"
			 "mov $0x22220005, %%edi\n mov $0x22220006, %%ebp\n"
			 "mov $0x22220007, %%r8d\n mov $0x22220008, %%r9d\n"
			 "mov $0x22220009, %%r10d\n mov $0x2222000a, %%r11d\n"
			 "mov $0x2222000b, %%r12d\n mov $0x2222000c, %%r13d\n"
			 "mov $0x2222000d, %%r14d\n mov $0x2222000e, %%r15d\n"
			 "std\n"
			 "1: cmp $0x22220001, %%rax\n jne 2f\n cmp $0x22220002, %%rbx\n jne 2f\n"
			 "cmp $0x22220003, %%rdx\n jne 2f\n cmp $0x22220004, %%rsi\n jne 2f\n"
			 "cmp $0x22220005, %%rdi\n jne 2f\n cmp $0x22220006, %%rbp\n jne 2f\n"
			 "cmp $0x22220007, %%r8\n jne 2f\n cmp $0x22220008, %%r9\n jne 2f\n"
			 "cmp $0x22220009, %%r10\n jne 2f\n cmp $0x2222000a, %%r11\n jne 2f\n"
			 "cmp $0x2222000b, %%r12\n jne 2f\n cmp $0x2222000c, %%r13\n jne 2f\n"
			 "cmp $0x2222000d, %%r14\n jne 2f\n cmp $0x2222000e, %%r15\n jne 2f\n"
			 "cmpq $0x11110001, -8(%%rsp)\n jne 2f\n"
			 "cmpq $0x11110002, -64(%%rsp)\n jne 2f\n"
			 "cmpq $0x11110003, -128(%%rsp)\n jne 2f\n"
			 "stc\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n jnc 2f\n"
			 "clc\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n jc 2f\n"
			 "dec %%rcx\n jnz 1b\n"
			 "2: mov 8(%%rsp), %%rbx\n mov 16(%%rsp), %%rbp\n"
			 "mov (%%rsp), %%rsp\n cld\n"
			 : "=c"(left), "+D"(turns)
			 :
			 : "rax", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "cc", "memory");
	return left == 0;
}

/* Something else than what a program starts with, in every x87 and vector register. */
static inline void __attribute__((target("xsave"))) vigil_fill(struct vigil *vigil)
{
	_xsave64(vigil->reference, ~0ull);
	for (size_t i = 32; i < LEGACY_BYTES; i++)
		vigil->reference[i] = (uint8_t)(i * 37 + 11);
	for (size_t i = 0; i < 8; i++)
		memset(vigil->reference + 32 + i * 16 + 10, 0, 6); /* x87 registers have 80 bits */
	vigil->reference[0] = 0x7f; /* all exceptions masked, single precision */
	vigil->reference[1] = 0x00;
	vigil->reference[4] = 0xff;	  /* no x87 register is empty */
	uint32_t mxcsr = 0x1f80 | 0x6000; /* rounding towards zero */
	memcpy(vigil->reference + 24, &mxcsr, sizeof mxcsr);
	uint64_t features = 0x3 | (_xgetbv(0) & 0x4); /* x87, SSE, AVX */
	memcpy(vigil->reference + 512, &features, sizeof features);
	if (features & 4)
		for (size_t i = 576; i < 576 + 256; i++)
			vigil->reference[i] = (uint8_t)(i * 53 + 7);
}

static inline bool vigil_same_vectors(const struct vigil *vigil)
{
	const uint8_t *a = vigil->reference, *b = vigil->now;
	bool avx = a[512] & 4;
	return memcmp(a, b, 5) == 0 && memcmp(a + 24, b + 24, 4) == 0 &&
	       memcmp(a + 32, b + 32, LEGACY_BYTES - 32) == 0 &&
	       (!avx || memcmp(a + 576, b + 576, 256) == 0);
}

/* Watches for ever, or until something is wrong. */
static inline void __attribute__((target("xsave"))) keep_vigil(struct vigil *vigil)
{
	sigset_t now;
	uint64_t features;
	vigil_fill(vigil);
	memcpy(&features, vigil->reference + 512, sizeof features);
	sigprocmask(SIG_SETMASK, NULL, &now);
	memcpy(&vigil->mask, &now, sizeof vigil->mask);
	atomic_store(&vigil->tid, (int)syscall(SYS_gettid));
	for (;;) {
		_xrstor64(vigil->reference, features);
		bool right = vigil_turn(VIGIL_TURNS);
		_xsave64(vigil->now, features);
		__asm__ volatile("fninit" ::: "memory");
		_mm_setcsr(0x1f80);
		if (!right)
			atomic_store(&vigil->wrong, 1);
		else if (!vigil_same_vectors(vigil))
			atomic_store(&vigil->wrong, 2);
		sigprocmask(SIG_SETMASK, NULL, &now);
		if (memcmp(&vigil->mask, &now, sizeof vigil->mask) != 0)
			atomic_store(&vigil->wrong, 3);
		if (vigil->wrong)
			_exit(1);
		atomic_fetch_add(&vigil->rounds, 1);
	}
}

static inline struct vigil *new_vigil(void)
{
	return shared_memory((sizeof(struct vigil) + PAGE - 1) / PAGE * PAGE);
}

static inline bool vigil_passed(const struct vigil *vigil, uint64_t rounds)
{
	ck_assert_uint_eq(vigil->wrong, 0);
	return vigil->rounds > rounds + 2;
}

static inline void check_vigil_goes_on(const struct vigil *vigil)
{
	const uint64_t rounds = vigil->rounds;
	wait_until(vigil_passed(vigil, rounds));
}

#endif
