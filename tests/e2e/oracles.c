/* SPDX-License-Identifier: MIT */
/*
 * Totals, peak and the breakdown at the peak against other profilers that run the same programs:
 * valgrind's DHAT (its t-gmax) and memcheck, and heaptrack.
 *
 * DHAT's file: blocks and bytes ever allocated (tbk, tb) and at the global maximum (gbk, gb) for
 * each stack, whose frames read "0x109: function (file.c:12)".
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

static bool is_there(const char *program)
{
	char command[128];
	snprintf(command, sizeof command, "command -v %s >/dev/null", program);
	return system(command) == 0;
}

static bool have(const char *tool)
{
	if (!is_there(tool))
		suite_skip("a profiler to compare with is not installed");
	return is_there(tool);
}

/* DHAT's file of a command. */
static json_t *run_dhat(const struct scratch *scratch, const char *const command[])
{
	_cleanup_free_ char *path = scratch_file(scratch, "dhat.json");
	char option[128];
	snprintf(option, sizeof option, "--dhat-out-file=%s", path);
	const char *words[16] = {"valgrind", "--tool=dhat", option};
	for (size_t i = 0; command[i]; i++)
		words[i + 3] = command[i];
	ck_assert_int_eq(process_call(scratch, "dhat", words), 0);
	_cleanup_free_ char *text = scratch_read(path, NULL);
	json_t *root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(root);
	return root;
}

static int64_t integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	ck_assert_msg(json_is_integer(value), "no integer '%s'", key);
	return json_integer_value(value);
}

static int64_t dhat_sum(const json_t *dhat, const char *key)
{
	const json_t *stacks = json_object_get(dhat, "pps");
	int64_t sum = 0;
	for (size_t i = 0; i < json_array_size(stacks); i++)
		sum += integer(json_array_get(stacks, i), key);
	return sum;
}

/* Over the stacks whose frame next to the allocator is on that line. */
static int64_t dhat_line(const json_t *dhat, const char *file, int64_t line, const char *key)
{
	const json_t *stacks = json_object_get(dhat, "pps");
	const json_t *frames = json_object_get(dhat, "ftbl");
	char end[128];
	int64_t sum = 0;
	snprintf(end, sizeof end, "(%s:%lld)", file, (long long)line);
	for (size_t i = 0; i < json_array_size(stacks); i++) {
		const json_t *stack = json_array_get(stacks, i);
		const json_t *index = json_array_get(json_object_get(stack, "fs"), 1);
		const char *frame = json_string_value(
			json_array_get(frames, (size_t)json_integer_value(index)));
		if (frame && strstr(frame, end))
			sum += integer(stack, key);
	}
	return sum;
}

static void expect_totals(const struct report *report, const json_t *dhat, const char *what)
{
	static const char *const pairs[][2] = {{"total_bytes", "tb"},
					       {"total_blocks", "tbk"},
					       {"peak_bytes", "gb"},
					       {"peak_blocks", "gbk"}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		ck_assert_msg(report_total(report, pairs[i][0]) == dhat_sum(dhat, pairs[i][1]),
			      "%s, %s: %lld, DHAT has %lld", what, pairs[i][0],
			      (long long)report_total(report, pairs[i][0]),
			      (long long)dhat_sum(dhat, pairs[i][1]));
}

/* Each line of the target, and nothing of DHAT's that is on none of them. */
static void expect_lines(const struct report *report, const json_t *dhat, const char *file)
{
	const json_t *rows = json_object_get(report->root, "rows");
	int64_t peak_bytes = 0;
	size_t lines = 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		int64_t line = json_integer_value(json_object_get(row, "line"));
		if (!strstr(report_string(row, "file"), file))
			continue;
		ck_assert_int_eq(integer(row, "total_bytes"), dhat_line(dhat, file, line, "tb"));
		ck_assert_int_eq(integer(row, "total_blocks"), dhat_line(dhat, file, line, "tbk"));
		ck_assert_int_eq(integer(row, "peak_bytes"), dhat_line(dhat, file, line, "gb"));
		ck_assert_int_eq(integer(row, "peak_blocks"), dhat_line(dhat, file, line, "gbk"));
		peak_bytes += integer(row, "peak_bytes");
		lines++;
	}
	ck_assert_uint_ge(lines, 2);
	ck_assert_int_eq(peak_bytes, dhat_sum(dhat, "gb"));
}

START_TEST(the_breakdown_at_the_peak_is_that_of_dhat)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	if (!have("valgrind"))
		return;
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_target("peaks");
	_cleanup_json_ json_t *dhat = run_dhat(&scratch, ARGV(program));
	ck_assert_int_eq(tracealloc_run(&scratch, ARGV("--show=total"), ARGV(program), &report), 0);
	expect_totals(&report, dhat, program);
	expect_lines(&report, dhat, "peaks.c");
}
END_TEST

/* Programs of the system whose blocks do not depend on addresses or on chance. */
static const char *const commands[][6] = {
	{"jq", "-n", "[range(3000)]|length"},
	{"sqlite3", ":memory:", "create table t(a); insert into t values(1); select * from t"},
	{"xmllint", "--version"},
};

START_TEST(other_peoples_programs_have_the_totals_of_dhat)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	if (!have("valgrind") || !have(commands[_i][0]))
		return;
	scratch_make(&scratch);
	_cleanup_json_ json_t *dhat = run_dhat(&scratch, commands[_i]);
	ck_assert_int_eq(tracealloc_run(&scratch, NULL, commands[_i], &report), 0);
	ck_assert_int_gt(report_total(&report, "total_blocks"), 10);
	expect_totals(&report, dhat, commands[_i][0]);
}
END_TEST

/*
 * perl keeps its environment in a table of its own, so it must be the one that valgrind gives to
 * what it runs: a line each.
 */
static int call_in(const struct scratch *scratch, char *variables, const char *const command[])
{
	enum { WORDS = 256 };
	const char *words[WORDS] = {"env", "-i"};
	size_t count = 2;
	for (char *save, *line = strtok_r(variables, "\n", &save); line && count < WORDS - 16;
	     line = strtok_r(NULL, "\n", &save))
		words[count++] = line;
	for (size_t i = 0; command[i]; i++)
		words[count++] = command[i];
	return process_call(scratch, "traced", words);
}

START_TEST(perl_has_the_totals_of_dhat)
{
	static const char *const programs[] = {
		"1", "my %h; $h{$_}=\"x$_\" for 1..2000; print scalar keys %h",
		"my $s=join \"\", map {\"y\"x$_} 1..300; $s=~s/(y+)/z$1/g for 1..20; print $s"};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	if (!have("valgrind") || !have("perl"))
		return;
	scratch_make(&scratch);
	_cleanup_free_ char *path = strdup(getenv("PATH"));
	clearenv();
	setenv("PATH", path, 1);
	setenv("PERL_HASH_SEED", "0", 1);
	setenv("PERL_PERTURB_KEYS", "0", 1);
	_cleanup_json_ json_t *dhat = run_dhat(&scratch, ARGV("perl", "-e", programs[_i]));
	ck_assert_int_eq(
		process_call(&scratch, "environment",
			     ARGV("valgrind", "--tool=dhat", "--dhat-out-file=/dev/null", "env")),
		0);
	_cleanup_free_ char *variables = tracealloc_text(&scratch, "environment.out");
	_cleanup_free_ char *tracealloc = suite_tracealloc();
	_cleanup_free_ char *json = scratch_file(&scratch, "report.json");
	ck_assert_int_eq(call_in(&scratch, variables,
				 ARGV(tracealloc, "run", "--format", "json", "--top", "100000",
				      "--report", json, "perl", "-e", programs[_i])),
			 0);
	tracealloc_report(&scratch, &report);
	expect_totals(&report, dhat, "perl");
}
END_TEST

/* The number after text, thousands separated by commas. */
static int64_t number_after(const char *all, const char *text)
{
	const char *at = strstr(all, text);
	int64_t number = 0;
	ck_assert_msg(at != NULL, "no \"%s\" in %s", text, all);
	for (at += strlen(text); (*at >= '0' && *at <= '9') || *at == ','; at++)
		number = *at == ',' ? number : number * 10 + (*at - '0');
	return number;
}

START_TEST(totals_are_those_of_memcheck)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	if (!have("valgrind"))
		return;
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_target("calls");
	ck_assert_int_eq(process_call(&scratch, "memcheck", ARGV("valgrind", program, "plain")), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "memcheck.err");
	ck_assert_int_eq(tracealloc_run(&scratch, NULL, ARGV(program, "plain"), &report), 0);
	ck_assert_int_eq(number_after(text, "heap usage: "), report_total(&report, "total_blocks"));
	ck_assert_int_eq(number_after(text, " allocs, "), report_total(&report, "released_blocks"));
	ck_assert_int_eq(number_after(text, " frees, "), report_total(&report, "total_bytes"));
}
END_TEST

/* heaptrack's "5.32M": what it prints of a number of bytes. */
static void heaptrack_size(int64_t bytes, char text[32])
{
	static const char *const units[] = {"B", "K", "M", "G"};
	double value = (double)bytes;
	size_t unit = 0;
	for (; value > 1000 && unit < 3; unit++)
		value /= 1000;
	snprintf(text, 32, unit ? "%.2f%s" : "%.0f%s", value, units[unit]);
}

START_TEST(totals_are_those_of_heaptrack)
{
	/* Its own library in the target brings libstdc++, which sets memory aside. */
	enum { OWN_BYTES = 72704, OWN_BLOCKS = 1 };
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	if (!have("heaptrack") || !have("heaptrack_print"))
		return;
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_target("calls");
	_cleanup_free_ char *data = scratch_file(&scratch, "trace");
	ck_assert_int_eq(process_call(&scratch, "heaptrack",
				      ARGV("heaptrack", "-o", data, program, "plain")),
			 0);
	char command[256], peak[32];
	snprintf(command, sizeof command, "exec heaptrack_print -f %s.zst", data);
	ck_assert_int_eq(process_call(&scratch, "print", ARGV("sh", "-c", command)), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "print.out");
	ck_assert_int_eq(tracealloc_run(&scratch, NULL, ARGV(program, "plain"), &report), 0);
	ck_assert_int_eq(number_after(text, "calls to allocation functions: "),
			 report_total(&report, "total_blocks") + OWN_BLOCKS);
	heaptrack_size(report_total(&report, "peak_bytes") + OWN_BYTES, peak);
	const char *at = strstr(text, "peak heap memory consumption: ");
	ck_assert_ptr_nonnull(at);
	at += strlen("peak heap memory consumption: ");
	ck_assert_msg(strncmp(at, peak, strlen(peak)) == 0, "not %s: %.20s", peak, at);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("oracles");
	TCase *tests = suite_case(suite, "oracles", 120);

	tcase_add_test(tests, the_breakdown_at_the_peak_is_that_of_dhat);
	tcase_add_loop_test(tests, other_peoples_programs_have_the_totals_of_dhat, 0,
			    sizeof commands / sizeof *commands);
	tcase_add_loop_test(tests, perl_has_the_totals_of_dhat, 0, 3);
	tcase_add_test(tests, totals_are_those_of_memcheck);
	tcase_add_test(tests, totals_are_those_of_heaptrack);
	return suite_run(suite);
}
