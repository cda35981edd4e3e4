/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of this process and of children, against what system calls say of the same. Maps
 * are proc_maps.c.
 */
#include "target/proc.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "unit/target/child.h"

enum {
	PAGE = 4096,
	SIGNALS = 64,
	DEADLINE_S = 60, /* only a hang gets there */
};

#define SECOND_NS UINT64_C(1000000000)

static uint64_t bit(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

START_TEST(our_own_status_is_what_system_calls_say)
{
	struct proc_status status;
	ok(proc_status(getpid(), &status));
	uid_t uids[3];
	gid_t gids[3];
	ck_assert_int_eq(getresuid(&uids[0], &uids[1], &uids[2]), 0);
	ck_assert_int_eq(getresgid(&gids[0], &gids[1], &gids[2]), 0);
	ck_assert_int_eq(status.state, 'R');
	ck_assert_int_eq(status.tgid, getpid());
	ck_assert_int_eq(status.parent, getppid());
	ck_assert_int_eq(status.inner_pid, getpid());
	ck_assert_uint_eq(status.real_uid, uids[0]);
	ck_assert_uint_eq(status.effective_uid, uids[1]);
	ck_assert_uint_eq(status.saved_uid, uids[2]);
	ck_assert_uint_eq(status.real_gid, gids[0]);
	ck_assert_uint_eq(status.effective_gid, gids[1]);
	ck_assert_uint_eq(status.saved_gid, gids[2]);
	ck_assert_int_eq(status.seccomp, prctl(PR_GET_SECCOMP));
	ck_assert(status.has_memory);

	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	ck_assert_uint_eq(status.capabilities,
			  data[0].effective | (uint64_t)data[1].effective << 32);
}
END_TEST

static void take_three_identities(int to)
{
	bool done = setresgid(301, 302, 303) == 0 && setresuid(401, 402, 403) == 0;
	child_says(to, &done, sizeof done);
	sleep_for_ever();
}

START_TEST(real_effective_and_saved_identities_are_told_apart)
{
	_cleanup_child_ struct child child = start_child(take_three_identities);
	bool done;
	hear(&child, &done, sizeof done);
	if (!done)
		return; /* root alone can take them */
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert_uint_eq(status.real_uid, 401);
	ck_assert_uint_eq(status.effective_uid, 402);
	ck_assert_uint_eq(status.saved_uid, 403);
	ck_assert_uint_eq(status.real_gid, 301);
	ck_assert_uint_eq(status.effective_gid, 302);
	ck_assert_uint_eq(status.saved_gid, 303);
	ck_assert_uint_eq(status.capabilities, 0);
	ck_assert_int_eq(status.parent, getpid());
}
END_TEST

/* What a child finds when it asks the kernel itself. */
struct signals {
	uint64_t blocked, ignored, caught;
};

static void on_signal(int signal)
{
	(void)signal;
}

static struct signals ask_for_signals(void)
{
	struct signals signals = {0};
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &signals.blocked, 8);
	for (int signal = 1; signal <= SIGNALS; signal++) {
		/* The kernel's struct sigaction begins with the handler; 32 bytes hold it. */
		uint64_t action[4] = {0};
		if (syscall(SYS_rt_sigaction, signal, NULL, action, 8) != 0)
			continue;
		signals.ignored |= action[0] == (uint64_t)(uintptr_t)SIG_IGN ? bit(signal) : 0;
		signals.caught |= action[0] > (uint64_t)(uintptr_t)SIG_IGN ? bit(signal) : 0;
	}
	return signals;
}

static void set_signals(int to)
{
	uint64_t mask = bit(SIGUSR1) | bit(SIGHUP) | bit(40) | bit(SIGNALS);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
	signal(SIGPIPE, SIG_IGN);
	signal(63, SIG_IGN);
	signal(SIGUSR2, on_signal);
	signal(SIGNALS, on_signal);
	struct signals signals = ask_for_signals();
	child_says(to, &signals, sizeof signals);
	sleep_for_ever();
}

START_TEST(signals_blocked_ignored_and_caught_are_those_of_the_child)
{
	_cleanup_child_ struct child child = start_child(set_signals);
	struct signals signals;
	hear(&child, &signals, sizeof signals);
	ck_assert_uint_eq(signals.blocked, bit(SIGUSR1) | bit(SIGHUP) | bit(40) | bit(SIGNALS));
	ck_assert_uint_eq(signals.ignored & (bit(SIGPIPE) | bit(63)), bit(SIGPIPE) | bit(63));
	ck_assert_uint_eq(signals.caught & (bit(SIGUSR2) | bit(SIGNALS)),
			  bit(SIGUSR2) | bit(SIGNALS));
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert_uint_eq(status.signals_blocked, signals.blocked);
	ck_assert_uint_eq(status.signals_ignored, signals.ignored);
	ck_assert_uint_eq(status.signals_caught, signals.caught);
}
END_TEST

/* Names of at most 15 bytes, prctl(2), that try to look like the end of a field or another line. */
static const char *const names[] = {
	"plain",       "with space", "a) R 1 1 1 1 1", ") ) )",	      ")",   "(",
	"x\nPPid:\t1", "Tgid:\t1",   "n\nTgid:\t7\n",  "\nState:\tZ", "\\n", "%s%n%d",
};

enum { NAMES = sizeof names / sizeof *names };

/* Shared with the child by fork: check runs each test in a process of its own. */
static int name_index;

static void take_name(int to)
{
	prctl(PR_SET_NAME, names[name_index]);
	child_says(to, "", 1);
	sleep_for_ever();
}

/* The time since boot in clock ticks, as the start of a process is counted. */
static uint64_t ticks_since_boot(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t rate = (uint64_t)sysconf(_SC_CLK_TCK);
	return (uint64_t)now.tv_sec * rate + (uint64_t)now.tv_nsec * rate / SECOND_NS;
}

START_TEST(a_name_cannot_pass_for_another_field)
{
	name_index = _i;
	uint64_t before = ticks_since_boot();
	_cleanup_child_ struct child child = start_child(take_name);
	wait_for_word(&child);
	uint64_t after = ticks_since_boot(), started;
	char state;
	ok(proc_stat(child.pid, &state, &started));
	ck_assert(state == 'R' || state == 'S');
	ck_assert_uint_ge(started, before);
	ck_assert_uint_le(started, after);
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert(status.state == 'R' || status.state == 'S');
	ck_assert_int_eq(status.tgid, child.pid);
	ck_assert_int_eq(status.parent, getpid());
	ck_assert_int_eq(status.tracer, 0);
}
END_TEST

static void be_traced(int to)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	child_says(to, "", 1);
	raise(SIGUSR1);
}

START_TEST(a_traced_child_has_a_tracer_and_a_state_of_its_own)
{
	_cleanup_child_ struct child child = start_child(be_traced);
	wait_for_word(&child);
	siginfo_t info;
	ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WSTOPPED | WNOWAIT), 0);
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert_int_eq(status.tracer, getpid());
	ck_assert_int_eq(status.state, 't');
	ck_assert(!proc_asleep_in_call(child.pid, child.pid, NULL));
}
END_TEST

static void forgo_most_calls(int to)
{
	/* A pipe into which nobody writes: read(2) is one of the four calls that are left. */
	int silent[2];
	char word;
	if (pipe(silent) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
		_exit(1);
	child_says(to, "", 1);
	while (read(silent[0], &word, 1) < 0)
		;
}

START_TEST(a_child_without_most_system_calls_is_known_as_such)
{
	_cleanup_child_ struct child child = start_child(forgo_most_calls);
	wait_for_word(&child);
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert_int_eq(status.seccomp, SECCOMP_MODE_STRICT);
}
END_TEST

static void end_at_once(int to)
{
	(void)to;
	prctl(PR_SET_NAME, "last words");
}

START_TEST(a_zombie_is_there_without_memory)
{
	_cleanup_child_ struct child child = start_child(end_at_once);
	wait_for_end(&child);
	struct proc_status status;
	ok(proc_status(child.pid, &status));
	ck_assert_int_eq(status.state, 'Z');
	ck_assert(!status.has_memory);
	char state;
	uint64_t started;
	ok(proc_stat(child.pid, &state, &started));
	ck_assert_int_eq(state, 'Z');
	ck_assert(!proc_asleep_in_call(child.pid, child.pid, NULL));
}
END_TEST

START_TEST(of_a_process_that_is_gone_nothing_is_said)
{
	struct child child = start_child(end_at_once);
	pid_t pid = child.pid;
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	child.pid = 0;
	child_end(&child);
	struct proc_status status;
	check_fails(proc_status(pid, &status), ERROR_GONE);
	char state;
	uint64_t number;
	check_fails(proc_stat(pid, &state, &number), ERROR_GONE);
	pid_t *tids;
	char **argv;
	size_t count;
	check_fails(proc_tasks(pid, &tids, &count), ERROR_GONE);
	check_fails(proc_command(pid, &argv, &count), ERROR_GONE);
	struct proc_maps maps;
	check_fails(proc_maps_read(pid, &maps), ERROR_GONE);
	ck_assert(!proc_asleep_in_call(pid, pid, NULL));
	ck_assert(!proc_auxiliary(pid, AT_ENTRY, &number));
}
END_TEST

static void start_a_pid_namespace(int to)
{
	pid_t pid = unshare(CLONE_NEWPID) == 0 ? fork() : -1;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_for_ever();
	}
	child_says(to, &pid, sizeof pid);
	sleep_for_ever();
}

START_TEST(the_first_process_of_a_pid_namespace_is_1_inside)
{
	_cleanup_child_ struct child child = start_child(start_a_pid_namespace);
	pid_t first;
	hear(&child, &first, sizeof first);
	if (first < 0)
		return; /* root alone can make one */
	struct proc_status status;
	ok(proc_status(first, &status));
	ck_assert_int_eq(status.tgid, first);
	ck_assert_int_eq(status.parent, child.pid);
	ck_assert_int_eq(status.inner_pid, 1);
}
END_TEST

enum { THREADS = 20 };

struct crew {
	pthread_barrier_t ready, done;
	pid_t tids[THREADS];
};

struct member {
	struct crew *crew;
	size_t index;
};

static void *work(void *argument)
{
	struct member *member = argument;
	member->crew->tids[member->index] = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&member->crew->ready);
	pthread_barrier_wait(&member->crew->done);
	return NULL;
}

static bool contains(const pid_t *tids, size_t count, pid_t tid)
{
	for (size_t i = 0; i < count; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

START_TEST(every_thread_of_a_process_is_listed)
{
	struct crew crew;
	struct member members[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_init(&crew.ready, NULL, THREADS + 1);
	pthread_barrier_init(&crew.done, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++) {
		members[i] = (struct member){&crew, i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &members[i]), 0);
	}
	pthread_barrier_wait(&crew.ready);
	_cleanup_free_ pid_t *tids = NULL;
	size_t count;
	ok(proc_tasks(getpid(), &tids, &count));
	ck_assert(contains(tids, count, getpid()));
	for (size_t i = 0; i < THREADS; i++) {
		ck_assert(contains(tids, count, crew.tids[i]));
		struct proc_status status;
		ok(proc_status(crew.tids[i], &status));
		ck_assert_int_eq(status.tgid, getpid());
	}
	/* A sanitizer may have a thread of its own. */
	ck_assert_uint_ge(count, THREADS + 1);
	ck_assert_uint_le(count, THREADS + 2);
	pthread_barrier_wait(&crew.done);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

static void say_and_sleep(int to)
{
	child_says(to, "", 1);
	sleep_for_ever();
}

static void say_and_spin(int to)
{
	child_says(to, "", 1);
	for (volatile uint64_t turns = 0;; turns++)
		;
}

/* Waits until the thread is (or is not) asleep in a call. */
static void wait_until_asleep(pid_t pid, bool asleep)
{
	uint64_t deadline = clock_now_ns() + DEADLINE_S * SECOND_NS;
	while (proc_asleep_in_call(pid, pid, NULL) != asleep) {
		ck_assert_msg(clock_now_ns() < deadline, "waited in vain");
		sched_yield();
	}
}

START_TEST(a_thread_that_pauses_is_asleep_in_a_call_until_it_is_stopped)
{
	_cleanup_child_ struct child child = start_child(say_and_sleep);
	wait_for_word(&child);
	wait_until_asleep(child.pid, true);
	kill(child.pid, SIGSTOP);
	siginfo_t info;
	ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WSTOPPED), 0);
	ck_assert(!proc_asleep_in_call(child.pid, child.pid, NULL));
	kill(child.pid, SIGCONT);
	wait_until_asleep(child.pid, true);
}
END_TEST

START_TEST(a_thread_that_spins_is_not_asleep_in_a_call)
{
	_cleanup_child_ struct child child = start_child(say_and_spin);
	wait_for_word(&child);
	/* It has written, and may still be on its way out of that call. */
	wait_until_asleep(child.pid, false);
	for (int i = 0; i < 1000; i++)
		ck_assert(!proc_asleep_in_call(child.pid, child.pid, NULL));
	ck_assert(!proc_asleep_in_call(getpid(), getpid(), NULL));
}
END_TEST

struct sleeper {
	pid_t tid;
	char *page;
};

static void *touch(void *argument)
{
	struct sleeper *sleeper = argument;
	sleeper->tid = (pid_t)syscall(SYS_gettid);
	return (void *)(uintptr_t)*sleeper->page;
}

/* A page whose first reader waits until page_give; -1 where that cannot be had. */
static int page_withhold(void *page)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {(uintptr_t)page, PAGE},
					.mode = UFFDIO_REGISTER_MODE_MISSING};
	if (fd >= 0 &&
	    (ioctl(fd, UFFDIO_API, &api) != 0 || ioctl(fd, UFFDIO_REGISTER, &range) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void page_give(int fd, void *page)
{
	struct uffdio_zeropage zero = {.range = {(uintptr_t)page, PAGE}};
	ck_assert_int_eq(ioctl(fd, UFFDIO_ZEROPAGE, &zero), 0);
}

START_TEST(a_thread_that_waits_for_a_page_is_not_asleep_in_a_call)
{
	struct sleeper sleeper = {.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
	ck_assert_ptr_ne(sleeper.page, MAP_FAILED);
	_cleanup_close_ int fd = page_withhold(sleeper.page);
	if (fd < 0)
		return; /* not every kernel lets everyone */
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, touch, &sleeper), 0);
	struct uffd_msg message;
	ck_assert_int_eq(read(fd, &message, sizeof message), sizeof message);
	char state = 'R';
	uint64_t started, deadline = clock_now_ns() + DEADLINE_S * SECOND_NS;
	while (state != 'S' && state != 'D') {
		ck_assert_msg(clock_now_ns() < deadline, "waited in vain");
		ok(proc_stat(sleeper.tid, &state, &started));
	}
	ck_assert(!proc_asleep_in_call(getpid(), sleeper.tid, NULL));
	page_give(fd, sleeper.page);
	pthread_join(thread, NULL);
	munmap(sleeper.page, PAGE);
}
END_TEST

/* A word that tells this program to say that it runs, and to sleep. */
#define SLEEP "--sleep"

static const char *const arguments[] = {"a name",    SLEEP, "", "two words",
					"new\nline", "=%s", "", NULL};

enum { ARGUMENTS = sizeof arguments / sizeof *arguments - 1 };

static void become_another_program(int to)
{
	dup2(to, STDOUT_FILENO);
	execv("/proc/self/exe", (char *const *)arguments);
}

START_TEST(arguments_are_kept_apart_empty_ones_too)
{
	_cleanup_child_ struct child child = start_child(become_another_program);
	wait_for_word(&child);
	_cleanup_free_ char **argv = NULL;
	size_t count;
	ok(proc_command(child.pid, &argv, &count));
	ck_assert_uint_eq(count, ARGUMENTS);
	for (size_t i = 0; i < count; i++)
		ck_assert_str_eq(argv[i], arguments[i]);
	ck_assert_ptr_null(argv[count]);
}
END_TEST

static void become_a_title(int to)
{
	static const char *const title[] = {"server: idle", SLEEP, "", "", "", NULL};
	dup2(to, STDOUT_FILENO);
	execv("/proc/self/exe", (char *const *)title);
}

START_TEST(the_zeroes_behind_a_title_are_no_arguments)
{
	_cleanup_child_ struct child child = start_child(become_a_title);
	wait_for_word(&child);
	_cleanup_free_ char **argv = NULL;
	size_t count;
	ok(proc_command(child.pid, &argv, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(argv[0], "server: idle");
	ck_assert_str_eq(argv[1], SLEEP);
	ck_assert_ptr_null(argv[2]);
}
END_TEST

START_TEST(a_process_without_a_command_line_gives_its_name)
{
	_cleanup_child_ struct child child = start_child(end_at_once);
	wait_for_end(&child);
	_cleanup_free_ char **argv = NULL;
	size_t count;
	ok(proc_command(child.pid, &argv, &count));
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(argv[0], "last words");
	ck_assert_ptr_null(argv[1]);
}
END_TEST

START_TEST(the_auxiliary_vector_is_the_one_we_were_given)
{
	static const uint64_t types[] = {AT_PHDR, AT_PHNUM,  AT_ENTRY,	AT_BASE,
					 AT_UID,  AT_PAGESZ, AT_RANDOM, AT_SYSINFO_EHDR};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		uint64_t value = 0;
		errno = 0;
		uint64_t expected = getauxval(types[i]);
		bool present = errno != ENOENT;
		ck_assert_int_eq(proc_auxiliary(getpid(), types[i], &value), present);
		ck_assert_uint_eq(value, expected);
	}
	uint64_t value = 17;
	ck_assert(!proc_auxiliary(getpid(), 0xabcdef, &value));
	ck_assert_uint_eq(value, 17);
}
END_TEST

static TCase *processes(void)
{
	TCase *tests = tcase_create("processes");
	tcase_set_timeout(tests, 2 * DEADLINE_S);
	tcase_add_test(tests, our_own_status_is_what_system_calls_say);
	tcase_add_test(tests, real_effective_and_saved_identities_are_told_apart);
	tcase_add_test(tests, signals_blocked_ignored_and_caught_are_those_of_the_child);
	tcase_add_loop_test(tests, a_name_cannot_pass_for_another_field, 0, NAMES);
	tcase_add_test(tests, a_traced_child_has_a_tracer_and_a_state_of_its_own);
	tcase_add_test(tests, a_child_without_most_system_calls_is_known_as_such);
	tcase_add_test(tests, a_zombie_is_there_without_memory);
	tcase_add_test(tests, of_a_process_that_is_gone_nothing_is_said);
	tcase_add_test(tests, the_first_process_of_a_pid_namespace_is_1_inside);
	tcase_add_test(tests, arguments_are_kept_apart_empty_ones_too);
	tcase_add_test(tests, the_zeroes_behind_a_title_are_no_arguments);
	tcase_add_test(tests, a_process_without_a_command_line_gives_its_name);
	tcase_add_test(tests, the_auxiliary_vector_is_the_one_we_were_given);
	return tests;
}

static TCase *threads(void)
{
	TCase *tests = tcase_create("threads");
	tcase_set_timeout(tests, 2 * DEADLINE_S);
	tcase_add_test(tests, every_thread_of_a_process_is_listed);
	tcase_add_test(tests, a_thread_that_pauses_is_asleep_in_a_call_until_it_is_stopped);
	tcase_add_test(tests, a_thread_that_spins_is_not_asleep_in_a_call);
	tcase_add_test(tests, a_thread_that_waits_for_a_page_is_not_asleep_in_a_call);
	return tests;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SLEEP) == 0) {
		child_says(STDOUT_FILENO, "", 1);
		sleep_for_ever();
	}
	Suite *suite = suite_create("proc");
	suite_add_tcase(suite, processes());
	suite_add_tcase(suite, threads());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
