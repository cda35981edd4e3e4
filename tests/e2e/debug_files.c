/* SPDX-License-Identifier: MIT */
/* Debug files and sources that are not where the system or the program has them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

struct fixture {
	struct scratch scratch;
	char *program; /* stripped; its debug file is SCRATCH/whole */
	char *debug;   /* a directory for debug files */
	char *snapshot;
};

static void fixture_free(struct fixture *fixture)
{
	free(fixture->program);
	free(fixture->debug);
	free(fixture->snapshot);
	scratch_remove(&fixture->scratch);
}
#define _cleanup_fixture_ __attribute__((__cleanup__(fixture_free)))

__attribute__((format(printf, 2, 3))) static void in_scratch(const struct fixture *fixture,
							     const char *format, ...)
{
	char text[1024], whole[1200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	snprintf(whole, sizeof whole, "cd %s && %s", fixture->scratch.path, text);
	ck_assert_msg(system(whole) == 0, "%s", whole);
}

static void prepare(struct fixture *ret)
{
	_cleanup_free_ char *target = suite_target("calls");
	scratch_make(&ret->scratch);
	ret->program = scratch_file(&ret->scratch, "prog");
	ret->debug = scratch_file(&ret->scratch, "debug");
	ret->snapshot = scratch_file(&ret->scratch, "a.snapshot");
	in_scratch(ret, "mkdir debug && cp %s whole && strip -o prog whole", target);
}

static void put_by_build_id(const struct fixture *fixture)
{
	in_scratch(fixture, "id=$(readelf -n whole | sed -n 's/.*Build ID: //p') && "
			    "d=debug/.build-id/$(echo $id | cut -c1-2) && mkdir -p $d && "
			    "objcopy --only-keep-debug whole $d/$(echo $id | cut -c3-).debug");
}

/* What a call of report or run prints. */
static char *call(const struct fixture *fixture, const char *const arguments[], const char *name)
{
	int status = tracealloc_call(&fixture->scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	return tracealloc_text(&fixture->scratch, name);
}

static void expect_lines(const struct fixture *fixture, bool wanted)
{
	_cleanup_free_ char *text = call(fixture,
					 ARGV("run", "--debug-path", "/", "--debug-path",
					      fixture->debug, "--show", "total", fixture->program),
					 "call.err");
	ck_assert_msg(!!strstr(text, "/calls.c:") == wanted, "%s", text);
}

START_TEST(a_debug_file_is_found_by_build_id)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	expect_lines(&fixture, false);
	put_by_build_id(&fixture);
	expect_lines(&fixture, true);
}
END_TEST

START_TEST(a_debug_file_is_found_by_its_link_in_the_directory_or_below_it)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	in_scratch(&fixture, "objcopy --only-keep-debug whole debug/prog.dbg && "
			     "objcopy --remove-section .note.gnu.build-id "
			     "--add-gnu-debuglink=debug/prog.dbg prog");
	expect_lines(&fixture, true);
	in_scratch(&fixture, "mkdir -p debug$PWD && mv debug/prog.dbg debug$PWD");
	expect_lines(&fixture, true);
}
END_TEST

START_TEST(a_debug_file_of_another_build_is_not_believed)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_free_ char *other = suite_target("peaks");
	prepare(&fixture);
	put_by_build_id(&fixture);
	in_scratch(&fixture,
		   "for f in debug/.build-id/*/*; do "
		   "objcopy --only-keep-debug %s $f; done",
		   other);
	expect_lines(&fixture, false);
}
END_TEST

START_TEST(report_finds_the_symbols_of_a_raw_snapshot_there)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	free(call(&fixture, ARGV("run", "--raw", "--output", fixture.snapshot, fixture.program),
		  "call.err"));
	put_by_build_id(&fixture);
	unlink(fixture.program);
	_cleanup_free_ char *blind =
		call(&fixture, ARGV("report", "--show", "total", fixture.snapshot), "call.out");
	ck_assert_ptr_null(strstr(blind, "/calls.c:"));
	_cleanup_free_ char *text = call(
		&fixture,
		ARGV("report", "--debug-path", fixture.debug, "--show", "total", fixture.snapshot),
		"call.out");
	ck_assert_ptr_nonnull(strstr(text, "/calls.c:"));
	_cleanup_free_ char *errors = tracealloc_text(&fixture.scratch, "call.err");
	ck_assert_str_eq(errors, "");
}
END_TEST

/* "DIRECTORY=SCRATCH/src", where src has the target's source with a mark on every line. */
static char *move_sources(const struct fixture *fixture)
{
	char text[1024];
	_cleanup_free_ char *target = suite_target("calls");
	snprintf(text, sizeof text,
		 "readelf --debug-dump=info %s | sed -n 's,.*DW_AT_name.*: \\(.*\\)/calls.c$,\\1,p'"
		 " | head -n 1; readelf --debug-dump=info %s | "
		 "sed -n 's,.*DW_AT_comp_dir.*: \\(.*\\)$,\\1,p' | head -n 1",
		 target, target);
	char name[256] = "", directory[256] = "", *move = NULL;
	FILE *pipe = popen(text, "r");
	ck_assert_int_eq(fscanf(pipe, "%255s %255s", name, directory), 2);
	pclose(pipe);
	in_scratch(fixture, "mkdir src && sed 's/^/marked /' %s%s%s/calls.c >src/calls.c",
		   name[0] == '/' ? "" : directory, name[0] == '/' ? "" : "/", name);
	ck_assert_int_gt(asprintf(&move, "%s%s%s=%s/src", name[0] == '/' ? "" : directory,
				  name[0] == '/' ? "" : "/", name, fixture->scratch.path),
			 0);
	return move;
}

START_TEST(source_text_is_read_where_the_user_says)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	put_by_build_id(&fixture);
	_cleanup_free_ char *move = move_sources(&fixture);
	_cleanup_free_ char *text =
		call(&fixture,
		     ARGV("run", "--debug-path", fixture.debug, "--source-path", move, "--output",
			  fixture.snapshot, "--show", "total", fixture.program),
		     "call.err");
	ck_assert_msg(strstr(text, "\n    marked "), "%s", text);
	/* it is saved with the snapshot, too */
	in_scratch(&fixture, "rm -r src");
	_cleanup_free_ char *saved =
		call(&fixture, ARGV("report", "--show", "total", fixture.snapshot), "call.out");
	ck_assert_msg(strstr(saved, "\n    marked "), "%s", saved);
}
END_TEST

START_TEST(what_a_snapshot_lacks_is_read_where_the_user_says)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	prepare(&fixture);
	put_by_build_id(&fixture);
	_cleanup_free_ char *move = move_sources(&fixture), *nowhere = strdup(move);
	memcpy(strchr(nowhere, '=') + 1, "/tnp", 4);
	free(call(&fixture,
		  ARGV("run", "--debug-path", fixture.debug, "--source-path", nowhere, "--output",
		       fixture.snapshot, fixture.program),
		  "call.err"));
	_cleanup_free_ char *without =
		call(&fixture, ARGV("report", "--show", "total", fixture.snapshot), "call.out");
	ck_assert_ptr_nonnull(strstr(without, "/calls.c:"));
	ck_assert_ptr_null(strstr(without, "MALLOC("));
	_cleanup_free_ char *text =
		call(&fixture,
		     ARGV("report", "--source-path", move, "--show", "total", fixture.snapshot),
		     "call.out");
	ck_assert_msg(strstr(text, "\n    marked "), "%s", text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("debug_files");
	TCase *tests = suite_case(suite, "debug_files", 120);

	tcase_add_test(tests, a_debug_file_is_found_by_build_id);
	tcase_add_test(tests, a_debug_file_is_found_by_its_link_in_the_directory_or_below_it);
	tcase_add_test(tests, a_debug_file_of_another_build_is_not_believed);
	tcase_add_test(tests, report_finds_the_symbols_of_a_raw_snapshot_there);
	tcase_add_test(tests, source_text_is_read_where_the_user_says);
	tcase_add_test(tests, what_a_snapshot_lacks_is_read_where_the_user_says);
	return suite_run(suite);
}
