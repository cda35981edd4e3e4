/* SPDX-License-Identifier: MIT */
/* Debug files that a server is asked for (--debuginfod): tests/lib/debuginfod.py is one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/screen.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

struct fixture {
	struct scratch scratch;
	struct process server;
	char *program; /* stripped; the server has its debug file */
	char *snapshot;
};

static void fixture_end(struct fixture *fixture)
{
	process_end(&fixture->server);
	free(fixture->program);
	free(fixture->snapshot);
	scratch_remove(&fixture->scratch);
}
#define _cleanup_fixture_ __attribute__((__cleanup__(fixture_end)))

static void in_scratch(const struct fixture *fixture, const char *text)
{
	char whole[1024];
	snprintf(whole, sizeof whole, "cd %s && %s", fixture->scratch.path, text);
	ck_assert_msg(system(whole) == 0, "%s", whole);
}

/* A server on a port of its own, and the environment that names it. */
static void start_server(struct fixture *ret)
{
	_cleanup_free_ char *directory = scratch_file(&ret->scratch, "served");
	_cleanup_free_ char *cache = scratch_file(&ret->scratch, "cache");
	process_start(&ret->scratch, "server",
		      ARGV("python3", "tests/lib/debuginfod.py", directory), &ret->server);
	process_wait_output(&ret->server, " ready");
	_cleanup_free_ char *address = process_output(&ret->server);
	address[strcspn(address, " ")] = '\0';
	setenv("DEBUGINFOD_URLS", address, true);
	setenv("DEBUGINFOD_CACHE_PATH", cache, true);
	/* One who wants to see progress in the library's own way would disturb the texts here. */
	unsetenv("DEBUGINFOD_PROGRESS");
}

static void prepare(struct fixture *ret, const char *served)
{
	char command[512];
	_cleanup_free_ char *target = suite_target("calls");
	_cleanup_free_ char *other = suite_target(served);
	scratch_make(&ret->scratch);
	ret->program = scratch_file(&ret->scratch, "prog");
	ret->snapshot = scratch_file(&ret->scratch, "a.snapshot");
	snprintf(command, sizeof command,
		 "mkdir served && cp %s whole && strip -o prog whole && "
		 "id=$(readelf -n whole | sed -n 's/.*Build ID: //p') && "
		 "objcopy --only-keep-debug %s served/$id && touch served/requests",
		 target, other);
	in_scratch(ret, command);
	start_server(ret);
}

/* What a call that succeeds prints. */
static char *call(const struct fixture *fixture, const char *const arguments[], const char *name)
{
	int status = tracealloc_call(&fixture->scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	return tracealloc_text(&fixture->scratch, name);
}

static size_t count_requests(const struct fixture *fixture)
{
	size_t count = 0;
	_cleanup_free_ char *text = tracealloc_text(&fixture->scratch, "served/requests");
	for (const char *line = text; (line = strchr(line, '\n')); line++)
		count++;
	return count;
}

static char *run(const struct fixture *fixture, const char *option)
{
	return call(fixture, ARGV("run", option, "--show", "total", fixture->program), "call.err");
}

static void expect(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "without \"%s\": %s", part, text);
}

START_TEST(lines_come_from_a_server_only_where_asked_and_once)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture, "calls");
	_cleanup_free_ char *blind = run(&fixture, "--color=never");
	ck_assert_msg(!strstr(blind, "/calls.c:"), "%s", blind);
	expect(blind, "--debuginfod, or -g when building):\n");
	ck_assert_uint_eq(count_requests(&fixture), 0);

	_cleanup_free_ char *text = run(&fixture, "--debuginfod");
	expect(text, "/calls.c:");
	size_t asked = count_requests(&fixture);
	ck_assert_uint_ge(asked, 1);

	process_end(&fixture.server);
	fixture.server = (struct process){0};
	_cleanup_free_ char *kept = run(&fixture, "--debuginfod");
	expect(kept, "/calls.c:");
}
END_TEST

START_TEST(a_raw_snapshot_is_completed_where_the_program_is_gone)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture, "calls");
	free(call(&fixture, ARGV("run", "--raw", "--output", fixture.snapshot, fixture.program),
		  "call.err"));
	const char *const asked[] = {"report", "--debuginfod",	 "--show",
				     "total",  fixture.snapshot, NULL};
	_cleanup_free_ char *text = call(&fixture, asked, "call.out");
	expect(text, "/calls.c:");
	unlink(fixture.program);
	_cleanup_free_ char *gone = call(&fixture, asked, "call.out");
	expect(gone, "/calls.c:");
}
END_TEST

START_TEST(what_is_of_another_build_is_not_believed)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture, "peaks");
	_cleanup_free_ char *text = run(&fixture, "--debuginfod");
	ck_assert_msg(!strstr(text, "/peaks.c:") && !strstr(text, "/calls.c:"), "%s", text);
	ck_assert_uint_ge(count_requests(&fixture), 1);
}
END_TEST

START_TEST(a_server_that_takes_too_long_costs_the_lines_and_not_the_report)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture, "calls");
	in_scratch(&fixture, "touch served/slow");
	_cleanup_free_ char *text = call(&fixture,
					 ARGV("run", "--debuginfod-limit", "1s", "--debuginfod",
					      "--show", "total", fixture.program),
					 "call.err");
	expect(text, "tracealloc: warning: debug files take too long to fetch: no more are asked "
		     "for; --debuginfod-limit gives them more time\n");
	expect(text, "\nTop 10 lines\n");
}
END_TEST

START_TEST(a_server_that_is_not_there_is_said_once)
{
	static const char warning[] = "tracealloc: warning: cannot fetch debug files from 'http:";
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture, "calls");
	process_end(&fixture.server);
	fixture.server = (struct process){0};
	_cleanup_free_ char *text = run(&fixture, "--debuginfod");
	expect(text, warning);
	expect(text, "\nTop 10 lines\n");
	ck_assert_ptr_null(strstr(strstr(text, warning) + 1, warning));
}
END_TEST

START_TEST(without_a_server_it_says_what_to_set)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	scratch_make(&scratch);
	if (_i)
		setenv("DEBUGINFOD_URLS", " ", true);
	else
		unsetenv("DEBUGINFOD_URLS");
	int status = tracealloc_call(&scratch, ARGV("run", "--debuginfod", "true"));
	ck_assert_int_eq(WEXITSTATUS(status), 2);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "call.err");
	ck_assert_str_eq(errors, "tracealloc: --debuginfod: no server to ask for debug files: set "
				 "DEBUGINFOD_URLS to one's address, such as "
				 "https://debuginfod.debian.net\n");
}
END_TEST

START_TEST(a_terminal_is_told_what_is_fetched)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_screen_ struct screen screen = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	prepare(&fixture, "calls");
	in_scratch(&fixture, "touch served/slow");
	screen_start("xterm", 150,
		     ARGV(program, "run", "--debuginfod", "--debuginfod-limit", "1h",
			  fixture.program, "plain"),
		     &screen);
	screen_until(&screen, "tracealloc: fetching debug information of ");
	screen_until(&screen, " of 1024 MiB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("debuginfod");
	TCase *tests = suite_case(suite, "debuginfod", 120);

	tcase_add_test(tests, lines_come_from_a_server_only_where_asked_and_once);
	tcase_add_test(tests, a_raw_snapshot_is_completed_where_the_program_is_gone);
	tcase_add_test(tests, what_is_of_another_build_is_not_believed);
	tcase_add_test(tests, a_server_that_takes_too_long_costs_the_lines_and_not_the_report);
	tcase_add_test(tests, a_server_that_is_not_there_is_said_once);
	tcase_add_loop_test(tests, without_a_server_it_says_what_to_set, 0, 2);
	tcase_add_test(tests, a_terminal_is_told_what_is_fetched);
	return suite_run(suite);
}
