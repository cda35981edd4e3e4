/* SPDX-License-Identifier: MIT */
/*
 * --alloc: pools of a program's own are counted as its author would, against what it counts itself.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

static const char pool_rules[] = "# the pool of tests/targets/pools.c\n"
				 "pool_refill()\n"
				 "pool_get(size=arg2) -> ptr\n"
				 "pool_get_many(size=arg1*arg3) -> ptr\n"
				 "pool_store(size=arg2) -> *arg1\n"
				 "pool_node(size=48) -> ptr\n"
				 "pool_put(ptr=arg2)\n"
				 "pool_grow(ptr=arg2, size=arg3) -> ptr\n";

static const char wrapper_rules[] = "wrap_get(size=arg1) -> ptr\nwrap_put(ptr=arg1)\n";

static char *write_rules(const struct scratch *scratch, const char *text)
{
	char *path = scratch_file(scratch, "rules");

	scratch_write(path, text, strlen(text));
	return path;
}

/* What a static C library asks for before main is not the target's to know. */
static void expect_truth(const struct scratch *scratch, const struct report *report)
{
	_cleanup_json_ json_t *truth = truth_load(scratch, "traced.out");
	struct report_figures loader = report_labelled(report, "_dl_");

	truth_expect_totals(truth, report, loader.total_blocks, loader.total_bytes);
	truth_expect_lines(truth, report, "total");
}

static void expect_counted(const char *engine, const char *rules, const char *mode,
			   const char *const flags[])
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = write_rules(&scratch, rules);
	_cleanup_free_ char *program = suite_build(&scratch, "pools.c", "pools", flags);
	int status = tracealloc_run(
		&scratch, ARGV("--engine", engine, "--show", "total", "--alloc-file", file),
		ARGV(program, mode), &report);
	ck_assert_int_eq(status, 0);
	expect_truth(&scratch, &report);
}

START_TEST(a_pool_is_counted_in_place_of_its_chunks)
{
	expect_counted("auto", pool_rules, "pool", ARGV("-O2", "-g"));
	expect_counted("auto", pool_rules, "pool", ARGV("-O2", "-g", "-no-pie"));
	expect_counted("breakpoint", pool_rules, "pool", ARGV("-O3", "-g"));
}
END_TEST

START_TEST(a_pool_beside_its_allocator_is_counted_by_jumps)
{
	expect_counted("jump", pool_rules, "pool", ARGV("-O2", "-g", "-static"));
	expect_counted("jump", pool_rules, "pool", ARGV("-O2", "-g", "-static-pie", "-fPIE"));
}
END_TEST

START_TEST(a_wrapper_that_ends_in_a_jump_to_malloc_counts_once)
{
	expect_counted("jump", wrapper_rules, "wrapper", ARGV("-O2", "-g"));
	expect_counted("breakpoint", wrapper_rules, "wrapper", ARGV("-O2", "-g", "-fno-plt"));
	expect_counted("breakpoint", wrapper_rules, "wrapper", ARGV("-O0", "-g"));
}
END_TEST

START_TEST(without_rules_the_chunks_are_what_is_seen)
{
	_cleanup_free_ char *program = suite_target("pools");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	tracealloc_run(&scratch, ARGV("--engine", engine_name(_i), "--show", "total"),
		       ARGV(program, "pool"), &report);
	ck_assert_int_eq(report_total(&report, "total_bytes"),
			 report_total(&report, "total_blocks") * 4096);
}
END_TEST

/* Breakpoints are put in while the program runs: each function is told of when it has its own. */
static bool are_placed(const void *context)
{
	static const char *const functions[] = {"pool_refill", "pool_get",  "pool_get_many",
						"pool_store",  "pool_node", "pool_put",
						"pool_grow",   "malloc",    "free"};
	_cleanup_free_ char *said = process_errors(context);
	bool all = true;

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		char mark[64];
		snprintf(mark, sizeof(mark), ": %s in ", functions[i]);
		all &= strstr(said, mark) != NULL;
	}
	return all;
}

START_TEST(a_running_program_is_attached_to_and_let_go_as_it_was)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = write_rules(&scratch, pool_rules);
	_cleanup_free_ char *program = suite_build(&scratch, "pools.c", "pools", ARGV("-O2", "-g"));
	process_start(&scratch, "target", ARGV(program, "serve"), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(
		&scratch,
		ARGV("--engine", engine_name(_i), "--show", "total", "-v", "--alloc-file", file),
		target.pid, &attach);
	tracealloc_until_probed(&attach, target.pid);
	if (_i == ENGINE_BREAKPOINT)
		process_until(are_placed, &attach, "all functions to be probed");
	process_send(&target, "\n");
	process_wait_output(&target, "used");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &report);
	code_expect_clean(target.pid);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "target.out");
	truth_expect_lines(truth, &report, "total");
	ck_assert_int_eq(report_total(&report, "total_blocks"),
			 truth_integer(truth, "total_blocks"));
}
END_TEST

START_TEST(what_a_killed_tracealloc_leaves_far_from_its_agent_is_removed)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char pid[16];

	scratch_make(&scratch);
	_cleanup_free_ char *file = write_rules(&scratch, pool_rules);
	_cleanup_free_ char *program = suite_build(&scratch, "pools.c", "pools", ARGV("-O2", "-g"));
	process_start(&scratch, "target", ARGV(program, "serve"), &target);
	process_wait_output(&target, "ready");
	snprintf(pid, sizeof(pid), "%d", target.pid);
	for (int round = 0; round < 2; round++) {
		_cleanup_process_ struct process attach = {0};
		tracealloc_start_attach(&scratch, ARGV("--engine", "jump", "--alloc-file", file),
					target.pid, &attach);
		tracealloc_until_probed(&attach, target.pid);
		process_signal(&attach, SIGKILL);
		process_wait(&attach);
		process_send(&target, "\n");
		process_wait_output(&target, round ? "used\nused" : "used");
	}
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("doctor", "--clean", pid)), 0);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	ck_assert_msg(strstr(said, ": removed\n") != NULL, "it says \"%s\"", said);
	code_expect_clean(target.pid);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
}
END_TEST

/* "pool_get(" of a rule becomes "0x1234(", as nm says. */
static void put_addresses(const struct scratch *scratch, const char *program, char *rules,
			  size_t bytes)
{
	_cleanup_free_ char *path = scratch_file(scratch, "nm.out");
	char name[64], kind;
	unsigned long address;
	size_t used = 0;

	ck_assert_int_eq(process_call(scratch, "nm", ARGV("nm", program)), 0);
	_cleanup_free_ char *symbols = scratch_read(path, NULL);
	for (const char *line = symbols; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%lx %c %63s", &address, &kind, name) != 3)
			continue;
		const char *rule = strstr(pool_rules, name);
		size_t length = strlen(name);
		if (strncmp(name, "pool_", 5) != 0 || !rule || rule[length] != '(')
			continue;
		used += (size_t)snprintf(rules + used, bytes - used, "0x%lx%.*s\n", address,
					 (int)strcspn(rule + length, "\n"), rule + length);
	}
	ck_assert_uint_gt(used, 0);
}

START_TEST(a_stripped_program_has_its_functions_named_by_address)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char rules[1024];

	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_build(&scratch, "pools.c", "pools", ARGV("-O2", "-g"));
	put_addresses(&scratch, program, rules, sizeof(rules));
	_cleanup_free_ char *file = write_rules(&scratch, rules);
	ck_assert_int_eq(process_call(&scratch, "strip", ARGV("strip", program)), 0);
	int status = tracealloc_run(&scratch, ARGV("--show", "total", "--alloc-file", file),
				    ARGV(program, "pool"), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	truth_expect_totals(truth, &report, 0, 0);
}
END_TEST

START_TEST(a_class_of_cxx_is_named_as_it_is_written_and_may_throw)
{
	_cleanup_free_ char *program = suite_target("arena");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	int status = tracealloc_run(&scratch,
				    ARGV("--engine", engine_name(_i), "--show", "total", "--alloc",
					 "arena:*Arena::get(size=arg2) -> ptr", "--alloc",
					 "arena:*Arena::put(ptr=arg2)"),
				    ARGV(program), &report);
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "traced.out");
	ck_assert_ptr_nonnull(strstr(said, "caught 100\n"));
	_cleanup_json_ json_t *truth = truth_load(&scratch, "traced.out");
	truth_expect_line_totals(truth, &report);
	/* What it throws is allocated inside, and released by whoever catches it. */
	ck_assert_int_le(report_total(&report, "unknown_releases"), 100);
}
END_TEST

START_TEST(an_address_without_code_is_refused_before_anything_is_written)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process target = {0};
	char pid[16];

	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV("sleep", "1000"), &target);
	snprintf(pid, sizeof(pid), "%d", target.pid);
	int status =
		tracealloc_call(&scratch, ARGV("attach", "--alloc", "0x7fffffff(ptr=arg1)", pid));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_nonnull(strstr(errors, "there is no code at that address of \""));
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
}
END_TEST

static const struct {
	const char *const arguments[6];
	int status;
	const char *said;
} refusals[] = {
	{{"run", "--alloc", "f(sze=arg1)", "true"},
	 2,
	 "tracealloc: bad rule 'f(sze=arg1)' for --alloc: column 3: expected 'size=' or 'ptr='\n"},
	{{"run", "--alloc-file", "/nowhere", "true"},
	 2,
	 "tracealloc: cannot read rules '/nowhere': No such file or directory\n"},
	{{"run", "--alloc-file", "/dev/zero", "true"},
	 2,
	 "tracealloc: cannot read rules '/dev/zero': it is no regular file\n"},
	{{"run", "--alloc-file", "", "true"},
	 2,
	 "tracealloc: bad value '' for --alloc-file: give the name of a file\n"},
	{{"report", "--alloc", "f()", "x"}, 2, "tracealloc: "},
};

START_TEST(what_is_no_rule_is_said_in_one_line)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	int status = tracealloc_call(&scratch, refusals[_i].arguments);
	ck_assert_int_eq(WEXITSTATUS(status), refusals[_i].status);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(strncmp(errors, refusals[_i].said, strlen(refusals[_i].said)) == 0,
		      "it says '%s'", errors);
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
}
END_TEST

START_TEST(a_fault_in_a_file_is_found_by_line_and_column)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *file = write_rules(&scratch, "f(ptr=arg1)\n# x\ng(ptr=arg9)\n");
	int status = tracealloc_call(&scratch, ARGV("run", "--alloc-file", file, "true"));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_nonnull(
		strstr(errors, "': line 3: column 7: expected an argument, arg1 to arg6\n"));
}
END_TEST

START_TEST(a_rule_that_means_nothing_is_said)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	int status = tracealloc_call(&scratch,
				     ARGV("run", "--alloc", "nobody_*(ptr=arg1)", "--", "true"));
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_nonnull(
		strstr(errors, "warning: rule 'nobody_*(ptr=arg1)' means no function"));
}
END_TEST

START_TEST(of_an_ifunc_what_it_chooses_is_named)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *program =
		suite_build(&scratch, "special/chosen.c", "chosen", ARGV("-O2", "-g"));
	int status = tracealloc_call(
		&scratch, ARGV("run", "--alloc", "chosen_get(size=arg1) -> ptr", "--", program));
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_nonnull(strstr(errors, "or be an IFUNC (name what that chooses)\n"));
	status = tracealloc_run(&scratch,
				ARGV("--show", "total", "--alloc", "*_get(size=arg1) -> ptr"),
				ARGV(program), &report);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(report_at(&report, "chosen.c", 0).total_bytes, 10 * 77);
}
END_TEST

START_TEST(a_pattern_that_means_too_much_is_refused)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	int status = tracealloc_call(&scratch,
				     ARGV("run", "--alloc", "libc.so.6:*(ptr=arg1)", "--", "true"));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_ptr_nonnull(strstr(errors, "means more than 200 functions"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rules");
	TCase *counts = suite_case(suite, "counts", 120);
	TCase *words = suite_case(suite, "words", 60);

	tcase_add_test(counts, a_pool_is_counted_in_place_of_its_chunks);
	tcase_add_test(counts, a_pool_beside_its_allocator_is_counted_by_jumps);
	tcase_add_test(counts, a_wrapper_that_ends_in_a_jump_to_malloc_counts_once);
	tcase_add_loop_test(counts, without_rules_the_chunks_are_what_is_seen, 0, ENGINES);
	tcase_add_loop_test(counts, a_running_program_is_attached_to_and_let_go_as_it_was, 0,
			    ENGINES);
	tcase_add_test(counts, what_a_killed_tracealloc_leaves_far_from_its_agent_is_removed);
	tcase_add_test(counts, a_stripped_program_has_its_functions_named_by_address);
	tcase_add_loop_test(counts, a_class_of_cxx_is_named_as_it_is_written_and_may_throw, 0,
			    ENGINES);
	tcase_add_test(words, an_address_without_code_is_refused_before_anything_is_written);
	tcase_add_loop_test(words, what_is_no_rule_is_said_in_one_line, 0,
			    sizeof(refusals) / sizeof(*refusals));
	tcase_add_test(words, a_fault_in_a_file_is_found_by_line_and_column);
	tcase_add_test(words, a_rule_that_means_nothing_is_said);
	tcase_add_test(words, of_an_ifunc_what_it_chooses_is_named);
	tcase_add_test(words, a_pattern_that_means_too_much_is_refused);
	return suite_run(suite);
}
