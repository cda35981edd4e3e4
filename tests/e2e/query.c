/* SPDX-License-Identifier: MIT */
/*
 * Questions to a program that counts for itself: whole stacks, cumulative sums, lifetimes, filters,
 * several snapshots at once.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/*
 * 40 blocks of 100 bytes through leaf (line 5), 30 of them by way of recurse, which stands on the
 * stack twice (lines 10 and 12); 5 blocks of 1000 bytes of main's own (line 20), released at once.
 */
static const char source[] = "#include <stdlib.h>\n"				   /* 1 */
			     "static void *volatile kept[64];\n"		   /* 2 */
			     "__attribute__((noinline)) static void *leaf(void)\n" /* 3 */
			     "{\n"						   /* 4 */
			     "	void *p = malloc(100);\n"			   /* 5 */
			     "	return p;\n"					   /* 6 */
			     "}\n"						   /* 7 */
			     "__attribute__((noinline)) static void recurse(int i, int deep)\n"
			     "{\n"						   /* 9 */
			     "	if (!deep) { kept[i] = leaf();\n"		   /* 10 */
			     "	} else\n"					   /* 11 */
			     "		recurse(i, deep - 1);\n"		   /* 12 */
			     "	kept[0] = kept[0];\n"				   /* 13 */
			     "}\n"						   /* 14 */
			     "int main(void)\n"					   /* 15 */
			     "{\n"						   /* 16 */
			     "	for (int i = 0; i < 30; i++) recurse(i, 2);\n"	   /* 17 */
			     "	for (int i = 30; i < 40; i++) kept[i] = leaf();\n" /* 18 */
			     "	for (int i = 0; i < 5; i++) {\n"		   /* 19 */
			     "		kept[63] = malloc(1000);\n"		   /* 20 */
			     "		free(kept[63]);\n"			   /* 21 */
			     "	}\n"						   /* 22 */
			     "	return 0;\n"					   /* 23 */
			     "}\n";						   /* 24 */

struct fixture {
	struct scratch scratch;
	char *program;
	char *snapshot;
};

static void fixture_free(struct fixture *fixture)
{
	free(fixture->program);
	free(fixture->snapshot);
	scratch_remove(&fixture->scratch);
}
#define _cleanup_fixture_ __attribute__((__cleanup__(fixture_free)))

static void run(struct fixture *fixture)
{
	int status = tracealloc_call(&fixture->scratch,
				     ARGV("run", "--output", fixture->snapshot, fixture->program));
	_cleanup_free_ char *errors = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
}

/* Builds the program, runs it and keeps the snapshot. */
static void prepare(struct fixture *ret)
{
	scratch_make(&ret->scratch);
	_cleanup_free_ char *file = scratch_file(&ret->scratch, "asked.c");
	ret->program = scratch_file(&ret->scratch, "asked");
	ret->snapshot = scratch_file(&ret->scratch, "a.snapshot");
	scratch_write(file, source, strlen(source));
	ck_assert_int_eq(process_call(&ret->scratch, "gcc",
				      ARGV("gcc", "-g", "-O1", "-fno-optimize-sibling-calls", "-o",
					   ret->program, file)),
			 0);
	run(ret);
}

/* What `tracealloc report -q SNAPSHOT OPTIONS...` prints; the caller frees it. */
static char *ask(const struct fixture *fixture, const char *const options[])
{
	const char *words[24] = {"report", "-q", fixture->snapshot};
	size_t count = 3;
	for (size_t i = 0; options[i]; i++)
		words[count++] = options[i];
	int status = tracealloc_call(&fixture->scratch, words);
	_cleanup_free_ char *errors = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	return tracealloc_text(&fixture->scratch, "call.out");
}

/* The lines of text without the directory of the fixture in their labels. */
static char *shortened(const struct fixture *fixture, char *text)
{
	_cleanup_free_ char *given = text;
	char *out = strdup(text), *to = out;
	size_t length = strlen(fixture->scratch.path);
	for (const char *from = given; *from;) {
		if (strncmp(from, fixture->scratch.path, length) == 0)
			from += length + 1;
		else
			*to++ = *from++;
	}
	*to = 0;
	return out;
}

static void expect_answer(const struct fixture *fixture, const char *const options[],
			  const char *want)
{
	_cleanup_free_ char *got = shortened(fixture, ask(fixture, options));
	ck_assert_str_eq(got, want);
}

START_TEST(a_traceback_has_tracemallocs_form)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	_cleanup_free_ char *text =
		shortened(&fixture, ask(&fixture, ARGV("--show=total", "-gtraceback",
						       "--filter=file=*asked.c", "--top=2")));
	const char *first = "Top 2 tracebacks\n5 memory blocks: 4.9 KiB\n";
	const char *main_frame = "  File \"asked.c\", line 20\n    kept[63] = malloc(1000);\n"
				 "30 memory blocks: 2.9 KiB\n";
	const char *deep = "  File \"asked.c\", line 17\n"
			   "    for (int i = 0; i < 30; i++) recurse(i, 2);\n"
			   "  File \"asked.c\", line 12\n    recurse(i, deep - 1);\n"
			   "  File \"asked.c\", line 12\n    recurse(i, deep - 1);\n"
			   "  File \"asked.c\", line 10\n    if (!deep) { kept[i] = leaf();\n"
			   "  File \"asked.c\", line 5\n    void *p = malloc(100);\n"
			   "1 other: 1.0 KiB\nTotal allocated size: 8.8 KiB\n";
	ck_assert_msg(strncmp(text, first, strlen(first)) == 0, "%s", text);
	ck_assert_msg(strstr(text, main_frame) != NULL, "no\n%sin\n%s", main_frame, text);
	ck_assert_msg(strstr(text, deep) != NULL, "no\n%sin\n%s", deep, text);
}
END_TEST

START_TEST(a_cumulative_sum_counts_recursion_once)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	expect_answer(&fixture,
		      ARGV("--show=count", "--cumulative", "--filter=file=*asked.c", "--top=6",
			   "--exclude=line=*:20", "--group-by=function", "--skip=_start"),
		      "Top 6 functions\n"
		      "#1: main (asked.c): 40 blocks\n"
		      "#2: leaf (asked.c): 40 blocks\n"
		      "#3: recurse (asked.c): 30 blocks\n"
		      "Total allocated blocks: 40\n");
	expect_answer(&fixture,
		      ARGV("--show=total", "--cumulative", "--filter=function=leaf", "--top=9",
			   "--skip=_start"),
		      "Top 9 lines\n"
		      "#1: asked.c:5: 3.9 KiB\n    void *p = malloc(100);\n"
		      "#2: asked.c:17: 2.9 KiB\n    for (int i = 0; i < 30; i++) recurse(i, 2);\n"
		      "#3: asked.c:12: 2.9 KiB\n    recurse(i, deep - 1);\n"
		      "#4: asked.c:10: 2.9 KiB\n    if (!deep) { kept[i] = leaf();\n"
		      "#5: asked.c:18: 1.0 KiB\n"
		      "    for (int i = 30; i < 40; i++) kept[i] = leaf();\n"
		      "Total allocated size: 3.9 KiB\n");
}
END_TEST

START_TEST(temporary_blocks_are_those_released_before_the_next)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	expect_answer(&fixture, ARGV("--show=temporary", "--filter=file=*asked.c"),
		      "Top 10 lines\n"
		      "#1: asked.c:20: 5 blocks\n    kept[63] = malloc(1000);\n"
		      "Total temporary blocks: 5\n");
}
END_TEST

START_TEST(filters_of_both_kinds_combine)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	static const struct {
		const char *options[6];
		const char *total;
	} questions[] = {
		{{"--filter=function=leaf"}, "Total allocated blocks: 40\n"},
		{{"--filter=function=leaf", "--filter=line=*asked.c:20"},
		 "Total allocated blocks: 45\n"},
		{{"--filter=file=*asked.c", "--exclude=function=leaf"},
		 "Total allocated blocks: 5\n"},
		{{"--filter=function=recurse"}, "Total allocated blocks: 0\n"},
		{{"--filter=function=recurse", "--all-frames"}, "Total allocated blocks: 30\n"},
		{{"--filter=file=*asked.c", "--exclude=function=recurse", "--all-frames"},
		 "Total allocated blocks: 15\n"},
		{{"--filter=module=asked", "--exclude=line=*asked.c:18", "--all-frames"},
		 "Total allocated blocks: 35\n"},
	};
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		const char *words[8] = {"--show=count"};
		for (size_t k = 0; k < 6; k++)
			words[k + 1] = questions[i].options[k];
		_cleanup_free_ char *text = ask(&fixture, words);
		ck_assert_msg(strstr(text, questions[i].total) != NULL, "no \"%s\" in\n%s",
			      questions[i].total, text);
	}
}
END_TEST

START_TEST(filters_answer_alike_live_and_saved)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	const char *live_words[] = {"run",
				    "--quiet",
				    "--show=total",
				    "--all-frames",
				    "--filter=function=recurse",
				    "--cumulative",
				    fixture.program,
				    NULL};
	ck_assert_int_eq(tracealloc_call(&fixture.scratch, live_words), 0);
	_cleanup_free_ char *live = tracealloc_text(&fixture.scratch, "call.err");
	_cleanup_free_ char *saved =
		ask(&fixture, ARGV("--show=total", "--all-frames", "--filter=function=recurse",
				   "--cumulative"));
	ck_assert_uint_gt(strlen(live), 100);
	ck_assert_str_eq(live, saved);
}
END_TEST

START_TEST(rows_below_the_least_size_are_other)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	expect_answer(&fixture, ARGV("--show=total", "--filter=file=*asked.c", "--min-size=4001"),
		      "Top 10 lines\n"
		      "#1: asked.c:20: 4.9 KiB\n    kept[63] = malloc(1000);\n"
		      "1 other: 3.9 KiB\n"
		      "Total allocated size: 8.8 KiB\n");
}
END_TEST

START_TEST(several_snapshots_are_summed_up_and_their_processes_kept)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	_cleanup_free_ char *first = fixture.snapshot;
	fixture.snapshot = scratch_file(&fixture.scratch, "b.snapshot");
	run(&fixture);
	expect_answer(&fixture, ARGV("--show=count", "--filter=file=*asked.c", first),
		      "Top 10 lines\n"
		      "#1: asked.c:5: 80 blocks\n    void *p = malloc(100);\n"
		      "#2: asked.c:20: 10 blocks\n    kept[63] = malloc(1000);\n"
		      "Total allocated blocks: 90\n");
	_cleanup_free_ char *text =
		ask(&fixture, ARGV("--show=count", "--filter=file=*asked.c", "-gprocess", first));
	const char *row = strstr(text, "#1: ");
	ck_assert_ptr_nonnull(row);
	ck_assert_ptr_nonnull(strstr(row, "): 45 blocks\n#2: "));
	ck_assert_ptr_nonnull(strstr(row, "): 45 blocks\nTotal allocated blocks: 90\n"));
}
END_TEST

/* A block that lives at least 50 ms between its line and its release, four that live less. */
static const char sleeper[] = "#include <stdlib.h>\n"
			      "#include <unistd.h>\n"
			      "int main(void)\n"
			      "{\n"
			      "	void *volatile kept = malloc(10);\n"
			      "	usleep(50000);\n"
			      "	free(kept);\n"
			      "	for (int i = 0; i < 4; i++) {\n"
			      "		kept = malloc(20);\n"
			      "		free(kept);\n"
			      "	}\n"
			      "	return 0;\n"
			      "}\n";

START_TEST(lifetimes_are_those_that_were_slept)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = scratch_file(&scratch, "sleeper.c");
	_cleanup_free_ char *program = scratch_file(&scratch, "sleeper");
	scratch_write(file, sleeper, strlen(sleeper));
	ck_assert_int_eq(
		process_call(&scratch, "gcc", ARGV("gcc", "-g", "-O0", "-o", program, file)), 0);
	_cleanup_free_ char *path = scratch_file(&scratch, "report.json");
	/* Every call has a time of its own. */
	ck_assert_int_eq(
		tracealloc_call(&scratch, ARGV("run", "--engine=breakpoint", "--format=json",
					       "--show=lifetime", "--filter=file=*sleeper.c",
					       "--report", path, program)),
		0);
	_cleanup_free_ char *text = scratch_read(path, NULL);
	report.root = json_loads(text, 0, NULL);
	const json_t *rows = json_object_get(report.root, "rows");
	ck_assert_uint_eq(json_array_size(rows), 2);
	const json_t *slow = json_array_get(rows, 0), *fast = json_array_get(rows, 1);
	ck_assert_int_eq(json_integer_value(json_object_get(slow, "line")), 5);
	ck_assert_int_eq(json_integer_value(json_object_get(fast, "line")), 9);
	ck_assert_int_ge(json_integer_value(json_object_get(slow, "mean_lifetime_ns")), 50000000);
	ck_assert_int_eq(json_integer_value(json_object_get(fast, "blocks")), 4);
	ck_assert_int_lt(json_integer_value(json_object_get(fast, "mean_lifetime_ns")),
			 json_integer_value(json_object_get(slow, "mean_lifetime_ns")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query");
	TCase *tests = suite_case(suite, "query", 120);

	tcase_add_test(tests, a_traceback_has_tracemallocs_form);
	tcase_add_test(tests, a_cumulative_sum_counts_recursion_once);
	tcase_add_test(tests, temporary_blocks_are_those_released_before_the_next);
	tcase_add_test(tests, filters_of_both_kinds_combine);
	tcase_add_test(tests, filters_answer_alike_live_and_saved);
	tcase_add_test(tests, rows_below_the_least_size_are_other);
	tcase_add_test(tests, several_snapshots_are_summed_up_and_their_processes_kept);
	tcase_add_test(tests, lifetimes_are_those_that_were_slept);
	return suite_run(suite);
}
