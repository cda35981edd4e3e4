/* SPDX-License-Identifier: MIT */
/*
 * Kinds of executables: however a program was compiled, linked, stripped and described, its counts
 * are those that it made itself, through either engine, on the right lines. One row of the table is
 * one program.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

enum lines {
	LINES,	  /* each line has its count */
	NO_LINES, /* only totals are known */
};

/*
 * Built by the shell in a directory of its own: $S is the source, $F are flags that all need, $P
 * the program to be made.
 */
static const struct {
	const char *name, *build;
	enum lines lines;
} rows[] = {
	{"position-independent", "gcc -O2 -g -pie -fPIE $F $S -o $P", LINES},
	{"position-dependent", "gcc -O2 -g -no-pie -fno-pie $F $S -o $P", LINES},
	{"static", "gcc -O2 -g -static $F $S -o $P", LINES},
	{"static-pie", "gcc -O2 -g -static-pie -fPIE $F $S -o $P", LINES},
	{"stripped", "gcc -O2 -g $F $S -o $P; strip $P", NO_LINES},
	{"no section headers", "gcc -O2 -g $F $S -o $P.0; llvm-objcopy --strip-sections $P.0 $P",
	 NO_LINES},
	{"debug file by link",
	 "gcc -O2 -g -Wl,--build-id=none $F $S -o $P; objcopy --only-keep-debug $P $P.debug; "
	 "strip $P; objcopy --add-gnu-debuglink=$P.debug $P",
	 LINES},
	{"static, debug file by link",
	 "gcc -O2 -g -static $F $S -o $P; objcopy --only-keep-debug $P $P.debug; strip $P; "
	 "objcopy --add-gnu-debuglink=$P.debug $P",
	 LINES},
	{"static, .gnu_debugdata",
	 "gcc -O2 -g -static $F $S -o $P; nm -f posix --defined-only $P | "
	 "awk '$2 ~ /[tTwWiI]/ {print $1}' > names; objcopy --only-keep-debug $P $P.0; "
	 "objcopy -S --remove-section .comment --keep-symbols=names $P.0 $P.1; strip $P; "
	 "xz $P.1; objcopy --add-section .gnu_debugdata=$P.1.xz $P",
	 NO_LINES},
	{"LTO, gcc", "gcc -O2 -g -flto $F $S -o $P", LINES},
	{"LTO, clang", "clang -O2 -g -flto -fuse-ld=lld $F $S -o $P", LINES},
	{"-O3 -fipa-ra", "gcc -O3 -g -fipa-ra $F $S -o $P", LINES},
	{"-Os", "gcc -Os -g $F $S -o $P", LINES},
	{"-fomit-frame-pointer", "gcc -O2 -g -fomit-frame-pointer $F $S -o $P", LINES},
	{"-fno-omit-frame-pointer", "gcc -O0 -g -fno-omit-frame-pointer $F $S -o $P", LINES},
	{"no unwind tables",
	 "gcc -O2 -g -fno-asynchronous-unwind-tables -fno-unwind-tables $F $S -o $P", LINES},
	{"-z now", "gcc -O2 -g -Wl,-z,now,-z,relro $F $S -o $P", LINES},
	{"-z lazy", "gcc -O2 -g -Wl,-z,lazy $F $S -o $P", LINES},
	{"-fno-plt", "gcc -O2 -g -fno-plt $F $S -o $P", LINES},
	{"-z noseparate-code", "gcc -O2 -g -Wl,-z,noseparate-code $F $S -o $P", LINES},
	{"packed relocations", "gcc -O2 -g -Wl,-z,pack-relative-relocs $F $S -o $P", LINES},
	{"CET", "gcc -O2 -g -fcf-protection=full $F $S -o $P", LINES},
	{"retpolines",
	 "gcc -O2 -g -mindirect-branch=thunk -mfunction-return=thunk-inline $F $S -o $P", LINES},
	{"gold", "gcc -O2 -g -fuse-ld=gold $F $S -o $P", LINES},
	{"lld", "clang -O2 -g -fuse-ld=lld $F $S -o $P", LINES},
	{"lld, folded",
	 "clang -O2 -g -ffunction-sections -fuse-ld=lld -Wl,--icf=all,--gc-sections $F $S -o $P",
	 LINES},
	{"DWARF 3", "gcc -O2 -gdwarf-3 $F $S -o $P", LINES},
	{"DWARF 4", "gcc -O2 -gdwarf-4 $F $S -o $P", LINES},
	{"DWARF 5", "gcc -O2 -gdwarf-5 $F $S -o $P", LINES},
	{"DWARF 4, clang", "clang -O2 -gdwarf-4 $F $S -o $P", LINES},
	{"DWARF 5, clang", "clang -O2 -gdwarf-5 $F $S -o $P", LINES},
	{"-g1", "gcc -O2 -g1 $F $S -o $P", LINES},
	{"line tables only", "clang -O2 -gline-tables-only $F $S -o $P", LINES},
	{"type units", "gcc -O2 -g -fdebug-types-section $F $S -o $P", LINES},
	{"split, .dwo", "gcc -O2 -g -gsplit-dwarf $F $S -o $P", LINES},
	{"split, DWARF 4", "gcc -O2 -gdwarf-4 -gsplit-dwarf $F $S -o $P", LINES},
	{"split, clang", "clang -O2 -g -gsplit-dwarf $F $S -o $P", LINES},
	{"split, .dwp", "gcc -O2 -gdwarf-4 -gsplit-dwarf $F $S -o $P; dwp -e $P; rm -f *.dwo",
	 LINES},
	{"split, nothing left", "gcc -O2 -g -gsplit-dwarf $F $S -o $P; rm -f *.dwo", LINES},
	{"packed with zlib", "gcc -O2 -g -gz=zlib $F $S -o $P", LINES},
	{"packed as .zdebug", "gcc -O2 -g -gz=zlib-gnu $F $S -o $P", LINES},
	{"dwz", "gcc -O2 -g $F $S -o $P; dwz $P", LINES},
	{"dwz, common file", "gcc -O2 -g $F $S -o $P; cp $P $P.0; dwz -m common.debug $P $P.0",
	 LINES},
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

/* The row's program, or NULL where the compiler in this place knows no such thing. */
static char *build(const struct scratch *scratch, int row)
{
	_cleanup_free_ char *source = suite_source("calls.c");
	_cleanup_free_ char *script = NULL;
	_cleanup_free_ char *include = suite_source("");
	char *program = scratch_file(scratch, "program");

	ck_assert_int_gt(asprintf(&script,
				  "set -e; cd '%s'; S='%s'; P=program; "
				  "F='-std=gnu11 -D_GNU_SOURCE -w -I%s'; %s",
				  scratch->path, source, include, rows[row].build),
			 0);
	if (process_call(scratch, "build", ARGV("sh", "-c", script)) != 0) {
		_cleanup_free_ char *errors = tracealloc_text(scratch, "build.err");
		ck_abort_msg("%s: cannot be built: %s", rows[row].name, errors);
	}
	return program;
}

/* A static C library's loader allocates before main, where it can be named. */
static void expect_row(const struct scratch *scratch, int row, const struct report *report)
{
	_cleanup_json_ json_t *truth = truth_load(scratch, "traced.out");
	struct report_figures loader = report_labelled(report, "_dl_");

	truth_expect_totals(truth, report, loader.total_blocks, loader.total_bytes);
	if (rows[row].lines == LINES)
		truth_expect_lines(truth, report, "total");
}

START_TEST(every_kind_is_counted_as_it_counts_itself)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, _i);
	for (int engine = 0; engine < ENGINES; engine++) {
		_cleanup_report_ struct report report = {0};
		int status = tracealloc_run(
			&scratch, ARGV("--engine", engine_name(engine), "--show", "total"),
			ARGV(program, "plain"), &report);
		ck_assert_int_eq(status, 0);
		expect_row(&scratch, _i, &report);
		suite_counted(&(struct suite_row){
			"glibc", "glibc", rows[_i].name, "C", engine_name(engine),
			rows[_i].lines == LINES ? "itself, by line" : "itself, in all",
			report_total(&report, "total_blocks")});
	}
}
END_TEST

START_TEST(a_static_program_without_symbols_is_told_what_to_do)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "calls.c", "program", ARGV("-O2", "-static", "-s"));
	int status = tracealloc_call(&scratch, ARGV("run", "--quiet", "--", program, "plain"));
	ck_assert_int_eq(status, 0);
	status = tracealloc_call(&scratch, ARGV("run", "--", program, "plain"));
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(strncmp(errors, "tracealloc: warning: no allocator found in '", 44) == 0 &&
			      strstr(errors, "--alloc\n"),
		      "it says \"%s\"", errors);
}
END_TEST

/* "free" becomes its address in the program; each line of text is a rule. */
static void put_addresses(const struct scratch *scratch, const char *program,
			  const char *const names[], char *text, size_t bytes)
{
	_cleanup_free_ char *path = scratch_file(scratch, "nm.out");
	size_t used = 0;

	ck_assert_int_eq(process_call(scratch, "nm", ARGV("nm", program)), 0);
	_cleanup_free_ char *symbols = scratch_read(path, NULL);
	for (size_t i = 0; names[i]; i++) {
		char wanted[64];
		size_t length = strcspn(names[i], "(");
		snprintf(wanted, sizeof(wanted), " T __libc_%.*s\n", (int)length, names[i]);
		const char *at = strstr(symbols, wanted);
		ck_assert_msg(at, "no symbol%s", wanted);
		used += (size_t)snprintf(text + used, bytes - used, "0x%.16s%s\n", at - 16,
					 names[i] + length);
	}
}

START_TEST(a_static_program_without_symbols_is_counted_by_addresses)
{
	static const char *const functions[] = {
		"malloc(size=arg1) -> ptr", "calloc(size=arg1*arg2) -> ptr",
		"realloc(ptr=arg1, size=arg2) -> ptr", "free(ptr=arg1)", NULL};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char text[512];

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "calls.c", "program", ARGV("-O2", "-static"));
	put_addresses(&scratch, program, functions, text, sizeof(text));
	_cleanup_free_ char *rules = scratch_file(&scratch, "rules");
	scratch_write(rules, text, strlen(text));
	ck_assert_int_eq(process_call(&scratch, "strip", ARGV("strip", program)), 0);
	int status = tracealloc_run(
		&scratch,
		ARGV("--engine", engine_name(_i), "--show", "total", "--alloc-file", rules),
		ARGV(program, "plain"), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	/* What the loader of a static library asks for cannot be told apart without its names. */
	int64_t more = report_total(&report, "total_blocks") - truth_integer(truth, "total_blocks");
	ck_assert_int_ge(more, 0);
	ck_assert_int_le(more, 8);
	ck_assert_int_eq(report_total(&report, "released_blocks"),
			 truth_integer(truth, "released_blocks"));
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}
END_TEST

/* Whether a frame of the row's traceback is of that module and has that function's name. */
static bool has_frame(const json_t *row, const char *module, const char *function)
{
	const json_t *frame;
	size_t i;

	json_array_foreach(json_object_get(row, "frames"), i, frame)
	{
		if (strcmp(report_string(frame, "module"), module) == 0 &&
		    strstr(report_string(frame, "function"), function))
			return true;
	}
	return false;
}

START_TEST(a_frame_of_the_vdso_is_named_and_passed)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	const json_t *row;
	size_t i, rows_with = 0;

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/clock.c", "program", ARGV("-O1", "-g"));
	int status = tracealloc_run(
		&scratch,
		ARGV("--engine", engine_name(_i), "--show", "total", "--group-by", "traceback"),
		ARGV(program), &report);
	ck_assert_int_eq(status, 0);
	json_array_foreach(json_object_get(report.root, "rows"), i, row)
	{
		if (!has_frame(row, "[vdso]", "clock_gettime"))
			continue;
		ck_assert(has_frame(row, program, "main"));
		ck_assert(has_frame(row, program, "on_signal"));
		rows_with++;
	}
	ck_assert_uint_gt(rows_with, 0);
	ck_assert_int_eq(report_total(&report, "incomplete_stacks"), 0);
}
END_TEST

/* tests/targets/special/inmate.c: a hundred threads allocate ten blocks each on this line. */
enum { INMATE_LINE = 20, INMATE_BLOCKS = 1000 };

START_TEST(a_program_that_was_deleted_or_replaced_is_read_as_it_runs)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_report_ struct report report = {0};
	bool replaced = _i / ENGINES;

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/inmate.c", "program", ARGV("-O1", "-g", "-pthread"));
	process_start(&scratch, "target", ARGV(program, "1"), &target);
	process_wait_output(&target, "ready");
	ck_assert_int_eq(unlink(program), 0);
	if (replaced)
		ck_assert_int_eq(process_call(&scratch, "copy", ARGV("cp", "/bin/true", program)),
				 0);
	tracealloc_start_attach(
		&scratch, ARGV("--engine", engine_name(_i % ENGINES), "--show", "total", "-v"),
		target.pid, &attach);
	tracealloc_until_probed(&attach, target.pid);
	process_send(&target, "\n");
	process_wait_output(&target, "done");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_at(&report, "inmate.c", INMATE_LINE).total_blocks, INMATE_BLOCKS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("executables");
	TCase *kinds = suite_case(suite, "kinds", 60);
	TCase *files = suite_case(suite, "files", 60);
	TCase *bare = suite_case(suite, "without symbols", 60);

	tcase_add_loop_test(kinds, every_kind_is_counted_as_it_counts_itself, 0, ROWS);
	tcase_add_test(bare, a_static_program_without_symbols_is_told_what_to_do);
	tcase_add_loop_test(bare, a_static_program_without_symbols_is_counted_by_addresses, 0,
			    ENGINES);
	tcase_add_loop_test(files, a_frame_of_the_vdso_is_named_and_passed, 0, ENGINES);
	tcase_add_loop_test(files, a_program_that_was_deleted_or_replaced_is_read_as_it_runs, 0,
			    2 * ENGINES);
	return suite_run(suite);
}
