/* SPDX-License-Identifier: MIT */
/*
 * Exports of real programs, as other programs read them: tests/e2e/export_readers.py has each
 * reader show a file, and holds its sum and its first rows against our report. The table of all of
 * them is in the output of this test.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { WORDS_MAX = 32 };

static const struct {
	const char *kind;
	const char *command; /* of the shell; in the place of "exec" the shell itself is traced */
} programs[] = {
	{"C", "exec sqlite3 :memory: 'create table t(a, b); with recursive c(x) as (select 1 union "
	      "all select x + 1 from c where x < 2000) insert into t select x, hex(x * 77) from c; "
	      "select count(*) from (select * from t order by b);'"},
	{"C, with lines", "exec \"$TARGETS/inlined\""},
	{"C++, with lines", "exec \"$TARGETS/containers\""},
	{"C++", "exec gdb -nx -batch -ex 'print 1 + 1'"},
	{"Rust", "exec rg -j2 -c include /usr/include/linux"},
	{"threads", "exec xz -1 -T2 --block-size=262144 -c /usr/bin/gdb"},
	{"a tree of processes", "ls -lR /usr/share/doc/b* | sort | sed s/a/b/ | wc -l"},
};

static const char *const readers[] = {"text",	   "csv",
				      "html",	   "awk",
				      "ms_print",  "callgrind_annotate",
				      "dhat-json", "speedscope-json",
				      "protoc",	   NULL};

static bool is_there(const char *program)
{
	_cleanup_free_ char *command = NULL;
	ck_assert_int_gt(asprintf(&command, "command -v %s >/dev/null", program), 0);
	return system(command) == 0;
}

/* Traces a command of the shell; returns the path of the snapshot, owned by the caller. */
static char *record(const struct scratch *scratch, const char *command, const char *name)
{
	_cleanup_free_ char *targets = suite_built("tests/targets");
	char *snapshot = scratch_file(scratch, name);
	setenv("TARGETS", targets, 1);
	int status = tracealloc_call(scratch, ARGV("run", "--report", "/dev/null", "--output",
						   snapshot, "--", "sh", "-c", command));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(status == 0, "%s: status %#x: %s", command, status, errors);
	return snapshot;
}

/* Has the readers compare; prints what they say and returns it, owned by the caller. */
static char *compare(const struct scratch *scratch, const char *show,
		     const char *const snapshots[2], const char *const names[], int *status_ret)
{
	_cleanup_free_ char *tracealloc = suite_tracealloc();
	const char *argv[WORDS_MAX] = {"python3",   "tests/e2e/export_readers.py",
				       tracealloc,  scratch->path,
				       show,	    snapshots[0],
				       snapshots[1]};
	for (size_t i = 0, count = 7; names[i]; i++)
		argv[count++] = names[i];
	*status_ret = process_call(scratch, "readers", argv);
	return tracealloc_text(scratch, "readers.out");
}

static void expect_equal(const struct scratch *scratch, const char *show, const char *snapshot,
			 const char *const names[])
{
	int status;
	_cleanup_free_ char *text =
		compare(scratch, show, (const char *[]){snapshot, snapshot}, names, &status);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "readers.err");
	printf("%s", text);
	ck_assert_msg(status == 0, "%s%s", text, errors);
}

START_TEST(readers_show_what_the_report_shows)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = record(&scratch, programs[_i].command, "a.snapshot");
	printf("%s: %s\n", programs[_i].kind, programs[_i].command);
	expect_equal(&scratch, "peak", snapshot, readers);
}
END_TEST

/* Readers that are large. speedscope comes from npm, which has to reach its registry. */
START_TEST(large_readers_show_what_the_report_shows)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	if (!is_there("go") || !is_there("chromium")) {
		suite_skip("large readers: go and chromium are not installed");
		return;
	}
	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = record(&scratch, programs[_i].command, "a.snapshot");
	printf("%s: %s\n", programs[_i].kind, programs[_i].command);
	expect_equal(&scratch, "peak", snapshot, ARGV("pprof", "dh_view"));
}
END_TEST

START_TEST(speedscope_shows_what_the_report_shows)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *command = NULL, *release = NULL;
	ck_assert_int_gt(asprintf(&command,
				  "cd %s && npm pack speedscope >npm.out 2>&1 && "
				  "tar xzf speedscope-*.tgz",
				  scratch.path),
			 0);
	if (!is_there("chromium") || !is_there("npm") || system(command) != 0) {
		suite_skip("speedscope: npm cannot fetch it, or chromium is not installed");
		return;
	}
	release = scratch_file(&scratch, "package/dist/release");
	setenv("SPEEDSCOPE", release, 1);
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		_cleanup_free_ char *snapshot = record(&scratch, programs[i].command, "a.snapshot");
		printf("%s: %s\n", programs[i].kind, programs[i].command);
		expect_equal(&scratch, "peak", snapshot, ARGV("speedscope"));
	}
}
END_TEST

START_TEST(readers_show_all_that_was_allocated_too)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = record(&scratch, programs[0].command, "a.snapshot");
	printf("all that was allocated by %s\n", programs[0].command);
	expect_equal(&scratch, "total", snapshot,
		     ARGV("text", "csv", "html", "awk", "callgrind_annotate", "dhat-json",
			  "speedscope-json", "protoc"));
}
END_TEST

START_TEST(a_reader_tells_another_program_from_this_one)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	int status;
	scratch_make(&scratch);
	_cleanup_free_ char *one = record(&scratch, programs[0].command, "a.snapshot");
	_cleanup_free_ char *other = record(&scratch, programs[1].command, "b.snapshot");
	_cleanup_free_ char *text =
		compare(&scratch, "peak", (const char *[]){one, other}, readers, &status);
	size_t different = 0, count = sizeof readers / sizeof *readers - 1;
	for (const char *s = text; (s = strstr(s, "DIFFERENT")); s++)
		different++;
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_uint_eq(different, count);
}
END_TEST

static void expect_same_files(const char *a, const char *b)
{
	size_t a_size, b_size;
	_cleanup_free_ char *a_bytes = scratch_read(a, &a_size),
			    *b_bytes = scratch_read(b, &b_size);
	ck_assert_uint_gt(a_size, 0);
	ck_assert_uint_eq(a_size, b_size);
	ck_assert_int_eq(memcmp(a_bytes, b_bytes, a_size), 0);
}

static const char *const formats[] = {"csv",	   "pprof",  "dhat",	  "massif",
				      "callgrind", "folded", "speedscope"};

START_TEST(run_report_and_export_write_the_same_bytes)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *target = suite_target("inlined"),
			    *live = scratch_file(&scratch, "live");
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	_cleanup_free_ char *reported = scratch_file(&scratch, "reported");
	_cleanup_free_ char *printed = scratch_file(&scratch, "call.out");
	const char *format = formats[_i];
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("run", "--format", format, "--report", live,
							"--output", snapshot, target)),
			 0);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("report", "--format", format, snapshot,
							"--report", reported)),
			 0);
	expect_same_files(live, reported);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("export", "--format", format, snapshot)),
			 0);
	expect_same_files(live, printed);
}
END_TEST

START_TEST(an_attach_writes_the_same_bytes)
{
	_cleanup_free_ char *program = suite_target("newborn");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char pid[16];

	scratch_make(&scratch);
	_cleanup_free_ char *live = scratch_file(&scratch, "live");
	_cleanup_free_ char *exported = scratch_file(&scratch, "exported");
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "ready");
	snprintf(pid, sizeof pid, "%d", (int)target.pid);
	ck_assert_int_eq(
		tracealloc_call(&scratch, ARGV("attach", "--for=50ms", "--format=pprof", "--report",
					       live, "--output", snapshot, pid)),
		0);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("export", "--format=pprof", "--report",
							exported, snapshot)),
			 0);
	expect_same_files(live, exported);
}
END_TEST

START_TEST(what_is_not_for_people_is_kept_from_a_terminal)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *tracealloc = suite_tracealloc(), *command = NULL;
	_cleanup_free_ char *snapshot = record(&scratch, programs[1].command, "a.snapshot");
	ck_assert_int_gt(
		asprintf(&command, "%s export --format %s %s", tracealloc, formats[_i], snapshot),
		0);
	int status =
		process_call(&scratch, "terminal", ARGV("script", "-qec", command, "/dev/null"));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "terminal.out"), *want = NULL;
	ck_assert_int_gt(
		asprintf(&want,
			 "tracealloc: --format %s is nothing for a terminal: give --report "
			 "FILE\r\n",
			 formats[_i]),
		0);
	if (strcmp(formats[_i], "csv") == 0) {
		ck_assert_int_eq(status, 0);
		ck_assert_ptr_nonnull(strstr(text, "rank,label,"));
		return;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	ck_assert_str_eq(text, want);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("export");
	TCase *cases = suite_case(suite, "export", 100);
	int program_count = sizeof programs / sizeof *programs;
	int format_count = sizeof formats / sizeof *formats;
	tcase_add_loop_test(cases, readers_show_what_the_report_shows, 0, program_count);
	tcase_add_test(cases, readers_show_all_that_was_allocated_too);
	tcase_add_test(cases, a_reader_tells_another_program_from_this_one);
	tcase_add_loop_test(cases, run_report_and_export_write_the_same_bytes, 0, format_count);
	tcase_add_test(cases, an_attach_writes_the_same_bytes);
	tcase_add_loop_test(cases, what_is_not_for_people_is_kept_from_a_terminal, 0, format_count);
	if (suite_is_long()) {
		tcase_add_loop_test(cases, large_readers_show_what_the_report_shows, 0,
				    program_count);
		tcase_add_test(cases, speedscope_shows_what_the_report_shows);
	}
	return suite_run(suite);
}
