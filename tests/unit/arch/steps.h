/* SPDX-License-Identifier: MIT */
/*
 * Runs functions of this process's image in a forked child, one instruction at a time, and checks
 * at every step what survival_find claims of them. Included once by a test program; one thread.
 *
 * What is known of a call comes from the run alone: its arguments are those given at the entry, its
 * return address stands where rsp pointed to there, and it ends with a `ret` that finds rsp there
 * again.
 */
#ifndef TESTS_UNIT_ARCH_STEPS_H
#define TESTS_UNIT_ARCH_STEPS_H

#include <check.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/instruction.h"
#include "arch/survival.h"
#include "base/cleanup.h"

enum {
	ARGUMENTS = 6,
	DEPTH_MAX = 64,
	STEPS_MAX = 20000,
	STEPS_STACK_BYTES = 1 << 20,
};

/* A function and what is claimed of each of its arguments; accepted[i]: points[i] are. */
struct subject {
	const char *name, *origin;
	uint64_t start, end;
	bool accepted[ARGUMENTS];
	struct survival points[ARGUMENTS];
};

/* One call of the subject that is under way; more than one in a recursion. */
struct running_call {
	uint64_t stack; /* where its return address stands */
	uint64_t arguments[ARGUMENTS];
	bool lost[ARGUMENTS];
	unsigned exits[ARGUMENTS];
	const struct survival_point *last[ARGUMENTS];
	uint64_t result[ARGUMENTS]; /* rax at the last exit point */
};

struct stepper {
	pid_t pid;
	struct user_regs_struct home;
	uint8_t *stack;
	uint64_t seed;
	const struct subject *subject;
	struct running_call calls[DEPTH_MAX];
	size_t depth;
	uint64_t previous; /* the instruction stepped over last */
	size_t functions, claims, runs, unfinished, returns, points, steps;
};

/* xorshift64* */
static inline uint64_t steps_random(struct stepper *stepper)
{
	stepper->seed ^= stepper->seed >> 12;
	stepper->seed ^= stepper->seed << 25;
	stepper->seed ^= stepper->seed >> 27;
	return stepper->seed * 0x2545f4914f6cdd1du;
}

/* Never run: where calls return to. */
static inline void steps_landing(void)
{
	abort();
}

static inline bool read_own(void *context, target_addr address, void *bytes, size_t count)
{
	const struct subject *subject = context;
	if (address.v < subject->start || address.v >= subject->end ||
	    count > subject->end - address.v)
		return false;
	memcpy(bytes, (const void *)(uintptr_t)address.v, count);
	return true;
}

static inline bool own_bounds(void *context, target_addr address, target_addr *start,
			      target_addr *end)
{
	const struct subject *subject = context;
	start->v = subject->start;
	end->v = subject->end;
	return address.v >= subject->start && address.v < subject->end;
}

static inline bool own_pointer(void *context, target_addr slot, target_addr *ret)
{
	(void)context;
	(void)slot;
	(void)ret;
	return false;
}

/* Finds a function's extent by its symbol, and what is claimed; false if nothing is of any
 * argument. */
static inline bool subject_open(void *handle, const char *name, const char *origin,
				struct subject *ret)
{
	Dl_info info;
	const ElfW(Sym) *symbol = NULL;
	void *address = dlsym(handle, name);
	if (!address || !dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol ||
	    info.dli_saddr != address || !symbol->st_size)
		return false;
	*ret = (struct subject){
		.name = name, .origin = origin, .start = (uint64_t)(uintptr_t)address};
	ret->end = ret->start + symbol->st_size;
	struct code_reader reader = {read_own, own_bounds, own_pointer, ret};
	bool any = false;
	for (unsigned i = 0; i < ARGUMENTS; i++) {
		_cleanup_error_ struct error *err =
			survival_find(&reader, (target_addr){ret->start}, i + 1, &ret->points[i]);
		ck_assert(!err || error_kind_of(err) == ERROR_UNSUPPORTED);
		ret->accepted[i] = !err;
		any |= !err;
	}
	return any;
}

static inline void subject_deinit(struct subject *subject)
{
	for (unsigned i = 0; i < ARGUMENTS; i++)
		survival_deinit(&subject->points[i]);
}

/* Both processes on one CPU: a stop is then a switch and no wake-up of another. */
static inline void stepper_start(struct stepper *stepper)
{
	*stepper = (struct stepper){.seed = 0x9e3779b97f4a7c15u};
	const char *seed = getenv("SEED");
	if (seed)
		stepper->seed = strtoull(seed, NULL, 0) | 1;
	cpu_set_t cpus;
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
	stepper->stack = mmap(NULL, STEPS_STACK_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stepper->stack, MAP_FAILED);
	stepper->pid = fork();
	ck_assert_int_ge(stepper->pid, 0);
	if (!stepper->pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(1);
	}
	int status;
	ck_assert_int_eq(waitpid(stepper->pid, &status, 0), stepper->pid);
	ck_assert(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, stepper->pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, stepper->pid, NULL, &stepper->home), 0);
	stepper->home.orig_rax = (uint64_t)-1;
}

static inline void stepper_stop(struct stepper *stepper)
{
	kill(stepper->pid, SIGKILL);
	waitpid(stepper->pid, NULL, 0);
	munmap(stepper->stack, STEPS_STACK_BYTES);
	if (getenv("VERBOSE"))
		printf("%zu functions (%zu claims), %zu calls, %zu unfinished: %zu returns, "
		       "%zu points in %zu steps\n",
		       stepper->functions, stepper->claims, stepper->runs, stepper->unfinished,
		       stepper->returns, stepper->points, stepper->steps);
}

#define STEP_ASSERT(stepper, rip, argument, expression)                                            \
	ck_assert_msg(expression, "%s of %s, argument %u, +0x%" PRIx64 ": " #expression,           \
		      (stepper)->subject->name, (stepper)->subject->origin, (argument) + 1,        \
		      (uint64_t)(rip) - (stepper)->subject->start)

static inline void begin_call(struct stepper *stepper, const struct user_regs_struct *registers)
{
	stepper->calls[stepper->depth++] =
		(struct running_call){.stack = registers->rsp,
				      .arguments = {registers->rdi, registers->rsi, registers->rdx,
						    registers->rcx, registers->r8, registers->r9}};
}

static inline void check_point(struct stepper *stepper, struct running_call *call, unsigned i,
			       const struct survival_point *point,
			       const struct user_regs_struct *registers)
{
	uint64_t value = survival_register(registers, point->register_number);
	STEP_ASSERT(stepper, registers->rip, i, registers->rsp + point->depth_bytes == call->stack);
	STEP_ASSERT(stepper, registers->rip, i,
		    call->lost[i] || (point->readable && value == call->arguments[i]));
	STEP_ASSERT(stepper, registers->rip, i, call->exits[i] == 0);
	stepper->points++;
	call->last[i] = point;
	call->lost[i] |= point->kind == SURVIVAL_LOST;
	if (point->kind == SURVIVAL_EXIT) {
		call->exits[i]++;
		call->result[i] = registers->rax;
	}
}

static inline void check_points_at(struct stepper *stepper,
				   const struct user_regs_struct *registers)
{
	struct running_call *call = &stepper->calls[stepper->depth - 1];
	/* An instruction that is repeated is stepped over in rounds, but probed once. */
	if (stepper->previous == registers->rip)
		return;
	for (unsigned i = 0; i < ARGUMENTS; i++) {
		const struct survival *survival = &stepper->subject->points[i];
		for (size_t j = 0; j < survival->count; j++)
			if (survival->points[j].address.v == registers->rip)
				check_point(stepper, call, i, &survival->points[j], registers);
	}
}

/* At a `ret`, before it runs. */
static inline void end_call(struct stepper *stepper, const struct user_regs_struct *registers)
{
	const struct running_call *call = &stepper->calls[stepper->depth - 1];
	for (unsigned i = 0; i < ARGUMENTS; i++) {
		if (!stepper->subject->accepted[i])
			continue;
		STEP_ASSERT(stepper, registers->rip, i, registers->rsp == call->stack);
		STEP_ASSERT(stepper, registers->rip, i, call->exits[i] == 1);
		STEP_ASSERT(stepper, registers->rip, i, call->last[i]->kind == SURVIVAL_EXIT);
		STEP_ASSERT(stepper, registers->rip, i,
			    call->last[i]->returns_at.v == registers->rip);
		STEP_ASSERT(stepper, registers->rip, i, call->result[i] == registers->rax);
		stepper->returns++;
	}
	stepper->depth--;
}

static inline enum instruction_flow own_flow(const struct subject *subject, uint64_t rip)
{
	struct code_reader reader = {read_own, own_bounds, own_pointer, (void *)(uintptr_t)subject};
	struct instruction instruction;
	_cleanup_error_ struct error *err =
		instruction_read(&reader, (target_addr){rip}, &instruction);
	return err ? FLOW_FOREIGN : instruction.flow;
}

/* A call leaves its return address, which is right behind it, on the stack. */
static inline bool came_by_call(const struct stepper *stepper,
				const struct user_regs_struct *registers)
{
	long top = ptrace(PTRACE_PEEKDATA, stepper->pid, (void *)(uintptr_t)registers->rsp, NULL);
	return stepper->depth == 0 ||
	       (registers->rsp < stepper->calls[stepper->depth - 1].stack &&
		(uint64_t)top - stepper->previous <= CODE_INSTRUCTION_MAX_BYTES);
}

static inline void look(struct stepper *stepper, const struct user_regs_struct *registers)
{
	const struct subject *subject = stepper->subject;
	if (registers->rip < subject->start || registers->rip >= subject->end)
		return;
	if (registers->rip == subject->start && came_by_call(stepper, registers))
		begin_call(stepper, registers);
	check_points_at(stepper, registers);
	if (own_flow(subject, registers->rip) == FLOW_RETURN)
		end_call(stepper, registers);
}

/* Steps until the outermost call has returned; false if it takes too long or deep, or faults. */
static inline bool run_steps(struct stepper *stepper)
{
	uint64_t landing = (uint64_t)(uintptr_t)steps_landing;
	for (int i = 0; i < STEPS_MAX && stepper->depth < DEPTH_MAX; i++) {
		struct user_regs_struct registers;
		ck_assert_int_eq(ptrace(PTRACE_GETREGS, stepper->pid, NULL, &registers), 0);
		if (registers.rip == landing)
			return true;
		look(stepper, &registers);
		stepper->previous = registers.rip;
		stepper->steps++;
		int status;
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, stepper->pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(stepper->pid, &status, 0), stepper->pid);
		ck_assert(WIFSTOPPED(status));
		if (WSTOPSIG(status) != SIGTRAP)
			return false;
	}
	return false;
}

/* Calls the subject with registers full of noise but for its arguments. */
static inline void stepper_call(struct stepper *stepper, const struct subject *subject,
				const uint64_t arguments[ARGUMENTS])
{
	struct user_regs_struct registers = stepper->home;
	unsigned long long *noisy[] = {&registers.rax, &registers.rbx, &registers.rbp,
				       &registers.r10, &registers.r11, &registers.r12,
				       &registers.r13, &registers.r14, &registers.r15};
	for (size_t i = 0; i < sizeof noisy / sizeof *noisy; i++)
		*noisy[i] = steps_random(stepper);
	registers.rdi = arguments[0], registers.rsi = arguments[1], registers.rdx = arguments[2];
	registers.rcx = arguments[3], registers.r8 = arguments[4], registers.r9 = arguments[5];
	registers.rip = subject->start;
	registers.rsp = (uint64_t)(uintptr_t)stepper->stack + STEPS_STACK_BYTES - 4096 - 8;
	ck_assert_int_eq(ptrace(PTRACE_POKEDATA, stepper->pid, (void *)(uintptr_t)registers.rsp,
				(void *)(uintptr_t)steps_landing),
			 0);
	ck_assert_int_eq(ptrace(PTRACE_SETREGS, stepper->pid, NULL, &registers), 0);
	stepper->subject = subject;
	stepper->depth = 0;
	stepper->previous = 0;
	stepper->runs++;
	if (!run_steps(stepper)) {
		stepper->unfinished++;
		return;
	}
	ck_assert_uint_eq(stepper->depth, 0);
}

/* Counts a subject whose calls follow. */
static inline void stepper_add(struct stepper *stepper, const struct subject *subject)
{
	stepper->functions++;
	for (unsigned i = 0; i < ARGUMENTS; i++)
		stepper->claims += subject->accepted[i];
}

#endif
