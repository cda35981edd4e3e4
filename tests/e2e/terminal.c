/* SPDX-License-Identifier: MIT */
/*
 * On a terminal: the status line while tracing, colours, and nothing of it where it does not
 * belong. What is looked at is the screen as a person would see it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "lib/screen.h"
#include "lib/storm.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

#define SNAPSHOT "tests/golden/first.snapshot"

/* A program that runs for a second and a half, allocates, and prints a line at its end. */
static const char work[] = "n=0; while [ $n -lt 30 ]; do sleep 0.05; n=$((n+1)); done; echo done";

static void start_attach(const struct storm *storm, const char *term, unsigned columns,
			 const char *option, struct screen *ret)
{
	_cleanup_free_ char *program = suite_tracealloc();
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", storm->process.pid);
	screen_start(term, columns, ARGV(program, "attach", "--for", "60s", option, pid), ret);
}

/* No line of the screen is one that the status line would be. */
static void expect_no_status(const char *seen)
{
	ck_assert_msg(!strstr(seen, "tracealloc: "), "%s", seen);
}

START_TEST(an_attach_says_how_it_goes_and_takes_it_back)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_screen_ struct screen screen = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 2, &storm);
	start_attach(&storm, "xterm", 120, "--status=auto", &screen);
	screen_until(&screen, "of a CPU");
	_cleanup_free_ char *meanwhile = screen_seen(&screen);
	ck_assert_msg(strstr(meanwhile, "tracealloc: 0:0"), "%s", meanwhile);
	ck_assert_msg(strstr(meanwhile, " events/s, tracer "), "%s", meanwhile);
	screen_type(&screen, "\003");
	ck_assert_int_eq(screen_wait(&screen), 0);
	_cleanup_free_ char *seen = screen_seen(&screen);
	expect_no_status(seen);
	ck_assert_msg(strstr(seen, "\nTop 10 lines\n"), "%s", seen);
	storm_expect_good_end(&storm);
}
END_TEST

START_TEST(the_line_is_narrower_than_the_terminal)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_screen_ struct screen screen = {0};

	scratch_make(&scratch);
	storm_start(&scratch, 1, &storm);
	start_attach(&storm, "xterm", 40, "--status=auto", &screen);
	screen_until(&screen, "live");
	screen_until(&screen, "\r\033[K");
	_cleanup_free_ char *seen = screen_seen(&screen);
	ck_assert_msg(strlen(seen) <= 40, "%s", seen);
	ck_assert_msg(!strstr(seen, "peak"), "%s", seen);
}
END_TEST

START_TEST(it_stays_away_where_it_was_not_asked_for)
{
	static const struct {
		const char *term, *option;
	} cases[] = {{"xterm", "--quiet"}, {"xterm", "--status=no"}, {"dumb", "--status=yes"}};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_storm_ struct storm storm = {0};
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	char pid[16];

	scratch_make(&scratch);
	storm_start(&scratch, 1, &storm);
	snprintf(pid, sizeof(pid), "%d", storm.process.pid);
	screen_start(
		cases[_i].term, 80,
		ARGV(program, "attach", "--for", "1200ms", "--color=never", cases[_i].option, pid),
		&screen);
	ck_assert_int_eq(screen_wait(&screen), 0);
	ck_assert_msg(!strchr(screen.bytes, '\033'), "%s", screen.bytes);
	ck_assert_ptr_nonnull(strstr(screen.bytes, "Top 10 lines"));
}
END_TEST

START_TEST(the_terminal_is_the_programs_while_it_runs)
{
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	screen_start("xterm", 100, ARGV(program, "run", "--", "sh", "-c", work), &screen);
	ck_assert_int_eq(screen_wait(&screen), 0);
	ck_assert_msg(!strstr(screen.bytes, "tracealloc: "), "%s", screen.bytes);
}
END_TEST

START_TEST(a_run_that_is_asked_says_how_it_goes)
{
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	screen_start("xterm", 100, ARGV(program, "run", "--status", "yes", "--", "sh", "-c", work),
		     &screen);
	screen_until(&screen, "tracealloc: 0:01, live ");
	ck_assert_int_eq(screen_wait(&screen), 0);
	_cleanup_free_ char *seen = screen_seen(&screen);
	expect_no_status(seen);
	/* The program's own line begins where the status line did. */
	ck_assert_msg(strstr(seen, "done"), "%s", seen);
}
END_TEST

START_TEST(messages_do_not_land_in_it)
{
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	/* The second shell is probed when it is executed, and each of its breakpoints is told. */
	screen_start("xterm", 300,
		     ARGV(program, "run", "--status", "yes", "-v", "--engine", "breakpoint", "--",
			  "sh", "-c", "sleep 1.3; sh -c true; sleep 0.1"),
		     &screen);
	ck_assert_int_eq(screen_wait(&screen), 0);
	_cleanup_free_ char *seen = screen_seen(&screen);
	const char *erased = strstr(screen.bytes, "events/s");
	ck_assert_ptr_nonnull(erased);
	ck_assert_msg(strstr(erased, "\r\033[Ktracealloc: process "), "%s", screen.bytes);
	ck_assert_msg(!strstr(seen, "events/s"), "%s", seen);
}
END_TEST

/* `tracealloc report` of a saved snapshot: what a shell command line writes. */
static char *written(const struct scratch *scratch, const char *command)
{
	_cleanup_free_ char *program = suite_tracealloc();
	ck_assert_int_eq(process_call(scratch, "shell", ARGV("sh", "-c", command, program)), 0);
	return tracealloc_text(scratch, "shell.out");
}

START_TEST(a_report_on_a_terminal_has_colours_and_its_words)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	scratch_make(&scratch);
	unsetenv("NO_COLOR");
	screen_start("xterm", 200, ARGV(program, "report", SNAPSHOT), &screen);
	ck_assert_int_eq(screen_wait(&screen), 0);
	ck_assert_msg(strstr(screen.bytes, "\033[1mTop 10 lines\033[0m"), "%s", screen.bytes);
	_cleanup_free_ char *seen = screen_seen(&screen);
	_cleanup_free_ char *piped = written(&scratch, "\"$0\" report " SNAPSHOT);
	/* The screen has one line more: the one the cursor is on. */
	ck_assert_msg(strncmp(seen, piped, strlen(piped)) == 0, "%s instead of %s", seen, piped);
}
END_TEST

START_TEST(colours_can_be_turned_off_and_on)
{
	static const struct {
		const char *term, *no_color, *option;
		bool colored;
	} cases[] = {
		{"xterm", "1", "--color=auto", false},	{"xterm", "", "--color=auto", true},
		{"xterm", "", "--color=never", false},	{"dumb", "", "--color=auto", false},
		{"xterm", "1", "--color=always", true}, {"dumb", "", "--color=always", true},
	};
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();

	setenv("NO_COLOR", cases[_i].no_color, 1);
	screen_start(cases[_i].term, 200, ARGV(program, "report", cases[_i].option, SNAPSHOT),
		     &screen);
	ck_assert_int_eq(screen_wait(&screen), 0);
	ck_assert_msg((strchr(screen.bytes, '\033') != NULL) == cases[_i].colored, "%s",
		      screen.bytes);
}
END_TEST

START_TEST(what_is_piped_knows_of_no_terminal)
{
	static const char *const commands[] = {
		"TERM=xterm-256color COLUMNS=20 \"$0\" report " SNAPSHOT,
		"TERM=xterm \"$0\" report --color never " SNAPSHOT,
		"TERM=xterm \"$0\" report --report /dev/stdout " SNAPSHOT " | cat",
	};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	_cleanup_free_ char *plain = written(&scratch, "env -i \"$0\" report " SNAPSHOT);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		_cleanup_free_ char *other = written(&scratch, commands[i]);
		ck_assert_str_eq(other, plain);
	}
	_cleanup_free_ char *forced = written(&scratch, "\"$0\" report --color=always " SNAPSHOT);
	ck_assert_ptr_nonnull(strstr(forced, "\033[1m"));
	_cleanup_free_ char *json =
		written(&scratch, "\"$0\" report --color=always --format=json " SNAPSHOT);
	ck_assert_ptr_null(strchr(json, '\033'));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("terminal");
	TCase *status_case = suite_case(suite, "status", 120);
	TCase *color_case = suite_case(suite, "colours", 120);

	tcase_add_test(status_case, an_attach_says_how_it_goes_and_takes_it_back);
	tcase_add_test(status_case, the_line_is_narrower_than_the_terminal);
	tcase_add_loop_test(status_case, it_stays_away_where_it_was_not_asked_for, 0, 3);
	tcase_add_test(status_case, the_terminal_is_the_programs_while_it_runs);
	tcase_add_test(status_case, a_run_that_is_asked_says_how_it_goes);
	tcase_add_test(status_case, messages_do_not_land_in_it);
	tcase_add_test(color_case, a_report_on_a_terminal_has_colours_and_its_words);
	tcase_add_loop_test(color_case, colours_can_be_turned_off_and_on, 0, 6);
	tcase_add_test(color_case, what_is_piped_knows_of_no_terminal);
	return suite_run(suite);
}
