/* SPDX-License-Identifier: MIT */
/* Reports appear whole or not at all, and never in the place of a device. */
#include "cli/output.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Each test has a directory of its own, and stands in it. */
static char directory[] = "/tmp/tracealloc-output-XXXXXX";

static void enter_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static size_t entries(void)
{
	DIR *dir = opendir(".");
	ck_assert_ptr_nonnull(dir);
	size_t count = 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void leave_directory(void)
{
	DIR *dir = opendir(".");
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		unlink(entry->d_name);
	closedir(dir);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void ck_content(const char *path, const char *expected)
{
	char text[64] = "";
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	ck_assert_str_eq(text, expected);
}

static void ck_error(struct error *err, const char *message)
{
	ck_assert_msg(err != NULL, "no error, not: %s", message);
	ck_assert_str_eq(error_message(err), message);
	error_free(err);
}

static void ck_no_error(struct error *err)
{
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
}

START_TEST(a_report_appears_when_it_is_finished_and_not_before)
{
	struct output output;
	ck_no_error(output_open("report", "report", 1, &output));
	ck_assert_int_ne(access("report", F_OK), 0);
	ck_assert_uint_eq(entries(), 1);
	ck_no_error(output_finish(&output, "text\n", 5));
	output_deinit(&output);
	ck_content("report", "text\n");
	ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(an_unfinished_report_leaves_the_old_one_and_nothing_else)
{
	put("report", "old");
	struct output output;
	ck_no_error(output_open("report", "report", 1, &output));
	output_deinit(&output);
	ck_content("report", "old");
	ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(a_finished_report_replaces_the_old_one)
{
	put("report", "an old and longer one");
	struct output output;
	ck_no_error(output_open("report", "report", 1, &output));
	ck_no_error(output_finish(&output, "new", 3));
	output_deinit(&output);
	ck_content("report", "new");
	ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(the_umask_decides_the_mode)
{
	struct output output;
	struct stat status;
	mode_t before = umask(027);
	ck_no_error(output_open("report", "report", 1, &output));
	umask(before);
	ck_no_error(output_finish(&output, "", 0));
	output_deinit(&output);
	ck_assert_int_eq(stat("report", &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
}
END_TEST

START_TEST(the_descriptor_is_not_inherited)
{
	struct output output;
	ck_no_error(output_open("report", "report", 1, &output));
	ck_assert_int_eq(fcntl(output.fd, F_GETFD), FD_CLOEXEC);
	output_deinit(&output);
	ck_no_error(output_open("report", "/dev/null", 1, &output));
	ck_assert_int_eq(fcntl(output.fd, F_GETFD), FD_CLOEXEC);
	output_deinit(&output);
}
END_TEST

START_TEST(a_left_over_temporary_file_is_passed_by)
{
	struct output first, second;
	ck_no_error(output_open("report", "report", 1, &first));
	ck_no_error(output_open("report", "report", 1, &second));
	ck_assert_str_ne(first.temporary, second.temporary);
	output_deinit(&first);
	output_deinit(&second);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_told)
{
	struct output output;
	ck_error(output_open("report", "none/report", 1, &output),
		 "cannot write report 'none/report': No such file or directory");
	output_deinit(&output);
}
END_TEST

START_TEST(a_directory_in_the_place_is_told)
{
	struct output output;
	ck_error(output_open("report", "/tmp", 1, &output),
		 "cannot write report '/tmp': Is a directory");
	output_deinit(&output);
}
END_TEST

START_TEST(a_symbolic_link_to_a_file_is_refused_and_the_file_kept)
{
	struct output output;
	put("file", "precious");
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_error(output_open("report", "link", 1, &output),
		 "cannot write report 'link': it is a symbolic link: name the file itself");
	output_deinit(&output);
	ck_content("file", "precious");
}
END_TEST

START_TEST(a_device_is_written_and_not_replaced)
{
	struct output output;
	struct stat status;
	ck_assert_int_eq(symlink("/dev/null", "link"), 0);
	ck_no_error(output_open("report", "link", 1, &output));
	ck_no_error(output_finish(&output, "text", 4));
	output_deinit(&output);
	ck_assert_int_eq(lstat("link", &status), 0);
	ck_assert(S_ISLNK(status.st_mode));
}
END_TEST

START_TEST(a_full_device_is_told)
{
	struct output output;
	ck_no_error(output_open("report", "/dev/full", 1, &output));
	ck_error(output_finish(&output, "text", 4),
		 "cannot write report '/dev/full': No space left on device");
	output_deinit(&output);
}
END_TEST

START_TEST(a_full_disk_is_told_and_the_old_report_kept)
{
	/* In a mount namespace of the test's own it cannot outlive a failure. */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", directory, "tmpfs", 0, "size=64k") != 0) {
		printf("SKIP: a small tmpfs cannot be mounted here: %s\n", strerror(errno));
		fflush(stdout);
		return;
	}
	ck_assert_int_eq(chdir(directory), 0);
	put("report", "old");
	static char text[1 << 20];
	struct output output;
	ck_no_error(output_open("report", "report", 1, &output));
	struct error *err = output_finish(&output, text, sizeof text);
	output_deinit(&output);
	ck_content("report", "old");
	size_t left = entries();
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount(directory), 0);
	ck_assert_int_eq(chdir(directory), 0);
	ck_error(err, "cannot write report 'report': No space left on device");
	ck_assert_uint_eq(left, 1);
}
END_TEST

START_TEST(a_standard_stream_is_written_and_stays_open)
{
	int pipe_fds[2];
	char text[8] = "";
	ck_assert_int_eq(pipe(pipe_fds), 0);
	struct output output;
	ck_no_error(output_open("report", NULL, pipe_fds[1], &output));
	ck_no_error(output_finish(&output, "text", 4));
	output_deinit(&output);
	ck_assert_int_eq(read(pipe_fds[0], text, sizeof text), 4);
	ck_assert_str_eq(text, "text");
	ck_assert_int_ge(fcntl(pipe_fds[1], F_GETFD), 0);
}
END_TEST

START_TEST(a_reader_that_went_away_is_no_error_on_a_standard_stream)
{
	int pipe_fds[2];
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	close(pipe_fds[0]);
	struct output output;
	ck_no_error(output_open("report", NULL, pipe_fds[1], &output));
	ck_no_error(output_finish(&output, "text", 4));
	output_deinit(&output);
}
END_TEST

START_TEST(a_closed_standard_stream_is_told)
{
	struct output output;
	int fd = dup(1);
	close(fd);
	ck_no_error(output_open("report", NULL, fd, &output));
	ck_error(output_finish(&output, "text", 4), "cannot write the report: Bad file descriptor");
	output_deinit(&output);
}
END_TEST

struct drain {
	int fd;
	size_t total;
};

static void *drain_run(void *context)
{
	struct drain *drain = context;
	char bytes[4096];
	for (ssize_t got; (got = read(drain->fd, bytes, sizeof bytes)) > 0;)
		drain->total += (size_t)got;
	return NULL;
}

START_TEST(a_full_non_blocking_pipe_is_waited_for)
{
	static char text[1 << 20];
	int pipe_fds[2];
	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK), 0);
	struct drain drain = {.fd = pipe_fds[0]};
	pthread_t reader;
	ck_assert_int_eq(pthread_create(&reader, NULL, drain_run, &drain), 0);
	ck_no_error(output_write(pipe_fds[1], text, sizeof text));
	close(pipe_fds[1]);
	pthread_join(reader, NULL);
	ck_assert_uint_eq(drain.total, sizeof text);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("cli/output");
	TCase *files = tcase_create("files");
	tcase_add_checked_fixture(files, enter_directory, leave_directory);
	tcase_add_test(files, a_report_appears_when_it_is_finished_and_not_before);
	tcase_add_test(files, an_unfinished_report_leaves_the_old_one_and_nothing_else);
	tcase_add_test(files, a_finished_report_replaces_the_old_one);
	tcase_add_test(files, the_umask_decides_the_mode);
	tcase_add_test(files, the_descriptor_is_not_inherited);
	tcase_add_test(files, a_left_over_temporary_file_is_passed_by);
	tcase_add_test(files, a_directory_that_is_not_there_is_told);
	tcase_add_test(files, a_directory_in_the_place_is_told);
	tcase_add_test(files, a_symbolic_link_to_a_file_is_refused_and_the_file_kept);
	tcase_add_test(files, a_device_is_written_and_not_replaced);
	tcase_add_test(files, a_full_device_is_told);
	tcase_add_test(files, a_full_disk_is_told_and_the_old_report_kept);
	suite_add_tcase(suite, files);
	TCase *streams = tcase_create("streams");
	tcase_add_test(streams, a_standard_stream_is_written_and_stays_open);
	tcase_add_test(streams, a_reader_that_went_away_is_no_error_on_a_standard_stream);
	tcase_add_test(streams, a_closed_standard_stream_is_told);
	tcase_add_test(streams, a_full_non_blocking_pipe_is_waited_for);
	suite_add_tcase(suite, streams);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
