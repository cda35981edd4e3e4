/* SPDX-License-Identifier: MIT */
/*
 * Threads borrowed while they sleep in a system call: the call goes on and has the result that it
 * would have had, whichever way the kernel restarts it. What each call should return is what the
 * manual pages say of it when nobody interrupts.
 */
#include "target/remote.h"

#include <check.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit/target/remote_tools.h"

enum { TIMEOUT_MS = 600, LONG_S = 100, KERNEL_MASK_BYTES = 8 };

/* Made before the fork, so that child and test have the same. */
static struct {
	int pipe[2];
	int full[2];
	int sockets[2];
	int impatient[2]; /* with a time limit of LONG_S */
	int listener, impatient_listener;
	struct sockaddr_in listener_address, impatient_address;
	int event;
	int epoll;
	int locked[2]; /* two openings of one file */
	int semaphore, messages;
	_Atomic uint32_t *word;
} made;

static void set_limit(int fd)
{
	const struct timeval limit = {.tv_sec = LONG_S};
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

static int make_listener(struct sockaddr_in *ret)
{
	socklen_t count = sizeof *ret;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	*ret = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_eq(bind(fd, (struct sockaddr *)ret, sizeof *ret), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret, &count), 0);
	return fd;
}

static void make_locked_file(void)
{
	char path[] = "/tmp/remote-calls-XXXXXX";
	made.locked[0] = mkstemp(path);
	made.locked[1] = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	ck_assert_int_eq(flock(made.locked[0], LOCK_EX), 0);
}

static void make_things(void)
{
	char byte = 0;
	ck_assert_int_eq(pipe(made.pipe), 0);
	ck_assert_int_eq(pipe2(made.full, O_NONBLOCK), 0);
	while (write(made.full[1], &byte, 1) == 1)
		continue;
	ck_assert_int_eq(fcntl(made.full[1], F_SETFL, 0), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, made.sockets), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, made.impatient), 0);
	set_limit(made.impatient[0]);
	made.listener = make_listener(&made.listener_address);
	made.impatient_listener = make_listener(&made.impatient_address);
	set_limit(made.impatient_listener);
	made.event = eventfd(0, 0);
	made.epoll = epoll_create1(0);
	struct epoll_event interest = {.events = EPOLLIN};
	ck_assert_int_eq(epoll_ctl(made.epoll, EPOLL_CTL_ADD, made.pipe[0], &interest), 0);
	make_locked_file();
	made.semaphore = semget(IPC_PRIVATE, 1, 0600);
	made.messages = msgget(IPC_PRIVATE, 0600);
	made.word = shared_memory(PAGE);
}

static void unmake_things(void)
{
	semctl(made.semaphore, 0, IPC_RMID);
	msgctl(made.messages, IPC_RMID, NULL);
}

/* ---- the calls, made in the child */

static const struct timespec short_time = {.tv_nsec = TIMEOUT_MS * 1000000l};
static const struct timespec long_time = {.tv_sec = LONG_S};

static struct timespec short_time_from_now(clockid_t clock)
{
	struct timespec at;
	clock_gettime(clock, &at);
	at.tv_nsec += TIMEOUT_MS * 1000000l;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

static long sleep_nanosleep(void)
{
	return syscall(SYS_nanosleep, &short_time, NULL);
}

static long sleep_relative(void)
{
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &short_time, NULL);
}

static long sleep_absolute(void)
{
	struct timespec at = short_time_from_now(CLOCK_MONOTONIC);
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static long poll_in_vain(void)
{
	struct pollfd fd = {.fd = made.pipe[0], .events = POLLIN};
	return syscall(SYS_poll, &fd, 1, TIMEOUT_MS);
}

static long poll_pipe(void)
{
	struct pollfd fd = {.fd = made.pipe[0], .events = POLLIN};
	return syscall(SYS_poll, &fd, 1, LONG_S * 1000);
}

static long ppoll_pipe(void)
{
	struct pollfd fd = {.fd = made.pipe[0], .events = POLLIN};
	struct timespec limit = long_time;
	uint64_t mask = 1ul << (SIGUSR2 - 1);
	return syscall(SYS_ppoll, &fd, 1, &limit, &mask, KERNEL_MASK_BYTES);
}

static long select_pipe(void)
{
	fd_set set;
	struct timeval limit = {.tv_sec = LONG_S};
	FD_ZERO(&set);
	FD_SET(made.pipe[0], &set);
	return syscall(SYS_select, made.pipe[0] + 1, &set, NULL, NULL, &limit);
}

static long epoll_pipe(void)
{
	struct epoll_event event;
	return syscall(SYS_epoll_wait, made.epoll, &event, 1, LONG_S * 1000);
}

static long epoll_pipe_masked(void)
{
	struct epoll_event event;
	uint64_t mask = 1ul << (SIGUSR2 - 1);
	return syscall(SYS_epoll_pwait, made.epoll, &event, 1, -1, &mask, KERNEL_MASK_BYTES);
}

static long read_pipe(void)
{
	char byte;
	return syscall(SYS_read, made.pipe[0], &byte, 1);
}

static long write_pipe(void)
{
	char bytes[PAGE] = {0};
	return syscall(SYS_write, made.full[1], bytes, sizeof bytes);
}

static long read_event(void)
{
	uint64_t value;
	return syscall(SYS_read, made.event, &value, sizeof value);
}

static long read_socket(void)
{
	char byte;
	return syscall(SYS_read, made.sockets[0], &byte, 1);
}

static long read_impatient(void)
{
	char byte;
	return syscall(SYS_read, made.impatient[0], &byte, 1);
}

static long receive(void)
{
	char byte;
	return syscall(SYS_recvfrom, made.sockets[0], &byte, 1, 0, NULL, NULL);
}

static long receive_impatiently(void)
{
	char byte;
	return syscall(SYS_recvfrom, made.impatient[0], &byte, 1, 0, NULL, NULL);
}

static long accept_one(void)
{
	return syscall(SYS_accept, made.listener, NULL, NULL) >= 0 ? 0 : -1;
}

static long accept_impatiently(void)
{
	return syscall(SYS_accept4, made.impatient_listener, NULL, NULL, 0) >= 0 ? 0 : -1;
}

static long wait_for_child(void)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		_exit(read(made.pipe[0], &byte, 1) == 1 ? 77 : 1);
	}
	long found = syscall(SYS_wait4, pid, &status, 0, NULL);
	return found == pid ? WEXITSTATUS(status) : -1;
}

static uint64_t usr1_bit(void)
{
	return 1ul << (SIGUSR1 - 1);
}

static long wait_for_signal(void)
{
	uint64_t set = usr1_bit();
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, KERNEL_MASK_BYTES);
	return syscall(SYS_rt_sigtimedwait, &set, NULL, &long_time, KERNEL_MASK_BYTES);
}

static long down_semaphore(void)
{
	struct sembuf down = {.sem_op = -1};
	return syscall(SYS_semop, made.semaphore, &down, 1);
}

static long down_semaphore_timed(void)
{
	struct sembuf down = {.sem_op = -1};
	return syscall(SYS_semtimedop, made.semaphore, &down, 1, &long_time);
}

struct letter {
	long kind;
	char text[8];
};

static long receive_message(void)
{
	struct letter letter;
	return syscall(SYS_msgrcv, made.messages, &letter, sizeof letter.text, 0, 0);
}

static long lock_file(void)
{
	return syscall(SYS_flock, made.locked[1], LOCK_EX);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void handle_usr1(int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
	sigaction(SIGUSR1, &action, NULL);
}

static long pause_until_signal(void)
{
	handle_usr1(SA_RESTART); /* which pause(2) does not heed */
	return syscall(SYS_pause);
}

static long suspend_until_signal(void)
{
	uint64_t none = 0, set = usr1_bit();
	handle_usr1(SA_RESTART);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, KERNEL_MASK_BYTES);
	return syscall(SYS_rt_sigsuspend, &none, KERNEL_MASK_BYTES);
}

static long wait_on_word(void)
{
	return syscall(SYS_futex, made.word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long wait_on_word_in_vain(void)
{
	return syscall(SYS_futex, made.word, FUTEX_WAIT, 0, &short_time, NULL, 0);
}

static long wait_on_word_until(void)
{
	struct timespec at = short_time_from_now(CLOCK_MONOTONIC);
	return syscall(SYS_futex, made.word, FUTEX_WAIT_BITSET, 0, &at, NULL, ~0u);
}

static long epoll_with_a_handler(void)
{
	handle_usr1(SA_RESTART);
	return epoll_pipe();
}

static long epoll_that_blocks_it(void)
{
	struct epoll_event event;
	uint64_t mask = usr1_bit();
	handle_usr1(SA_RESTART);
	return syscall(SYS_epoll_pwait, made.epoll, &event, 1, -1, &mask, KERNEL_MASK_BYTES);
}

static long epoll_that_lets_it_through(void)
{
	struct epoll_event event;
	uint64_t none = 0, set = usr1_bit();
	handle_usr1(SA_RESTART);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, KERNEL_MASK_BYTES);
	return syscall(SYS_epoll_pwait, made.epoll, &event, 1, -1, &none, KERNEL_MASK_BYTES);
}

static long sleep_with_a_handler(void)
{
	handle_usr1(SA_RESTART);
	return sleep_relative();
}

static long read_with_a_handler(void)
{
	handle_usr1(0);
	return read_pipe();
}

static long read_with_a_restarting_handler(void)
{
	handle_usr1(SA_RESTART);
	return read_pipe();
}

/* ---- what ends them, done by the test */

static void wake_never(pid_t pid)
{
	(void)pid;
}

static void wake_by_pipe(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(write(made.pipe[1], "", 1), 1);
}

static void wake_by_room(pid_t pid)
{
	char bytes[PAGE];
	(void)pid;
	while (read(made.full[0], bytes, sizeof bytes) > 0)
		continue;
}

static void wake_by_event(pid_t pid)
{
	const uint64_t one = 1;
	(void)pid;
	ck_assert_int_eq(write(made.event, &one, sizeof one), sizeof one);
}

static void wake_by_socket(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(write(made.sockets[1], "", 1), 1);
	ck_assert_int_eq(write(made.impatient[1], "", 1), 1);
}

static void wake_by_connection(pid_t pid)
{
	(void)pid;
	int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&made.listener_address,
				 sizeof made.listener_address),
			 0);
	ck_assert_int_eq(connect(other, (struct sockaddr *)&made.impatient_address,
				 sizeof made.impatient_address),
			 0);
}

static void wake_by_signal(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
}

static void wake_by_semaphore(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(semctl(made.semaphore, 0, SETVAL, 1), 0);
}

static void wake_by_message(pid_t pid)
{
	const struct letter letter = {1, "seven..."};
	(void)pid;
	ck_assert_int_eq(msgsnd(made.messages, &letter, 7, 0), 0);
}

static void wake_by_unlocking(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(flock(made.locked[0], LOCK_UN), 0);
}

static void wake_by_word(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(syscall(SYS_futex, made.word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
}

static const struct kind {
	const char *name;
	long (*call)(void);
	void (*wake)(pid_t pid);
	long result;
	int failure;
	bool timed; /* it takes TIMEOUT_MS, interrupted or not */
} kinds[] = {
	{"nanosleep", sleep_nanosleep, wake_never, 0, 0, true},
	{"clock_nanosleep, relative", sleep_relative, wake_never, 0, 0, true},
	{"clock_nanosleep, absolute", sleep_absolute, wake_never, 0, 0, true},
	{"poll, until its time is up", poll_in_vain, wake_never, 0, 0, true},
	{"poll", poll_pipe, wake_by_pipe, 1, 0, false},
	{"ppoll", ppoll_pipe, wake_by_pipe, 1, 0, false},
	{"select", select_pipe, wake_by_pipe, 1, 0, false},
	{"epoll_wait", epoll_pipe, wake_by_pipe, 1, 0, false},
	{"epoll_pwait", epoll_pipe_masked, wake_by_pipe, 1, 0, false},
	{"read of a pipe", read_pipe, wake_by_pipe, 1, 0, false},
	{"write to a full pipe", write_pipe, wake_by_room, PAGE, 0, false},
	{"read of an eventfd", read_event, wake_by_event, 8, 0, false},
	{"read of a socket", read_socket, wake_by_socket, 1, 0, false},
	{"read of a socket with a limit", read_impatient, wake_by_socket, 1, 0, false},
	{"recv", receive, wake_by_socket, 1, 0, false},
	{"recv with a limit", receive_impatiently, wake_by_socket, 1, 0, false},
	{"accept", accept_one, wake_by_connection, 0, 0, false},
	{"accept with a limit", accept_impatiently, wake_by_connection, 0, 0, false},
	{"wait4", wait_for_child, wake_by_pipe, 77, 0, false},
	{"sigtimedwait", wait_for_signal, wake_by_signal, SIGUSR1, 0, false},
	{"semop", down_semaphore, wake_by_semaphore, 0, 0, false},
	{"semtimedop", down_semaphore_timed, wake_by_semaphore, 0, 0, false},
	{"msgrcv", receive_message, wake_by_message, 7, 0, false},
	{"flock", lock_file, wake_by_unlocking, 0, 0, false},
	{"pause", pause_until_signal, wake_by_signal, -1, EINTR, false},
	{"sigsuspend", suspend_until_signal, wake_by_signal, -1, EINTR, false},
	{"futex", wait_on_word, wake_by_word, 0, 0, false},
	{"futex, relative limit", wait_on_word_in_vain, wake_never, -1, ETIMEDOUT, true},
	{"futex, absolute limit", wait_on_word_until, wake_never, -1, ETIMEDOUT, true},
};

/* A handled signal comes while the thread is borrowed: what the manual page says happens. */
static const struct kind signalled[] = {
	{"pause", pause_until_signal, wake_never, -1, EINTR, false},
	{"sigsuspend", suspend_until_signal, wake_never, -1, EINTR, false},
	{"epoll_wait", epoll_with_a_handler, wake_never, -1, EINTR, false},
	{"epoll_pwait, blocked", epoll_that_blocks_it, wake_by_pipe, 1, 0, false},
	{"epoll_pwait, let through", epoll_that_lets_it_through, wake_never, -1, EINTR, false},
	{"clock_nanosleep", sleep_with_a_handler, wake_never, -1, EINTR, false},
	{"read", read_with_a_handler, wake_never, -1, EINTR, false},
	{"read, restarted", read_with_a_restarting_handler, wake_by_pipe, 1, 0, false},
};

enum { KINDS = sizeof kinds / sizeof *kinds, SIGNALLED = sizeof signalled / sizeof *signalled };

struct outcome {
	long result;
	int failure;
	uint64_t elapsed_ns;
};

static const struct kind *made_in_child;

static void make_call(int to)
{
	struct outcome outcome;
	uint64_t start = clock_now_ns();
	errno = 0;
	outcome.result = made_in_child->call();
	outcome.failure = outcome.result < 0 ? errno : 0;
	outcome.elapsed_ns = clock_now_ns() - start;
	child_says(to, &outcome, sizeof outcome);
	sleep_for_ever();
}

static bool has_said(const struct child *child)
{
	struct pollfd fd = {.fd = child->from, .events = POLLIN};
	return poll(&fd, 1, 0) == 1;
}

static void check_outcome(const struct kind *kind, const struct child *child)
{
	struct outcome outcome;
	hear(child, &outcome, sizeof outcome);
	ck_assert_msg(outcome.result == kind->result && outcome.failure == kind->failure,
		      "%s: %ld, %s", kind->name, outcome.result, strerror(outcome.failure));
	uint64_t least_ns = TIMEOUT_MS * UINT64_C(1000000);
	ck_assert_msg(!kind->timed || outcome.elapsed_ns >= least_ns, "%s ended after %lu ns",
		      kind->name, outcome.elapsed_ns);
}

/* Borrows a sleeper; during it a signal is sent, if not 0. */
static void borrow_sleeper(struct traced *traced, pid_t pid, int signal)
{
	static struct thread_state before, after;
	wait_until(sleeps_in(pid) >= 0);
	interrupt(traced->thread);
	ck_assert_int_gt(remote_suitability(traced->thread), 0);
	read_state(traced->thread, &before);
	struct remote remote;
	ok(remote_begin(&traced->target, traced->thread, &remote));
	int64_t address = map_page(&remote);
	if (signal)
		ck_assert_int_eq(kill(pid, signal), 0);
	ck_assert(is_mapped(pid, address));
	remote_end(&remote);
	read_state(traced->thread, &after);
	if ((int64_t)before.registers.rax == -EINTR &&
	    (!signal || (int64_t)after.registers.rax != -EINTR)) {
		before.registers.rax = before.registers.orig_rax; /* it is made again */
		before.registers.orig_rax = ~0ul;
		before.registers.rip -= 2;
	}
	check_same_state(&before, &after);
	ok(target_resume(&traced->target, traced->thread, 0));
}

START_TEST(the_call_that_a_thread_sleeps_in_goes_on)
{
	enum { TIMES = 3 };
	const struct kind *kind = &kinds[_i];
	struct traced traced;
	make_things();
	made_in_child = kind;
	_cleanup_child_ struct child child = start_child(make_call);
	wait_until(sleeps_in(child.pid) >= 0);
	attach(&traced, child.pid, child.pid);
	for (int i = 0; i < TIMES; i++) {
		borrow_sleeper(&traced, child.pid, 0);
		wait_until((pump(&traced), sleeps_in(child.pid) >= 0));
	}
	/* A timed call that ended early could not be told from one that was not borrowed at all. */
	ck_assert_msg(!has_said(&child), "%s ended too early", kind->name);
	kind->wake(child.pid);
	wait_until((pump(&traced), has_said(&child)));
	check_outcome(kind, &child);
	unmake_things();
	end_traced(&traced, &child);
}
END_TEST

START_TEST(a_handled_signal_that_comes_meanwhile_ends_the_call_as_ever)
{
	const struct kind *kind = &signalled[_i];
	struct traced traced;
	make_things();
	made_in_child = kind;
	_cleanup_child_ struct child child = start_child(make_call);
	wait_until(sleeps_in(child.pid) >= 0);
	attach(&traced, child.pid, child.pid);
	borrow_sleeper(&traced, child.pid, SIGUSR1);
	if (kind->wake != wake_never) {
		for (int i = 0; i < 50; i++) {
			pump(&traced);
			wait_a_little();
		}
		ck_assert(!has_said(&child));
		kind->wake(child.pid);
	}
	wait_until((pump(&traced), has_said(&child)));
	check_outcome(kind, &child);
	unmake_things();
	end_traced(&traced, &child);
}
END_TEST

START_TEST(a_thread_is_the_better_the_less_its_call_is_disturbed)
{
	long (*const calls[])(void) = {epoll_pipe, sleep_relative, read_pipe};
	int last = 0;
	make_things();
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct kind kind = {.call = calls[i]};
		struct traced traced;
		made_in_child = &kind;
		_cleanup_child_ struct child child = start_child(make_call);
		wait_until(sleeps_in(child.pid) >= 0);
		attach(&traced, child.pid, child.pid);
		ck_assert_int_eq(remote_suitability(traced.thread), 0); /* it was not stopped */
		interrupt(traced.thread);
		ck_assert_int_gt(remote_suitability(traced.thread), last);
		last = remote_suitability(traced.thread);
		end_traced(&traced, &child);
	}
	unmake_things();
	ck_assert_int_gt(last, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("borrowed sleepers");
	TCase *tests = tcase_create("calls");
	tcase_set_timeout(tests, 2 * DEADLINE_S);
	tcase_add_loop_test(tests, the_call_that_a_thread_sleeps_in_goes_on, 0, KINDS);
	tcase_add_loop_test(tests, a_handled_signal_that_comes_meanwhile_ends_the_call_as_ever, 0,
			    SIGNALLED);
	tcase_add_test(tests, a_thread_is_the_better_the_less_its_call_is_disturbed);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
