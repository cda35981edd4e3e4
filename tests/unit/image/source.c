/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/image.h"

static struct image_sources *sources;
static char directory[] = "/tmp/source-test-XXXXXX";

static void set_up(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_ptr_null(image_sources_create(&sources));
}

static void tear_down(void)
{
	image_sources_destroy(sources);
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *name, const char *bytes, size_t count)
{
	_cleanup_fclose_ FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
}

static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

START_TEST(a_line_comes_without_its_newline)
{
	write_text("a.c", "one\n  two\t\n\nfour");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 1), "one");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 2), "  two\t");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 3), "");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 4), "four");
	ck_assert_ptr_null(image_sources_line(sources, "a.c", 0));
	ck_assert_ptr_null(image_sources_line(sources, "a.c", 5));
	ck_assert_ptr_null(image_sources_line(sources, "a.c", UINT32_MAX));
}
END_TEST

START_TEST(nothing_follows_the_last_newline)
{
	write_text("a.c", "one\ntwo\n");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 2), "two");
	ck_assert_ptr_null(image_sources_line(sources, "a.c", 3));
}
END_TEST

START_TEST(dos_line_ends_are_dropped_and_other_bytes_kept)
{
	write_text("a.c", "one\r\n\r\ntw\ro\xff\x1b[2J\r\nend\r");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 1), "one");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 2), "");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 3), "tw\ro\xff\x1b[2J");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 4), "end");
}
END_TEST

START_TEST(a_nul_byte_cuts_its_own_line_only)
{
	static const char bytes[] = "one\0rest\ntwo\n";
	write_file("a.c", bytes, sizeof bytes - 1);
	ck_assert_str_eq(image_sources_line(sources, "a.c", 1), "one");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 2), "two");
}
END_TEST

START_TEST(what_is_no_readable_regular_file_has_no_lines)
{
	ck_assert_int_eq(mkfifo("fifo", 0600), 0);
	ck_assert_int_eq(mkdir("directory", 0700), 0);
	ck_assert_int_eq(symlink("loop", "loop"), 0);
	write_text("empty", "");
	static const char *const names[] = {"missing",	 "fifo",     "directory",
					    "loop",	 "empty",    "",
					    "/dev/zero", "/dev/tty", "/proc/self/status"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ck_assert_msg(!image_sources_line(sources, names[i], 1), "%s", names[i]);
}
END_TEST

START_TEST(a_link_to_a_regular_file_is_followed)
{
	write_text("a.c", "one\n");
	ck_assert_int_eq(symlink("a.c", "link.c"), 0);
	ck_assert_str_eq(image_sources_line(sources, "link.c", 1), "one");
}
END_TEST

START_TEST(files_of_more_than_64_MiB_are_refused)
{
	write_text("a.c", "one\n");
	ck_assert_int_eq(truncate("a.c", (64 << 20) + 1), 0);
	ck_assert_ptr_null(image_sources_line(sources, "a.c", 1));
	write_text("b.c", "one\n");
	ck_assert_int_eq(truncate("b.c", 64 << 20), 0);
	ck_assert_str_eq(image_sources_line(sources, "b.c", 1), "one");
}
END_TEST

START_TEST(a_file_that_was_read_is_not_read_again)
{
	write_text("a.c", "one\n");
	ck_assert_str_eq(image_sources_line(sources, "a.c", 1), "one");
	ck_assert_int_eq(unlink("a.c"), 0);
	ck_assert_str_eq(image_sources_line(sources, "a.c", 1), "one");
}
END_TEST

START_TEST(the_file_unused_for_longest_goes_first)
{
	char name[32], text[32];
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d.c", i);
		snprintf(text, sizeof text, "text of %d\n", i);
		write_text(name, text);
	}
	ck_assert_str_eq(image_sources_line(sources, "0.c", 1), "text of 0");
	ck_assert_int_eq(unlink("0.c"), 0);
	for (int i = 1; i < 200; i++) {
		snprintf(name, sizeof name, "%d.c", i);
		snprintf(text, sizeof text, "text of %d", i);
		ck_assert_str_eq(image_sources_line(sources, name, 1), text);
		/* In use all the time, so it stays although its file is gone. */
		ck_assert_str_eq(image_sources_line(sources, "0.c", 1), "text of 0");
	}
	/* Long unused: read again. */
	write_text("1.c", "new\n");
	ck_assert_str_eq(image_sources_line(sources, "1.c", 1), "new");
}
END_TEST

START_TEST(every_line_of_a_large_file_is_where_sed_finds_it)
{
	ck_assert_int_eq(system("awk 'BEGIN{srand(7); for(i=1;i<=50000;i++) {"
				" s=\"\"; n=int(rand()*40); for(j=0;j<n;j++) s=s \"x\" j;"
				" print i \":\" s}}' > a.c"),
			 0);
	for (unsigned int line = 1; line <= 50000; line += 4999) {
		char command[64], want[1024] = "";
		snprintf(command, sizeof command, "sed -n %up a.c", line);
		FILE *pipe = popen(command, "r");
		ck_assert_ptr_nonnull(pipe);
		ck_assert_ptr_nonnull(fgets(want, sizeof want, pipe));
		pclose(pipe);
		want[strcspn(want, "\n")] = 0;
		ck_assert_str_eq(image_sources_line(sources, "a.c", line), want);
	}
	ck_assert_ptr_null(image_sources_line(sources, "a.c", 50001));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image source");
	TCase *cases = tcase_create("lines");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	tcase_set_timeout(cases, 30);
	tcase_add_test(cases, a_line_comes_without_its_newline);
	tcase_add_test(cases, nothing_follows_the_last_newline);
	tcase_add_test(cases, dos_line_ends_are_dropped_and_other_bytes_kept);
	tcase_add_test(cases, a_nul_byte_cuts_its_own_line_only);
	tcase_add_test(cases, what_is_no_readable_regular_file_has_no_lines);
	tcase_add_test(cases, a_link_to_a_regular_file_is_followed);
	tcase_add_test(cases, files_of_more_than_64_MiB_are_refused);
	tcase_add_test(cases, a_file_that_was_read_is_not_read_again);
	tcase_add_test(cases, the_file_unused_for_longest_goes_first);
	tcase_add_test(cases, every_line_of_a_large_file_is_where_sed_finds_it);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
