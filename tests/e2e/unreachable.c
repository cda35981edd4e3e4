/* SPDX-License-Identifier: MIT */
/*
 * What nothing points to any more: line by line as the targets' sources say, as LeakSanitizer finds
 * it in the same programs, and as valgrind does; at every kind of end, and without the target
 * noticing. And what scripts do with it: limits, suppressions, saved snapshots.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/jumps.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

enum { LINES_MAX = 400 };

/* What is lost of each line of a target's source. */
struct lost {
	struct lost_line {
		int64_t direct_blocks, indirect_blocks;
		int64_t direct_bytes, indirect_bytes;
	} lines[LINES_MAX];
};

/* Blocks are charged to those who call these. */
#define CALLERS "--skip", "node_of", "--skip", "block_of"

/* ---- three witnesses */

/* The comments of the source, for the lines of one function and what it starts. */
static void read_truth(const char *source, struct lost *ret)
{
	_cleanup_free_ char *path = suite_source(source);
	_cleanup_free_ char *text = scratch_read(path, NULL);
	char *rest = text;
	for (int line = 1; rest; line++) {
		const char *mark = strsep(&rest, "\n");
		long direct, indirect;
		if ((mark = strstr(mark, "LOST ")) &&
		    sscanf(mark, "LOST %ld %ld", &direct, &indirect) == 2) {
			ck_assert_int_lt(line, LINES_MAX);
			ret->lines[line].direct_blocks = direct;
			ret->lines[line].indirect_blocks = indirect;
		}
	}
}

static int64_t number(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);
	ck_assert_msg(json_is_integer(value), "no number %s in a row", key);
	return json_integer_value(value);
}

static void read_report(const struct report *report, const char *source, struct lost *ret)
{
	size_t i;
	const json_t *row;
	*ret = (struct lost){0};
	json_array_foreach(json_object_get(report->root, "rows"), i, row)
	{
		const char *slash = strrchr(report_string(row, "file"), '/');
		if (!slash || strcmp(slash + 1, source) != 0)
			continue;
		struct lost_line *line = &ret->lines[number(row, "line") % LINES_MAX];
		line->direct_blocks += number(row, "unreachable_direct_blocks");
		line->direct_bytes += number(row, "unreachable_direct_bytes");
		line->indirect_blocks += number(row, "unreachable_indirect_blocks");
		line->indirect_bytes += number(row, "unreachable_indirect_bytes");
	}
}

/* The line of a frame in the source, 0 if it is in another or in one of those who only allocate. */
static int line_of_frame(const char *frame, const char *source)
{
	char name[64];
	snprintf(name, sizeof name, "%s:", source);
	const char *at = strstr(frame, name);
	if (!at || strstr(frame, "node_of") || strstr(frame, "block_of"))
		return 0;
	return atoi(at + strlen(name)) % LINES_MAX;
}

/* One leak of a list of them: "Direct leak of 40 byte(s) in 1 object(s) allocated from:". */
static void read_sanitizer(char *text, const char *source, struct lost *ret)
{
	char *rest = text;
	bool direct = false, open = false;
	long bytes = 0, blocks = 0;
	*ret = (struct lost){0};
	while (rest) {
		const char *line = strsep(&rest, "\n");
		char kind[16];
		if (sscanf(line, "%15s leak of %ld byte(s) in %ld object(s)", kind, &bytes,
			   &blocks) == 3) {
			direct = strcmp(kind, "Direct") == 0;
			open = true;
			continue;
		}
		int at = open ? line_of_frame(line, source) : 0;
		if (!at)
			continue;
		open = false;
		struct lost_line *one = &ret->lines[at];
		*(direct ? &one->direct_bytes : &one->indirect_bytes) += bytes;
		*(direct ? &one->direct_blocks : &one->indirect_blocks) += blocks;
	}
}

/* "==1== 40 (20 direct, 20 indirect) bytes in 1 blocks are definitely lost in ...", and frames. */
static void read_valgrind(char *text, const char *source, struct lost *ret)
{
	char *rest = text;
	bool direct = false, open = false;
	long bytes = 0, blocks = 0;
	*ret = (struct lost){0};
	while (rest) {
		char *line = strsep(&rest, "\n");
		char *comma;
		while ((comma = strchr(line, ',')))
			memmove(comma, comma + 1, strlen(comma));
		const char *body = strstr(line, "== ");
		const char *part = strchr(line, '(');
		if (body && strstr(line, "lost in loss record")) {
			direct = strstr(line, "definitely") != NULL;
			bytes = atol(part && strstr(part, "direct") ? part + 1 : body + 3);
			blocks = atol(strstr(line, "bytes in ") + strlen("bytes in "));
			open = true;
			continue;
		}
		int at = open ? line_of_frame(line, source) : 0;
		if (!at)
			continue;
		open = false;
		struct lost_line *one = &ret->lines[at];
		*(direct ? &one->direct_bytes : &one->indirect_bytes) += bytes;
		*(direct ? &one->direct_blocks : &one->indirect_blocks) += blocks;
	}
}

static void expect_same_blocks(const struct lost *got, const struct lost *want, const char *what)
{
	for (int line = 0; line < LINES_MAX; line++) {
		const struct lost_line *a = &got->lines[line], *b = &want->lines[line];
		ck_assert_msg(a->direct_blocks == b->direct_blocks &&
				      a->indirect_blocks == b->indirect_blocks,
			      "%s, line %d: %ld blocks directly, %ld indirectly, not %ld, %ld",
			      what, line, (long)a->direct_blocks, (long)a->indirect_blocks,
			      (long)b->direct_blocks, (long)b->indirect_blocks);
	}
}

/* Others give a block of no bytes one. */
static bool same_bytes(int64_t ours, int64_t theirs, int64_t blocks)
{
	return ours == theirs || (ours == 0 && theirs == blocks);
}

static void expect_same(const struct lost *got, const struct lost *want, const char *what)
{
	expect_same_blocks(got, want, what);
	for (int line = 0; line < LINES_MAX; line++) {
		const struct lost_line *a = &got->lines[line], *b = &want->lines[line];
		ck_assert_msg(same_bytes(a->direct_bytes, b->direct_bytes, a->direct_blocks) &&
				      same_bytes(a->indirect_bytes, b->indirect_bytes,
						 a->indirect_blocks),
			      "%s, line %d: %ld bytes directly, %ld indirectly, not %ld, %ld", what,
			      line, (long)a->direct_bytes, (long)a->indirect_bytes,
			      (long)b->direct_bytes, (long)b->indirect_bytes);
	}
}

/* Leaves what is lost in the lines of some function only: the truth has all modes. */
static void keep_lines_of(struct lost *truth, const char *mode)
{
	_cleanup_free_ char *path = suite_source("leaks.c");
	_cleanup_free_ char *text = scratch_read(path, NULL);
	static const struct {
		const char *mode, *first, *after;
	} parts[] = {
		{"plain", " plain(void)", " ring(void)"},
		{"ring", " ring(void)", " middle(void)"},
		{"middle", " middle(void)", " mapped(void)"},
		{"mapped", " mapped(void)", " wait_for_ever(void)"},
		{"threads", " wait_for_ever(void)", " in_child(void)"},
		{"forked", " in_child(void)", " killed(void)"},
		{"segv", " killed(void)", "calls that a stop"},
		{"kill", " killed(void)", "calls that a stop"},
		{"calls", "calls that a stop", "struct mode {"},
	};
	size_t i = 0;
	while (strcmp(parts[i].mode, mode) != 0)
		i++;
	const char *first = strstr(text, parts[i].first), *after = strstr(text, parts[i].after);
	ck_assert(first && after && first < after);
	int line = 1;
	for (const char *c = text; *c; c++) {
		if (*c != '\n')
			continue;
		line++;
		if (line < LINES_MAX && (c < first || c >= after))
			truth->lines[line] = (struct lost_line){0};
	}
}

static void expect_truth(const struct report *report, const char *mode, const char *what)
{
	struct lost got, truth = {0};
	read_report(report, "leaks.c", &got);
	read_truth("leaks.c", &truth);
	keep_lines_of(&truth, mode);
	expect_same_blocks(&got, &truth, what);
}

/* ---- ends of all kinds */

static const struct ending {
	const char *mode;
	int status; /* of waitpid */
} endings[] = {
	{"plain", 0},	{"ring", 0},   {"middle", 0}, {"mapped", 0},
	{"threads", 0}, {"forked", 0}, {"segv", 11},  {"kill", 9},
};
enum { ENDINGS = sizeof endings / sizeof *endings };

START_TEST(what_is_lost_at_the_end_is_what_the_source_says)
{
	const struct ending *ending = &endings[_i / ENGINES];
	const char *engine = engine_name(_i % ENGINES);
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	scratch_make(&scratch);
	int status = tracealloc_run(&scratch, ARGV("--unreachable", "--engine", engine, CALLERS),
				    ARGV(program, ending->mode), &report);
	ck_assert_int_eq(status & 0x7f, ending->status);
	expect_truth(&report, ending->mode, ending->mode);
	const json_t *looks = json_object_get(report.root, "unreachable");
	ck_assert_int_eq(number(looks, "processes"), strcmp(ending->mode, "forked") ? 1 : 2);
	ck_assert_int_eq(number(looks, "missed_processes"), 0);
}
END_TEST

static bool names_the_last_function(const void *context)
{
	_cleanup_free_ char *said = process_errors(context);
	return strstr(said, "pvalloc in ") != NULL;
}

static void until_probed(const struct process *attach, pid_t pid, int engine)
{
	if (engine == ENGINE_JUMP)
		jumps_until_probed(attach, pid);
	else
		process_until(names_the_last_function, attach, "all breakpoints to be in");
}

static const char *const waiting[] = {"plain", "ring", "middle", "mapped", "threads"};
enum { WAITING = sizeof waiting / sizeof *waiting };

START_TEST(what_is_lost_when_tracing_ends_is_what_the_source_says)
{
	const char *mode = waiting[_i / ENGINES];
	const char *engine = engine_name(_i % ENGINES);
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program, mode, "late"), &target);
	process_wait_output(&target, "waits");
	tracealloc_start_attach(&scratch, ARGV("-v", "--unreachable", "--engine", engine, CALLERS),
				target.pid, &attach);
	until_probed(&attach, target.pid, _i % ENGINES);
	process_send(&target, "x");
	process_wait_output(&target, "ready");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	tracealloc_report(&scratch, &report);
	expect_truth(&report, mode, mode);
}
END_TEST

START_TEST(no_system_call_of_the_target_ends_early)
{
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_process_ struct process target = {0}, attach = {0};
	scratch_make(&scratch);
	process_start(&scratch, "target", ARGV(program, "calls", "wait"), &target);
	process_wait_output(&target, "ready");
	tracealloc_start_attach(&scratch, ARGV("-v", "--unreachable", "--engine", engine_name(_i)),
				target.pid, &attach);
	until_probed(&attach, target.pid, _i);
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	process_close_input(&target);
	ck_assert_int_eq(process_wait(&target), 0);
	tracealloc_report(&scratch, &report);
}
END_TEST

/* Threads that end alone, or because another calls exec, must not be waited for. */
START_TEST(processes_end_and_exec_as_ever)
{
	static const struct {
		const char *target, *mode;
	} cases[] = {{"endings", "thread-exit"}, {"endings", "exit-group"},
		     {"endings", "leader-exit"}, {"endings", "bare"},
		     {"endings", "abort"},	 {"tree", "exec-thread"},
		     {"tree", "vfork"},		 {"tree", "clone-vm"},
		     {"tree", "storm"},		 {"tree", "exec"}};
	const char *engine = engine_name(_i % ENGINES);
	_cleanup_free_ char *program = suite_target(cases[_i / ENGINES].target);
	const char *mode = cases[_i / ENGINES].mode;
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	scratch_make(&scratch);
	int control = process_call(&scratch, "control", ARGV(program, mode));
	int status = tracealloc_run(&scratch, ARGV("--unreachable", "--engine", engine),
				    ARGV(program, mode), &report);
	ck_assert_msg(control == (WIFSIGNALED(status) ? control : status), "%s: %#x, not %#x", mode,
		      status, control);
	const json_t *looks = json_object_get(report.root, "unreachable");
	ck_assert_int_gt(number(looks, "processes"), 0);
	ck_assert_msg(number(looks, "frozen_ns") < 1000000000, "%s stood still for %ld ns", mode,
		      (long)number(looks, "frozen_ns"));
}
END_TEST
enum { PROCESS_CASES = 10 };

/* ---- others' judgement of the same programs */

static bool has_program(const struct scratch *scratch, const char *name)
{
	return process_call(scratch, "which", ARGV("which", name)) == 0;
}

static void run_ours(const struct scratch *scratch, const char *source, const char *const command[],
		     struct lost *ret)
{
	_cleanup_report_ struct report report = {0};
	tracealloc_run(scratch, ARGV("--unreachable", CALLERS), command, &report);
	read_report(&report, source, ret);
}

static const struct witness_case {
	const char *source, *target, *mode;
} sanitized[] = {
	{"leaks.c", "leaks", "plain"},
	{"leaks.c", "leaks", "ring"},
	{"leaks.c", "leaks", "middle"},
	{"leaks.c", "leaks", "threads"},
	{"leaks_containers.cc", "leaks_containers", "-"},
};
enum { SANITIZED = sizeof sanitized / sizeof *sanitized };

START_TEST(leak_sanitizer_finds_the_same)
{
	const struct witness_case *one = &sanitized[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_target(one->target);
	_cleanup_free_ char *sanitized_program = suite_build(
		&scratch, one->source, "sanitized",
		ARGV("-O2", "-g", "-pthread", "-D_GNU_SOURCE", "-fsanitize=leak", "-w"));
	struct lost ours, theirs;
	process_call(
		&scratch, "sanitizer",
		ARGV("env", "LSAN_OPTIONS=fast_unwind_on_malloc=0", sanitized_program, one->mode));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "sanitizer.err");
	ck_assert_msg(strstr(text, "LeakSanitizer: detected memory leaks") != NULL, "%s", text);
	read_sanitizer(text, one->source, &theirs);
	run_ours(&scratch, one->source, ARGV(program, one->mode), &ours);
	expect_same(&ours, &theirs, one->mode);
	if (strcmp(one->mode, "-") == 0) {
		struct lost truth = {0};
		read_truth(one->source, &truth);
		expect_same_blocks(&ours, &truth, one->source);
	}
}
END_TEST

/* Without what points into the middle, of which valgrind is not sure. */
START_TEST(valgrind_finds_the_same)
{
	static const char *const modes[] = {"plain", "mapped"};
	const char *mode = modes[_i];
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	if (!has_program(&scratch, "valgrind")) {
		suite_skip("valgrind is not installed");
		return;
	}
	_cleanup_free_ char *program = suite_target("leaks");
	struct lost ours, theirs;
	process_call(&scratch, "valgrind",
		     ARGV("valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect",
			  "--leak-resolution=high", program, mode));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "valgrind.err");
	ck_assert_msg(strstr(text, "LEAK SUMMARY") != NULL, "%s", text);
	read_valgrind(text, "leaks.c", &theirs);
	run_ours(&scratch, "leaks.c", ARGV(program, mode), &ours);
	expect_same(&ours, &theirs, mode);
}
END_TEST

/* ---- for scripts */

static int call(const struct scratch *scratch, const char *const arguments[])
{
	int status = tracealloc_call(scratch, arguments);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect_said(const struct scratch *scratch, const char *name, const char *text)
{
	_cleanup_free_ char *said = tracealloc_text(scratch, name);
	ck_assert_msg(strstr(said, text) != NULL, "\"%s\" is not in \"%s\"", text, said);
}

START_TEST(a_limit_that_is_exceeded_gives_status_3)
{
	_cleanup_free_ char *program = suite_target("leaks"),
			    *endings_program = suite_target("endings");
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *saved = scratch_file(&scratch, "a.snapshot");
	ck_assert_int_eq(call(&scratch, ARGV("run", "--fail-on", "unreachable=0,peak=1G",
					     "--output", saved, program, "ring")),
			 3);
	expect_said(&scratch, "call.err",
		    "tracealloc: limit exceeded: unreachable 120 bytes in 3 blocks, the limit is 0 "
		    "bytes\n");
	ck_assert_int_eq(
		call(&scratch, ARGV("run", "-q", "--fail-on", "unreachable=120", program, "ring")),
		0);
	ck_assert_int_eq(call(&scratch, ARGV("report", "--fail-on=peak=1", saved)), 3);
	ck_assert_int_eq(call(&scratch, ARGV("report", "--fail-on=unreachable=119", saved)), 3);
	ck_assert_int_eq(call(&scratch, ARGV("report", "--fail-on=leaked=240", saved)), 0);
	ck_assert_int_eq(call(&scratch, ARGV("diff", "--fail-on=leaked=0", saved, saved)), 0);
	/* A program that fails keeps its own status. */
	ck_assert_int_eq(call(&scratch, ARGV("run", "--fail-on=total=0", endings_program, "bare")),
			 13);
	expect_said(&scratch, "call.err", "limit exceeded: total");
}
END_TEST

START_TEST(what_nobody_looked_for_is_not_shown)
{
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *saved = scratch_file(&scratch, "a.snapshot");
	ck_assert_int_eq(call(&scratch, ARGV("run", "-q", "--output", saved, program, "ring")), 0);
	ck_assert_int_eq(call(&scratch, ARGV("report", "--show=unreachable", saved)), 1);
	expect_said(&scratch, "call.err",
		    "tracealloc: cannot show unreachable blocks: the snapshot was made without "
		    "--unreachable\n");
	ck_assert_int_eq(call(&scratch, ARGV("report", "--fail-on=unreachable=0", saved)), 1);
}
END_TEST

START_TEST(a_saved_snapshot_says_the_same)
{
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report live = {0}, read = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *saved = scratch_file(&scratch, "a.snapshot");
	_cleanup_free_ char *again = scratch_file(&scratch, "again.json");
	tracealloc_run(&scratch, ARGV("--unreachable", CALLERS, "--output", saved),
		       ARGV(program, "plain"), &live);
	ck_assert_int_eq(call(&scratch, ARGV("report", "--format=json", "--report", again,
					     "--show=unreachable", CALLERS, saved)),
			 0);
	report_load(again, &read);
	expect_truth(&read, "plain", "saved");
	ck_assert(json_equal(json_object_get(live.root, "unreachable"),
			     json_object_get(read.root, "unreachable")));
}
END_TEST

START_TEST(suppressed_leaks_are_counted_and_not_shown)
{
	_cleanup_free_ char *program = suite_target("leaks");
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *known = scratch_file(&scratch, "known.txt");
	static const char text[] = "# lists\nleak:^node_of$\nleak:nothing\n";
	scratch_write(known, text, sizeof text - 1);
	ck_assert_int_eq(call(&scratch, ARGV("run", "--unreachable", "--suppressions", known,
					     "--fail-on=unreachable=201500", program, "plain")),
			 0);
	expect_said(&scratch, "call.err", "suppressed: 280 B in 7 blocks by leak:^node_of$ (");
	expect_said(&scratch, "call.err", "known.txt:2)\n");
	ck_assert_int_eq(call(&scratch, ARGV("run", "--suppressions", program, "true")), 1);
	ck_assert_int_eq(call(&scratch, ARGV("run", "--suppressions", "/nonexistent", "true")), 1);
	scratch_write(known, "leak:a\nleaks:b\n", 15);
	ck_assert_int_eq(call(&scratch, ARGV("run", "--suppressions", known, "true")), 2);
	expect_said(&scratch, "call.err", "known.txt:2: bad suppression 'leaks:b'");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unreachable");
	TCase *tcase = suite_case(suite, "unreachable", 60);
	tcase_add_loop_test(tcase, what_is_lost_at_the_end_is_what_the_source_says, 0,
			    ENDINGS * ENGINES);
	tcase_add_loop_test(tcase, what_is_lost_when_tracing_ends_is_what_the_source_says, 0,
			    WAITING * ENGINES);
	tcase_add_loop_test(tcase, no_system_call_of_the_target_ends_early, 0, ENGINES);
	tcase_add_loop_test(tcase, processes_end_and_exec_as_ever, 0, PROCESS_CASES * ENGINES);
	tcase_add_loop_test(tcase, leak_sanitizer_finds_the_same, 0, SANITIZED);
	tcase_add_loop_test(tcase, valgrind_finds_the_same, 0, 2);
	tcase_add_test(tcase, a_limit_that_is_exceeded_gives_status_3);
	tcase_add_test(tcase, what_nobody_looked_for_is_not_shown);
	tcase_add_test(tcase, a_saved_snapshot_says_the_same);
	tcase_add_test(tcase, suppressed_leaks_are_counted_and_not_shown);
	return suite_run(suite);
}
