/* SPDX-License-Identifier: MIT */
/*
 * The line of every block against gdb's: gdb stops at each call of the allocator and prints the
 * whole stack with inlined functions; the charge rule is applied to that text in the plainest way,
 * and the number of blocks a line must be that of the report.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { LINES_MAX = 256, PLACE_MAX = 256 };

struct tally {
	struct {
		char place[PLACE_MAX]; /* file:line, as gdb has it; "" for stacks without any line
					*/
		int64_t blocks;
	} lines[LINES_MAX];
	size_t count;
	int64_t calls;
};

/* Every stop prints a mark, so that one stack can be told from the next. */
static const char gdb_script[] = "set pagination off\n"
				 "set width 0\n"
				 "set confirm off\n"
				 "set debuginfod enabled off\n"
				 "set print frame-arguments none\n"
				 "break main\n"
				 "run\n"
				 "delete\n"
				 "break *malloc\nbreak *calloc\nbreak *realloc\n"
				 "commands 2-4\n"
				 "silent\n"
				 "echo stop\\n\n"
				 "bt 40\n"
				 "continue\n"
				 "end\n"
				 "continue\n";

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* The function's name in "#3  0x5555 in name (...) at file:line" or "#3  name (...) ...". */
static const char *function_of(const char *frame)
{
	const char *name = frame + strcspn(frame, " ");

	name += strspn(name, " ");
	if (starts_with(name, "0x")) {
		const char *in = strstr(name, " in ");
		return in ? in + strlen(" in ") : name;
	}
	return name;
}

static bool names(const char *function, const char *name)
{
	size_t length = strlen(name);

	return starts_with(function, name) && function[length] == ' ';
}

static bool is_allocator(const char *function)
{
	static const char *const allocators[] = {
		"malloc",
		"__libc_malloc",
		"__GI___libc_malloc",
		"calloc",
		"__libc_calloc",
		"realloc",
		"__libc_realloc",
		"__GI___libc_realloc",
		"reallocarray",
		"__libc_reallocarray",
		"__GI___libc_reallocarray",
	};

	for (size_t i = 0; i < sizeof(allocators) / sizeof(*allocators); i++) {
		if (names(function, allocators[i]))
			return true;
	}
	return false;
}

static bool is_wrapper(const char *function, const char *place)
{
	return is_allocator(function) || starts_with(function, "operator new") ||
	       starts_with(function, "std::") || starts_with(function, "__gnu_cxx::") ||
	       strstr(place, "/include/c++/") != NULL;
}

/*
 * Debian's C library is compiled in its own top directory, so its sources have relative names;
 * those of the targets have not, or begin with a name.
 */
static bool is_runtime(const char *place)
{
	return starts_with(place, "./") || starts_with(place, "../");
}

/* The place in "... at file:line", or "". */
static void place_of(const char *frame, char ret[PLACE_MAX])
{
	const char *end = frame + strcspn(frame, "\n");
	const char *at = NULL;

	for (const char *next = frame; (next = strstr(next, ") at ")) && next < end; next++)
		at = next + strlen(") at ");
	snprintf(ret, PLACE_MAX, "%.*s", at ? (int)(end - at) : 0, at ? at : "");
}

static void add_call(struct tally *tally, const char *place)
{
	size_t i = 0;

	tally->calls++;
	while (i < tally->count && strcmp(tally->lines[i].place, place) != 0)
		i++;
	if (i == LINES_MAX)
		ck_abort_msg("too many lines");
	if (i == tally->count)
		snprintf(tally->lines[tally->count++].place, PLACE_MAX, "%s", place);
	tally->lines[i].blocks++;
}

/* One stack, from "#0" on. A call made by the allocator itself is no call of its own. */
static void add_stack(struct tally *tally, const char *stack)
{
	const char *frame = stack;
	char place[PLACE_MAX];

	for (int depth = 0; frame && *frame == '#'; depth++) {
		const char *function = function_of(frame);

		place_of(frame, place);
		if (depth == 1 && is_allocator(function) && !names(function, "reallocarray") &&
		    !names(function, "__libc_reallocarray"))
			return;
		if (place[0] && !is_wrapper(function, place) && !is_runtime(place)) {
			add_call(tally, place);
			return;
		}
		frame = strchr(frame, '\n');
		frame = frame ? frame + 1 : NULL;
	}
	add_call(tally, "");
}

static void ask_gdb(const struct scratch *scratch, const char *const command[], struct tally *ret)
{
	static const char mark[] = "\nstop\n";
	_cleanup_free_ char *script = scratch_file(scratch, "gdb-script");
	const char *argv[16] = {"gdb", "-nx", "-batch", "-x", script, "--args"};

	for (size_t i = 0; command[i]; i++)
		argv[6 + i] = command[i];
	*ret = (struct tally){0};
	scratch_write(script, gdb_script, strlen(gdb_script));
	process_call(scratch, "gdb", argv);
	_cleanup_free_ char *text = tracealloc_text(scratch, "gdb.out");
	ck_assert_msg(strstr(text, "exited") != NULL, "gdb did not come to the end: see %s",
		      script);
	for (const char *at = text; (at = strstr(at, mark)); at += strlen(mark) - 1)
		add_stack(ret, at + strlen(mark));
}

static void expect_tally(const struct tally *tally, const struct report *report)
{
	for (size_t i = 0; i < tally->count; i++) {
		const char *place = tally->lines[i].place;
		const char *colon = strrchr(place, ':');

		if (!colon)
			continue;
		_cleanup_free_ char *file = strndup(place, (size_t)(colon - place));
		struct report_figures row = report_at(report, file, atoi(colon + 1));
		ck_assert_msg(row.total_blocks == tally->lines[i].blocks,
			      "%s: %jd blocks, but gdb saw %jd calls", place,
			      (intmax_t)row.total_blocks, (intmax_t)tally->lines[i].blocks);
	}
}

static void expect_gdbs_lines(const char *program, const char *argument, int64_t before_main)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	static struct tally tally;

	scratch_make(&scratch);
	if (process_call(&scratch, "which", ARGV("which", "gdb")) != 0) {
		suite_skip("gdb is not installed");
		return;
	}
	ask_gdb(&scratch, ARGV(program, argument), &tally);
	ck_assert_int_ge(tally.calls, 20);
	for (int engine = 0; engine < ENGINES; engine++) {
		_cleanup_report_ struct report report = {0};

		tracealloc_run(
			&scratch,
			ARGV("--engine", engine_name(engine), "--show", "total", "--depth", "200"),
			ARGV(program, argument), &report);
		ck_assert_int_eq(report_total(&report, "total_blocks"), tally.calls + before_main);
		expect_tally(&tally, &report);
	}
}

START_TEST(lines_of_c_are_those_of_gdb)
{
	_cleanup_free_ char *program = suite_target("peaks");

	expect_gdbs_lines(program, NULL, 0);
}
END_TEST

START_TEST(lines_of_inlined_functions_are_those_of_gdb)
{
	_cleanup_free_ char *program = suite_target("inlined");

	expect_gdbs_lines(program, "30", 0);
}
END_TEST

START_TEST(lines_of_templates_are_those_of_gdb)
{
	_cleanup_free_ char *program = suite_target("dictionary");

	/* One block is the C++ library's reserve for exceptions, made before main. */
	expect_gdbs_lines(program, "40", 1);
}
END_TEST

START_TEST(lines_of_differently_compiled_programs_are_those_of_gdb)
{
	static const char *const variants[][4] = {
		{"-O0", "-g", "-std=gnu++17"},
		{"-O3", "-g", "-flto"},
		{"-O2", "-g", "-gdwarf-4"},
		{"-O2", "-g", "-ffunction-sections"},
	};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "dictionary.cc", "variant", variants[_i]);
	expect_gdbs_lines(program, "25", 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *gdb_case = suite_case(suite, "gdb", 180);

	tcase_add_test(gdb_case, lines_of_c_are_those_of_gdb);
	tcase_add_test(gdb_case, lines_of_inlined_functions_are_those_of_gdb);
	tcase_add_test(gdb_case, lines_of_templates_are_those_of_gdb);
	tcase_add_loop_test(gdb_case, lines_of_differently_compiled_programs_are_those_of_gdb, 0,
			    4);
	return suite_run(suite);
}
