/* SPDX-License-Identifier: MIT */
/*
 * Signals are the target's own: order, payload, masks, handlers, stops and deaths are what they are
 * without us, although a breakpoint itself is a SIGTRAP.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/status.h"
#include "lib/storm.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* One vector of thread-local storage a thread, see threads.c. */
enum { THREAD_VECTOR_BYTES = 272, LEFT_BLOCKS = 10, LEFT_BLOCK_BYTES = 100 };

static void expect_detached(struct process *attach, const struct scratch *scratch)
{
	_cleanup_report_ struct report report = {0};

	process_signal(attach, SIGINT);
	int status = process_wait(attach);
	_cleanup_free_ char *errors = process_errors(attach);
	ck_assert_msg(status == 0, "attach ended with status %#x: %s", status, errors);
	tracealloc_report(scratch, &report);
}

static void queue(pid_t pid, int payload)
{
	union sigval value = {.sival_int = payload};

	while (sigqueue(pid, SIGRTMIN, value) < 0)
		ck_assert_msg(errno == EAGAIN, "sigqueue: %s", strerror(errno));
}

START_TEST(queued_signals_arrive_in_order_with_their_payload)
{
	_cleanup_free_ char *program = suite_target("rt_signals");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	int count = suite_is_long() ? 100000 : 3000;
	char expected[64];

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "ready");
	for (int i = 0; i < count; i++) {
		if (i == count / 3) {
			tracealloc_start_attach(&scratch, NULL, target.pid, &attach);
			tracealloc_until_attached(&attach, target.pid);
		}
		queue(target.pid, i);
		if (i == 2 * count / 3)
			expect_detached(&attach, &scratch);
	}
	queue(target.pid, -1);
	ck_assert_int_eq(process_wait(&target), 0);
	snprintf(expected, sizeof(expected), "received %d disorder 0", count);
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_msg(strstr(said, expected) != NULL, "expected \"%s\", got \"%s\"", expected,
		      said);
}
END_TEST

static void expect_sigtrap_from_start(const char *mode)
{
	_cleanup_free_ char *program = suite_target("sigtrap");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int status = tracealloc_run(&scratch, NULL, ARGV(program, mode), &report);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	ck_assert_msg(strcmp(said, "ok\n") == 0, "%s: \"%s\", status %#x", mode, said, status);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ge(report_total(&report, "total_blocks"), 400);
}

/* Half of its rounds untraced, the other half traced, then to its end. */
static void expect_sigtrap_from_the_middle(const char *mode)
{
	_cleanup_free_ char *program = suite_target("sigtrap");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program, mode, "wait"), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, NULL, target.pid, &attach);
	tracealloc_until_probed(&attach, target.pid);
	process_close_input(&target);
	int status = process_wait(&target);
	_cleanup_free_ char *said = process_output(&target);
	ck_assert_msg(strcmp(said, "ready\nok\n") == 0, "%s: \"%s\", status %#x", mode, said,
		      status);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_ge(report_total(&report, "total_blocks"), 200);
}

static const char *const sigtrap_modes[] = {"handled", "blocked", "blocked-handled", "ignored"};

START_TEST(a_programs_own_use_of_sigtrap_works_from_the_start)
{
	expect_sigtrap_from_start(sigtrap_modes[_i]);
}
END_TEST

START_TEST(a_programs_own_use_of_sigtrap_works_when_attached_later)
{
	expect_sigtrap_from_the_middle(sigtrap_modes[_i]);
}
END_TEST

START_TEST(a_breakpoint_of_the_programs_own_kills_it_as_ever)
{
	_cleanup_free_ char *program = suite_target("sigtrap");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int status = tracealloc_run(&scratch, NULL, ARGV(program, "default"), &report);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP, "status %#x", status);
}
END_TEST

static const struct {
	const char *mode;
	int signal, status;
} endings[] = {
	{"segv", SIGSEGV, 0}, {"abort", SIGABRT, 0},  {"kill", SIGKILL, 0}, {"thread-exit", 0, 7},
	{"exit-group", 0, 9}, {"leader-exit", 0, 11}, {"bare", 0, 13},
};

START_TEST(the_end_is_the_targets_own_and_the_report_is_made)
{
	_cleanup_free_ char *program = suite_target("endings");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	const char *mode = endings[_i].mode;

	scratch_make(&scratch);
	int status =
		tracealloc_run(&scratch, ARGV("--show", "leaked"), ARGV(program, mode), &report);
	if (endings[_i].signal)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == endings[_i].signal,
			      "%s: status %#x", mode, status);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == endings[_i].status,
			      "%s: status %#x", mode, status);
	ck_assert_msg(!WCOREDUMP(status), "%s: tracealloc dumped core", mode);
	/* The ten blocks made before everything else, and what a hard end left of the others. */
	struct report_figures left = report_at(&report, "endings.c", 0);
	ck_assert_int_ge(left.bytes, LEFT_BLOCKS * LEFT_BLOCK_BYTES);
	ck_assert_int_ge(left.blocks, LEFT_BLOCKS);
	ck_assert_int_le(left.blocks, LEFT_BLOCKS + 2 * 9);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}
END_TEST

static const char *const handler_modes[] = {"timer", "stack", "jump"};

START_TEST(handlers_may_interrupt_allocate_and_jump)
{
	_cleanup_free_ char *program = suite_target("handlers");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	const char *mode = handler_modes[_i];
	long blocks, bytes;

	scratch_make(&scratch);
	int status = tracealloc_run(&scratch, NULL, ARGV(program, mode, "300"), &report);
	ck_assert_msg(status == 0, "%s: status %#x", mode, status);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	ck_assert_msg(sscanf(said, "ok %ld %ld", &blocks, &bytes) == 2, "%s: \"%s\"", mode, said);
	int threads = strcmp(mode, "jump") == 0;
	ck_assert_int_eq(report_total(&report, "total_blocks"), blocks + threads);
	ck_assert_int_eq(report_total(&report, "total_bytes"),
			 bytes + threads * THREAD_VECTOR_BYTES);
	ck_assert_int_eq(report_total(&report, "released_blocks"), blocks);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}
END_TEST

static void expect_standstill(const struct storm *storm)
{
	struct storm_counters before = storm_read(storm);
	_cleanup_status_ struct status status = {0};

	status_read(storm->process.pid, &status);
	for (size_t i = 0; i < status.count; i++)
		ck_assert_msg(status.threads[i].state == 'T' || status.threads[i].state == 't',
			      "thread %d of a stopped process is in state %c",
			      status.threads[i].tid, status.threads[i].state);
	struct storm_counters after = storm_read(storm);
	ck_assert_mem_eq(&before, &after, sizeof(before));
}

static void stop(struct storm *storm)
{
	process_signal(&storm->process, SIGSTOP);
	status_until_stopped(storm->process.pid);
}

START_TEST(a_stopped_process_stays_stopped_until_it_is_continued)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 4, &storm);
	stop(&storm);
	tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
	tracealloc_until_attached(&attach, storm.process.pid);
	expect_standstill(&storm);
	process_signal(&storm.process, SIGCONT);
	storm_expect_progress(&storm);
	expect_detached(&attach, &scratch);
	status_until_untraced(storm.process.pid);
	code_expect_clean(storm.process.pid);
	storm_expect_progress(&storm);
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(a_stopped_process_stays_stopped_after_the_detach)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_status_ struct status before = {0}, after = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 4, &storm);
	stop(&storm);
	status_read(storm.process.pid, &before);
	tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
	tracealloc_until_attached(&attach, storm.process.pid);
	expect_detached(&attach, &scratch);
	status_until_untraced(storm.process.pid);
	/* The kernel lets a released thread run until it sees that it is to be stopped. */
	status_until_stopped(storm.process.pid);
	status_read(storm.process.pid, &after);
	status_expect_same(&before, &after);
	expect_standstill(&storm);
	code_expect_clean(storm.process.pid);
	process_signal(&storm.process, SIGCONT);
	storm_expect_progress(&storm);
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(stop_and_continue_work_while_it_is_traced)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_process_ struct process attach = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 4, &storm);
	tracealloc_start_attach(&scratch, NULL, storm.process.pid, &attach);
	tracealloc_until_attached(&attach, storm.process.pid);
	for (int round = 0; round < 5; round++) {
		siginfo_t stopped = {0};

		process_signal(&storm.process, SIGSTOP);
		/* The parent is told of a stop only once every thread has joined it. */
		if (waitid(P_PID, (id_t)storm.process.pid, &stopped, WSTOPPED) < 0)
			ck_abort_msg("waitid: %s", strerror(errno));
		ck_assert_int_eq(stopped.si_code, CLD_STOPPED);
		process_signal(&storm.process, SIGCONT);
		storm_expect_progress(&storm);
	}
	expect_detached(&attach, &scratch);
	storm_expect_progress(&storm);
	storm_expect_good_end(&storm);
}
END_TEST

static const int passed_on[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

START_TEST(signals_sent_to_run_reach_the_target)
{
	_cleanup_free_ char *program = suite_target("storm");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process run = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *progress = scratch_file(&scratch, "progress");
	scratch_write(progress, "", 0);
	tracealloc_start_run(&scratch, NULL, ARGV(program, "2", "0", progress), &run);
	process_wait_output(&run, "ready");
	process_signal(&run, passed_on[_i]);
	int status = process_wait(&run);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == passed_on[_i],
		      "signal %d: status %#x", passed_on[_i], status);
	tracealloc_report(&scratch, &report);
	ck_assert_int_gt(report_total(&report, "total_blocks"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signals");
	TCase *own_case = suite_case(suite, "own", 120);
	TCase *end_case = suite_case(suite, "ends", 120);
	TCase *stop_case = suite_case(suite, "stops", 120);

	tcase_add_test(own_case, queued_signals_arrive_in_order_with_their_payload);
	tcase_add_loop_test(own_case, a_programs_own_use_of_sigtrap_works_from_the_start, 0, 4);
	tcase_add_loop_test(own_case, a_programs_own_use_of_sigtrap_works_when_attached_later, 0,
			    4);
	tcase_add_test(own_case, a_breakpoint_of_the_programs_own_kills_it_as_ever);
	tcase_add_loop_test(own_case, handlers_may_interrupt_allocate_and_jump, 0, 3);
	tcase_add_loop_test(end_case, the_end_is_the_targets_own_and_the_report_is_made, 0, 7);
	tcase_add_loop_test(end_case, signals_sent_to_run_reach_the_target, 0, 4);
	tcase_add_test(stop_case, a_stopped_process_stays_stopped_until_it_is_continued);
	tcase_add_test(stop_case, a_stopped_process_stays_stopped_after_the_detach);
	tcase_add_test(stop_case, stop_and_continue_work_while_it_is_traced);
	return suite_run(suite);
}
