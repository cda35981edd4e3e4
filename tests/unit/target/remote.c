/* SPDX-License-Identifier: MIT */
/*
 * A borrowed thread: whatever it was doing, calls are made by it, and afterwards it is as it was by
 * everything that ptrace can read and by what it sees itself. Interrupted system calls are
 * remote_calls.c, our death is remote_kill.c.
 */
#include "target/remote.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "unit/target/remote_tools.h"

static struct vigil *vigil; /* shared with the child of the test that runs */

static void watch(int to)
{
	sigset_t some;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_SETMASK, &some, NULL);
	child_says(to, "", 1);
	keep_vigil(vigil);
}

static struct child start_vigil(void)
{
	vigil = new_vigil();
	struct child child = start_child(watch);
	wait_until(vigil_passed(vigil, 0));
	return child;
}

/* ---- what is done with a borrowed thread */

START_TEST(a_thread_in_user_space_is_as_it_was_after_several_calls)
{
	enum { TIMES = 200 };
	static struct thread_state before, after;
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	for (int i = 0; i < TIMES; i++) {
		interrupt(traced.thread);
		read_state(traced.thread, &before);
		_cleanup_remote_ struct remote remote = {0};
		ok(remote_begin(&traced.target, traced.thread, &remote));
		int64_t first = map_page(&remote), second = map_page(&remote), result;
		const uint64_t unmap[6] = {(uint64_t)first, PAGE};
		ok(remote_call(&remote, SYS_munmap, unmap, &result));
		ck_assert_int_eq(result, 0);
		remote_end(&remote);
		read_state(traced.thread, &after);
		check_same_state(&before, &after);
		ck_assert(is_mapped(child.pid, second));
		const uint64_t again[6] = {(uint64_t)second, PAGE};
		ok(remote_begin(&traced.target, traced.thread, &remote));
		ok(remote_call(&remote, SYS_munmap, again, &result));
		remote_end(&remote);
		read_state(traced.thread, &after);
		check_same_state(&before, &after);
		go_on(&traced);
	}
	check_vigil_goes_on(vigil);
}
END_TEST

START_TEST(six_arguments_arrive_and_results_come_back)
{
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	_cleanup_remote_ struct remote remote = {0};
	ok(remote_begin(&traced.target, traced.thread, &remote));
	int64_t fd, address, result;
	target_addr scratch = remote_scratch(&remote);
	ck_assert_uint_eq(scratch.v % 16, 0);
	ok(target_write(traced.thread->process->space, scratch, "of a test", 10));
	const uint64_t create[6] = {scratch.v, MFD_CLOEXEC};
	ok(remote_call(&remote, SYS_memfd_create, create, &fd));
	ck_assert_int_ge(fd, 0);
	char path[64], name[64] = "";
	snprintf(path, sizeof path, "/proc/%d/fd/%d", child.pid, (int)fd);
	ck_assert_int_gt(readlink(path, name, sizeof name - 1), 0);
	ck_assert_str_eq(name, "/memfd:of a test (deleted)");
	const uint64_t size[6] = {(uint64_t)fd, 3 * PAGE};
	ok(remote_call(&remote, SYS_ftruncate, size, &result));
	/* The sixth argument tells: the page is the last of the file. */
	const uint64_t map[6] = {0, PAGE, PROT_READ, MAP_SHARED, (uint64_t)fd, 2 * PAGE};
	ok(remote_call(&remote, SYS_mmap, map, &address));
	_cleanup_proc_maps_ struct proc_maps maps = {0};
	ok(proc_maps_read(child.pid, &maps));
	const struct proc_mapping *mapping = proc_maps_find(&maps, (uint64_t)address);
	ck_assert_ptr_nonnull(mapping);
	ck_assert_uint_eq(mapping->file_offset, 2 * PAGE);
	ck_assert_uint_eq(mapping->end - mapping->start, PAGE);
	const uint64_t close_it[6] = {(uint64_t)fd};
	ok(remote_call(&remote, SYS_close, close_it, &result));
	ck_assert_int_eq(result, 0);
	ck_assert_int_lt(access(path, F_OK), 0);
	ok(remote_call(&remote, SYS_close, close_it, &result));
	ck_assert_int_eq(result, -EBADF);
	remote_end(&remote);
	remote_end(&remote);
	go_on(&traced);
	check_vigil_goes_on(vigil);
}
END_TEST

START_TEST(a_thread_that_is_given_back_without_a_call_is_as_it_was)
{
	static struct thread_state before, after;
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	read_state(traced.thread, &before);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	remote_end(&remote);
	read_state(traced.thread, &after);
	check_same_state(&before, &after);
	go_on(&traced);
	check_vigil_goes_on(vigil);
}
END_TEST

static void *watch_in_thread(void *unused)
{
	(void)unused;
	keep_vigil(vigil);
	return NULL;
}

static void watch_in_a_second_thread(int to)
{
	pthread_t thread;
	pthread_create(&thread, NULL, watch_in_thread, NULL);
	child_says(to, "", 1);
	sleep_for_ever();
}

START_TEST(a_thread_that_is_not_the_first_serves_as_well)
{
	static struct thread_state before, after;
	vigil = new_vigil();
	_cleanup_child_ struct child child = start_child(watch_in_a_second_thread);
	struct traced traced;
	wait_until(vigil_passed(vigil, 0));
	ck_assert_int_ne(vigil->tid, child.pid);
	attach(&traced, child.pid, vigil->tid);
	interrupt(traced.thread);
	ck_assert_int_gt(remote_suitability(traced.thread), 0);
	read_state(traced.thread, &before);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	ck_assert(is_mapped(child.pid, map_page(&remote)));
	remote_end(&remote);
	read_state(traced.thread, &after);
	check_same_state(&before, &after);
	go_on(&traced);
	check_vigil_goes_on(vigil);
	end_traced(&traced, &child);
}
END_TEST

/* ---- signals */

/* The loop is made to meet an int3: the byte that it comes by next is one for a while. */
static void run_into_int3(struct traced *traced)
{
	const struct target_space *space = traced->thread->process->space;
	uint8_t original;
	interrupt(traced->thread);
	target_addr place = {target_registers(traced->thread)->rip};
	ok(target_read(space, place, &original, 1));
	ok(target_write(space, place, "\xcc", 1));
	ok(target_resume(&traced->target, traced->thread, 0));
	ck_assert_int_eq(next_stop(traced->thread), SIGTRAP);
	mark_stopped(traced->thread);
	ok(target_write(space, place, &original, 1));
	ck_assert_uint_eq(target_registers(traced->thread)->rip, place.v + 1);
	ck_assert(target_set_pc(traced->thread, place.v));
}

START_TEST(a_thread_at_an_int3_goes_on_without_the_trap)
{
	static struct thread_state before, after;
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	run_into_int3(&traced);
	read_state(traced.thread, &before);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	ck_assert(is_mapped(child.pid, map_page(&remote)));
	remote_end(&remote);
	read_state(traced.thread, &after);
	check_same_state(&before, &after);
	go_on(&traced);
	check_vigil_goes_on(vigil);
}
END_TEST

static _Atomic int *received; /* shared with the child: the value of each signal, in order */

static void note_value(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	received[1 + received[0]] = info->si_value.sival_int;
	atomic_fetch_add(&received[0], 1);
}

static void watch_with_a_handler(int to)
{
	struct sigaction action = {.sa_sigaction = note_value, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	child_says(to, "", 1);
	keep_vigil(vigil);
}

static struct child start_vigil_with_a_handler(void)
{
	vigil = new_vigil();
	received = shared_memory(PAGE);
	struct child child = start_child(watch_with_a_handler);
	wait_until(vigil_passed(vigil, 0));
	return child;
}

static void send_value(pid_t pid, int signal, int value)
{
	ck_assert_int_eq(sigqueue(pid, signal, (union sigval){.sival_int = value}), 0);
}

START_TEST(a_signal_about_to_be_delivered_comes_again_as_it_was)
{
	const int signal = _i ? SIGRTMIN + 1 : SIGUSR1;
	_cleanup_child_ struct child child = start_vigil_with_a_handler();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	send_value(child.pid, signal, 4711);
	ck_assert_int_eq(next_stop(traced.thread), signal);
	mark_stopped(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	ck_assert(is_mapped(child.pid, map_page(&remote)));
	remote_end(&remote);
	ok(target_resume(&traced.target, traced.thread, 0));
	ck_assert_int_eq(next_stop(traced.thread), SIGTRAP | PTRACE_EVENT_STOP << 8);
	ok(target_resume(&traced.target, traced.thread, 0));
	ck_assert_int_eq(next_stop(traced.thread), signal);
	ck_assert_int_eq(received[0], 0);
	ok(target_resume(&traced.target, traced.thread, signal));
	wait_until(received[0] == 1);
	ck_assert_int_eq(received[1], 4711);
	check_vigil_goes_on(vigil);
	ck_assert_int_eq(received[0], 1);
}
END_TEST

START_TEST(a_signal_that_waits_twice_is_not_merged_but_refused)
{
	_cleanup_child_ struct child child = start_vigil_with_a_handler();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	send_value(child.pid, SIGUSR1, 1);
	ck_assert_int_eq(next_stop(traced.thread), SIGUSR1);
	mark_stopped(traced.thread);
	send_value(child.pid, SIGUSR1, 2);
	struct remote remote;
	ck_assert_int_eq(remote_suitability(traced.thread), 0);
	check_fails(remote_begin(&traced.target, traced.thread, &remote), ERROR_UNSUPPORTED);
	ok(target_resume(&traced.target, traced.thread, SIGUSR1));
	ck_assert_int_eq(next_stop(traced.thread), SIGUSR1);
	ok(target_resume(&traced.target, traced.thread, SIGUSR1));
	wait_until(received[0] == 2);
	ck_assert_int_eq(received[1], 1);
	ck_assert_int_eq(received[2], 2);
}
END_TEST

START_TEST(signals_that_come_meanwhile_wait_for_the_end)
{
	_cleanup_child_ struct child child = start_vigil_with_a_handler();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	map_page(&remote);
	for (int i = 0; i < 5; i++)
		send_value(child.pid, SIGRTMIN + 1, i);
	map_page(&remote);
	map_page(&remote);
	ck_assert_int_eq(received[0], 0);
	remote_end(&remote);
	go_on(&traced);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(next_stop(traced.thread), SIGRTMIN + 1);
		ok(target_resume(&traced.target, traced.thread, SIGRTMIN + 1));
	}
	wait_until(received[0] == 5);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(received[1 + i], i);
	check_vigil_goes_on(vigil);
}
END_TEST

/* ---- group-stops */

static char state_of(pid_t tid)
{
	char state = '?';
	uint64_t start;
	ok(proc_stat(tid, &state, &start));
	return state;
}

static void continue_and_watch(struct traced *traced, pid_t pid)
{
	const uint64_t rounds = vigil->rounds;
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	wait_until((pump(traced), vigil_passed(vigil, rounds)));
}

static void wait_for_group_stop(struct traced *traced)
{
	ck_assert_int_eq(next_stop(traced->thread), SIGSTOP | PTRACE_EVENT_STOP << 8);
	mark_stopped(traced->thread);
}

static void listen_on(struct traced *traced)
{
	traced->thread->state = TARGET_THREAD_LISTENING;
	ck_assert_int_eq(ptrace(PTRACE_LISTEN, traced->thread->tid, NULL, 0), 0);
}

static void expect_group_stop(struct traced *traced)
{
	wait_for_group_stop(traced);
	listen_on(traced);
}

START_TEST(a_thread_in_a_group_stop_serves_and_stays_stopped)
{
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	int running = remote_suitability(traced.thread);
	ok(target_resume(&traced.target, traced.thread, 0));
	ck_assert_int_eq(kill(child.pid, SIGSTOP), 0);
	ck_assert_int_eq(next_stop(traced.thread), SIGSTOP);
	ok(target_resume(&traced.target, traced.thread, SIGSTOP));
	wait_for_group_stop(&traced);
	ck_assert_int_gt(remote_suitability(traced.thread), 0);
	ck_assert_int_lt(remote_suitability(traced.thread), running);
	listen_on(&traced);
	uint64_t rounds = vigil->rounds;
	for (int i = 0; i < 3; i++) {
		struct remote remote;
		ck_assert_int_gt(remote_suitability(traced.thread), 0);
		ok(remote_begin(&traced.target, traced.thread, &remote));
		ck_assert_int_eq(traced.thread->state, TARGET_THREAD_STOPPED);
		ck_assert(is_mapped(child.pid, map_page(&remote)));
		remote_end(&remote);
		expect_group_stop(&traced);
	}
	ck_assert_uint_eq(vigil->rounds, rounds);
	ck_assert_int_eq(state_of(child.pid), 't');
	continue_and_watch(&traced, child.pid);
}
END_TEST

START_TEST(a_stop_that_comes_meanwhile_is_not_lost)
{
	_cleanup_child_ struct child child = start_vigil();
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	map_page(&remote);
	ck_assert_int_eq(kill(child.pid, SIGSTOP), 0);
	map_page(&remote);
	ck_assert(is_mapped(child.pid, map_page(&remote)));
	remote_end(&remote);
	uint64_t rounds = vigil->rounds;
	ok(target_resume(&traced.target, traced.thread, 0));
	expect_group_stop(&traced);
	ck_assert_uint_eq(vigil->rounds, rounds);
	continue_and_watch(&traced, child.pid);
}
END_TEST

START_TEST(a_stopped_process_that_is_released_stays_stopped)
{
	_cleanup_child_ struct child child = start_vigil();
	struct traced traced;
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	ck_assert_int_eq(kill(child.pid, SIGSTOP), 0);
	map_page(&remote);
	remote_end(&remote);
	traced_deinit(&traced);
	wait_until(state_of(child.pid) == 'T');
	uint64_t rounds = vigil->rounds;
	ck_assert_int_eq(kill(child.pid, SIGCONT), 0);
	wait_until(vigil->rounds > rounds);
	check_vigil_goes_on(vigil);
}
END_TEST

/* ---- inside of clone, fork and exec */

static _Atomic int *go; /* shared with the child: it may begin */

static void wait_for_go(int to)
{
	child_says(to, "", 1);
	while (!*go)
		wait_a_little();
}

static struct child start_waiting(void (*body)(int to))
{
	vigil = new_vigil();
	go = shared_memory(PAGE);
	struct child child = start_child(body);
	wait_for_word(&child);
	return child;
}

static void make_a_thread(int to)
{
	pthread_t thread;
	wait_for_go(to);
	if (pthread_create(&thread, NULL, watch_in_thread, NULL) != 0)
		_exit(1);
	child_says(to, "", 1);
	sleep_for_ever();
}

/* The newborn is not the target's business here: it goes its way. */
static void let_newborn_go(pid_t tid)
{
	int status;
	ck_assert_int_eq(waitpid(tid, &status, __WALL), tid);
	ck_assert_int_eq(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
}

START_TEST(a_thread_that_is_making_another_serves)
{
	_cleanup_child_ struct child child = start_waiting(make_a_thread);
	_cleanup_traced_ struct traced traced;
	attach(&traced, child.pid, child.pid);
	*go = 1;
	ck_assert_int_eq(next_stop(traced.thread), SIGTRAP | PTRACE_EVENT_CLONE << 8);
	mark_stopped(traced.thread);
	unsigned long newborn;
	ck_assert_int_eq(ptrace(PTRACE_GETEVENTMSG, child.pid, NULL, &newborn), 0);
	ck_assert_int_gt(remote_suitability(traced.thread), 0);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	ck_assert(is_mapped(child.pid, map_page(&remote)));
	remote_end(&remote);
	ck_assert_uint_eq(target_registers(traced.thread)->rax, newborn);
	let_newborn_go((pid_t)newborn);
	go_on(&traced);
	wait_for_word(&child);
	check_vigil_goes_on(vigil);
}
END_TEST

static void fork_three_times(int to)
{
	int status = 0;
	wait_for_go(to);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(40 + i);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 40 + i)
			_exit(1);
	}
	_exit(23);
}

/* Borrows the thread of each such event; returns the root's exit status, and how often that was. */
static int borrow_at(struct traced *traced, enum target_event_kind kind, pid_t root, int *ret)
{
	struct target_event event = {0};
	int exit_status = -1;
	*ret = 0;
	for (;;) {
		ok(target_next(&traced->target, &event));
		if (event.kind == TARGET_EVENT_EMPTY)
			return exit_status;
		if (event.kind == TARGET_EVENT_PROCESS_EXIT && event.process->pid == root)
			exit_status = event.exit_status;
		if (event.kind == TARGET_EVENT_PROCESS_EXIT)
			continue;
		if (event.kind == kind) {
			struct remote remote;
			ok(remote_begin(&traced->target, event.thread, &remote));
			ck_assert(is_mapped(event.thread->tid, map_page(&remote)));
			remote_end(&remote);
			++*ret;
		}
		ok(target_resume(&traced->target, event.thread, event.signal));
	}
}

START_TEST(a_thread_that_is_forking_serves)
{
	_cleanup_child_ struct child child = start_waiting(fork_three_times);
	struct traced traced;
	int times;
	attach(&traced, child.pid, child.pid);
	*go = 1;
	ck_assert_int_eq(borrow_at(&traced, TARGET_EVENT_PROCESS, child.pid, &times), 23);
	ck_assert_int_eq(times, 3);
	child.pid = 0; /* its end was seen */
	traced_deinit(&traced);
}
END_TEST

enum { SELF_STATUS = 42 };

static const struct program {
	const char *path;
	const char *arguments[3];
	int exit_status;
} programs[] = {
	{"/proc/self/exe", {"--exit"}, SELF_STATUS},
	{"/sbin/ldconfig", {"-N", "-X"}, 0}, /* linked statically */
};

START_TEST(a_program_serves_before_its_first_instruction)
{
	const struct program *program = &programs[_i];
	char *argv[] = {(char *)program->path, (char *)program->arguments[0],
			(char *)program->arguments[1], NULL};
	struct traced traced = {0};
	struct target_signals signals;
	struct target_event event;
	if (access(program->path, X_OK) != 0) {
		printf("SKIP: %s is not installed\n", program->path);
		return;
	}
	ok(target_signals_read(&signals));
	target_init(&traced.target, NULL, &traced.poke);
	ok(target_start(&traced.target, argv, environ, &signals, &event));
	ck_assert_int_gt(remote_suitability(event.thread), 0);
	struct remote remote;
	ok(remote_begin(&traced.target, event.thread, &remote));
	int64_t address = map_page(&remote);
	ck_assert(is_mapped(event.process->pid, address));
	remote_end(&remote);
	ck_assert_uint_eq(target_registers(event.thread)->rax, 0);
	pid_t root = event.process->pid;
	ok(target_resume(&traced.target, event.thread, 0));
	int times;
	ck_assert_int_eq(borrow_at(&traced, TARGET_EVENT_EXEC, root, &times), program->exit_status);
	traced_deinit(&traced);
}
END_TEST

/* ---- the end of a thread */

START_TEST(the_end_of_a_borrowed_thread_is_reported)
{
	_cleanup_child_ struct child child = start_vigil();
	struct traced traced;
	struct target_event event;
	int64_t result;
	const uint64_t no_arguments[6] = {0};
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	if (_i)
		map_page(&remote);
	ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
	wait_until(state_of(child.pid) == 'Z');
	check_fails(remote_call(&remote, SYS_getpid, no_arguments, &result), ERROR_GONE);
	remote_end(&remote);
	ok(target_next(&traced.target, &event));
	ck_assert_int_eq(event.kind, TARGET_EVENT_PROCESS_EXIT);
	ck_assert_int_eq(event.signal, SIGKILL);
	child.pid = 0;
	traced_deinit(&traced);
}
END_TEST

START_TEST(a_call_that_ends_the_process_ends_the_wait)
{
	vigil = new_vigil();
	_cleanup_child_ struct child child = start_child(_i ? watch_in_a_second_thread : watch);
	struct traced traced;
	struct target_event event;
	int64_t result;
	const uint64_t status[6] = {17};
	wait_until(vigil_passed(vigil, 0));
	wait_until(!_i || sleeps_in(child.pid) == SYS_pause);
	attach(&traced, child.pid, child.pid);
	interrupt(traced.thread);
	struct remote remote;
	ok(remote_begin(&traced.target, traced.thread, &remote));
	/* The other thread is ours, too, and its end is not asked for while we wait for this one.
	 */
	check_fails(remote_call(&remote, SYS_exit_group, status, &result), ERROR_GONE);
	remote_end(&remote);
	ok(target_next(&traced.target, &event));
	ck_assert_int_eq(event.kind, TARGET_EVENT_PROCESS_EXIT);
	ck_assert_int_eq(event.exit_status, 17);
	child.pid = 0;
	traced_deinit(&traced);
}
END_TEST

START_TEST(a_stop_that_was_not_looked_at_yet_is_left_alone)
{
	_cleanup_child_ struct child child = start_vigil_with_a_handler();
	_cleanup_traced_ struct traced traced;
	struct remote remote;
	struct target_event event;
	attach(&traced, child.pid, child.pid);
	/* As the wait loop keeps a status that it took along with others. */
	struct target_arrival *arrival = calloc(1, sizeof *arrival);
	send_value(child.pid, SIGUSR1, 12);
	*arrival = (struct target_arrival){child.pid, next_stop(traced.thread) << 8 | 0x7f};
	traced.target.arrived = arrival;
	traced.target.arrived_count = traced.target.arrived_capacity = 1;
	traced.thread->state = TARGET_THREAD_STOPPED;
	check_fails(remote_begin(&traced.target, traced.thread, &remote), ERROR_UNSUPPORTED);
	ok(target_next(&traced.target, &event));
	ck_assert_int_eq(event.kind, TARGET_EVENT_SIGNAL);
	ok(remote_begin(&traced.target, event.thread, &remote));
	remote_end(&remote);
	go_on(&traced);
	ck_assert_int_eq(next_stop(traced.thread), SIGUSR1);
	ok(target_resume(&traced.target, traced.thread, SIGUSR1));
	wait_until(received[0] == 1);
	ck_assert_int_eq(received[1], 12);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--exit") == 0)
		_exit(SELF_STATUS); /* at once: leaks are not looked for in a traced program */
	Suite *suite = suite_create("borrowed threads");
	TCase *tests = tcase_create("states");
	tcase_set_timeout(tests, 2 * DEADLINE_S);
	tcase_add_test(tests, a_thread_in_user_space_is_as_it_was_after_several_calls);
	tcase_add_test(tests, six_arguments_arrive_and_results_come_back);
	tcase_add_test(tests, a_thread_that_is_given_back_without_a_call_is_as_it_was);
	tcase_add_test(tests, a_thread_that_is_not_the_first_serves_as_well);
	tcase_add_test(tests, a_thread_at_an_int3_goes_on_without_the_trap);
	tcase_add_loop_test(tests, a_signal_about_to_be_delivered_comes_again_as_it_was, 0, 2);
	tcase_add_test(tests, a_signal_that_waits_twice_is_not_merged_but_refused);
	tcase_add_test(tests, signals_that_come_meanwhile_wait_for_the_end);
	tcase_add_test(tests, a_thread_in_a_group_stop_serves_and_stays_stopped);
	tcase_add_test(tests, a_stop_that_comes_meanwhile_is_not_lost);
	tcase_add_test(tests, a_stopped_process_that_is_released_stays_stopped);
	tcase_add_test(tests, a_thread_that_is_making_another_serves);
	tcase_add_test(tests, a_thread_that_is_forking_serves);
	tcase_add_loop_test(tests, a_program_serves_before_its_first_instruction, 0,
			    (int)(sizeof programs / sizeof *programs));
	tcase_add_loop_test(tests, the_end_of_a_borrowed_thread_is_reported, 0, 2);
	tcase_add_loop_test(tests, a_call_that_ends_the_process_ends_the_wait, 0, 2);
	tcase_add_test(tests, a_stop_that_was_not_looked_at_yet_is_left_alone);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
