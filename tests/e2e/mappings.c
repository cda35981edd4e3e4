/* SPDX-License-Identifier: MIT */
/*
 * --mmap: what a program maps for itself, against its own page-by-page count
 * (tests/targets/special/mapper.c) and against strace(1); and that the heap's figures are none the
 * other for it.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

static char *build(const struct scratch *scratch, bool is_static)
{
	return suite_build(scratch, "special/mapper.c", "mapper",
			   is_static ? ARGV("-O1", "-g", "-w", "-fno-builtin", "-static")
				     : ARGV("-O1", "-g", "-w", "-fno-builtin"));
}

static const json_t *mappings_of(const struct report *report)
{
	const json_t *mappings = json_object_get(report->root, "mappings");
	ck_assert(json_is_object(mappings));
	return mappings;
}

static int64_t total_of(const struct report *report, const char *key)
{
	return truth_integer(json_object_get(mappings_of(report), "totals"), key);
}

/* The row of the mappings at a line of mapper.c; NULL: there is none. */
static const json_t *row_at(const struct report *report, int64_t line)
{
	const json_t *row;
	size_t i;
	json_array_foreach(json_object_get(mappings_of(report), "rows"), i, row)
	{
		if (strstr(report_string(row, "file"), "/mapper.c") &&
		    truth_integer(row, "line") == line)
			return row;
	}
	return NULL;
}

static void expect(int64_t seen, const json_t *truth, const char *key, int64_t line)
{
	ck_assert_msg(seen == truth_integer(truth, key), "line %lld: %s %lld, the program has %lld",
		      (long long)line, key, (long long)seen, (long long)truth_integer(truth, key));
}

/* only_lines: what a C library maps for itself stands in the totals, too: its loader. */
static void expect_truth(const json_t *truth, const struct report *report, bool only_lines)
{
	static const char *const totals[] = {"total_bytes",   "total_blocks", "released_bytes",
					     "peak_bytes",    "failed_calls", "current_bytes",
					     "current_blocks"};
	static const char *const figures[] = {"total_bytes", "total_blocks", "peak_bytes",
					      "current_bytes", "current_blocks"};
	const json_t *line;
	size_t i;
	for (size_t k = 0; !only_lines && k < sizeof totals / sizeof *totals; k++)
		expect(total_of(report, totals[k]), truth, totals[k], 0);
	json_array_foreach(json_object_get(truth, "lines"), i, line)
	{
		int64_t number = truth_integer(line, "line");
		if (!truth_integer(line, "total_bytes"))
			continue;
		const json_t *row = row_at(report, number);
		ck_assert_msg(row != NULL, "line %lld has no row", (long long)number);
		for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
			expect(truth_integer(row, figures[k]), line, figures[k], number);
	}
}

START_TEST(what_a_program_maps_is_what_it_counts)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0}, without = {0};
	bool is_static = _i / ENGINES;
	const char *engine = engine_name(_i % ENGINES);

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, is_static);
	int status = tracealloc_run(&scratch, ARGV("--engine", engine, "--show", "total", "--mmap"),
				    ARGV(program), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	expect_truth(truth, &report, is_static);

	status = tracealloc_run(&scratch, ARGV("--engine", engine, "--show", "total"),
				ARGV(program), &without);
	ck_assert_int_eq(status, 0);
	ck_assert(json_is_null(json_object_get(without.root, "mappings")));
	static const char *const totals[] = {"total_bytes", "total_blocks", "peak_bytes",
					     "current_bytes", "unknown_releases"};
	for (size_t k = 0; k < sizeof totals / sizeof *totals; k++)
		ck_assert_int_eq(report_total(&report, totals[k]),
				 report_total(&without, totals[k]));
}
END_TEST

/* Lines of strace's log between the program's two words that begin with name, and succeeded. */
static int64_t strace_count(const char *log, const char *name)
{
	const char *begin = strstr(log, "write(1, \"begin\\n\""),
		   *end = strstr(log, "write(1, \"end\\n\"");
	int64_t count = 0;
	ck_assert(begin && end);
	for (const char *line = begin; line < end; line = strchr(line, '\n') + 1) {
		const char *next = strchr(line, '\n');
		bool refused = memmem(line, (size_t)(next - line), " = -1 ", 6) != NULL;
		count += strncmp(line, name, strlen(name)) == 0 && !refused;
	}
	return count;
}

START_TEST(as_many_calls_are_seen_as_strace_sees)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, false);
	_cleanup_free_ char *log = scratch_file(&scratch, "strace.log");
	ck_assert_int_eq(
		process_call(&scratch, "strace", ARGV("strace", "-o", log, program, "plain")), 0);
	int status = tracealloc_run(&scratch,
				    ARGV("--engine", engine_name(_i), "--show", "total", "--mmap"),
				    ARGV(program, "plain"), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *text = scratch_read(log, NULL);
	int64_t made = strace_count(text, "mmap(") + strace_count(text, "mremap(");
	/* Of the calls of brk(2) two make the segment longer by whole pages. */
	enum { GROWN = 2 };
	ck_assert_int_eq(total_of(&report, "total_blocks"), made + GROWN);
	ck_assert_int_eq(total_of(&report, "events"),
			 made + GROWN + total_of(&report, "failed_calls") +
				 strace_count(text, "munmap(") + GROWN);
}
END_TEST

START_TEST(text_has_a_part_of_its_own_and_so_has_a_saved_snapshot)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, false);
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("run", "--mmap", "--show", "total",
							"--output", snapshot, program)),
			 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.err");
	const char *part =
		strstr(text, "\nMapped beside the allocators (mmap, mremap, brk), not among the "
			     "above\nTop 10 lines\n#1: ");
	ck_assert_msg(part && strstr(part, "/mapper.c:") && strstr(part, "\nmapped: "), "%s", text);
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("report", "--show", "total", snapshot)), 0);
	_cleanup_free_ char *saved = tracealloc_text(&scratch, "call.out");
	const char *same = strstr(saved, "\nMapped beside");
	size_t bytes = (size_t)(strstr(part, "\nmapped: ") - part);
	ck_assert_msg(same && strncmp(same, part, bytes) == 0, "%s", saved);
	ck_assert_int_eq(
		tracealloc_call(&scratch, ARGV("report", "--show", "total", snapshot, snapshot)),
		0);
	_cleanup_free_ char *merged = tracealloc_text(&scratch, "call.out");
	ck_assert_msg(strstr(merged, "\nMapped beside"), "%s", merged);
}
END_TEST

/* A session can be asked as soon as all of its probes are in. */
struct asked {
	const struct scratch *scratch;
	char pid[16];
};

static bool answers(const void *context)
{
	const struct asked *asked = context;
	return tracealloc_call(asked->scratch, ARGV("ctl", asked->pid, "status")) == 0;
}

START_TEST(a_process_that_is_attached_to_has_what_it_maps_from_then_on)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_report_ struct report report = {0};
	static const char script[] = "import mmap, sys\n"
				     "print('ready', flush=True)\n"
				     "sys.stdin.readline()\n"
				     "kept = [mmap.mmap(-1, 1 << 20) for i in range(30)]\n"
				     "del kept[10:]\n"
				     "print('done', flush=True)\n"
				     "sys.stdin.readline()\n";

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV("python3", "-c", script), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch,
				ARGV("--engine", engine_name(_i), "--mmap", "--show", "total",
				     "--group-by", "function"),
				target.pid, &attach);
	struct asked asked = {.scratch = &scratch};
	snprintf(asked.pid, sizeof asked.pid, "%d", target.pid);
	process_until(answers, &asked, "the session's answer");
	process_send(&target, "\n");
	process_wait_output(&target, "done");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	process_send(&target, "\n");
	ck_assert_int_eq(process_wait(&target), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_ge(total_of(&report, "total_blocks"), 30);
	ck_assert_int_ge(total_of(&report, "current_bytes"), 10 << 20);
	ck_assert_int_lt(total_of(&report, "current_bytes"), 20 << 20);
}
END_TEST

/* Its C library has no unwind tables, and maps for nearly all that is asked for. */
START_TEST(what_musl_maps_for_itself_is_none_of_the_programs)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *source = suite_source("special/mapper.c");
	_cleanup_free_ char *program = scratch_file(&scratch, "mapper");
	ck_assert_int_eq(process_call(&scratch, "compiler",
				      ARGV("musl-gcc", "-O1", "-g", "-w", "-fno-builtin", source,
					   "-o", program)),
			 0);
	int status = tracealloc_run(&scratch,
				    ARGV("--engine", engine_name(_i), "--show", "total", "--mmap"),
				    ARGV(program), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	expect_truth(truth, &report, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mappings");
	TCase *tests = suite_case(suite, "mappings", 60);

	tcase_add_loop_test(tests, what_a_program_maps_is_what_it_counts, 0, 2 * ENGINES);
	tcase_add_loop_test(tests, what_musl_maps_for_itself_is_none_of_the_programs, 0, ENGINES);
	tcase_add_loop_test(tests, as_many_calls_are_seen_as_strace_sees, 0, ENGINES);
	tcase_add_test(tests, text_has_a_part_of_its_own_and_so_has_a_saved_snapshot);
	tcase_add_loop_test(tests, a_process_that_is_attached_to_has_what_it_maps_from_then_on, 0,
			    ENGINES);
	return suite_run(suite);
}
