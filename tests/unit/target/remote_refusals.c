/* SPDX-License-Identifier: MIT */
/*
 * Threads that must not be borrowed: the reason is said, and the thread goes on as it was. And
 * threads that one might think so of, but which serve.
 */
#include "target/remote.h"

#include <check.h>
#include <linux/filter.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <unistd.h>

#include "unit/target/remote_tools.h"

enum {
	STACK_BYTES = 65536,
	CODE_SEGMENT_32 = 0x23,
	USER_DISPATCH_OFF = 0,
	USER_DISPATCH_ON = 1,
	SET_USER_DISPATCH = 59, /* PR_SET_SYSCALL_USER_DISPATCH, linux/prctl.h of Linux 5.11 */
};

static void refused_because(struct traced *traced, const char *reason, bool seen_before)
{
	static struct thread_state before, after;
	struct remote remote;
	read_state(traced->thread, &before);
	if (seen_before)
		ck_assert_int_eq(remote_suitability(traced->thread), 0);
	struct error *err = remote_begin(&traced->target, traced->thread, &remote);
	ck_assert_ptr_nonnull(err);
	ck_assert_msg(strstr(error_message(err), reason) != NULL, "%s", error_message(err));
	check_fails(err, ERROR_UNSUPPORTED);
	remote_end(&remote);
	read_state(traced->thread, &after);
	check_same_state(&before, &after);
	ok(target_resume(&traced->target, traced->thread, 0));
}

/* Its stack is not looked at before: the look alone would make room below it. */
static void serves(struct traced *traced)
{
	struct user_regs_struct before, after;
	struct remote remote;
	pid_t tid = traced->thread->tid;
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, tid, NULL, &before), 0);
	ok(remote_begin(&traced->target, traced->thread, &remote));
	ck_assert(is_mapped(tid, map_page(&remote)));
	remote_end(&remote);
	ck_assert_int_eq(ptrace(PTRACE_GETREGS, tid, NULL, &after), 0);
	ck_assert_mem_eq(&before, &after, sizeof before);
	go_on(traced);
}

static struct vigil *vigil;

static void filter_nothing(int to)
{
	struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
	struct sock_fprog program = {.len = 1, .filter = &allow};
	(void)to;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(1);
	keep_vigil(vigil);
}

/* The selector says that all is allowed: what counts is that somebody has set one. */
static void dispatch_calls(int to)
{
	static uint8_t selector = USER_DISPATCH_OFF;
	(void)to;
	prctl(SET_USER_DISPATCH, USER_DISPATCH_ON, 0, 0, &selector);
	keep_vigil(vigil);
}

static void watch_in_handler(int signal)
{
	(void)signal;
	keep_vigil(vigil);
}

static void use_alternate_stack(int to)
{
	void *memory =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
	struct sigaction action = {.sa_handler = watch_in_handler, .sa_flags = SA_ONSTACK};
	(void)to;
	if (memory == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
		_exit(1);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

/* Turns round with its stack pointer where it is told, saying so. */
static _Noreturn void stand_at(uint64_t stack_pointer)
{
	atomic_store(&vigil->tid, (int)syscall(SYS_gettid));
	__asm__ volatile("mov %0, %%rsp\n"
			 "1: lock incq (%1)\n"
			 "jmp 1b\n"
			 :
			 : "r"(stack_pointer), "r"(&vigil->rounds)
			 : "memory");
	__builtin_unreachable();
}

static void *stand_at_the_end_of_the_stack(void *stack)
{
	stand_at((uint64_t)(uintptr_t)stack + 512);
}

static void use_up_the_stack(int to)
{
	pthread_attr_t attributes;
	pthread_t thread;
	char *memory =
		mmap(NULL, STACK_BYTES + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)to;
	mprotect(memory + PAGE, STACK_BYTES, PROT_READ | PROT_WRITE);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, memory + PAGE, STACK_BYTES);
	if (pthread_create(&thread, &attributes, stand_at_the_end_of_the_stack, memory + PAGE) != 0)
		_exit(1);
	sleep_for_ever();
}

static uint64_t lowest_of_main_stack(void)
{
	struct proc_maps maps;
	error_free(proc_maps_read(getpid(), &maps));
	for (size_t i = 0; i < maps.count; i++)
		if (strcmp(maps.items[i].path, "[stack]") == 0)
			return maps.items[i].start;
	_exit(1);
}

static void stand_low_on_the_main_stack(int to)
{
	(void)to;
	stand_at(lowest_of_main_stack() + 256);
}

/* Code that needs no other segment than its own, because the others are empty in 64-bit mode. */
static void run_code_of_32_bit(int to)
{
	static const uint8_t jump_to_itself[] = {0xeb, 0xfe};
	(void)to;
	uint8_t *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		_exit(1);
	memcpy(low, jump_to_itself, sizeof jump_to_itself);
	atomic_store(&vigil->rounds, 3);
	__asm__ volatile(
		"push %[segment]\n push %[code]\n lretq\n"
		:
		: [segment] "r"((uint64_t)CODE_SEGMENT_32), [code] "r"((uint64_t)(uintptr_t)low)
		: "memory");
}

/* Is nearly always in a restartable sequence; each time it is sent out of it, it goes in again. */
static void restart_a_sequence(int to)
{
	static struct rseq_cs sequence __attribute__((aligned(32)));
	struct rseq *mine = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	(void)to;
	if (__rseq_size == 0)
		_exit(1);
	__asm__ volatile("lea 1f(%%rip), %%rax\n mov %%rax, 8(%[sequence])\n"
			 "lea 2f(%%rip), %%rcx\n sub %%rax, %%rcx\n mov %%rcx, 16(%[sequence])\n"
			 "lea 4f(%%rip), %%rax\n mov %%rax, 24(%[sequence])\n"
			 "3: lock incq (%[rounds])\n"
			 "mov %[sequence], 8(%[mine])\n"
			 "1: pause\n jmp 1b\n"
			 "2: ud2\n"
			 ".byte 0x0f, 0xb9, 0x3d\n .long %c[signature]\n"
			 "4: jmp 3b\n"
			 :
			 : [sequence] "r"(&sequence), [mine] "r"(mine),
			   [rounds] "r"(&vigil->rounds), [signature] "i"(RSEQ_SIG)
			 : "rax", "rcx", "memory");
}

static const struct refusal {
	const char *reason; /* NULL: it serves all the same */
	void (*body)(int to);
	bool seen_before; /* by remote_suitability, too */
	bool in_second_thread;
	bool silent; /* it does not count its rounds */
} refusals[] = {
	{"seccomp", filter_nothing, true, false, false},
	{"handler of its own", dispatch_calls, true, false, false},
	{"another stack", use_alternate_stack, false, false, false},
	{"no room", use_up_the_stack, false, true, false},
	{NULL, stand_low_on_the_main_stack, false, false, false},
	{"32 bit", run_code_of_32_bit, true, false, true},
	{"restartable sequence", restart_a_sequence, true, false, false},
};

START_TEST(a_thread_that_must_not_be_borrowed_is_refused_and_goes_on)
{
	const struct refusal *refusal = &refusals[_i];
	struct traced traced;
	vigil = new_vigil();
	_cleanup_child_ struct child child = start_child(refusal->body);
	wait_until(vigil_passed(vigil, 0));
	attach(&traced, child.pid, refusal->in_second_thread ? vigil->tid : child.pid);
	interrupt(traced.thread);
	while (refusal->silent && target_registers(traced.thread)->cs != CODE_SEGMENT_32) {
		ok(target_resume(&traced.target, traced.thread, 0));
		wait_a_little();
		interrupt(traced.thread);
	}
	if (refusal->reason)
		refused_because(&traced, refusal->reason, refusal->seen_before);
	else
		serves(&traced);
	if (!refusal->silent)
		check_vigil_goes_on(vigil);
	end_traced(&traced, &child);
}
END_TEST

static void vfork_and_wait(int to)
{
	child_says(to, "", 1);
	while (!vigil->rounds)
		wait_a_little();
	pid_t pid = vfork();
	if (pid == 0) {
		struct timespec long_time = {.tv_sec = DEADLINE_S};
		syscall(SYS_nanosleep, &long_time, NULL);
		_exit(0);
	}
	_exit(3);
}

START_TEST(a_thread_that_waits_for_the_child_of_a_vfork_is_refused)
{
	struct traced traced;
	struct remote remote;
	struct target_event event = {0};
	vigil = new_vigil();
	_cleanup_child_ struct child child = start_child(vfork_and_wait);
	wait_for_word(&child);
	attach(&traced, child.pid, child.pid);
	vigil->rounds = 1;
	while (event.kind != TARGET_EVENT_PROCESS)
		ok(target_next(&traced.target, &event));
	ck_assert_int_eq(remote_suitability(event.thread), 0);
	check_fails(remote_begin(&traced.target, event.thread, &remote), ERROR_UNSUPPORTED);
	kill(event.process->pid, SIGKILL);
	ok(target_resume(&traced.target, event.thread, 0));
	end_traced(&traced, &child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads that are not borrowed");
	TCase *tests = tcase_create("refusals");
	tcase_set_timeout(tests, 2 * DEADLINE_S);
	tcase_add_loop_test(tests, a_thread_that_must_not_be_borrowed_is_refused_and_goes_on, 0,
			    (int)(sizeof refusals / sizeof *refusals));
	tcase_add_test(tests, a_thread_that_waits_for_the_child_of_a_vfork_is_refused);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
