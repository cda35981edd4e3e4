/* SPDX-License-Identifier: MIT */
/*
 * Allocators, C libraries, ways of linking, languages and engines: what a report says line by line
 * is what the program itself has counted. One row of the table is one program; it is run once with
 * each engine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/process.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

enum { WORDS_MAX = 40, BUILD_MAX_BYTES = 512 };

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"
#define JEMALLOC  LIBRARIES "libjemalloc.so.2"
#define TCMALLOC  LIBRARIES "libtcmalloc_minimal.so.4"
#define MIMALLOC  LIBRARIES "libmimalloc.so.2"
#define LOADED	  "-Wl,--no-as-needed "
/* All of an archive: else the C library's functions are taken where nothing else is missing. */
#define WHOLE "-Wl,--whole-archive -l:libtcmalloc_minimal.a -Wl,--no-whole-archive -lstdc++ -lm "

/* What a library has besides the functions that every one has. */
#define USUAL "-DHAVE_ALIGNED -DHAVE_MEMALIGN -DHAVE_VALLOC "
#define GLIBC USUAL "-DHAVE_PVALLOC -DHAVE_REALLOCARRAY "
#define TC    "-DHAVE_MEMALIGN -DHAVE_VALLOC -DHAVE_PVALLOC "

struct row {
	const char *allocator, *libc, *linking, *language; /* as the table says it */
	const char *build;     /* compiler, source of tests/targets/special, flags */
	const char *module;    /* where the allocator is to be found: a part of its path */
	const char *preloaded; /* a library, NULL: none */
	const char *argument;  /* of the program, NULL: none */
	const char *setting;   /* NAME=VALUE of its environment, NULL: none */
	bool by_jumps;	       /* breakpoints are not tried */
	bool by_breakpoints;   /* there can be no jumps */
};

static const struct row rows[] = {
	{"glibc", "glibc", "dynamic", "C", "gcc heap.c -DTHREADS " GLIBC, .module = "libc"},
	{"glibc", "glibc", "static", "C", "gcc heap.c -static " GLIBC, .module = "glibc"},
	{"glibc", "glibc", "static-pie", "C", "gcc heap.c -static-pie " GLIBC, .module = "glibc"},
	{"glibc", "glibc", "dlmopen", "C", "gcc heap.c -DLATE -DNEW_NAMESPACE " GLIBC,
	 .module = "libc", .argument = "libc.so.6"},
	{"glibc", "glibc", "dynamic", "C++", "g++ operators.cc", .module = "libc"},
	{"glibc", "glibc", "static", "C++", "g++ operators.cc -static", .module = "glibc"},
	{"glibc's debug", "glibc", "preloaded", "C", "gcc heap.c " GLIBC,
	 .module = "libc_malloc_debug", .preloaded = LIBRARIES "libc_malloc_debug.so.0",
	 .setting = "MALLOC_CHECK_=3", .by_breakpoints = true},
	{"musl", "musl", "dynamic", "C", "musl-gcc heap.c -DTHREADS -DHAVE_REALLOCARRAY " USUAL,
	 .module = "libc.so"},
	/* It has no code that returns from signals, which a borrowed thread would need. */
	{"musl", "musl", "static", "C",
	 "musl-gcc heap.c -DTHREADS -DHAVE_REALLOCARRAY -static " USUAL, .module = "musl",
	 .by_breakpoints = true},

	{"jemalloc", "glibc", "preloaded", "C", "gcc heap.c -DTHREADS " USUAL,
	 .module = "libjemalloc", .preloaded = JEMALLOC},
	{"jemalloc", "glibc", "preloaded", "C++", "g++ operators.cc", .module = "libjemalloc",
	 .preloaded = JEMALLOC},
	{"jemalloc", "glibc", "dynamic", "C", "gcc heap.c -DJEMALLOC " USUAL LOADED "-ljemalloc",
	 .module = "libjemalloc"},
	{"jemalloc", "glibc", "dynamic", "C++", "g++ operators.cc " LOADED "-ljemalloc",
	 .module = "libjemalloc"},
	/*
	 * The program and the C library lie out of each other's reach. Breakpoints would need what
	 * the last page of the program's text leaves free, which is chance.
	 */
	{"jemalloc", "glibc", "archive in PIE", "C",
	 "gcc heap.c -DJEMALLOC " USUAL "-l:libjemalloc.a -lm", .module = "jemalloc",
	 .by_jumps = true},
	{"jemalloc", "glibc", "archive in PIE", "C++", "g++ operators.cc -l:libjemalloc.a",
	 .module = "jemalloc", .by_jumps = true},
	{"jemalloc", "glibc", "archive, no PIE", "C++", "g++ operators.cc -no-pie -l:libjemalloc.a",
	 .module = "jemalloc", .by_jumps = true},
	{"jemalloc", "glibc", "static", "C",
	 "gcc heap.c -DJEMALLOC -static " USUAL "-l:libjemalloc.a -lm", .module = "jemalloc"},
	{"jemalloc", "glibc", "static", "C++", "g++ operators.cc -static -l:libjemalloc.a",
	 .module = "jemalloc"},
	{"jemalloc", "glibc", "dlopen", "C", "gcc heap.c -DJEMALLOC -DLATE " USUAL,
	 .module = "libjemalloc", .argument = JEMALLOC,
	 .setting = "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=20000"},

	{"tcmalloc", "glibc", "preloaded", "C", "gcc heap.c -DTHREADS -DHAVE_ALIGNED " TC,
	 .module = "libtcmalloc", .preloaded = TCMALLOC},
	{"tcmalloc", "glibc", "preloaded", "C++", "g++ operators.cc", .module = "libtcmalloc",
	 .preloaded = TCMALLOC},
	{"tcmalloc", "glibc", "dynamic", "C, tc_*",
	 "gcc heap.c -DPREFIX=tc_ -ltcmalloc_minimal " TC, .module = "libtcmalloc"},
	{"tcmalloc", "glibc", "dynamic", "C++", "g++ operators.cc " LOADED "-ltcmalloc_minimal",
	 .module = "libtcmalloc"},
	{"tcmalloc, whole", "glibc", "preloaded", "C", "gcc heap.c " TC, .module = "libtcmalloc",
	 .preloaded = LIBRARIES "libtcmalloc.so.4"},
	{"tcmalloc", "glibc", "archive in PIE", "C", "gcc heap.c " TC WHOLE, .module = "tcmalloc",
	 .by_jumps = true},
	{"tcmalloc", "glibc", "archive in PIE", "C++", "g++ operators.cc " WHOLE,
	 .module = "tcmalloc", .by_jumps = true},
	{"tcmalloc", "glibc", "static", "C", "gcc heap.c -static " TC WHOLE, .module = "tcmalloc"},
	{"tcmalloc", "glibc", "dlopen", "C, tc_*", "gcc heap.c -DLATE -DPREFIX=tc_ " TC,
	 .module = "libtcmalloc", .argument = TCMALLOC},

	{"mimalloc", "glibc", "preloaded", "C", "gcc heap.c -DTHREADS " USUAL,
	 .module = "libmimalloc", .preloaded = MIMALLOC},
	/* It ends the program where another would throw. */
	{"mimalloc", "glibc", "preloaded", "C++", "g++ operators.cc -DTHROWS=0",
	 .module = "libmimalloc", .preloaded = MIMALLOC},
	{"mimalloc", "glibc", "dynamic", "C, mi_*",
	 "gcc heap.c -DPREFIX=mi_ -DMIMALLOC -lmimalloc " USUAL, .module = "libmimalloc"},
	{"mimalloc", "glibc", "dynamic", "C", "gcc heap.c " GLIBC LOADED "-lmimalloc",
	 .module = "libmimalloc"},
	{"mimalloc", "glibc", "dlopen", "C, mi_*",
	 "gcc heap.c -DLATE -DPREFIX=mi_ -DMIMALLOC " USUAL, .module = "libmimalloc",
	 .argument = MIMALLOC},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

struct words {
	const char *items[WORDS_MAX];
	size_t count;
};

static void add_word(struct words *words, const char *word)
{
	ck_assert_uint_lt(words->count, WORDS_MAX - 1);
	words->items[words->count++] = word;
}

/* The program's name tells its module from others. */
static char *build(const struct scratch *scratch, const struct row *row)
{
	static const char *const common[] = {"-O1", "-g", "-D_GNU_SOURCE", "-fno-builtin", "-w"};
	char name[64], text[BUILD_MAX_BYTES], relative[64], *rest;
	snprintf(name, sizeof(name), "on-%.*s", (int)strcspn(row->allocator, ", '"),
		 row->allocator);
	ck_assert_uint_lt(strlen(row->build), sizeof(text));
	struct words words = {{strtok_r(strcpy(text, row->build), " ", &rest)}, 1};
	snprintf(relative, sizeof(relative), "special/%s", strtok_r(NULL, " ", &rest));
	_cleanup_free_ char *source = suite_source(relative);
	char *output = scratch_file(scratch, name);
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		add_word(&words, common[i]);
	add_word(&words, source);
	add_word(&words, "-o");
	add_word(&words, output);
	for (const char *flag; (flag = strtok_r(NULL, " ", &rest));)
		add_word(&words, flag);
	if (process_call(scratch, "compiler", words.items) != 0) {
		_cleanup_free_ char *errors = tracealloc_text(scratch, "compiler.err");
		ck_abort_msg("cannot build the program on %s, %s: %s", row->allocator, row->linking,
			     errors);
	}
	return output;
}

static int run(const struct scratch *scratch, const struct row *row, const char *program,
	       const char *engine, struct report *ret)
{
	char preload[128];
	struct words words = {{"env"}, 1};
	if (row->preloaded) {
		snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", row->preloaded);
		add_word(&words, preload);
	}
	if (row->setting)
		add_word(&words, row->setting);
	if (words.count == 1)
		words.count = 0;
	add_word(&words, program);
	if (row->argument)
		add_word(&words, row->argument);
	words.items[words.count] = NULL;
	return tracealloc_run(scratch, ARGV("--engine", engine, "--show", "leaked"), words.items,
			      ret);
}

/* How the functions of the allocator were probed: "jump", "breakpoint", or "mixed". */
static const char *engine_seen(const struct report *report, const struct row *row)
{
	const char *seen = "none";
	const json_t *probe;
	size_t index;
	json_array_foreach(json_object_get(report->root, "probes"), index, probe)
	{
		const char *kind = report_string(probe, "kind");
		if (!strstr(report_string(probe, "module"), row->module))
			continue;
		if (strcmp(kind, "none") == 0)
			ck_abort_msg("%s is not probed: %s", report_string(probe, "function"),
				     report_string(probe, "reason"));
		if (strcmp(seen, "none") != 0 && strcmp(seen, kind) != 0)
			return "mixed";
		seen = kind;
	}
	return seen;
}

static void expect(const struct row *row, const json_t *line, const char *what, int64_t seen,
		   const char *key)
{
	int64_t expected = truth_integer(line, key);
	ck_assert_msg(seen == expected,
		      "%s, %s, %s, %s: line %d: %s %lld, but the program counted %lld",
		      row->allocator, row->libc, row->linking, row->language,
		      (int)truth_integer(line, "line"), what, (long long)seen, (long long)expected);
}

/* Lines that leave nothing behind have no row in the report. */
static int64_t expect_lines(const struct row *row, const json_t *truth, const struct report *report)
{
	int64_t blocks = 0;
	const json_t *line;
	size_t index;
	json_array_foreach(json_object_get(truth, "lines"), index, line)
	{
		struct report_figures seen = report_at(report, report_string(line, "file"),
						       (int)truth_integer(line, "line"));
		if (truth_integer(line, "leaked_blocks") == 0)
			continue;
		expect(row, line, "total blocks", seen.total_blocks, "total_blocks");
		expect(row, line, "total bytes", seen.total_bytes, "total_bytes");
		expect(row, line, "blocks left", seen.blocks, "leaked_blocks");
		expect(row, line, "bytes left", seen.bytes, "leaked_bytes");
		blocks += seen.total_blocks;
	}
	return blocks;
}

static void check(const struct scratch *scratch, const struct row *row, const char *program,
		  int engine)
{
	_cleanup_report_ struct report report = {0};
	const char *asked = engine == ENGINE_JUMP ? "auto" : "breakpoint";
	int status = run(scratch, row, program, asked, &report);
	ck_assert_msg(status == 0, "%s, %s, %s, %s: status %d", row->allocator, row->linking,
		      row->language, asked, status);
	_cleanup_json_ json_t *truth = truth_load(scratch, "traced.out");
	int64_t blocks = expect_lines(row, truth, &report);
	const char *seen = engine_seen(&report, row);
	/* An exception's own memory is made inside the operator that throws it, and released later.
	 */
	if (!strstr(row->build, "operators.cc"))
		ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
	ck_assert_str_eq(seen,
			 engine == ENGINE_JUMP && !row->by_breakpoints ? "jump" : "breakpoint");
	suite_counted(&(struct suite_row){row->allocator, row->libc, row->linking, row->language,
					  seen, "itself, by line", blocks});
}

START_TEST(what_is_counted_on_every_line_is_what_the_program_counted)
{
	const struct row *row = &rows[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, row);
	for (int engine = 0; engine < (row->by_jumps ? ENGINE_JUMP + 1 : ENGINES); engine++)
		check(&scratch, row, program, engine);
}
END_TEST

/* The number at the end of the line "total: ..." under the heading "allocated ... nrequests". */
static int64_t jemalloc_requests(const char *statistics)
{
	enum { COLUMN = 6 }; /* allocated, nmalloc, its rate, ndalloc, its rate, nrequests */
	const char *heading = strstr(statistics, "allocated         nmalloc");
	const char *line = heading ? strstr(heading, "\ntotal:") : NULL;
	ck_assert_msg(line != NULL, "jemalloc has no statistics");
	char *at = (char *)(uintptr_t)line + strlen("\ntotal:");
	int64_t number = 0;
	for (int i = 0; i < COLUMN; i++)
		number = strtoll(at, &at, 10);
	return number;
}

/* What it makes for itself is counted by jemalloc, too: the buffers of its statistics. */
START_TEST(what_is_counted_in_all_is_what_jemalloc_itself_has_counted)
{
	static const struct row row = {"jemalloc",
				       "glibc",
				       "dynamic",
				       "C++",
				       "g++ operators.cc -DTHROWS=0 -DSTATISTICS " LOADED
				       "-ljemalloc",
				       .module = "libjemalloc"};
	enum { OF_ITS_OWN = 2 };
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = build(&scratch, &row);
	ck_assert_int_eq(
		run(&scratch, &row, program, _i == ENGINE_JUMP ? "auto" : "breakpoint", &report),
		0);
	_cleanup_free_ char *statistics = tracealloc_text(&scratch, "traced.err");
	ck_assert_int_eq(report_total(&report, "total_blocks") + OF_ITS_OWN,
			 jemalloc_requests(statistics));
	suite_counted(&(struct suite_row){row.allocator, row.libc, row.linking, row.language,
					  engine_seen(&report, &row), "jemalloc's statistics",
					  report_total(&report, "total_blocks")});
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("matrix");
	TCase *tests = suite_case(suite, "matrix", 60);
	tcase_add_loop_test(tests, what_is_counted_on_every_line_is_what_the_program_counted, 0,
			    ROWS);
	tcase_add_loop_test(tests, what_is_counted_in_all_is_what_jemalloc_itself_has_counted, 0,
			    ENGINES);
	return suite_run(suite);
}
