/* SPDX-License-Identifier: MIT */
/*
 * The tracer is killed while a thread is borrowed: the target goes on as if nothing had been.
 *
 * The tracer is a child of the test, and so is the target, which watches over its own registers, or
 * sleeps in a call whose result tells. The functions that the borrowing changes the target with are
 * replaced here by ones that do the same and count, so that the end can come before each of them.
 */
#include "target/remote.h"

#include <check.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <unistd.h>

#include "unit/target/remote_tools.h"

enum {
	STEPS_MAX = 200,
	CALLS = 3,
	RANDOM_RUNS = 150,
	RANDOM_MAX_US = 1500,
	SLEEP_MS = 150,
};

/* ---- the numbered points */

/* The steps that are left to live; 0: they are not counted. Only the tracer sets it. */
static int steps_left;
static _Atomic int *steps_taken; /* shared */

static void step(void)
{
	if (!steps_left)
		return;
	if (--steps_left == 0)
		kill(getpid(), SIGKILL);
	atomic_fetch_add(steps_taken, 1);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t tid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);
	step();
	return syscall(SYS_ptrace, request, tid, address, data);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	step();
	return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	step();
	return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

/* ---- what the target does meanwhile */

static struct vigil *vigil;
static _Atomic uint32_t *word;
static int pipe_ends[2];

struct outcome {
	long result;
	uint64_t elapsed_ns;
};

static void watch(int to)
{
	sigset_t some;
	(void)to;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_SETMASK, &some, NULL);
	keep_vigil(vigil);
}

static void say_outcome(int to, long result, uint64_t start)
{
	struct outcome outcome = {result < 0 ? -errno : result, clock_now_ns() - start};
	child_says(to, &outcome, sizeof outcome);
	keep_vigil(vigil);
}

static void read_pipe(int to)
{
	char byte;
	uint64_t start = clock_now_ns();
	say_outcome(to, syscall(SYS_read, pipe_ends[0], &byte, 1), start);
}

static void wait_on_word(int to)
{
	uint64_t start = clock_now_ns();
	say_outcome(to, syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0), start);
}

static void sleep_relative(int to)
{
	const struct timespec time = {.tv_nsec = SLEEP_MS * 1000000l};
	uint64_t start = clock_now_ns();
	say_outcome(to, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL), start);
}

/* Through libc, whose code says which call it is that is being resumed. */
static void sleep_by_libc(int to)
{
	const struct timespec time = {.tv_nsec = SLEEP_MS * 1000000l};
	uint64_t start = clock_now_ns();
	errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
	say_outcome(to, errno ? -1 : 0, start);
}

static void wait_for_event(int to)
{
	struct pollfd fd = {.fd = pipe_ends[0], .events = POLLIN};
	uint64_t start = clock_now_ns();
	say_outcome(to, syscall(SYS_poll, &fd, 1, -1), start);
}

static void wake_by_pipe(void)
{
	ck_assert_int_eq(write(pipe_ends[1], "", 1), 1);
}

static void wake_by_word(void)
{
	/* A sleeper that is just going back to sleep sees the value instead. */
	atomic_store(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wake_by_time(void)
{
}

static const struct activity {
	const char *name;
	void (*body)(int to);
	void (*wake)(void); /* NULL: it never slept */
	long result;	    /* of the call it slept in, 0 or this */
	long other_result;
	bool stopped; /* by SIGSTOP */
	bool timed;
	bool resumed; /* its call was interrupted before */
} activities[] = {
	{"in user space", watch, NULL, 0, 0, false, false, false},
	{"stopped", watch, NULL, 0, 0, true, false, false},
	{"reading", read_pipe, wake_by_pipe, 1, 1, false, false, false},
	{"in a futex", wait_on_word, wake_by_word, 0, -EAGAIN, false, false, false},
	{"asleep", sleep_relative, wake_by_time, 0, 0, false, true, false},
	{"asleep again", sleep_by_libc, wake_by_time, 0, 0, false, true, true},
	{"polling", wait_for_event, wake_by_pipe, 1, 1, false, false, false},
};

enum { ACTIVITIES = sizeof activities / sizeof *activities };

static char state_of(pid_t pid)
{
	char state = '?';
	uint64_t start;
	ok(proc_stat(pid, &state, &start));
	return state;
}

static struct child start_target(const struct activity *activity)
{
	vigil = new_vigil();
	word = shared_memory(PAGE);
	ck_assert_int_eq(pipe(pipe_ends), 0);
	struct child child = start_child(activity->body);
	if (activity->wake)
		wait_until(sleeps_in(child.pid) >= 0);
	else
		wait_until(vigil_passed(vigil, 0));
	if (activity->stopped) {
		ck_assert_int_eq(kill(child.pid, SIGSTOP), 0);
		wait_until(state_of(child.pid) == 'T');
	}
	return child;
}

static pid_t tracer_of(pid_t pid)
{
	struct proc_status status;
	ok(proc_status(pid, &status));
	return status.tracer;
}

static void check_target(const struct activity *activity, const struct child *child)
{
	struct outcome outcome;
	wait_until(tracer_of(child->pid) == 0);
	if (activity->stopped) {
		wait_until(state_of(child->pid) == 'T');
		uint64_t rounds = vigil->rounds;
		ck_assert_int_eq(kill(child->pid, SIGCONT), 0);
		wait_until(vigil->rounds > rounds);
	}
	if (activity->wake) {
		activity->wake();
		hear(child, &outcome, sizeof outcome);
		ck_assert_msg(outcome.result == activity->result ||
				      outcome.result == activity->other_result,
			      "%s: %ld", activity->name, outcome.result);
		ck_assert(!activity->timed || outcome.elapsed_ns >= SLEEP_MS * UINT64_C(1000000));
	}
	check_vigil_goes_on(vigil);
	struct proc_status status;
	ok(proc_status(child->pid, &status));
	ck_assert_uint_eq(status.signals_blocked, vigil->mask);
}

/* ---- the tracer: it dies, or ends by _exit(0) when it has done all */

static bool quiet(struct error *err)
{
	bool failed = err != NULL;
	error_free(err);
	return !failed;
}

/* Stops the thread, or finds it in a group-stop; false if it cannot be had. */
static bool stop(struct traced *traced, pid_t pid)
{
	int status;
	target_init(&traced->target, NULL, &traced->poke);
	if (!quiet(target_attach(&traced->target, pid)))
		return false;
	traced->thread = map_get(&traced->target.threads, (uint64_t)pid);
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		return false;
	traced->thread->state = TARGET_THREAD_STOPPED;
	return true;
}

static bool borrow(struct traced *traced)
{
	const uint64_t map[6] = {0,    PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 ~0ul, 0};
	struct remote remote;
	int64_t address = 0, result = 0;
	if (!quiet(remote_begin(&traced->target, traced->thread, &remote)))
		return false;
	bool done = true;
	for (int i = 0; done && i < CALLS; i++) {
		const uint64_t unmap[6] = {(uint64_t)address, PAGE};
		done = i % 2 ? quiet(remote_call(&remote, SYS_munmap, unmap, &result))
			     : quiet(remote_call(&remote, SYS_mmap, map, &address));
		done = done && result == 0 && address > 0;
	}
	remote_end(&remote);
	return done;
}

/* Ends with 0 if everything was done, with 1 if something failed, by SIGKILL at the step. */
static _Noreturn void trace_until(pid_t pid, int last_step)
{
	struct traced traced = {0};
	if (!stop(&traced, pid))
		_exit(1);
	steps_left = last_step;
	bool done = borrow(&traced);
	steps_left = 0;
	if (!quiet(target_resume(&traced.target, traced.thread, 0)))
		_exit(1);
	_exit(done ? 0 : 1);
}

/* Somebody else stops the thread and lets it go on. */
static void disturb(pid_t pid)
{
	struct traced traced = {0};
	ck_assert(stop(&traced, pid));
	ok(target_resume(&traced.target, traced.thread, 0));
	wait_until(sleeps_in(pid) == SYS_restart_syscall);
	interrupt(traced.thread);
	traced_deinit(&traced);
	wait_until(sleeps_in(pid) == SYS_restart_syscall);
}

/* How the tracer ended. */
static int run_tracer(pid_t pid, int last_step)
{
	int status;
	pid_t tracer = fork();
	ck_assert_int_ge(tracer, 0);
	if (tracer == 0)
		trace_until(pid, last_step);
	ck_assert_int_eq(waitpid(tracer, &status, 0), tracer);
	return status;
}

START_TEST(a_target_outlives_a_tracer_killed_before_any_step)
{
	const struct activity *activity = &activities[_i];
	int last_step = 1, runs = 0;
	steps_taken = shared_memory(PAGE);
	for (bool done = false; !done; last_step++) {
		ck_assert_int_lt(last_step, STEPS_MAX);
		_cleanup_child_ struct child child = start_target(activity);
		if (activity->resumed)
			disturb(child.pid);
		int status = run_tracer(child.pid, last_step);
		ck_assert(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
					      : WEXITSTATUS(status) == 0);
		done = !WIFSIGNALED(status);
		check_target(activity, &child);
		close(pipe_ends[0]);
		close(pipe_ends[1]);
		runs++;
	}
	/* More than two steps a call: otherwise nothing was counted. */
	ck_assert_int_gt(runs, 4 * CALLS);
	printf("%s: the tracer was killed at %d points\n", activity->name, runs - 1);
}
END_TEST

/* Borrows again and again, until it is killed. */
static _Noreturn void trace_for_ever(pid_t pid)
{
	struct traced traced = {0};
	int status;
	if (!stop(&traced, pid))
		_exit(1);
	for (;;) {
		if (!borrow(&traced) || !quiet(target_resume(&traced.target, traced.thread, 0)))
			_exit(1);
		traced.thread->state = TARGET_THREAD_STOPPED;
		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			_exit(1);
	}
}

START_TEST(a_target_outlives_a_tracer_killed_at_any_time)
{
	unsigned seed = (unsigned)clock_now_ns();
	printf("seed %u\n", seed);
	for (int i = 0; i < RANDOM_RUNS; i++) {
		const struct activity *activity = &activities[i % ACTIVITIES];
		int status;
		_cleanup_child_ struct child child = start_target(activity);
		pid_t tracer = fork();
		ck_assert_int_ge(tracer, 0);
		if (tracer == 0)
			trace_for_ever(child.pid);
		wait_until(tracer_of(child.pid) == tracer);
		struct timespec pause = {.tv_nsec = rand_r(&seed) % RANDOM_MAX_US * 1000};
		nanosleep(&pause, NULL);
		ck_assert_int_eq(kill(tracer, SIGKILL), 0);
		ck_assert_int_eq(waitpid(tracer, &status, 0), tracer);
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
		check_target(activity, &child);
		close(pipe_ends[0]);
		close(pipe_ends[1]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("borrowed threads whose tracer is killed");
	TCase *tests = tcase_create("kill");
	tcase_set_timeout(tests, 4 * DEADLINE_S);
	tcase_add_loop_test(tests, a_target_outlives_a_tracer_killed_before_any_step, 0,
			    ACTIVITIES);
	tcase_add_test(tests, a_target_outlives_a_tracer_killed_at_any_time);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
