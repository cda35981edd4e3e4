/* SPDX-License-Identifier: MIT */
/*
 * Stacks and lines of real programs against independent oracles: see lib/stacks/comparison.h.
 * The strides are primes, so that a program's loops are met at all their places, and take the short
 * run to near the program's end.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/process.h"
#include "lib/stacks/comparison.h"
#include "lib/suite.h"

enum { STACKS_SHORT = 150, STACKS_LONG = 1000, LONG_FACTOR = 8 };

static int scaled(int count)
{
	return suite_is_long() ? LONG_FACTOR * count : count;
}

static void print_row(const struct comparison *comparison)
{
	const struct comparison_stacks *stacks = &comparison->stacks;
	const struct comparison_lines *lines = &comparison->lines;

	printf("%-8s %4zu stacks (%4u distinct, %3zu cut, %4zu with a signal, %zu unended by the "
	       "oracle), %6zu frames, at most %4zu: %zu differ; %4zu addresses (%4zu with a line, "
	       "%4zu inlined, %3zu by addr2line alone), %4zu positions: %zu differ\n",
	       comparison->name, stacks->stacks, interner_count(comparison->interner), stacks->cut,
	       stacks->signals, stacks->unended, stacks->frames, stacks->deepest, stacks->differing,
	       lines->addresses, lines->with_line, lines->inlined, lines->second_opinions,
	       lines->positions, lines->differing);
	fflush(stdout);
}

static bool is_missing(const struct scratch *scratch, const char *program)
{
	if (process_call(scratch, "which", ARGV("which", program)) == 0)
		return false;
	suite_skip("%s is not installed", program);
	return true;
}

/* All counts are 0 where the test was skipped. */
static struct comparison_stacks expect_agreement(const struct scratch *scratch,
						 struct comparison_subject subject)
{
	struct comparison comparison;

	if (is_missing(scratch, subject.command[0]) || is_missing(scratch, "eu-addr2line"))
		return (struct comparison_stacks){0};
	subject.stacks = suite_is_long() ? STACKS_LONG : STACKS_SHORT;
	comparison_trace(&subject, &comparison);
	comparison_ask_lines(scratch, &comparison);
	print_row(&comparison);
	comparison_end(&comparison);
	ck_assert_msg(comparison.stacks.stacks == subject.stacks, "%s ends after %zu stacks",
		      subject.name, comparison.stacks.stacks);
	ck_assert_uint_eq(comparison.stacks.differing, 0);
	ck_assert_uint_eq(comparison.lines.differing, 0);
	return comparison.stacks;
}

static void expect_true_stacks(const struct scratch *scratch, const char *name, unsigned stride,
			       const char *const command[])
{
	expect_agreement(scratch, (struct comparison_subject){
					  .name = name, .stride = stride, .command = command});
}

/* A file of scratch: head, the item for each number from 0 (as often as it names it), tail. */
static char *write_items(const struct scratch *scratch, const char *name, const char *head,
			 const char *item, int count, const char *tail)
{
	char *path = scratch_file(scratch, name);
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	if (!file)
		ck_abort_msg("cannot write %s", path);
	fputs(head, file);
	for (int i = 0; i < count; i++)
		fprintf(file, item, i);
	fputs(tail, file);
	return path;
}

static const char document_head[] =
	"<!DOCTYPE list [\n"
	"<!ELEMENT list (item*)><!ATTLIST list xmlns:m CDATA #FIXED \"urn:m\">\n"
	"<!ELEMENT item (name, note?)><!ATTLIST item id ID #REQUIRED m:unit CDATA #IMPLIED>\n"
	"<!ELEMENT name (#PCDATA)><!ELEMENT note ANY><!ENTITY who \"one of them\">\n"
	"]>\n"
	"<list>\n";

START_TEST(xmllint_validates_a_document)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *document =
		write_items(&scratch, "document.xml", document_head,
			    "<item id=\"i%1$d\" m:unit=\"m\"><name>&who; %1$d</name>"
			    "<note><![CDATA[%1$d]]><?do %1$d?></note></item>\n",
			    scaled(1000), "</list>\n");
	expect_true_stacks(&scratch, "xmllint", 113,
			   ARGV("xmllint", "--valid", "--noout", document));
}
END_TEST

START_TEST(sqlite3_inserts_into_a_table)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *read_script = NULL;

	scratch_make(&scratch);
	_cleanup_free_ char *script = write_items(
		&scratch, "script.sql", "create table t(a integer primary key, b text);\n",
		"insert into t values(%1$d, 'value %1$d');\n", scaled(1500), "");
	if (asprintf(&read_script, ".read %s", script) < 0)
		ck_abort_msg("no memory");
	expect_true_stacks(&scratch, "sqlite3", 211, ARGV("sqlite3", ":memory:", read_script));
}
END_TEST

/* An array of objects with a list in each that is nested as deeply as said. */
static char *write_json(const struct scratch *scratch, int objects, size_t depth)
{
	static const char begin[] = ",{\"id\":%1$d,\"name\":\"name %1$d\",\"nested\":";
	static const char end[] = "}\n";
	_cleanup_free_ char *item = calloc(sizeof(begin) + sizeof(end) + 2 * depth + 8, 1);

	ck_assert_ptr_nonnull(item);
	char *at = stpcpy(item, begin);
	memset(at, '[', depth);
	at = stpcpy(at + depth, "%1$d");
	memset(at, ']', depth);
	strcpy(at + depth, end);
	return write_items(scratch, "data.json", "[0", item, objects, "]\n");
}

START_TEST(jq_filters_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *data = write_json(&scratch, scaled(700), 20);
	expect_true_stacks(&scratch, "jq", 139, ARGV("jq", ".[1:] | map(.id) | add", data));
}
END_TEST

static const char perl_source[] =
	"sub walk { my ($n) = @_; return $n ? [walk($n - 1), \"at $n\"] : []; }\n"
	"my %h;\n"
	"for my $i (1 .. 4000) {\n"
	"  $h{\"key $i\"} = [map { \"x\" x $_ } 1 .. $i % 50];\n"
	"  (my $text = join ',', sort { $a cmp $b } map { $_ * $i } 1 .. 9) =~ s/(\\d+),/<$1>/g;\n"
	"  $h{sprintf '%08d:%s', $i, $text} = walk($i % 60);\n"
	"  delete $h{\"key $_\"} for $i - 50 .. $i - 49;\n"
	"}\n";

START_TEST(perl_fills_hashes)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	expect_true_stacks(&scratch, "perl", 499, ARGV("perl", "-e", perl_source));
}
END_TEST

/* Its recursion over the nested lists goes beyond the greatest depth of a stack. */
START_TEST(python3_parses_deep_json)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *data = write_json(&scratch, scaled(28), 1100);
	expect_true_stacks(&scratch, "python3", 467,
			   ARGV("/usr/bin/python3", "-S", "-B", "-c",
				"import json, sys; sys.setrecursionlimit(4000); "
				"json.load(open(sys.argv[1]))",
				data));
}
END_TEST

START_TEST(gcc_compiles_a_file)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *source =
		write_items(&scratch, "source.c", "",
			    "int f%1$d(int x) { int s = %1$d; for (int i = 0; i < x; i++) s += i * "
			    "s; return s; }\n",
			    scaled(20), "");
	process_call(&scratch, "cc1", ARGV("gcc", "-print-prog-name=cc1"));
	_cleanup_free_ char *cc1_path = scratch_file(&scratch, "cc1.out");
	_cleanup_free_ char *cc1 = scratch_read(cc1_path, NULL);
	cc1[strcspn(cc1, "\n")] = '\0';
	expect_true_stacks(&scratch, "cc1", 331,
			   ARGV(cc1, "-quiet", "-O2", source, "-o", "/dev/null"));
}
END_TEST

START_TEST(a_cxx_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("dictionary");

	scratch_make(&scratch);
	expect_true_stacks(&scratch, "C++", 211, ARGV(program, "100000"));
}
END_TEST

static const char rust_source[] =
	"use std::collections::{BTreeMap, HashMap};\n"
	"fn word(number: u64) -> String {\n"
	"    (0..number % 9 + 2).map(|i| char::from(b'a' + ((number >> i) % 26) as u8)).collect()\n"
	"}\n"
	"fn main() {\n"
	"    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();\n"
	"    let mut boxes: HashMap<u64, Box<[u8]>> = HashMap::new();\n"
	"    for number in 0..100_000u64 {\n"
	"        let one = word(number.wrapping_mul(2_654_435_761));\n"
	"        places.entry(format!(\"{one}-{}\", number % 7)).or_default().push(number);\n"
	"        boxes.insert(number, vec![1; one.len()].into_boxed_slice());\n"
	"    }\n"
	"    assert!(places.len() < boxes.len());\n"
	"}\n";

START_TEST(a_rust_program_counts_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (is_missing(&scratch, "rustc"))
		return;
	_cleanup_free_ char *source = scratch_file(&scratch, "words.rs");
	_cleanup_free_ char *program = scratch_file(&scratch, "words");
	scratch_write(source, rust_source, strlen(rust_source));
	int status = process_call(&scratch, "rustc",
				  ARGV("rustc", "-C", "opt-level=2", "-g", source, "-o", program));
	ck_assert_msg(status == 0, "rustc ends with status %#x: see %s", status, scratch.path);
	expect_true_stacks(&scratch, "Rust", 211, ARGV(program));
}
END_TEST

START_TEST(threads_allocate_at_once)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("storm");

	scratch_make(&scratch);
	_cleanup_free_ char *log = scratch_file(&scratch, "log");
	expect_true_stacks(&scratch, "threads", 37, ARGV(program, "4", "100000", log));
}
END_TEST

/* The size is that of the handler's own blocks, so every stack goes through a signal frame. */
START_TEST(a_signal_handler_allocates)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *program = suite_target("handlers");
	struct comparison_subject subject = {.name = "handler",
					     .command = ARGV(program, "timer", "100000000"),
					     .stride = 1,
					     .size_bytes = 77};

	scratch_make(&scratch);
	struct comparison_stacks stacks = expect_agreement(&scratch, subject);
	ck_assert_uint_eq(stacks.signals, stacks.stacks);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stacks");
	TCase *programs = suite_case(suite, "programs", 120);

	tcase_add_test(programs, xmllint_validates_a_document);
	tcase_add_test(programs, sqlite3_inserts_into_a_table);
	tcase_add_test(programs, jq_filters_json);
	tcase_add_test(programs, perl_fills_hashes);
	tcase_add_test(programs, python3_parses_deep_json);
	tcase_add_test(programs, gcc_compiles_a_file);
	tcase_add_test(programs, a_cxx_program_counts_words);
	tcase_add_test(programs, a_rust_program_counts_words);
	tcase_add_test(programs, threads_allocate_at_once);
	tcase_add_test(programs, a_signal_handler_allocates);
	return suite_run(suite);
}
