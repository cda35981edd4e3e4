/* SPDX-License-Identifier: MIT */
/*
 * Programs in other languages, as native processes. The oracle is a counter that stands before the
 * C library's allocator in the same run (tests/targets/special/counter.c). Their compilers and
 * runtimes are large: make check-long installs them, and then a missing one is a failure.
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

/*
 * build is run by the shell in a directory of its own, $S being the sources. A line of the
 * program's own has so many blocks; 0: the runtime has no such lines. counted NULL: it ends without
 * what would let the counter tell. Threads of some runtimes outlive what counts, and what they do
 * at the very end is seen, but not in its sum.
 */
static const struct {
	const char *name, *needs, *build, *run, *counted, *file;
	int line, blocks;
	bool outlives;
	bool counts_own; /* what it asks for itself; C libraries ask for some more */
	const char *allocator;
} rows[] = {
	{"Fortran", "gfortran", "gfortran -O1 -g $S/heap.f90 -o program", "./program", "program",
	 "heap.f90", 8, 50, false, false, "glibc"},
	{"Rust", "rustc", "rustc -g -O -o program $S/heap.rs", "./program", "program", "heap.rs", 7,
	 1000, false, false, "glibc"},
	/* Through what jemalloc has beside the C names, as its crates do. */
	{"Rust", "rustc",
	 "rustc -g -O -o program $S/heap_jemalloc.rs -C link-arg=-l:libjemalloc.so.2", "./program",
	 "program", NULL, 0, 0, true, true, "jemalloc"},
	{"Go, cgo", "go",
	 "cp $S/heap.go . && HOME=$PWD GOCACHE=$PWD/cache GOFLAGS=-mod=mod go build -o program "
	 "heap.go",
	 "./program", NULL, "heap.go", 12, 2000, true, false, "glibc"},
	{"D", "gdc", "gdc -O1 -g $S/heap.d -o program", "./program", "program", "heap.d", 13, 1000,
	 false, false, "glibc"},
	{"Java", "javac", "javac -d . $S/Heap.java", "java -XX:-UsePerfData -cp . Heap", "java",
	 NULL, 0, 0, true, false, "glibc"},
	{"Node", "node", "cp $S/heap.js .", "node heap.js", "node", NULL, 0, 0, true, false,
	 "glibc"},
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

/* Whether what the row needs is there. */
static bool is_there(const struct scratch *scratch, int row)
{
	_cleanup_free_ char *command = NULL;

	ck_assert_int_gt(asprintf(&command, "command -v %s", rows[row].needs), 0);
	if (process_call(scratch, "needs", ARGV("sh", "-c", command)) == 0)
		return true;
	ck_assert_msg(!suite_is_long(), "%s is not installed", rows[row].needs);
	suite_skip("%s: no %s: make check-long installs it", rows[row].name, rows[row].needs);
	return false;
}

static void build(const struct scratch *scratch, int row)
{
	_cleanup_free_ char *sources = suite_source("special");
	_cleanup_free_ char *script = NULL;

	ck_assert_int_gt(asprintf(&script, "set -e; cd '%s'; S='%s'; %s", scratch->path, sources,
				  rows[row].build),
			 0);
	if (process_call(scratch, "build", ARGV("sh", "-c", script)) != 0) {
		_cleanup_free_ char *errors = tracealloc_text(scratch, "build.err");
		ck_abort_msg("%s: cannot be built: %s", rows[row].name, errors);
	}
}

/*
 * Runs it with the counter before its allocator, and returns how many blocks that counted.
 * tracealloc has the counter before its own, too; only the program whose name is COUNTED tells.
 */
static int64_t run(const struct scratch *scratch, int row, int engine, struct report *ret)
{
	_cleanup_free_ char *tracealloc = suite_tracealloc();
	_cleanup_free_ char *counter =
		suite_build(scratch, "special/counter.c", "counter.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-fno-builtin"));
	_cleanup_free_ char *count = scratch_file(scratch, "count");
	_cleanup_free_ char *script = NULL;
	long blocks;

	ck_assert_int_gt(
		asprintf(&script,
			 "cd '%s'; exec env LD_PRELOAD='%s' COUNTER='%s' COUNTED=%s '%s' "
			 "run --engine %s --show total --format json --top 1000000 "
			 "--report report.json -- %s",
			 scratch->path, counter, count,
			 rows[row].counted && !rows[row].counts_own ? rows[row].counted : "nobody",
			 tracealloc, engine_name(engine), rows[row].run),
		0);
	int status = process_call(scratch, "traced", ARGV("sh", "-c", script));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "traced.err");
	ck_assert_msg(status == 0, "%s ends with status %#x: %s", rows[row].name, status, errors);
	tracealloc_report(scratch, ret);
	if (!rows[row].counted)
		return report_total(ret, "total_blocks");
	_cleanup_free_ char *text = scratch_read(count, NULL);
	ck_assert_int_eq(sscanf(text, "counted %ld", &blocks), 1);
	return blocks;
}

static void expect_row(int row, int64_t counted, const struct report *report)
{
	enum { LATE_PERCENT = 1, LATE_BLOCKS = 20 };
	int64_t seen = report_total(report, "total_blocks");
	int64_t late = rows[row].outlives ? LATE_BLOCKS + counted * LATE_PERCENT / 100 : 0;

	ck_assert_msg(seen >= counted && seen <= counted + late,
		      "%s: %lld blocks, but the counter in it says %lld", rows[row].name,
		      (long long)seen, (long long)counted);
	ck_assert_int_eq(report_total(report, "unknown_releases"), 0);
	if (rows[row].file)
		ck_assert_int_eq(report_at(report, rows[row].file, rows[row].line).total_blocks,
				 rows[row].blocks);
}

START_TEST(a_program_in_another_language_is_counted)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, _i))
		return;
#ifdef __SANITIZE_ADDRESS__
	suite_skip("%s: a preloaded allocator and AddressSanitizer's own do not go together",
		   rows[_i].name);
	return;
#endif
	build(&scratch, _i);
	/* Breakpoints make a runtime that allocates a million times take minutes. */
	for (int engine = 0; engine < (suite_is_long() ? ENGINES : 1); engine++) {
		_cleanup_report_ struct report report = {0};
		int64_t counted = run(&scratch, _i, engine, &report);
		expect_row(_i, counted, &report);
		suite_counted(&(struct suite_row){rows[_i].allocator, "glibc", "dynamic",
						  rows[_i].name, engine_name(engine),
						  !rows[_i].counted	? "its source, by line"
						  : rows[_i].counts_own ? "its own counter"
									: "a counter before it",
						  report_total(&report, "total_blocks")});
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("languages");
	TCase *tests = suite_case(suite, "languages", 120);

	tcase_add_loop_test(tests, a_program_in_another_language_is_counted, 0, ROWS);
	return suite_run(suite);
}
