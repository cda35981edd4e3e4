/* SPDX-License-Identifier: MIT */
/*
 * Real programs against valgrind: the same number of blocks and bytes as its "total heap usage",
 * exactly. Both runs get the very same environment (valgrind's own additions included, since some
 * programs copy theirs), and seeds of hash functions are fixed.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { WORDS_MAX = 48, COMMAND_MAX = 8 };

/* What both runs have in their environment to begin with. */
static const char *const base_environment[] = {
	"PATH=/usr/bin:/bin",
	"LC_ALL=C",
	"PYTHONHASHSEED=0",
	"PYTHONMALLOC=malloc",
	"PERL_HASH_SEED=0",
	"PERL_PERTURB_KEYS=0",
	"PYTHONPATH=",
#ifdef __SANITIZE_ADDRESS__
	/* What valgrind preloads is preloaded into tracealloc as well, before its sanitizer. */
	"ASAN_OPTIONS=verify_asan_link_order=0",
#endif
	NULL,
};

struct words {
	const char *list[WORDS_MAX];
	size_t count;
};

static void add(struct words *words, const char *one)
{
	if (words->count + 1 >= WORDS_MAX)
		ck_abort_msg("too many words");
	words->list[words->count++] = one;
	words->list[words->count] = NULL;
}

static void add_all(struct words *words, const char *const many[])
{
	for (size_t i = 0; many[i]; i++)
		add(words, many[i]);
}

/* A file of scratch filled by a shell command; returns its path, owned by the caller. */
static char *generate(const struct scratch *scratch, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static char *generate(const struct scratch *scratch, const char *name, const char *format, ...)
{
	_cleanup_free_ char *command = NULL;
	char *path = scratch_file(scratch, name);
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&command, format, arguments) < 0)
		ck_abort_msg("no memory");
	va_end(arguments);
	if (process_call(scratch, "generate", ARGV("sh", "-c", command)) != 0)
		ck_abort_msg("cannot generate: %s", command);
	_cleanup_free_ char *made = scratch_file(scratch, "generate.out");
	if (rename(made, path) < 0)
		ck_abort_msg("cannot rename %s", made);
	return path;
}

struct usage {
	int64_t blocks, releases, bytes;
};

/* "total heap usage: 1,234 allocs, 1,200 frees, 567,890 bytes allocated" */
static struct usage parse_usage(const char *text)
{
	static const char mark[] = "total heap usage: ";
	const char *at = strstr(text, mark);
	int64_t numbers[3] = {0};

	if (!at)
		ck_abort_msg("valgrind says nothing of heap usage: %s", text);
	at += strlen(mark);
	for (size_t i = 0; i < 3; i++) {
		at += strcspn(at, "0123456789");
		for (; strchr("0123456789,", *at); at++) {
			if (*at != ',')
				numbers[i] = numbers[i] * 10 + (*at - '0');
		}
	}
	return (struct usage){numbers[0], numbers[1], numbers[2]};
}

static struct usage run_valgrind(const struct scratch *scratch, const char *const command[])
{
	struct words words = {0};

	add_all(&words, ARGV("env", "-i"));
	add_all(&words, base_environment);
	add_all(&words, ARGV("valgrind", "--run-libc-freeres=no", "--run-cxx-freeres=no"));
	add_all(&words, command);
	int status = process_call(scratch, "valgrind", words.list);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "valgrind.err");
	ck_assert_msg(status == 0, "under valgrind %s ends with status %#x: %s", command[0], status,
		      errors);
	return parse_usage(errors);
}

/*
 * The environment that valgrind gives to its program; the preloaded libraries in it do nothing
 * outside valgrind. Cuts the text into lines in place.
 */
static void add_valgrind_environment(const struct scratch *scratch, struct words *words,
				     char **text_ret)
{
	struct words call = {0};

	add_all(&call, ARGV("env", "-i"));
	add_all(&call, base_environment);
	add_all(&call, ARGV("valgrind", "-q", "env"));
	if (process_call(scratch, "environment", call.list) != 0)
		ck_abort_msg("valgrind cannot run env");
	*text_ret = tracealloc_text(scratch, "environment.out");
	char *rest = *text_ret;
	for (char *line; (line = strsep(&rest, "\n")) && *line;)
		add(words, line);
}

static double run_tracealloc(const struct scratch *scratch, const char *const environment[],
			     const char *const command[], struct report *ret)
{
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *report_path = scratch_file(scratch, "report.json");
	struct timespec start, end;
	struct words words = {0};

	add_all(&words, ARGV("env", "-i"));
	add_all(&words, environment);
	add_all(&words, ARGV(program, "run", "--show", "total", "--format", "json", "--top",
			     "1000000", "--report", report_path, "--"));
	add_all(&words, command);
	clock_gettime(CLOCK_MONOTONIC, &start);
	int status = process_call(scratch, "traced", words.list);
	clock_gettime(CLOCK_MONOTONIC, &end);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "traced.err");
	ck_assert_msg(status == 0, "traced %s ends with status %#x: %s", command[0], status,
		      errors);
	tracealloc_report(scratch, ret);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

/* One row of the table that this suite prints. */
static void print_row(const char *name, const struct report *report, struct usage usage,
		      double seconds)
{
	printf("%-10s blocks %9jd (oracle %9jd)  released %9jd (%9jd)  bytes %12jd (%12jd) "
	       "%7.1f s\n",
	       name, (intmax_t)report_total(report, "total_blocks"), (intmax_t)usage.blocks,
	       (intmax_t)report_total(report, "released_blocks"), (intmax_t)usage.releases,
	       (intmax_t)report_total(report, "total_bytes"), (intmax_t)usage.bytes, seconds);
	fflush(stdout);
}

static bool is_missing(const struct scratch *scratch, const char *program)
{
	if (process_call(scratch, "which", ARGV("which", program)) == 0)
		return false;
	suite_skip("%s is not installed", program);
	return true;
}

static void expect_valgrinds_figures(const struct scratch *scratch, const char *name,
				     const char *const command[])
{
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *text = NULL;
	struct words environment = {0};

	if (is_missing(scratch, "valgrind") || is_missing(scratch, command[0]))
		return;
	struct usage usage = run_valgrind(scratch, command);
	add_valgrind_environment(scratch, &environment, &text);
	double seconds = run_tracealloc(scratch, environment.list, command, &report);
	print_row(name, &report, usage, seconds);
	ck_assert_int_eq(report_total(&report, "total_blocks"), usage.blocks);
	ck_assert_int_eq(report_total(&report, "total_bytes"), usage.bytes);
	ck_assert_int_eq(report_total(&report, "released_blocks"), usage.releases);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
	/* Both have run the same program to the same end. */
	_cleanup_free_ char *said = tracealloc_text(scratch, "traced.out");
	_cleanup_free_ char *said_to_valgrind = tracealloc_text(scratch, "valgrind.out");
	ck_assert_str_eq(said, said_to_valgrind);
}

START_TEST(xmllint_parses_a_document)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *document = generate(
		&scratch, "document.xml",
		"awk 'BEGIN { print \"<list>\"; for (i = 0; i < %d; i++) printf \"<item id=\\\"%%d"
		"\\\"><name>name %%d</name><value unit=\\\"m\\\">%%d</value></item>\\n\", i, i, "
		"i * 7; print \"</list>\" }'",
		suite_is_long() ? 110000 : 2000);
	expect_valgrinds_figures(&scratch, "xmllint", ARGV("xmllint", "--noout", document));
}
END_TEST

START_TEST(sqlite3_inserts_into_a_table)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *script = generate(
		&scratch, "script.sql",
		"awk 'BEGIN { print \"create table t(a integer primary key, b text);\"; for (i = "
		"0; "
		"i < %d; i++) printf \"insert into t values(%%d, \\\"value %%d\\\");\\n\", i, i; "
		"print \"select count(*), sum(length(b)) from t;\" }' | tr '\"' \"'\"",
		suite_is_long() ? 60000 : 1500);
	_cleanup_free_ char *read_script = NULL;
	if (asprintf(&read_script, ".read %s", script) < 0)
		ck_abort_msg("no memory");
	expect_valgrinds_figures(&scratch, "sqlite3", ARGV("sqlite3", ":memory:", read_script));
}
END_TEST

/* An array of objects, for jq and python3. */
static char *generate_json(const struct scratch *scratch, int objects)
{
	return generate(
		scratch, "data.json",
		"awk 'BEGIN { printf \"[\"; for (i = 0; i < %d; i++) printf \"%%s{\\\"id\\\":"
		"%%d,\\\"name\\\":\\\"name %%d\\\",\\\"values\\\":[%%d,%%d,null,true]}\\n\", "
		"i ? \",\" : \"\", i, i, i * 3, i * 5; print \"]\" }'",
		objects);
}

START_TEST(jq_filters_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *data = generate_json(&scratch, suite_is_long() ? 200000 : 2500);
	expect_valgrinds_figures(&scratch, "jq", ARGV("jq", "map(.values[1]) | add", data));
}
END_TEST

START_TEST(perl_fills_hashes)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	char count[16];

	scratch_make(&scratch);
	snprintf(count, sizeof(count), "%d", suite_is_long() ? 300000 : 5000);
	expect_valgrinds_figures(
		&scratch, "perl",
		ARGV("perl", "-e",
		     "my %h; for my $i (1 .. $ARGV[0]) { $h{\"key $i\"} = [$i, \"x\" "
		     "x ($i % 50)]; } my $n = 0; $n += $_->[0] for values %h; print "
		     "\"$n\\n\";",
		     count));
}
END_TEST

START_TEST(a_cxx_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("dictionary");

	scratch_make(&scratch);
	expect_valgrinds_figures(&scratch, "C++",
				 ARGV(program, suite_is_long() ? "600000" : "6000"));
}
END_TEST

/* rustc is too large a package for the short run to install: where it is, it is used. */
START_TEST(a_rust_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (process_call(&scratch, "rustc", ARGV("sh", "-c", "command -v rustc")) != 0) {
		suite_skip("no rustc: make check-long installs it");
		return;
	}
	_cleanup_free_ char *source = suite_source("special/dictionary.rs");
	_cleanup_free_ char *program = scratch_file(&scratch, "dictionary");
	ck_assert_int_eq(
		process_call(&scratch, "rustc",
			     ARGV("rustc", "-C", "opt-level=2", "-g", "-o", program, source)),
		0);
	expect_valgrinds_figures(&scratch, "Rust",
				 ARGV(program, suite_is_long() ? "600000" : "6000"));
}
END_TEST

/*
 * The oracle of programs that do not make the same calls twice: a counter inside the same run,
 * which also shows that a preloaded allocator in front of the C library's counts once. `counted` is
 * the name of the program in whose process the counter tells.
 */
static void expect_counters_figures(const struct scratch *scratch, const char *counted,
				    const char *const command[])
{
	_cleanup_report_ struct report report = {0};
	struct words environment = {0};
	struct usage usage = {0};
	_cleanup_free_ char *preload = NULL, *path = NULL, *name = NULL;

#ifdef __SANITIZE_ADDRESS__
	suite_skip("%s: a preloaded allocator and AddressSanitizer's own do not go together",
		   counted);
	return;
#endif
	_cleanup_free_ char *counter =
		suite_build(scratch, "special/counter.c", "counter.so",
			    ARGV("-O2", "-g", "-shared", "-fPIC", "-fno-builtin"));
	_cleanup_free_ char *count_path = scratch_file(scratch, "count");
	if (asprintf(&preload, "LD_PRELOAD=%s", counter) < 0 ||
	    asprintf(&path, "COUNTER=%s", count_path) < 0 ||
	    asprintf(&name, "COUNTED=%s", counted) < 0)
		ck_abort_msg("no memory");
	add_all(&environment, base_environment);
	/* tracealloc has the counter preloaded as well; only the target is to tell. */
	add_all(&environment, ARGV(preload, path, name));
	double seconds = run_tracealloc(scratch, environment.list, command, &report);
	_cleanup_free_ char *text = scratch_read(count_path, NULL);
	ck_assert_int_eq(
		sscanf(text, "counted %ld %ld %ld", &usage.blocks, &usage.releases, &usage.bytes),
		3);
	print_row(counted, &report, usage, seconds);
	ck_assert_int_eq(report_total(&report, "total_blocks"), usage.blocks);
	ck_assert_int_eq(report_total(&report, "total_bytes"), usage.bytes);
	/* What is released after the counter has told is not in its sum. */
	ck_assert_int_ge(report_total(&report, "released_blocks"), usage.releases);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
}

/* Its hash tables are keyed by addresses, so the number of its calls depends on where they lie. */
START_TEST(gcc_compiles_a_file)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *source =
		generate(&scratch, "source.c",
			 "awk 'BEGIN { for (i = 0; i < %d; i++) printf \"int f%%d(int x) { int s = "
			 "%%d; for (int "
			 "i = 0; i < x; i++) s += i * s; return s; }\\n\", i, i }'",
			 suite_is_long() ? 1500 : 10);
	process_call(&scratch, "cc1", ARGV("gcc", "-print-prog-name=cc1"));
	_cleanup_free_ char *cc1 = tracealloc_text(&scratch, "cc1.out");
	cc1[strcspn(cc1, "\n")] = '\0';
	expect_counters_figures(&scratch, "cc1",
				ARGV(cc1, "-quiet", "-O1", source, "-o", "/dev/null"));
}
END_TEST

/* It makes objects of what it is told of its streams and files: a pipe or another inode changes it.
 */
START_TEST(python3_parses_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (is_missing(&scratch, "/usr/bin/python3"))
		return;
	_cleanup_free_ char *data = generate_json(&scratch, suite_is_long() ? 100000 : 500);
	expect_counters_figures(&scratch, "python3",
				ARGV("/usr/bin/python3", "-S", "-B", "-c",
				     "import json, sys; print(len(json.load(open(sys.argv[1]))))",
				     data));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("programs");
	TCase *valgrind_case = suite_case(suite, "valgrind", 240);

	tcase_add_test(valgrind_case, xmllint_parses_a_document);
	tcase_add_test(valgrind_case, sqlite3_inserts_into_a_table);
	tcase_add_test(valgrind_case, jq_filters_json);
	tcase_add_test(valgrind_case, perl_fills_hashes);
	tcase_add_test(valgrind_case, python3_parses_json);
	tcase_add_test(valgrind_case, a_cxx_program_counts_words);
	tcase_add_test(valgrind_case, a_rust_program_counts_words);
	tcase_add_test(valgrind_case, gcc_compiles_a_file);
	return suite_run(suite);
}
