/* SPDX-License-Identifier: MIT */
/*
 * The page for those who know tracemalloc: it has a row for everything that Python's module has,
 * each of its commands works as it stands there, and the examples of the module's documentation
 * give true figures on a C program.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/phases.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

#define PAGE "man/tracealloc-tracemalloc.7"

/*
 * The work of the module's last example, in two phases: a large array is summed up, then a small
 * one; what is kept is small. "wait": before the second phase it waits for a line.
 */
static const char source[] =
	"#include <stdio.h>\n"					    /* 1 */
	"#include <stdlib.h>\n"					    /* 2 */
	"#include <string.h>\n"					    /* 3 */
	"static long *volatile kept[2];\n"			    /* 4 */
	"static long sum_up(long count)\n"			    /* 5 */
	"{\n"							    /* 6 */
	"	long sum = 0;\n"				    /* 7 */
	"	volatile long *numbers =\n"			    /* 8 */
	"		malloc(count * sizeof *numbers);\n"	    /* 9 */
	"	for (long i = 0; i < count; i++) numbers[i] = i;\n" /* 10 */
	"	for (long i = 0; i < count; i++) sum += numbers[i];\n"
	"	free((void *)numbers);\n"	/* 12 */
	"	return sum;\n"			/* 13 */
	"}\n"					/* 14 */
	"int main(int argc, char **argv)\n"	/* 15 */
	"{\n"					/* 16 */
	"	char line[40];\n"		/* 17 */
	"	(void)argv;\n"			/* 18 */
	"	setbuf(stdin, NULL);\n"		/* 19 */
	"	kept[0] = calloc(83, 8);\n"	/* 20 */
	"	kept[0][0] = sum_up(100000);\n" /* 21 */
	"	if (argc > 1 && write(1, line, sprintf(line, \"%p wait\\n\", (void *)*kept)))\n"
	"		while (fgets(line, 8, stdin) && *line != 'g');\n"
	"	kept[1] = calloc(17, 8);\n"   /* 24 */
	"	kept[1][0] = sum_up(1000);\n" /* 25 */
	"	if (argc > 1 && write(1, \"done\\n\", 5) == 5)\n"
	"		while (fgets(line, 8, stdin));\n" /* 27 */
	"	return 0;\n"				  /* 28 */
	"}\n";						  /* 29 */

static void prepare(struct scratch *scratch)
{
	scratch_make(scratch);
	_cleanup_free_ char *file = scratch_file(scratch, "prog.c");
	_cleanup_free_ char *program = scratch_file(scratch, "prog");
	scratch_write(file, source, strlen(source));
	ck_assert_int_eq(process_call(scratch, "gcc",
				      ARGV("gcc", "-g", "-O1", "-fno-inline", "-include",
					   "unistd.h", "-o", program, file)),
			 0);
}

START_TEST(everything_that_the_module_has_stands_on_the_page)
{
	static const char script[] =
		"import tracemalloc, re, sys\n"
		"page = open(sys.argv[1]).read()\n"
		"own = ('tracemalloc', '_tracemalloc')\n"
		"def has(name):\n"
		"    return re.search(r'(?<![\\w.])' + re.escape(name) + r'(?![\\w])', page)\n"
		"for name, value in vars(tracemalloc).items():\n"
		"    if name[0] == '_' or getattr(value, '__module__', '') not in own: continue\n"
		"    print('row' if has(name) else 'none', name)\n"
		"    for part, what in vars(value).items() if isinstance(value, type) else ():\n"
		"        if part[0] != '_' and 'maxlen' not in part:\n"
		"            print('row' if has(name + '.' + part) else 'none', name + '.' + "
		"part)\n";
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	ck_assert_int_eq(process_call(&scratch, "python", ARGV("python3", "-c", script, PAGE)), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "python.out");
	const char *missing = strstr(text, "none ");
	ck_assert_msg(!missing, "no row on the page: %s", missing);
	size_t rows = 0;
	for (const char *at = text; (at = strstr(at, "row ")); at++)
		rows++;
	ck_assert_uint_gt(rows, 30);
}
END_TEST

/* Every `from` in text becomes `to`. */
static void replace(char *text, size_t room, const char *from, const char *to)
{
	char *at;
	while ((at = strstr(text, from))) {
		size_t rest = strlen(at + strlen(from)) + 1;
		ck_assert_uint_lt((size_t)(at - text) + strlen(to) + rest, room);
		memmove(at + strlen(to), at + strlen(from), rest);
		memcpy(at, to, strlen(to));
	}
}

/* The address that the program has said. */
static void block_of(struct process *process, char ret[32])
{
	_cleanup_free_ char *output = process_output(process);
	ck_assert_int_eq(sscanf(output, "%31s wait", ret), 1);
}

/* A command of the page, in the directory of the test. */
static void expect_success(const struct scratch *scratch, const char *line, pid_t pid,
			   const char *address)
{
	_cleanup_free_ char *tracealloc = suite_tracealloc();
	char command[1024], number[16], path[512];
	snprintf(command, sizeof command, "%s", line);
	snprintf(number, sizeof number, " %d", (int)pid);
	replace(command, sizeof command, " PID", number);
	replace(command, sizeof command, "--for 1s", "--for 50ms");
	replace(command, sizeof command, "0xADDRESS", address);
	snprintf(path, sizeof path, "cd %s && exec %s", scratch->path, tracealloc);
	ck_assert_ptr_eq(strstr(command, "tracealloc "), command);
	char whole[2048];
	snprintf(whole, sizeof whole, "%s%s", path, command + strlen("tracealloc"));
	int status = process_call(scratch, "command", ARGV("sh", "-c", whole));
	_cleanup_free_ char *errors = tracealloc_text(scratch, "command.err");
	ck_assert_msg(status == 0, "%s: status %#x: %s", line, status, errors);
}

static pid_t child_of(const struct scratch *scratch, pid_t pid)
{
	char parent[16];
	snprintf(parent, sizeof parent, "%d", pid);
	ck_assert_int_eq(process_call(scratch, "children", ARGV("pgrep", "-P", parent)), 0);
	_cleanup_free_ char *text = tracealloc_text(scratch, "children.out");
	return (pid_t)strtol(text, NULL, 10);
}

/* Starts the program under a session, and waits until both can be spoken to. */
static pid_t start_session(const struct scratch *scratch, const char *program, struct process *ret)
{
	tracealloc_start_run(scratch, NULL, ARGV(program, "wait"), ret);
	process_wait_output(ret, "wait");
	pid_t pid = child_of(scratch, ret->pid);
	phases_until_answered(scratch, pid);
	return pid;
}

/* The same of a request, for which there must be a session. */
static void expect_answer(const struct scratch *scratch, const char *line, const char *program)
{
	_cleanup_process_ struct process run = {0};
	char address[32];
	pid_t pid = start_session(scratch, program, &run);
	block_of(&run, address);
	expect_success(scratch, line, pid, address);
	process_close_input(&run);
	ck_assert_int_eq(process_wait(&run), 0);
}

START_TEST(every_command_of_the_page_works)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process process = {0};
	prepare(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	_cleanup_free_ char *page = scratch_read(PAGE, NULL);
	process_start(&scratch, "prog", ARGV(program, "wait"), &process);
	process_wait_output(&process, "wait");
	expect_success(&scratch, "tracealloc run --output old.snapshot ./prog", process.pid, "");
	expect_success(&scratch, "tracealloc run --output new.snapshot ./prog", process.pid, "");
	size_t commands = 0;
	for (char *save, *line = strtok_r(page, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, ".Dl ", 4) != 0)
			continue;
		if (strncmp(line + 4, "tracealloc ctl ", strlen("tracealloc ctl ")) == 0)
			expect_answer(&scratch, line + 4, program);
		else
			expect_success(&scratch, line + 4, process.pid, "");
		commands++;
	}
	ck_assert_uint_ge(commands, 40);
}
END_TEST

START_TEST(the_pretty_top_has_true_figures)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	prepare(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("run", "--quiet", program)), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.err");
	char want[1024];
	/* 100000 numbers of 8 bytes; 83 that are kept. */
	snprintf(want, sizeof want,
		 "Top 10 lines\n"
		 "#1: %s/prog.c:9: 781.2 KiB\n    malloc(count * sizeof *numbers);\n"
		 "#2: %s/prog.c:20: 0.6 KiB\n    kept[0] = calloc(83, 8);\n"
		 "Total allocated size: 781.9 KiB\n",
		 scratch.path, scratch.path);
	ck_assert_str_eq(text, want);
}
END_TEST

/* As the module's example has it: each phase with a current size and a peak of its own. */
START_TEST(each_phase_has_a_peak_of_its_own)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report first = {0}, second = {0};
	_cleanup_process_ struct process process = {0}, attach = {0};
	prepare(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	ck_assert_int_eq(tracealloc_run(&scratch, NULL, ARGV(program), &first), 0);
	ck_assert_int_eq(report_total(&first, "peak_bytes"), 83 * 8 + 100000 * 8);
	ck_assert_int_eq(report_total(&first, "current_bytes"), 83 * 8 + 17 * 8);
	process_start(&scratch, "prog", ARGV(program, "wait"), &process);
	process_wait_output(&process, "wait");
	tracealloc_start_attach(&scratch, NULL, process.pid, &attach);
	tracealloc_until_probed(&attach, process.pid);
	process_send(&process, "go\n");
	process_wait_output(&process, "done");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &second);
	ck_assert_int_eq(report_total(&second, "peak_bytes"), 17 * 8 + 1000 * 8);
	ck_assert_int_eq(report_total(&second, "current_bytes"), 17 * 8);
}
END_TEST

static void expect_status(const struct scratch *scratch, pid_t pid, json_int_t current,
			  json_int_t peak)
{
	json_t *answer = phases_ask(scratch, pid, ARGV("status"));
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "current_bytes")), current);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "peak_bytes")), peak);
	json_decref(answer);
}

/* The same asked for from outside while one session goes on. */
START_TEST(the_peak_is_reset_between_two_phases)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process run = {0};
	prepare(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *program = scratch_file(&scratch, "prog");
	pid_t pid = start_session(&scratch, program, &run);
	expect_status(&scratch, pid, 83 * 8, 83 * 8 + 100000 * 8);
	phases_ctl(&scratch, pid, ARGV("reset-peak"));
	expect_status(&scratch, pid, 83 * 8, 83 * 8);
	process_send(&run, "go\n");
	process_wait_output(&run, "done");
	expect_status(&scratch, pid, 83 * 8 + 17 * 8, 83 * 8 + 17 * 8 + 1000 * 8);
	process_close_input(&run);
	ck_assert_int_eq(process_wait(&run), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracemalloc");
	TCase *tests = suite_case(suite, "tracemalloc", 240);

	tcase_add_test(tests, everything_that_the_module_has_stands_on_the_page);
	tcase_add_test(tests, every_command_of_the_page_works);
	tcase_add_test(tests, the_pretty_top_has_true_figures);
	tcase_add_test(tests, each_phase_has_a_peak_of_its_own);
	tcase_add_test(tests, the_peak_is_reset_between_two_phases);
	return suite_run(suite);
}
