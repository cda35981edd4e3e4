/* SPDX-License-Identifier: MIT */
/*
 * Saved snapshots: what is asked of the file is answered as the session itself would have, without
 * the target, its files or its sources.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* Runs tracealloc and expects status 0. */
static void call(const struct scratch *scratch, const char *const arguments[])
{
	int status = tracealloc_call(scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
}

/* Expects status 1 and one line on standard error that contains text. */
static void expect_failure(const struct scratch *scratch, const char *const arguments[],
			   const char *text)
{
	int status = tracealloc_call(scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      errors);
	ck_assert_msg(strstr(errors, text) != NULL, "no \"%s\" in: %s", text, errors);
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
}

static const struct {
	const char *options[5];
} questions[] = {
	{{"--format=json"}},
	{{"--format=text"}},
	{{"--show=total", "--top=1"}},
	{{"--group-by=function", "--show=count", "--quiet"}},
	{{"--group-by=module", "--charge=callee", "--show=total", "--format=json"}},
	{{"--skip=push*", "--verbose", "--show=leaked"}},
};

/* The words of a question go where the list has a NULL. */
static void ask(const char *words[], size_t count, size_t question)
{
	for (size_t i = 0; i < 5 && questions[question].options[i]; i++)
		words[count++] = questions[question].options[i];
	words[count] = NULL;
}

START_TEST(a_saved_snapshot_answers_as_the_session_did)
{
	_cleanup_free_ char *program = suite_target("inlined");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *live = scratch_file(&scratch, "live");
	_cleanup_free_ char *saved = scratch_file(&scratch, "saved");
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	const char *run[16] = {"run", "--report", live, "--output", snapshot};
	const char *report[16] = {"report", snapshot, "--report", saved};
	ask(run, 5, (size_t)_i);
	ask(report, 4, (size_t)_i);
	size_t words = 5;
	while (run[words])
		words++;
	run[words] = program;
	call(&scratch, run);
	call(&scratch, report);
	_cleanup_free_ char *live_text = scratch_read(live, NULL);
	_cleanup_free_ char *saved_text = scratch_read(saved, NULL);
	ck_assert_uint_gt(strlen(live_text), 50);
	ck_assert_str_eq(live_text, saved_text);
}
END_TEST

static const char source[] = "#include <stdlib.h>\n"
			     "int main(void)\n"
			     "{\n"
			     "\tvolatile char *kept = malloc(12345); /* the one */\n"
			     "\tkept[0] = 1;\n"
			     "\treturn 0;\n"
			     "}\n";

START_TEST(neither_the_program_nor_its_source_is_needed)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = scratch_file(&scratch, "gone.c");
	_cleanup_free_ char *program = scratch_file(&scratch, "gone");
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	scratch_write(file, source, strlen(source));
	ck_assert_int_eq(
		process_call(&scratch, "gcc", ARGV("gcc", "-g", "-O0", "-o", program, file)), 0);
	call(&scratch, ARGV("run", "--output", snapshot, program));
	unlink(file);
	unlink(program);
	call(&scratch, ARGV("report", "-q", snapshot));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.out");
	ck_assert_ptr_nonnull(strstr(text,
				     "gone.c:4: 12.1 KiB\n"
				     "    volatile char *kept = malloc(12345); /* the one */\n"));
}
END_TEST

START_TEST(an_attach_is_saved_and_shown_as_one)
{
	_cleanup_free_ char *program = suite_target("newborn");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report live = {0}, saved = {0};
	_cleanup_process_ struct process target = {0}, attaching = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	_cleanup_free_ char *report = scratch_file(&scratch, "saved.json");
	process_start(&scratch, "target", ARGV(program), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("--for", "50ms", "--output", snapshot), target.pid,
				&attaching);
	ck_assert_int_eq(process_wait(&attaching), 0);
	tracealloc_report(&scratch, &live);
	call(&scratch,
	     ARGV("report", "--format=json", "--top=100000", "--report", report, snapshot));
	report_load(report, &saved);
	ck_assert_str_eq(report_string(saved.root, "origin"), "attach");
	ck_assert_str_eq(report_string(json_object_get(saved.root, "query"), "show"), "current");
	ck_assert(json_equal(live.root, saved.root));
	ck_assert_int_eq(report_total(&live, "events"), report_total(&saved, "events"));
}
END_TEST

START_TEST(modules_and_machine_are_told)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char host[65] = "";

	scratch_make(&scratch);
	tracealloc_run(&scratch, NULL, ARGV(program), &report);
	const json_t *machine = json_object_get(report.root, "machine");
	ck_assert_int_eq(gethostname(host, sizeof host - 1), 0);
	ck_assert_str_eq(report_string(machine, "host"), host);
	ck_assert_str_eq(report_string(machine, "architecture"), "x86_64");
	/* The build-id as readelf reads it. */
	ck_assert_int_eq(process_call(&scratch, "readelf", ARGV("readelf", "-n", program)), 0);
	_cleanup_free_ char *notes = tracealloc_text(&scratch, "readelf.out");
	const json_t *module;
	size_t index, found = 0;
	json_array_foreach(json_object_get(report.root, "modules"), index, module)
	{
		if (strcmp(report_string(module, "path"), program) != 0)
			continue;
		ck_assert_ptr_nonnull(strstr(notes, report_string(module, "build_id")));
		ck_assert_uint_ge(strlen(report_string(module, "build_id")), 32);
		found++;
	}
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(what_cannot_be_read_is_told_in_one_line)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	call(&scratch, ARGV("run", "--output", snapshot, program));
	expect_failure(&scratch, ARGV("report", program), "it is no snapshot of tracealloc");
	expect_failure(&scratch, ARGV("report", "/none/there"), "No such file or directory");
	size_t size;
	_cleanup_free_ char *bytes = scratch_read(snapshot, &size);
	scratch_write(snapshot, bytes, size / 2);
	expect_failure(&scratch, ARGV("report", snapshot), "it is cut off");
	bytes[size - 1] ^= 1;
	scratch_write(snapshot, bytes, size);
	expect_failure(&scratch, ARGV("report", snapshot), "it is damaged");
}
END_TEST

START_TEST(a_snapshot_that_cannot_be_written_is_told_before_the_program_starts)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *trace = scratch_file(&scratch, "trace");
	expect_failure(&scratch, ARGV("run", "--output", "/none/there", "touch", trace),
		       "cannot write snapshot '/none/there': No such file or directory");
	ck_assert_int_ne(access(trace, F_OK), 0);
}
END_TEST

START_TEST(a_full_disk_costs_the_snapshot_alone)
{
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	int status = tracealloc_call(&scratch, ARGV("run", "--output", "/dev/full", program));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_int_eq(WEXITSTATUS(status), 4);
	ck_assert_ptr_nonnull(strstr(errors, "Top 10 lines\n"));
	ck_assert_ptr_nonnull(
		strstr(errors, "cannot write snapshot '/dev/full': No space left on device"));
}
END_TEST

/* As a disk that has so many bytes left: files cannot become longer than that. */
static void expect_refusal_at(const struct scratch *scratch, const char *snapshot,
			      const char *program, size_t offset)
{
	_cleanup_free_ char *tracealloc = suite_tracealloc();
	char command[1024];
	snprintf(command, sizeof command,
		 "{ prlimit --fsize=%zu %s run --report /dev/null --output %s %s >/dev/null; echo "
		 "$?; } 2>&1 | "
		 "cat",
		 offset, tracealloc, snapshot, program);
	FILE *pipe = popen(command, "r");
	char text[1024], want[1024];
	ck_assert_ptr_nonnull(pipe);
	size_t count = fread(text, 1, sizeof text - 1, pipe);
	text[count] = 0;
	pclose(pipe);
	snprintf(want, sizeof want, "tracealloc: cannot write snapshot '%s': File too large\n4\n",
		 snapshot);
	const char *end = text + (count > strlen(want) ? count - strlen(want) : 0);
	ck_assert_msg(strcmp(end, want) == 0, "at byte %zu: %s", offset, text);
	char left[256];
	snprintf(left, sizeof left, "ls %s | grep -c tmp >/dev/null", scratch->path);
	ck_assert_msg(system(left) != 0, "something was left at byte %zu", offset);
}

START_TEST(a_disk_that_is_full_at_any_byte_leaves_the_last_file)
{
	_cleanup_free_ char *program = suite_target("calls");
	_cleanup_scratch_ struct scratch scratch = {0};
	size_t size, still;

	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	call(&scratch, ARGV("run", "--output", snapshot, program));
	_cleanup_free_ char *bytes = scratch_read(snapshot, &size);
	/* Times differ from run to run, and the length with them. */
	size_t end = size - size / 10, step = getenv("TRACEALLOC_LONG") ? 1 : end / 12;
	for (size_t offset = 0; offset < end; offset += step)
		expect_refusal_at(&scratch, snapshot, program, offset);
	_cleanup_free_ char *after = scratch_read(snapshot, &still);
	ck_assert_uint_eq(still, size);
	ck_assert_int_eq(memcmp(after, bytes, size), 0);
	call(&scratch, ARGV("report", snapshot));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tests = suite_case(suite, "snapshot", 120);

	tcase_add_loop_test(tests, a_saved_snapshot_answers_as_the_session_did, 0,
			    sizeof questions / sizeof *questions);
	tcase_add_test(tests, neither_the_program_nor_its_source_is_needed);
	tcase_add_test(tests, an_attach_is_saved_and_shown_as_one);
	tcase_add_test(tests, modules_and_machine_are_told);
	tcase_add_test(tests, what_cannot_be_read_is_told_in_one_line);
	tcase_add_test(tests, a_snapshot_that_cannot_be_written_is_told_before_the_program_starts);
	tcase_add_test(tests, a_full_disk_costs_the_snapshot_alone);
	tcase_add_test(tests, a_disk_that_is_full_at_any_byte_leaves_the_last_file);
	return suite_run(suite);
}
