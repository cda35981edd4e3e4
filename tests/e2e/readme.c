/* SPDX-License-Identifier: MIT */
/*
 * What the README and the pages it leads to tell their readers to type, typed as it stands there.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "lib/document.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

static bool is_there(const struct scratch *scratch, const char *program)
{
	_cleanup_buffer_ struct buffer command = {0};
	buffer_printf(&command, "command -v %s >/dev/null\n", program);
	if (document_run(scratch, "which", buffer_text(&command)) == 0)
		return true;
	suite_skip("%s is not installed", program);
	return false;
}

/* Runs the steps of a page and expects status 0; returns what they wrote. */
static char *follow(const struct scratch *scratch, const char *page, const char *name)
{
	_cleanup_free_ char *steps = document_steps(page, name);
	int status = document_run(scratch, name, steps);
	_cleanup_buffer_ struct buffer file = {0};
	buffer_printf(&file, "%s.err", name);
	_cleanup_free_ char *errors = tracealloc_text(scratch, buffer_text(&file));
	ck_assert_msg(status == 0, "%s: status %#x: %s", name, status, errors);
	buffer_clear(&file);
	buffer_printf(&file, "%s.out", name);
	return tracealloc_text(scratch, buffer_text(&file));
}

static void stop_redis(struct scratch *scratch)
{
	document_run(scratch, "stop", "[ ! -e redis.pid ] || kill \"$(cat redis.pid)\" || true\n");
}

/* Redis keeps nearly all it holds in strings of its own kind (sds.c). */
START_TEST(the_readme_leads_to_what_holds_most_of_a_running_redis)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, "redis-server") || !is_there(&scratch, "redis-benchmark"))
		return;
	__attribute__((__cleanup__(stop_redis))) struct scratch place = scratch;
	_cleanup_free_ char *said = follow(&place, "README.md", "redis");
	const char *first = strstr(said, "Top 10 lines\n#1: zmalloc");
	const char *second = strstr(said, "Top 3 lines\n#1: ");
	const char *third = strstr(said, "Top 1 tracebacks\n");
	ck_assert_msg(first && second && third && first < second && second < third, "%s", said);
	ck_assert_msg(strncmp(strchr(second, '#'), "#1: _sdsnewlen", 14) == 0, "%s", second);
	ck_assert_msg(strstr(third, "in readQueryFromClient\n"), "%s", third);
}
END_TEST

START_TEST(a_limit_fails_the_job_that_exceeds_it)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, "sqlite3") || !is_there(&scratch, "jq"))
		return;
	_cleanup_free_ char *within = follow(&scratch, "man/ci.md", "fail");
	ck_assert_str_eq(within, "");
	_cleanup_free_ char *exceeding = document_steps("man/ci.md", "fail");
	memcpy(strstr(exceeding, "20MiB"), "1KiB ", 5);
	int failed = document_run(&scratch, "failed", exceeding);
	ck_assert_msg(WIFEXITED(failed) && WEXITSTATUS(failed) == 3, "status %#x", failed);
	_cleanup_free_ char *said = follow(&scratch, "man/ci.md", "limit");
	ck_assert_str_eq(said, "true\n");
	_cleanup_free_ char *steps = document_steps("man/ci.md", "limit");
	char *limit = strstr(steps, "20 * 1024 * 1024");
	ck_assert_ptr_nonnull(limit);
	memcpy(limit, "1  ", 3);
	int status = document_run(&scratch, "exceeded", steps);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
	memcpy(limit, "20 * 1024 / 1024", 16);
	status = document_run(&scratch, "exceeded", steps);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x", status);
}
END_TEST

START_TEST(a_difference_is_shown)
{
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, "sqlite3"))
		return;
	ck_assert_int_eq(document_run(&scratch, "before",
				      "tracealloc run -q --output old.snapshot -- sqlite3 :memory: "
				      "'select 1'\n"),
			 0);
	_cleanup_free_ char *said = follow(&scratch, "man/ci.md", "difference");
	ck_assert_msg(strstr(said, "[ Top 20 differences ]\n"), "%s", said);
}
END_TEST

/* Follows the steps with the receiver's port in place of the page's, and returns what it got. */
static void send(const struct scratch *scratch, const char *name, const char *host)
{
	_cleanup_process_ struct process receiver = {0};
	_cleanup_free_ char *steps = document_steps("man/profiles.md", name);
	_cleanup_buffer_ struct buffer sent = {0};
	_cleanup_free_ char *program = suite_source("../lib/receiver.py");

	process_start(scratch, "receiver", ARGV("python3", program, name, scratch->path),
		      &receiver);
	process_wait_output(&receiver, "\n");
	_cleanup_free_ char *port = process_output(&receiver);
	char *at = strstr(steps, host);
	ck_assert_ptr_nonnull(at);
	buffer_append(&sent, steps, (size_t)(at - steps));
	buffer_printf(&sent, "127.0.0.1:%d%s", atoi(port), at + strlen(host));
	int status = document_run(scratch, name, buffer_text(&sent));
	int received = process_wait(&receiver);
	_cleanup_free_ char *errors = process_errors(&receiver);
	ck_assert_msg(received == 0, "%s", errors);
	ck_assert_msg(status == 0, "status %#x", status);
}

START_TEST(stores_of_profiles_get_what_they_ask_for)
{
	static const char *const stores[][2] = {{"pyroscope", "localhost:4040"},
						{"parca", "localhost:7070"}};
	_cleanup_scratch_ struct scratch scratch = {0};

	scratch_make(&scratch);
	if (!is_there(&scratch, "curl") || !is_there(&scratch, "python3"))
		return;
	ck_assert_int_eq(
		document_run(
			&scratch, "profile",
			"tracealloc run -q --report /dev/null --output heap.snapshot ls\n"
			"tracealloc export --format pprof --report heap.pb.gz heap.snapshot\n"),
		0);
	send(&scratch, stores[_i][0], stores[_i][1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("readme");
	TCase *step_case = suite_case(suite, "steps", 180);

	tcase_add_test(step_case, the_readme_leads_to_what_holds_most_of_a_running_redis);
	tcase_add_test(step_case, a_limit_fails_the_job_that_exceeds_it);
	tcase_add_test(step_case, a_difference_is_shown);
	tcase_add_loop_test(step_case, stores_of_profiles_get_what_they_ask_for, 0, 2);
	return suite_run(suite);
}
