/* SPDX-License-Identifier: MIT */
/* Differences of two runs, and of two builds, in the form of tracemalloc. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/*
 * Keeps, as many blocks as the arguments say: of 1000 bytes (line 8), of 24 (line 10), and of 50
 * (line 12).
 */
static const char source[] = "#include <stdlib.h>\n"			   /* 1 */
			     "static void *volatile kept;\n"		   /* 2 */
			     "int main(int argc, char **argv)\n"	   /* 3 */
			     "{\n"					   /* 4 */
			     "	if (argc < 4)\n"			   /* 5 */
			     "		return 1;\n"			   /* 6 */
			     "	for (int i = atoi(argv[1]); i > 0; i--)\n" /* 7 */
			     "		kept = malloc(1000);\n"		   /* 8 */
			     "	for (int i = atoi(argv[2]); i > 0; i--)\n" /* 9 */
			     "		kept = malloc(24);\n"		   /* 10 */
			     "	for (int i = atoi(argv[3]); i > 0; i--)\n" /* 11 */
			     "		kept = malloc(50);\n"		   /* 12 */
			     "	return 0;\n"				   /* 13 */
			     "}\n";

/* Builds it in a directory of its own, under which its file is called prog.c. */
static void build(const struct scratch *scratch, const char *directory)
{
	_cleanup_free_ char *command = NULL, *file = NULL, *path = NULL;
	path = scratch_file(scratch, directory);
	ck_assert_int_gt(asprintf(&file, "%s.c", path), 0);
	scratch_write(file, source, strlen(source));
	ck_assert_int_gt(
		asprintf(&command,
			 "mkdir %s && mv %s %s/prog.c && cd %s && gcc -g -O0 -o prog prog.c", path,
			 file, path, path),
		0);
	ck_assert_int_eq(process_call(scratch, "gcc", ARGV("sh", "-c", command)), 0);
}

/* Runs the program of a directory; returns the path of its snapshot, which the caller frees. */
static char *run(const struct scratch *scratch, const char *directory, const char *name,
		 const char *const counts[3])
{
	_cleanup_free_ char *program = NULL, *path = scratch_file(scratch, directory);
	char *snapshot = scratch_file(scratch, name);
	ck_assert_int_gt(asprintf(&program, "%s/prog", path), 0);
	int status = tracealloc_call(scratch, ARGV("run", "--output", snapshot, program, counts[0],
						   counts[1], counts[2]));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	return snapshot;
}

static void expect_difference(const struct scratch *scratch, const char *const words[],
			      const char *want)
{
	int status = tracealloc_call(scratch, words);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	_cleanup_free_ char *got = tracealloc_text(scratch, "call.out");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	ck_assert_str_eq(got, want);
}

START_TEST(two_runs_differ_as_their_arguments_do)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	build(&scratch, "a");
	_cleanup_free_ char *old = run(&scratch, "a", "old", (const char *[]){"10", "100", "0"});
	_cleanup_free_ char *new = run(&scratch, "a", "new", (const char *[]){"50", "0", "7"});
	expect_difference(&scratch, ARGV("diff", "-q", old, new),
			  "[ Top 10 differences ]\n"
			  "prog.c:8: size=48.8 KiB (+39.1 KiB), count=50 (+40), average=1000 B\n"
			  "prog.c:10: size=0 B (-2400 B), count=0 (-100)\n"
			  "prog.c:12: size=350 B (+350 B), count=7 (+7), average=50 B\n");
	expect_difference(&scratch, ARGV("diff", "-q", "--show=count", "--top=1", new, old),
			  "[ Top 1 differences ]\n"
			  "prog.c:10: size=2400 B (+2400 B), count=100 (+100), average=24 B\n");
	expect_difference(
		&scratch,
		ARGV("diff", "-q", "--group-by=function", "--exclude=line=prog.c:8", old, new),
		"[ Top 10 differences ]\n"
		"main (prog.c): size=350 B (-2050 B), count=7 (-93), average=50 B\n");
	expect_difference(&scratch, ARGV("diff", "-q", "--min-size=1KiB", "--top=2", old, old),
			  "[ Top 2 differences ]\n");
}
END_TEST

START_TEST(two_builds_of_two_directories_match)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	build(&scratch, "a");
	build(&scratch, "b");
	_cleanup_free_ char *old = run(&scratch, "a", "old", (const char *[]){"3", "3", "3"});
	_cleanup_free_ char *new = run(&scratch, "b", "new", (const char *[]){"3", "3", "4"});
	expect_difference(&scratch, ARGV("diff", "-q", old, new),
			  "[ Top 10 differences ]\n"
			  "prog.c:12: size=200 B (+50 B), count=4 (+1), average=50 B\n"
			  "prog.c:8: size=3000 B (+0 B), count=3 (+0), average=1000 B\n"
			  "prog.c:10: size=72 B (+0 B), count=3 (+0), average=24 B\n");
	expect_difference(&scratch, ARGV("diff", "-q", "-gmodule", old, new),
			  "[ Top 10 differences ]\n"
			  "prog: size=3272 B (+50 B), count=10 (+1), average=327 B\n");
}
END_TEST

START_TEST(the_json_form_has_both_sides)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	build(&scratch, "a");
	_cleanup_free_ char *old = run(&scratch, "a", "old", (const char *[]){"10", "100", "0"});
	_cleanup_free_ char *new = run(&scratch, "a", "new", (const char *[]){"50", "0", "7"});
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("diff", "--format=json", old, new)), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.out");
	report.root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(report.root);
	const json_t *rows = json_object_get(report.root, "rows");
	ck_assert_uint_eq(json_array_size(rows), 3);
	static const json_int_t bytes[] = {40000, -2400, 350}, blocks[] = {40, -100, 7};
	for (size_t i = 0; i < 3; i++) {
		const json_t *row = json_array_get(rows, i);
		ck_assert_int_eq(json_integer_value(json_object_get(row, "bytes_diff")), bytes[i]);
		ck_assert_int_eq(json_integer_value(json_object_get(row, "blocks_diff")),
				 blocks[i]);
	}
	ck_assert_int_eq(json_integer_value(json_object_get(report.root, "bytes_diff")), 37950);
}
END_TEST

START_TEST(what_cannot_be_compared_is_told)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	build(&scratch, "a");
	_cleanup_free_ char *old = run(&scratch, "a", "old", (const char *[]){"1", "1", "1"});
	_cleanup_free_ char *text_file = scratch_file(&scratch, "text");
	scratch_write(text_file, "text", 4);
	int status = tracealloc_call(&scratch, ARGV("diff", old, text_file));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_ptr_nonnull(strstr(errors, "text': it is no snapshot of tracealloc\n"));
	status = tracealloc_call(&scratch, ARGV("diff", old));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diff");
	TCase *tests = suite_case(suite, "diff", 120);

	tcase_add_test(tests, two_runs_differ_as_their_arguments_do);
	tcase_add_test(tests, two_builds_of_two_directories_match);
	tcase_add_test(tests, the_json_form_has_both_sides);
	tcase_add_test(tests, what_cannot_be_compared_is_told);
	return suite_run(suite);
}
