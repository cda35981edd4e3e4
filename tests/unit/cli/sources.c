/* SPDX-License-Identifier: MIT */
/* Which source lines a snapshot takes along. */
#include "cli/sources.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Each test has a directory of its own, and stands in it. */
static char directory[] = "/tmp/tracealloc-sources-XXXXXX";
static struct snapshot *snapshot;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_ptr_null(snapshot_create(&snapshot));
}

static void teardown(void)
{
	snapshot_destroy(snapshot);
	unlink("a.c");
	unlink("b.c");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void add_frame(const char *file, uint32_t line, const char *function)
{
	struct snapshot_frame frame = {.file = file, .line = line, .function = function};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
}

static void add_site(void)
{
	struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

/* A file whose line n reads "NAME n", or bytes times 'x' where n is `long_line`. */
static void put_lines(const char *name, unsigned count, unsigned long_line, size_t bytes)
{
	_cleanup_fclose_ FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	for (unsigned line = 1; line <= count; line++) {
		if (line != long_line) {
			fprintf(file, "%s %u\n", name, line);
			continue;
		}
		for (size_t i = 0; i < bytes; i++)
			fputc('x', file);
		fputc('\n', file);
	}
}

static void expect_text(const char *file, uint32_t line, const char *text)
{
	const char *got = snapshot_source_text(snapshot, file, line);
	ck_assert_msg(got && text ? !strcmp(got, text) : got == text, "%s:%u: %s", file, line,
		      got ? got : "none");
}

START_TEST(every_line_of_every_frame_is_kept_and_those_around_charged_ones)
{
	put_lines("a.c", 20, 0, 0);
	put_lines("b.c", 20, 0, 0);
	add_frame("b.c", 3, "malloc");
	add_frame("a.c", 7, "f");
	add_frame("b.c", 9, "main");
	add_site();
	add_frame("a.c", 7, "g");
	add_frame("a.c", 21, "beyond");
	add_frame("c.c", 1, "missing");
	add_frame(NULL, 0, "unknown");
	add_frame("a.c", 0, "without_line");
	add_site();
	ck_assert_ptr_null(sources_keep(snapshot, NULL));
	expect_text("b.c", 3, "b.c 3");
	expect_text("a.c", 7, "a.c 7");
	expect_text("b.c", 9, "b.c 9");
	expect_text("a.c", 21, NULL);
	expect_text("c.c", 1, NULL);
	/* Both sites are charged to line 7 of a.c. */
	for (uint32_t line = 4; line <= 10; line++)
		ck_assert_ptr_nonnull(snapshot_source_text(snapshot, "a.c", line));
	ck_assert_uint_eq(snapshot->source_line_count, 9);
}
END_TEST

START_TEST(lines_beyond_4_kib_are_left_out)
{
	put_lines("a.c", 3, 2, 4096);
	put_lines("b.c", 3, 2, 4095);
	for (uint32_t line = 1; line <= 3; line++) {
		add_frame("a.c", line, "f");
		add_frame("b.c", line, "f");
	}
	add_site();
	ck_assert_ptr_null(sources_keep(snapshot, NULL));
	expect_text("a.c", 2, NULL);
	ck_assert_ptr_nonnull(snapshot_source_text(snapshot, "b.c", 2));
	ck_assert_uint_eq(snapshot->source_line_count, 5);
}
END_TEST

START_TEST(where_there_is_too_much_the_charged_lines_are_kept)
{
	enum { LINES = 6000, BYTES = 4000 };
	_cleanup_fclose_ FILE *file = fopen("a.c", "w");
	ck_assert_ptr_nonnull(file);
	for (unsigned line = 1; line <= LINES; line++)
		fprintf(file, "%-*u\n", BYTES, line);
	fflush(file);
	put_lines("b.c", 20, 0, 0);
	/* b.c comes after a.c, and its lines alone are charged. */
	for (uint32_t line = 1; line <= LINES; line++) {
		add_frame("b.c", line % 20 + 1, "f");
		add_frame("a.c", line, "main");
		add_site();
	}
	ck_assert_ptr_null(sources_keep(snapshot, NULL));
	for (uint32_t line = 1; line <= 20; line++)
		ck_assert_ptr_nonnull(snapshot_source_text(snapshot, "b.c", line));
	ck_assert_uint_gt(snapshot->source_line_count, 4000);
	ck_assert_uint_lt(snapshot->source_line_count, 4300);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/sources");
	TCase *cases = tcase_create("sources");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, every_line_of_every_frame_is_kept_and_those_around_charged_ones);
	tcase_add_test(cases, lines_beyond_4_kib_are_left_out);
	tcase_add_test(cases, where_there_is_too_much_the_charged_lines_are_kept);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
