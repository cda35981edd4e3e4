/* SPDX-License-Identifier: MIT */
/* Which file a source path leads to. */
#include "cli/lookup.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static char directory[] = "/tmp/tracealloc-lookup-XXXXXX";
static struct image_sources *sources;
static struct lookup lookup;

static void put(const char *name)
{
	_cleanup_fclose_ FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "text of %s\n", name);
}

/* Each test has a directory of its own, and stands in it. */
static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(mkdir("new", 0700), 0);
	put("a.c");
	put("new/a.c");
	ck_assert_ptr_null(image_sources_create(&sources));
}

static void teardown(void)
{
	lookup_deinit(&lookup);
	image_sources_destroy(sources);
	unlink("a.c");
	unlink("new/a.c");
	rmdir("new");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

static bool add(const char *text)
{
	bool ret;
	ck_assert_ptr_null(lookup_add_source_path(&lookup, text, &ret));
	return ret;
}

static void expect(const char *file, bool only_moved, const char *want)
{
	const char *got = lookup_source_line(&lookup, sources, file, 1, only_moved);
	ck_assert_msg(got && want ? !strcmp(got, want) : got == want, "%s: %s", file,
		      got ? got : "none");
}

START_TEST(a_path_without_a_prefix_is_its_own)
{
	expect("a.c", false, "text of a.c");
	expect("a.c", true, NULL);
	ck_assert_str_eq(lookup_source_line(NULL, sources, "a.c", 1, false), "text of a.c");
}
END_TEST

START_TEST(the_first_prefix_that_fits_as_a_whole_directory_counts)
{
	ck_assert(add("/old/=/nonexistent/"));
	ck_assert(add("/build=new"));
	ck_assert(add("/build/deep=/nonexistent"));
	expect("/build/a.c", false, "text of new/a.c");
	expect("/build/a.c", true, "text of new/a.c");
	expect("/builder/a.c", false, NULL);
	expect("/old/a.c", false, NULL);
	expect("a.c", false, "text of a.c");
}
END_TEST

START_TEST(a_moved_file_that_is_not_there_is_not_read_from_its_own_path)
{
	ck_assert(add("a.c=b.c"));
	expect("a.c", false, NULL);
}
END_TEST

START_TEST(a_prefix_needs_both_sides)
{
	ck_assert(!add(""));
	ck_assert(!add("/build"));
	ck_assert(!add("=/src"));
	ck_assert(!add("/build="));
	ck_assert_uint_eq(lookup.move_count, 0);
	ck_assert(add("/build==/src"));
	ck_assert_str_eq(lookup.moves[0].new, "=/src");
}
END_TEST

START_TEST(debug_directories_must_exist_and_end_in_null)
{
	bool known;
	ck_assert_ptr_null(lookup_add_debug_path(&lookup, "a.c", &known));
	ck_assert(!known);
	ck_assert_ptr_null(lookup_add_debug_path(&lookup, "missing", &known));
	ck_assert(!known);
	ck_assert_ptr_null(lookup.debug_paths);
	for (size_t i = 1; i <= 20; i++) {
		ck_assert_ptr_null(lookup_add_debug_path(&lookup, "new", &known));
		ck_assert(known);
		ck_assert_uint_eq(lookup.debug_count, i);
		ck_assert_str_eq(lookup.debug_paths[i - 1], "new");
		ck_assert_ptr_null(lookup.debug_paths[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lookup");
	TCase *tests = tcase_create("lookup");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_path_without_a_prefix_is_its_own);
	tcase_add_test(tests, the_first_prefix_that_fits_as_a_whole_directory_counts);
	tcase_add_test(tests, a_moved_file_that_is_not_there_is_not_read_from_its_own_path);
	tcase_add_test(tests, a_prefix_needs_both_sides);
	tcase_add_test(tests, debug_directories_must_exist_and_end_in_null);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
