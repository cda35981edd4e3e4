/* SPDX-License-Identifier: MIT */
/*
 * What the command line says when something is wrong: one line, the bad value quoted, the right
 * exit status, and the target untouched.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { ARGUMENTS_MAX = 6, FAILURE = 1, USAGE = 2, UNDELIVERED = 4 };

static void expect_one_line(const char *errors, const char *quoted)
{
	ck_assert_msg(strncmp(errors, "tracealloc: ", 12) == 0, "it says \"%s\"", errors);
	ck_assert_msg(strstr(errors, quoted) != NULL, "it says \"%s\", without %s", errors, quoted);
	ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1,
		      "more than one line: \"%s\"", errors);
}

static const struct {
	const char *arguments[ARGUMENTS_MAX];
	int status;
	const char *quoted; /* must stand in the message */
} mistakes[] = {
	{{"frobnicate"}, USAGE, "'frobnicate'"},
	{{"--top", "3"}, USAGE, "'--top'"},
	{{"run"}, USAGE, "run"},
	{{"run", "--frobnicate", "true"}, USAGE, "'--frobnicate'"},
	{{"run", "--to", "3", "true"}, USAGE, "'--to'"}, /* no abbreviations */
	{{"run", "--top"}, USAGE, "'--top'"},
	{{"run", "--top", "0", "true"}, USAGE, "'0'"},
	{{"run", "--top", "-1", "true"}, USAGE, "'-1'"},
	{{"run", "--top", "ten", "true"}, USAGE, "'ten'"},
	{{"run", "--top", "99999999999999999999", "true"}, USAGE, "'99999999999999999999'"},
	{{"run", "--top=", "true"}, USAGE, "''"},
	{{"run", "--depth", "0", "true"}, USAGE, "'0'"},
	{{"run", "--depth", "1025", "true"}, USAGE, "'1025'"},
	{{"run", "--group-by", "colour", "true"}, USAGE, "'colour'"},
	{{"run", "--show", "everything", "true"}, USAGE, "'everything'"},
	{{"run", "--follow", "nobody", "true"}, USAGE, "'nobody'"},
	{{"run", "--charge", "me", "true"}, USAGE, "'me'"},
	{{"run", "--format", "xml", "true"}, USAGE, "'xml'"},
	{{"run", "--engine", "diesel", "true"}, USAGE, "'diesel'"},
	{{"run", "--for", "tomorrow", "true"}, USAGE, "'tomorrow'"},
	{{"run", "--for", "-5s", "true"}, USAGE, "'-5s'"},
	{{"run", "--debug-path", "/nonexistent", "true"}, USAGE, "'/nonexistent'"},
	{{"doctor", "--debug-path", "/etc/passwd", "1"}, USAGE, "'/etc/passwd'"},
	{{"run", "--source-path", "/build", "true"}, USAGE, "'/build'"},
	{{"report", "--source-path", "=/src", "x"}, USAGE, "'=/src'"},
	{{"report", "--source-path", "/build=", "x"}, USAGE, "'/build='"},
	{{"run", "--debuginfod-limit", "soon", "true"}, USAGE, "'soon'"},
	{{"doctor", "1", "2"}, USAGE, "'2'"},
	{{"doctor", "--format", "csv", "true"}, USAGE, "csv"},
	{{"doctor", "--clean"}, USAGE, "--clean PID"},
	{{"doctor", "--clean", "true"}, USAGE, "'true'"},
	{{"doctor", "no-such-program-anywhere"}, FAILURE, "'no-such-program-anywhere'"},
	{{"run", "--quiet=yes", "true"}, USAGE, "'--quiet'"},
	{{"attach"}, USAGE, "attach"},
	{{"attach", "one"}, USAGE, "'one'"},
	{{"attach", "0"}, USAGE, "'0'"},
	{{"attach", "-7"}, USAGE, "-7"},
	{{"attach", "12345678901234567890"}, USAGE, "'12345678901234567890'"},
	{{"attach", "1", "2"}, USAGE, "'2'"},
	{{"run", "/nonexistent/program"}, FAILURE, "'/nonexistent/program'"},
	{{"run", "no-such-program-anywhere"}, FAILURE, "'no-such-program-anywhere'"},
	{{"run", "/etc/passwd"}, FAILURE, "'/etc/passwd'"},
	{{"run", "/"}, FAILURE, "'/'"},
	{{"run", "--report", "/nonexistent/x", "true"}, FAILURE, "'/nonexistent/x'"},
	{{"run", "--report", "/", "true"}, FAILURE, "'/'"},
};

enum { MISTAKES = sizeof(mistakes) / sizeof(*mistakes) };

START_TEST(a_mistake_is_told_in_one_line_that_quotes_it)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	char told[256] = "";

	scratch_make(&scratch);
	for (size_t i = 0; i < ARGUMENTS_MAX && mistakes[_i].arguments[i]; i++) {
		strcat(told, " ");
		strcat(told, mistakes[_i].arguments[i]);
	}
	int status = tracealloc_call(&scratch, mistakes[_i].arguments);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == mistakes[_i].status,
		      "tracealloc%s: status %#x: %s", told, status, errors);
	expect_one_line(errors, mistakes[_i].quoted);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_file_of_another_format_is_told)
{
	static const char *const contents[] = {"\177ELF but not really", "echo no first line\n",
					       ""};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = scratch_file(&scratch, "garbage");
	scratch_write(file, contents[_i], strlen(contents[_i]));
	chmod(file, 0755);
	int status = tracealloc_call(&scratch, ARGV("run", file));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == FAILURE, "status %#x: %s", status,
		      errors);
	expect_one_line(errors, file);
}
END_TEST

START_TEST(what_a_name_contains_cannot_reach_the_terminal)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	tracealloc_call(&scratch, ARGV("run", "/nonexistent/\033[31mred\nline"));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_null(strchr(errors, '\033'));
	expect_one_line(errors, "red");
}
END_TEST

START_TEST(no_arguments_are_a_mistake_and_help_is_not)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	int status = tracealloc_call(&scratch, ARGV(NULL));
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == USAGE);
	static const char *const askers[] = {"--help", "-h", "help"};
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(tracealloc_call(&scratch, ARGV(askers[i])), 0);
		_cleanup_free_ char *help = tracealloc_text(&scratch, "call.out");
		ck_assert_ptr_nonnull(strstr(help, "tracealloc run"));
		ck_assert_ptr_nonnull(strstr(help, "tracealloc attach"));
		ck_assert_ptr_nonnull(strstr(help, "--group-by"));
	}
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("--version")), 0);
	_cleanup_free_ char *version = tracealloc_text(&scratch, "call.out");
	ck_assert(strncmp(version, "tracealloc ", 11) == 0);
}
END_TEST

START_TEST(a_full_disk_is_told_and_the_targets_status_goes_first)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	/* true's own status is 0, so ours must show; the shell's is 3 and stays. */
	int status = tracealloc_call(&scratch, ARGV("run", "--report", "/dev/full", "true"));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == UNDELIVERED, "status %#x",
		      status);
	expect_one_line(errors, "'/dev/full': No space left on device");
	status = tracealloc_call(&scratch,
				 ARGV("run", "--report", "/dev/full", "sh", "-c", "exit 3"));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %#x", status);
}
END_TEST

START_TEST(a_full_file_system_leaves_the_old_report)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (mount("none", scratch.path, "tmpfs", 0, "size=64k") < 0) {
		suite_skip("a tmpfs cannot be mounted here");
		return;
	}
	_cleanup_free_ char *report_path = scratch_file(&scratch, "full-report");
	_cleanup_free_ char *filler = scratch_file(&scratch, "filler");
	scratch_write(report_path, "old\n", 4);
	/* dd ends with "no space", which is what it is for. */
	char command[256];
	snprintf(command, sizeof(command), "dd if=/dev/zero of=%s bs=4k status=none 2>/dev/null",
		 filler);
	ck_assert_int_ne(system(command), 0);
	_cleanup_free_ char *program = suite_tracealloc();
	snprintf(command, sizeof(command), "%s run --report %s true 2>/dev/null", program,
		 report_path);
	int status = system(command);
	_cleanup_free_ char *report = scratch_read(report_path, NULL);
	umount2(scratch.path, MNT_DETACH);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == UNDELIVERED, "status %#x",
		      status);
	ck_assert_str_eq(report, "old\n");
}
END_TEST

START_TEST(a_closed_or_broken_standard_stream_hurts_nobody)
{
	static const char *const commands[] = {
		"\"$0\" attach --for 50ms $$ >&- 2>&-; test $? -eq 4",
		"\"$0\" run sh -c 'exit 6' <&- >&- 2>&-; test $? -eq 6",
		"\"$0\" --help | true",
		"\"$0\" run sh -c 'exit 6' 2>/dev/full; test $? -eq 6",
		"\"$0\" --help >/dev/full; test $? -eq 1",
	};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	scratch_make(&scratch);
	int status = process_call(&scratch, "shell", ARGV("sh", "-c", commands[_i], program));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "shell.err");
	ck_assert_msg(status == 0, "%s: status %#x: %s", commands[_i], status, errors);
}
END_TEST

START_TEST(a_broken_pipe_ends_an_attach_quietly)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *target = suite_target("newborn");
	_cleanup_process_ struct process newborn = {0};
	char command[256];

	scratch_make(&scratch);
	process_start(&scratch, "newborn", ARGV(target), &newborn);
	process_wait_output(&newborn, "ready");
	snprintf(command, sizeof(command), "{ \"$0\" attach --for 50ms %d; echo $? >&2; } | true",
		 newborn.pid);
	process_call(&scratch, "shell", ARGV("sh", "-c", command, program));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "shell.err");
	ck_assert_str_eq(errors, "0\n");
	process_close_input(&newborn);
	ck_assert_int_eq(process_wait(&newborn), 0);
}
END_TEST

START_TEST(the_target_gets_streams_arguments_and_environment_as_they_are)
{
	/* Everything a program can see of how it was started. */
	static const char look[] = "cat; echo \"$# $1|$2|$3\"; echo err >&2; env | sort | grep -v "
				   "^_=; ls -l /proc/self/fd | sed 's/.*-> //' | grep -v /proc; "
				   "pwd; umask; ulimit -a; grep -E '^(Sig(Blk|Ign|Cgt)|NoNewPrivs"
				   "|Seccomp|CapEff)' /proc/self/status; nice";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_process_ struct process traced = {0}, control = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *report_path = scratch_file(&scratch, "streams-report");
	process_start(&scratch, "traced",
		      ARGV(program, "run", "--report", report_path, "--", "sh", "-c", look, "zero",
			   "a b", "", "--top"),
		      &traced);
	process_start(&scratch, "control", ARGV("sh", "-c", look, "zero", "a b", "", "--top"),
		      &control);
	process_send(&traced, "input\n");
	process_send(&control, "input\n");
	process_close_input(&traced);
	process_close_input(&control);
	ck_assert_int_eq(process_wait(&traced), process_wait(&control));
	_cleanup_free_ char *said = process_output(&traced);
	_cleanup_free_ char *control_said = process_output(&control);
	/* The names of the captured files and pipes differ, nothing else. */
	const char *marks[] = {"traced", "control"};
	char *texts[] = {said, control_said};
	for (size_t i = 0; i < 2; i++) {
		for (char *at; (at = strstr(texts[i], marks[i]));)
			memmove(at, at + strlen(marks[i]), strlen(at + strlen(marks[i])) + 1);
		for (char *at; (at = strstr(texts[i], "pipe:["));)
			memmove(at, strchr(at, ']') + 1, strlen(strchr(at, ']')));
	}
	ck_assert_str_eq(said, control_said);
	_cleanup_free_ char *errors = process_errors(&traced);
	ck_assert_str_eq(errors, "err\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("errors");
	TCase *mistake_case = suite_case(suite, "mistakes", 120);
	TCase *output_case = suite_case(suite, "outputs", 120);

	tcase_add_loop_test(mistake_case, a_mistake_is_told_in_one_line_that_quotes_it, 0,
			    MISTAKES);
	tcase_add_loop_test(mistake_case, a_file_of_another_format_is_told, 0, 3);
	tcase_add_test(mistake_case, what_a_name_contains_cannot_reach_the_terminal);
	tcase_add_test(mistake_case, no_arguments_are_a_mistake_and_help_is_not);
	tcase_add_test(output_case, a_full_disk_is_told_and_the_targets_status_goes_first);
	tcase_add_test(output_case, a_full_file_system_leaves_the_old_report);
	tcase_add_loop_test(output_case, a_closed_or_broken_standard_stream_hurts_nobody, 0, 5);
	tcase_add_test(output_case, a_broken_pipe_ends_an_attach_quietly);
	tcase_add_test(output_case, the_target_gets_streams_arguments_and_environment_as_they_are);
	return suite_run(suite);
}
