/* SPDX-License-Identifier: MIT */
/* Snapshots without symbols, which the reporting machine finds by build-id. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

struct fixture {
	struct scratch scratch;
	char *program;
	char *snapshot;
};

static void fixture_free(struct fixture *fixture)
{
	free(fixture->program);
	free(fixture->snapshot);
	scratch_remove(&fixture->scratch);
}
#define _cleanup_fixture_ __attribute__((__cleanup__(fixture_free)))

static void command(const char *format, const char *one, const char *other)
{
	char text[1024];
	snprintf(text, sizeof text, format, one, other);
	ck_assert_msg(system(text) == 0, "%s", text);
}

/* A copy of a target, and raw snapshot of it. */
static void prepare(struct fixture *ret)
{
	_cleanup_free_ char *target = suite_target("calls");
	scratch_make(&ret->scratch);
	ret->program = scratch_file(&ret->scratch, "prog");
	ret->snapshot = scratch_file(&ret->scratch, "raw.snapshot");
	command("cp %s %s", target, ret->program);
	ck_assert_int_eq(tracealloc_call(&ret->scratch, ARGV("run", "--raw", "--output",
							     ret->snapshot, ret->program)),
			 0);
	_cleanup_free_ char *live = tracealloc_text(&ret->scratch, "call.err");
	ck_assert_ptr_nonnull(strstr(live, ": prog+0x"));
}

/* What report prints; *errors_ret: on standard error. Both are the caller's to free. */
static char *report(const struct fixture *fixture, const char *snapshot, char **errors_ret)
{
	int status =
		tracealloc_call(&fixture->scratch, ARGV("report", "-gtraceback", "--show=total",
							"--top=100", snapshot));
	*errors_ret = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, *errors_ret);
	char *text = tracealloc_text(&fixture->scratch, "call.out");
	char *body = strstr(text, "Top 100"), *foot = strstr(text, "\ncurrent:");
	ck_assert(body && foot);
	*foot = 0;
	memmove(text, body, strlen(body) + 1);
	return text;
}

START_TEST(a_raw_snapshot_answers_as_one_with_symbols)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	_cleanup_free_ char *full = scratch_file(&fixture.scratch, "full.snapshot");
	ck_assert_int_eq(
		tracealloc_call(&fixture.scratch, ARGV("run", "--output", full, fixture.program)),
		0);
	_cleanup_free_ char *errors = NULL, *errors_full = NULL;
	_cleanup_free_ char *text = report(&fixture, fixture.snapshot, &errors);
	_cleanup_free_ char *want = report(&fixture, full, &errors_full);
	ck_assert_ptr_nonnull(strstr(want, "calls.c\", line "));
	ck_assert_str_eq(text, want);
	ck_assert_str_eq(errors, "");
}
END_TEST

/* The one line about a module; its rows have module and offset. */
static void expect_blind(const struct fixture *fixture, const char *why)
{
	_cleanup_free_ char *errors = NULL;
	_cleanup_free_ char *text = report(fixture, fixture->snapshot, &errors);
	char want[512];
	snprintf(want, sizeof want, "tracealloc: warning: %s: no symbols: %s (build-id ",
		 fixture->program, why);
	ck_assert_msg(strncmp(errors, want, strlen(want)) == 0, "%s", errors);
	ck_assert_ptr_eq(strchr(errors, '\n') + 1, errors + strlen(errors));
	ck_assert_ptr_nonnull(strstr(text, "Module \"prog\", offset 0x"));
}

START_TEST(a_module_that_is_not_here_is_told_in_one_line)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	unlink(fixture.program);
	expect_blind(&fixture, "it is not here");
	ck_assert_int_eq(mkfifo(fixture.program, 0600), 0);
	expect_blind(&fixture, "it is not here");
}
END_TEST

START_TEST(another_build_of_a_module_is_not_believed)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	_cleanup_free_ char *other = suite_target("peaks");
	command("cp %s %s", other, fixture.program);
	expect_blind(&fixture, "the file here is another one");
}
END_TEST

/* The build-id of a file, in hex. */
static void read_build_id(const struct fixture *fixture, char hex[64])
{
	char text[512];
	snprintf(text, sizeof text, "readelf -n %s | sed -n 's/.*Build ID: //p'", fixture->program);
	FILE *pipe = popen(text, "r");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_int_eq(fscanf(pipe, "%60s", hex), 1);
	pclose(pipe);
}

START_TEST(a_debug_file_of_the_build_id_has_the_symbols)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	char hex[64], directory[128], path[256];
	prepare(&fixture);
	read_build_id(&fixture, hex);
	snprintf(directory, sizeof directory, "/usr/lib/debug/.build-id/%.2s", hex);
	snprintf(path, sizeof path, "%s/%s.debug", directory, hex + 2);
	if (geteuid() != 0 || access(path, F_OK) == 0) {
		suite_skip("no debug file can be put into /usr/lib/debug here");
		return;
	}
	_cleanup_free_ char *errors = NULL, *errors_before = NULL;
	_cleanup_free_ char *before = report(&fixture, fixture.snapshot, &errors_before);
	command("mkdir -p %s%s", directory, "");
	command("objcopy --only-keep-debug %s %s", fixture.program, path);
	unlink(fixture.program);
	_cleanup_free_ char *text = report(&fixture, fixture.snapshot, &errors);
	unlink(path);
	rmdir(directory);
	ck_assert_str_eq(text, before);
	ck_assert_str_eq(errors, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raw");
	TCase *tests = suite_case(suite, "raw", 120);

	tcase_add_test(tests, a_raw_snapshot_answers_as_one_with_symbols);
	tcase_add_test(tests, a_module_that_is_not_here_is_told_in_one_line);
	tcase_add_test(tests, another_build_of_a_module_is_not_believed);
	tcase_add_test(tests, a_debug_file_of_the_build_id_has_the_symbols);
	return suite_run(suite);
}
