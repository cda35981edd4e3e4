/* SPDX-License-Identifier: MIT */
/* Snapshots in files: read back as written, refused in one line, kept where the disk is full. */
#include "cli/saved.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "snapshot/file.h"

/* Each test has a directory of its own, and stands in it. */
static char directory[] = "/tmp/tracealloc-saved-XXXXXX";

static void enter_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static size_t count_entries(void)
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

/* A snapshot that is told from others by its pid. */
static struct snapshot *make(uint32_t pid)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	snapshot->pid = pid;
	struct snapshot_frame frame = {.file = "/src/a.c", .line = 7, .function = "f"};
	struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	return snapshot;
}

static struct error *save(const char *path, uint32_t pid)
{
	_cleanup_output_ struct output output;
	struct snapshot *snapshot = make(pid);
	struct error *err = output_open("snapshot", path, -1, &output);
	if (!err)
		err = saved_write(snapshot, &output);
	snapshot_destroy(snapshot);
	return err;
}

static void expect_pid(const char *path, uint32_t pid)
{
	struct snapshot *snapshot = NULL;
	struct error *err = saved_read(path, NULL, NULL, &snapshot);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	ck_assert_uint_eq(snapshot->pid, pid);
	snapshot_destroy(snapshot);
}

static void expect_unreadable(const char *path, const char *message)
{
	struct snapshot *snapshot = NULL;
	_cleanup_error_ struct error *err = saved_read(path, NULL, NULL, &snapshot);
	ck_assert_msg(err != NULL, "read, not: %s", message);
	ck_assert_str_eq(error_message(err), message);
}

static void put(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
}

START_TEST(what_was_written_is_read)
{
	ck_assert_ptr_null(save("a", 1));
	expect_pid("a", 1);
	ck_assert_ptr_null(save("a", 2));
	expect_pid("a", 2);
	ck_assert_uint_eq(count_entries(), 1);
}
END_TEST

START_TEST(what_is_no_snapshot_is_told)
{
	put("empty", "");
	put("text", "Top 10 lines\n");
	ck_assert_int_eq(mkdir("directory", 0777), 0);
	ck_assert_int_eq(mkfifo("fifo", 0666), 0);
	expect_unreadable("none", "cannot read snapshot 'none': No such file or directory");
	expect_unreadable("empty", "cannot read snapshot 'empty': it is no snapshot of tracealloc");
	expect_unreadable("text", "cannot read snapshot 'text': it is no snapshot of tracealloc");
	expect_unreadable("directory", "cannot read snapshot 'directory': it is no regular file");
	expect_unreadable("fifo", "cannot read snapshot 'fifo': it is no regular file");
	expect_unreadable("/dev/zero", "cannot read snapshot '/dev/zero': it is no regular file");
	rmdir("directory");
}
END_TEST

START_TEST(a_cut_off_snapshot_is_told)
{
	struct stat status;
	ck_assert_ptr_null(save("a", 1));
	ck_assert_int_eq(stat("a", &status), 0);
	ck_assert_int_eq(truncate("a", status.st_size - 1), 0);
	struct snapshot *snapshot = NULL;
	_cleanup_error_ struct error *err = saved_read("a", NULL, NULL, &snapshot);
	ck_assert_ptr_nonnull(
		strstr(error_message(err), "cannot read snapshot 'a': it is cut off"));
}
END_TEST

START_TEST(a_symbolic_link_is_not_written_through)
{
	put("precious", "text");
	ck_assert_int_eq(symlink("precious", "link"), 0);
	_cleanup_error_ struct error *err = save("link", 1);
	ck_assert_str_eq(error_message(err), "cannot write snapshot 'link': it is a symbolic link: "
					     "name the file itself");
	expect_unreadable("precious",
			  "cannot read snapshot 'precious': it is no snapshot of tracealloc");
}
END_TEST

/* The limit of a file's size makes write(2) fail at a given byte, as a full disk does. */
START_TEST(wherever_the_disk_is_full_the_last_good_snapshot_stays)
{
	struct stat status;
	ck_assert_ptr_null(save("a", 1));
	ck_assert_int_eq(stat("a", &status), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t at = 0; at < (rlim_t)status.st_size; at++) {
		struct rlimit limit = {at, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
		struct error *err = save("a", 2);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
		ck_assert_msg(err != NULL, "%lu bytes were enough", (unsigned long)at);
		ck_assert_str_eq(error_message(err), "cannot write snapshot 'a': File too large");
		error_free(err);
		expect_pid("a", 1);
		ck_assert_uint_eq(count_entries(), 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/saved");
	TCase *files = tcase_create("files");
	tcase_add_checked_fixture(files, enter_directory, leave_directory);
	tcase_add_test(files, what_was_written_is_read);
	tcase_add_test(files, what_is_no_snapshot_is_told);
	tcase_add_test(files, a_cut_off_snapshot_is_told);
	tcase_add_test(files, a_symbolic_link_is_not_written_through);
	tcase_add_test(files, wherever_the_disk_is_full_the_last_good_snapshot_stays);
	suite_add_tcase(suite, files);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
