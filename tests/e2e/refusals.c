/* SPDX-License-Identifier: MIT */
/*
 * Everything that cannot be attached to is refused by name and left as it was; what an unprivileged
 * user may trace works for him.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* `tracealloc attach PID` fails with status 1, one line that starts right and contains `why`. */
static void expect_refusal(const struct scratch *scratch, pid_t pid, const char *why)
{
	_cleanup_process_ struct process attach = {0};

	tracealloc_start_attach(scratch, NULL, pid, &attach);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "pid %d: status %#x: %s", pid,
		      status, errors);
	ck_assert_msg(strncmp(errors, "tracealloc: ", 12) == 0, "it says \"%s\"", errors);
	ck_assert_msg(strstr(errors, why) != NULL, "it says \"%s\", not \"%s\"", errors, why);
	ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1,
		      "more than one line: \"%s\"", errors);
}

START_TEST(a_process_that_is_not_there_is_refused)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	pid_t gone = fork();

	if (gone == 0)
		_exit(0);
	waitpid(gone, NULL, 0);
	scratch_make(&scratch);
	expect_refusal(&scratch, gone, "no process");
}
END_TEST

START_TEST(a_zombie_is_refused)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	siginfo_t end;
	pid_t zombie = fork();

	if (zombie == 0)
		_exit(0);
	waitid(P_PID, (id_t)zombie, &end, WEXITED | WNOWAIT);
	scratch_make(&scratch);
	expect_refusal(&scratch, zombie, "zombie");
	waitpid(zombie, NULL, 0);
}
END_TEST

START_TEST(a_kernel_thread_is_refused)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	/* Only where pid 2 is the kernel's: not in a container. */
	if (access("/proc/2/exe", F_OK) == 0 || access("/proc/2/comm", F_OK) < 0) {
		suite_skip("no kernel thread to be seen as pid 2");
		return;
	}
	expect_refusal(&scratch, 2, "kernel thread");
}
END_TEST

START_TEST(tracealloc_itself_is_refused)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	/* The shell becomes tracealloc, so its own pid is the one named. */
	int status =
		process_call(&scratch, "self", ARGV("sh", "-c", "exec \"$0\" attach $$", program));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x", status);
}
END_TEST

static void expect_bare_refusal(const char *bits, const char *machine, const char *why)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	_cleanup_status_ struct status before = {0}, after = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/bare.S", "bare",
			    ARGV("-nostdlib", "-static", "-no-pie", bits, machine));
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "ready");
	status_read(target.pid, &before);
	expect_refusal(&scratch, target.pid, why);
	status_until_untraced(target.pid);
	status_read(target.pid, &after);
	status_expect_same(&before, &after);
	code_expect_clean(target.pid);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}

/* What a target is, what is said of it, and what to do about it. */
static const struct kind {
	const char *flags[6];
	const char *options[3];
	const char *cause, *remedy;
} kinds[] = {
	{{"-O1", "-static", "-s"}, {NULL}, "no allocator found", "--alloc"},
	{{"-O1", "-fsanitize=address"}, {NULL}, "AddressSanitizer", "without -fsanitize"},
	{{"-O1", "-fsanitize=leak"}, {NULL}, "LeakSanitizer", "without -fsanitize"},
	{{"-O1", "-fsanitize=thread"}, {NULL}, "ThreadSanitizer", "without -fsanitize"},
	{{"-O1"}, {"--reset-peak-at", "no_such_function"}, "'no_such_function'", "MODULE:"},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

START_TEST(what_cannot_be_counted_is_refused_before_a_byte_is_written)
{
	const struct kind *kind = &kinds[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_status_ struct status before = {0}, after = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/inmate.c", "target", kind->flags);
	process_start(&scratch, "target", ARGV(program, "1"), &target);
	process_wait_output(&target, "ready");
	status_read(target.pid, &before);
	tracealloc_start_attach(&scratch, kind->options, target.pid, &attach);
	int status = process_wait(&attach);
	_cleanup_free_ char *errors = process_errors(&attach);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      errors);
	ck_assert_msg(strstr(errors, kind->cause) && strstr(errors, kind->remedy), "it says \"%s\"",
		      errors);
	ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1,
		      "more than one line: \"%s\"", errors);
	status_until_untraced(target.pid);
	status_read(target.pid, &after);
	status_expect_same(&before, &after);
	code_expect_clean(target.pid);
	process_send(&target, "\n");
	process_wait_output(&target, "done");
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

START_TEST(a_process_without_an_allocator_is_refused)
{
	expect_bare_refusal("-DBITS=64", "-m64", "no allocator");
}
END_TEST

START_TEST(a_32_bit_process_is_refused)
{
	expect_bare_refusal("-DBITS=32", "-m32", "32-bit");
}
END_TEST

/* Copies a program of the build directory, which may be closed to others, into scratch. */
static char *copy_program(const struct scratch *scratch, const char *built, const char *name)
{
	char *copy = scratch_file(scratch, name);

	ck_assert_int_eq(process_call(scratch, "copy", ARGV("cp", built, copy)), 0);
	return copy;
}

/* As the user nobody, who may not trace the target. */
static void expect_denied(const struct scratch *scratch, pid_t pid)
{
	_cleanup_free_ char *built = suite_tracealloc();
	_cleanup_free_ char *program = copy_program(scratch, built, "tracealloc");
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	int status = process_call(scratch, "denied",
				  ARGV("setpriv", "--reuid", "65534", "--regid", "65534",
				       "--clear-groups", program, "attach", number));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "denied.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      errors);
	ck_assert_msg(strstr(errors, number) != NULL, "it says \"%s\", without the pid", errors);
	ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1,
		      "more than one line: \"%s\"", errors);
}

START_TEST(another_users_process_is_refused_with_the_rule)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};

	if (geteuid() != 0) {
		suite_skip("only root can start a process of another user");
		return;
	}
	scratch_make(&scratch);
	process_start(&scratch, "target",
		      ARGV("setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups",
			   "sh", "-c", "echo ready; read end"),
		      &target);
	process_wait_output(&target, "ready");
	expect_denied(&scratch, target.pid);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "denied.err");
	ck_assert_msg(strstr(errors, "uid 65533") != NULL, "it says \"%s\"", errors);
}
END_TEST

START_TEST(a_process_that_is_not_dumpable_is_refused_with_the_rule)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	_cleanup_free_ char *built = suite_target("secret");

	if (geteuid() != 0) {
		suite_skip("without root there is only one user, who may be privileged or not");
		return;
	}
	scratch_make(&scratch);
	_cleanup_free_ char *secret = copy_program(&scratch, built, "secret");
	process_start(
		&scratch, "target",
		ARGV("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", secret),
		&target);
	process_wait_output(&target, "ready");
	expect_denied(&scratch, target.pid);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "denied.err");
	ck_assert_msg(strstr(errors, "dumpable") != NULL, "it says \"%s\"", errors);
}
END_TEST

START_TEST(an_unprivileged_user_attaches_to_a_process_of_his_own)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char number[16];

	if (geteuid() != 0) {
		suite_skip(
			"every other test of this suite is made as an unprivileged user already");
		return;
	}
	scratch_make(&scratch);
	_cleanup_free_ char *built = suite_tracealloc();
	_cleanup_free_ char *built_target = suite_target("newborn");
	_cleanup_free_ char *program = copy_program(&scratch, built, "tracealloc");
	_cleanup_free_ char *target_program = copy_program(&scratch, built_target, "newborn");
	process_start(&scratch, "target",
		      ARGV("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
			   target_program),
		      &target);
	process_wait_output(&target, "ready");
	snprintf(number, sizeof(number), "%d", target.pid);
	int status =
		process_call(&scratch, "own",
			     ARGV("setpriv", "--reuid", "65534", "--regid", "65534",
				  "--clear-groups", program, "attach", "--for", "100ms", number));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "own.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "own.out");
	ck_assert_msg(strstr(said, "Top 10 lines") != NULL, "it says \"%s\"", said);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refusals");
	TCase *refusal_case = suite_case(suite, "refusals", 120);

	tcase_add_test(refusal_case, a_process_that_is_not_there_is_refused);
	tcase_add_test(refusal_case, a_zombie_is_refused);
	tcase_add_test(refusal_case, a_kernel_thread_is_refused);
	tcase_add_test(refusal_case, tracealloc_itself_is_refused);
	tcase_add_test(refusal_case, a_process_without_an_allocator_is_refused);
	tcase_add_test(refusal_case, a_32_bit_process_is_refused);
	tcase_add_loop_test(refusal_case,
			    what_cannot_be_counted_is_refused_before_a_byte_is_written, 0, KINDS);
	tcase_add_test(refusal_case, another_users_process_is_refused_with_the_rule);
	tcase_add_test(refusal_case, a_process_that_is_not_dumpable_is_refused_with_the_rule);
	tcase_add_test(refusal_case, an_unprivileged_user_attaches_to_a_process_of_his_own);
	return suite_run(suite);
}
