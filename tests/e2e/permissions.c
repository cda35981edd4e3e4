/* SPDX-License-Identifier: MIT */
/*
 * Which rule refused: the rules that this machine may not have are put up for the test, Yama's by a
 * file system mounted where the kernel would show it, in a mount namespace of the test's own.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/process.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/*
 * Runs a shell script with $1 = tracealloc, $2 = pid, by way of wrapper; tracealloc must refuse in
 * one line, which is returned.
 */
static char *refusal(const struct scratch *scratch, const char *wrapper, const char *script,
		     pid_t pid)
{
	_cleanup_free_ char *built = suite_tracealloc();
	_cleanup_free_ char *program = scratch_file(scratch, "tracealloc");
	char number[16];

	ck_assert_int_eq(process_call(scratch, "copy", ARGV("cp", built, program)), 0);
	snprintf(number, sizeof(number), "%d", pid);
	int status = process_call(scratch, "refused",
				  ARGV("sh", "-c", wrapper, script, program, number));
	char *errors = tracealloc_text(scratch, "refused.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      errors);
	ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1, "not one line: \"%s\"",
		      errors);
	return errors;
}

/* A process of the user nobody that ptrace(2) forbids him: it is not dumpable. */
static void start_secret(const struct scratch *scratch, struct process *ret)
{
	_cleanup_free_ char *built = suite_target("secret");
	_cleanup_free_ char *secret = scratch_file(scratch, "secret");

	ck_assert_int_eq(process_call(scratch, "copy", ARGV("cp", built, secret)), 0);
	process_start(
		scratch, "target",
		ARGV("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", secret),
		ret);
	process_wait_output(ret, "ready");
}

/* Shell, with $0 = script: by itself, and with mounts that nobody else sees. */
static const char plainly[] = "exec sh -c \"$0\" sh \"$@\"";
static const char with_own_mounts[] = "exec unshare --mount sh -c \"$0\" sh \"$@\"";

static bool needs_own_mounts(const struct scratch *scratch)
{
	if (process_call(scratch, "mounts", ARGV("unshare", "--mount", "true")) == 0)
		return false;
	suite_skip("no mount namespace of our own can be made here");
	return true;
}

static bool needs_root(void)
{
	if (geteuid() == 0)
		return false;
	suite_skip("only root can put the rule up");
	return true;
}

START_TEST(yama_is_named_with_its_scope_and_the_remedy)
{
	static const char *const remedies[] = {"use sudo, or 'sysctl kernel.yama.ptrace_scope=0'",
					       "use sudo", "use 'tracealloc run'"};
	static const char script[] =
		"mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama && "
		"echo %d >/proc/sys/kernel/yama/ptrace_scope && "
		"exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$1\" attach \"$2\"";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char with_scope[sizeof(script) + 16], expected[32];
	int scope = _i + 1;

	if (needs_root())
		return;
	scratch_make(&scratch);
	if (needs_own_mounts(&scratch))
		return;
	start_secret(&scratch, &target);
	snprintf(with_scope, sizeof(with_scope), script, scope);
	snprintf(expected, sizeof(expected), "ptrace_scope is %d", scope);
	_cleanup_free_ char *errors = refusal(&scratch, with_own_mounts, with_scope, target.pid);
	ck_assert_msg(strstr(errors, expected) != NULL, "it says \"%s\"", errors);
	ck_assert_msg(strstr(errors, remedies[_i]) != NULL, "it says \"%s\"", errors);
}
END_TEST

START_TEST(root_without_the_capability_is_told_of_it)
{
	static const char script[] = "exec setpriv --bounding-set -sys_ptrace --inh-caps "
				     "-sys_ptrace \"$1\" attach \"$2\"";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};

	if (needs_root())
		return;
	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV("sh", "-c", "echo ready; read end"), &target);
	process_wait_output(&target, "ready");
	_cleanup_free_ char *errors = refusal(&scratch, plainly, script, target.pid);
	ck_assert_msg(strstr(errors, "--cap-add=SYS_PTRACE") != NULL, "it says \"%s\"", errors);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("permissions");
	TCase *tests = suite_case(suite, "rules", 60);
	tcase_add_loop_test(tests, yama_is_named_with_its_scope_and_the_remedy, 0, 3);
	tcase_add_test(tests, root_without_the_capability_is_told_of_it);
	return suite_run(suite);
}
