/* SPDX-License-Identifier: MIT */
/*
 * Processes in namespaces and a root of their own, as containers are made of, seen from outside:
 * counts, lines, both process ids, and that nothing of the host is taken for what a link in there
 * leads to.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/phases.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

/* tests/targets/special/inmate.c */
enum { THREADS = 100, BLOCKS = 10, BLOCK_BYTES = 4000, BATCHES = 8, LINE = 20 };

static void make_directory(const struct scratch *scratch, const char *name)
{
	_cleanup_free_ char *path = scratch_file(scratch, name);

	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void copy(const struct scratch *scratch, const char *from, const char *to)
{
	_cleanup_free_ char *path = scratch_file(scratch, to);

	ck_assert_int_eq(process_call(scratch, "copy", ARGV("cp", "-L", from, path)), 0);
}

/* A root with a program and the libraries that it needs, and nothing else. */
static void make_root(const struct scratch *scratch)
{
	static const char *const directories[] = {"root", "root/bin", "root/lib", "root/lib64",
						  "root/lib/x86_64-linux-gnu"};

	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		make_directory(scratch, directories[i]);
	copy(scratch, "/lib64/ld-linux-x86-64.so.2", "root/lib64/ld-linux-x86-64.so.2");
	copy(scratch, "/lib/x86_64-linux-gnu/libc.so.6", "root/lib/x86_64-linux-gnu/libc.so.6");
}

static char *build(const struct scratch *scratch, const char *const flags[])
{
	return suite_build(scratch, "special/inmate.c", "root/bin/inmate", flags);
}

/* In a chroot the kernel makes none (unshare(2), EPERM). */
static bool has_user_namespaces(const struct scratch *scratch)
{
	if (process_call(scratch, "namespace", ARGV("unshare", "--user", "true")) == 0)
		return true;
	_cleanup_free_ char *errors = tracealloc_text(scratch, "namespace.err");
	errors[strcspn(errors, "\n")] = '\0';
	suite_skip("no user namespace can be made here: %s", errors);
	return false;
}

/* A process of its own user, mount and pid namespaces; *pid_ret is what it is called here. */
static void start_inmate(const struct scratch *scratch, int batches, struct process *ret,
			 pid_t *pid_ret)
{
	_cleanup_free_ char *root = scratch_file(scratch, "root");
	char number[16], path[64];

	snprintf(number, sizeof(number), "%d", batches);
	process_start(scratch, "inmate",
		      ARGV("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork",
			   "--kill-child", "--root", root, "/bin/inmate", number),
		      ret);
	process_wait_output(ret, "ready 1\n");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", ret->pid, ret->pid);
	_cleanup_fclose_ FILE *children = fopen(path, "re");
	ck_assert_msg(children && fscanf(children, "%d", pid_ret) == 1, "no child of unshare");
}

static void attach_and_work(const struct scratch *scratch, const char *engine,
			    struct process *inmate, pid_t pid, struct report *ret)
{
	_cleanup_process_ struct process attach = {0};

	tracealloc_start_attach(scratch, ARGV("--engine", engine, "--show", "total"), pid, &attach);
	tracealloc_until_probed(&attach, pid);
	process_send(inmate, "\n");
	process_wait_output(inmate, "done\n");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(scratch, ret);
	code_expect_clean(pid);
	process_close_input(inmate);
	ck_assert_int_eq(process_wait(inmate), 0);
}

static void expect_counts(const struct report *report, int batches, pid_t pid)
{
	struct report_figures line = report_at(report, "inmate.c", LINE);
	int64_t blocks = (int64_t)batches * THREADS * BLOCKS;

	ck_assert_int_eq(line.total_blocks, blocks);
	ck_assert_int_eq(line.total_bytes, blocks * BLOCK_BYTES);
	ck_assert_int_eq(line.current_blocks, 0);
	ck_assert_int_eq(report_total(report, "unknown_releases"), 0);
	const json_t *process = report_process(report, pid);
	ck_assert_ptr_nonnull(process);
	ck_assert_int_eq(json_integer_value(json_object_get(process, "inner_pid")), 1);
}

START_TEST(a_container_is_counted_line_by_line_however_many_threads_come_and_go)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	_cleanup_report_ struct report report = {0};
	int batches = _i == ENGINE_JUMP ? BATCHES : 1;
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_root(&scratch);
	free(build(&scratch, ARGV("-O1", "-g", "-pthread")));
	start_inmate(&scratch, batches, &inmate, &pid);
	attach_and_work(&scratch, engine_name(_i), &inmate, pid, &report);
	expect_counts(&report, batches, pid);
}
END_TEST

/* Another C library than the host's, which is nowhere on it: all of the root is that. */
START_TEST(a_container_with_another_c_library_is_counted)
{
	static const char *const linking[] = {"-rdynamic", "-static"};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	_cleanup_report_ struct report report = {0};
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_directory(&scratch, "root");
	make_directory(&scratch, "root/bin");
	make_directory(&scratch, "root/lib");
	copy(&scratch, "/usr/lib/x86_64-linux-musl/libc.so", "root/lib/ld-musl-x86_64.so.1");
	_cleanup_free_ char *source = suite_source("special/inmate.c");
	_cleanup_free_ char *program = scratch_file(&scratch, "root/bin/inmate");
	ck_assert_int_eq(
		process_call(&scratch, "compiler",
			     ARGV("musl-gcc", "-O1", "-g", linking[_i % 2], source, "-o", program)),
		0);
	start_inmate(&scratch, 1, &inmate, &pid);
	attach_and_work(&scratch, _i / 2 ? "breakpoint" : "auto", &inmate, pid, &report);
	struct report_figures line = report_at(&report, "inmate.c", LINE);
	ck_assert_int_eq(line.total_blocks, (int64_t)THREADS * BLOCKS);
	ck_assert_int_eq(line.current_blocks, 0);
}
END_TEST

START_TEST(debug_information_is_taken_from_the_containers_own_root)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	_cleanup_report_ struct report report = {0};
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_root(&scratch);
	_cleanup_free_ char *program =
		build(&scratch, ARGV("-O1", "-g", "-pthread", "-Wl,--build-id=none"));
	make_directory(&scratch, "root/bin/.debug");
	_cleanup_free_ char *debug = scratch_file(&scratch, "root/bin/.debug/inmate.dbg");
	_cleanup_free_ char *link = NULL;
	ck_assert_int_gt(asprintf(&link, "--add-gnu-debuglink=%s", debug), 0);
	ck_assert_int_eq(process_call(&scratch, "split",
				      ARGV("objcopy", "--only-keep-debug", program, debug)),
			 0);
	ck_assert_int_eq(process_call(&scratch, "strip", ARGV("strip", program)), 0);
	ck_assert_int_eq(process_call(&scratch, "link", ARGV("objcopy", link, program)), 0);
	start_inmate(&scratch, 1, &inmate, &pid);
	attach_and_work(&scratch, "jump", &inmate, pid, &report);
	expect_counts(&report, 1, pid);
}
END_TEST

/* Its source as it is in there, and not what the host has by that name. */
START_TEST(source_text_is_read_in_the_containers_own_root)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *map = NULL, *command = NULL;
	const json_t *row;
	size_t i, found = 0;
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_root(&scratch);
	make_directory(&scratch, "root/src");
	_cleanup_free_ char *source = suite_source("special/inmate.c");
	_cleanup_free_ char *inner = scratch_file(&scratch, "root/src/inmate.c");
	_cleanup_free_ char *outer = strndup(source, (size_t)(strrchr(source, '/') - source));
	ck_assert_int_gt(asprintf(&command, "sed 's/^/inner /' %s >%s", source, inner), 0);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_gt(asprintf(&map, "-ffile-prefix-map=%s=/src", outer), 0);
	free(build(&scratch, ARGV("-O1", "-g", "-pthread", map)));
	start_inmate(&scratch, 1, &inmate, &pid);
	attach_and_work(&scratch, "jump", &inmate, pid, &report);
	json_array_foreach(json_object_get(report.root, "rows"), i, row)
	{
		if (strcmp(report_string(row, "file"), "/src/inmate.c") != 0)
			continue;
		ck_assert_msg(strncmp(report_string(row, "source"), "inner ", 6) == 0, "\"%s\"",
			      report_string(row, "source"));
		found++;
	}
	ck_assert_uint_ge(found, 1);
}
END_TEST

/* A FIFO in there would make whoever opens it wait; a link that leads up leads to its own root. */
START_TEST(what_lies_in_wait_in_a_container_is_not_followed)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	_cleanup_report_ struct report report = {0};
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_root(&scratch);
	_cleanup_free_ char *program =
		build(&scratch, ARGV("-O1", "-g", "-pthread", "-Wl,--build-id=none"));
	_cleanup_free_ char *outside = scratch_file(&scratch, "outside.dbg");
	_cleanup_free_ char *link = NULL;
	ck_assert_int_gt(asprintf(&link, "--add-gnu-debuglink=%s", outside), 0);
	ck_assert_int_eq(process_call(&scratch, "split",
				      ARGV("objcopy", "--only-keep-debug", program, outside)),
			 0);
	ck_assert_int_eq(process_call(&scratch, "strip", ARGV("strip", program)), 0);
	ck_assert_int_eq(process_call(&scratch, "link", ARGV("objcopy", link, program)), 0);
	make_directory(&scratch, "root/bin/.debug");
	_cleanup_free_ char *fifo = scratch_file(&scratch, "root/bin/outside.dbg");
	_cleanup_free_ char *escape = scratch_file(&scratch, "root/bin/.debug/outside.dbg");
	ck_assert_int_eq(mkfifo(fifo, 0666), 0);
	ck_assert_int_eq(symlink(outside, escape), 0);
	start_inmate(&scratch, 1, &inmate, &pid);
	attach_and_work(&scratch, "jump", &inmate, pid, &report);
	ck_assert_uint_eq(report_at(&report, "inmate.c", 0).rows, 0);
	/* The C library allocates for each thread, too, and that is charged to who made it. */
	ck_assert_int_ge(report_labelled(&report, "inmate+0x").total_blocks,
			 (int64_t)THREADS * BLOCKS);
}
END_TEST

/* As a second container does that shares the process ids of the first, and no files. */
START_TEST(from_a_container_beside_it_it_is_process_1)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0}, attach = {0};
	_cleanup_free_ char *program = suite_tracealloc();
	char number[16];
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	phases_use_directory(&scratch);
	make_root(&scratch);
	free(build(&scratch, ARGV("-O1", "-g", "-pthread")));
	start_inmate(&scratch, 1, &inmate, &pid);
	snprintf(number, sizeof(number), "%d", pid);
	process_start(&scratch, "attach",
		      ARGV("nsenter", "--target", number, "--user", "--preserve-credentials",
			   "--pid", "unshare", "--mount-proc", program, "attach", "--show", "total",
			   "--quiet", "1"),
		      &attach);
	tracealloc_until_probed(&attach, pid);
	process_send(&inmate, "\n");
	process_wait_output(&inmate, "done\n");
	ck_assert_int_eq(
		process_call(&scratch, "stop",
			     ARGV("nsenter", "--target", number, "--user", "--preserve-credentials",
				  "--pid", "unshare", "--mount-proc", program, "ctl", "1", "stop")),
		0);
	ck_assert_int_eq(process_wait(&attach), 0);
	_cleanup_free_ char *said = process_output(&attach);
	ck_assert_msg(strstr(said, "inmate.c:20: 3906.2 KiB\n") != NULL, "it says \"%s\"", said);
	code_expect_clean(pid);
	process_close_input(&inmate);
	ck_assert_int_eq(process_wait(&inmate), 0);
}
END_TEST

START_TEST(the_text_report_says_both_process_ids)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_process_ struct process inmate = {0};
	char expected[64], number[16];
	pid_t pid;

	scratch_make(&scratch);
	if (!has_user_namespaces(&scratch))
		return;
	make_root(&scratch);
	free(build(&scratch, ARGV("-O1", "-g", "-pthread")));
	start_inmate(&scratch, 1, &inmate, &pid);
	snprintf(number, sizeof(number), "%d", pid);
	snprintf(expected, sizeof(expected), "(pid %d, 1 in its own namespace)\n", pid);
	int status = tracealloc_call(&scratch, ARGV("attach", "--for", "10ms", number));
	ck_assert_int_eq(status, 0);
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	ck_assert_msg(strstr(said, expected) != NULL, "it says \"%s\"", said);
}
END_TEST

static void expect_ticker(const char *said, const char *step)
{
	const char *at = strstr(said, step);
	ck_assert_ptr_nonnull(at);
	const char *end = strstr(at + strlen(step), "\n== ");
	_cleanup_free_ char *own = end ? strndup(at, (size_t)(end - at)) : strdup(at);
	ck_assert_msg(strstr(own, "special/ticker.c:18: ") != NULL, "%s", said);
}

/* Containers as people run them; what namespaces alone are like is tested above. */
START_TEST(the_pages_steps_work_in_containers)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_free_ char *tracealloc = suite_tracealloc();

	scratch_make(&scratch);
	make_directory(&scratch, "containers");
	_cleanup_free_ char *place = scratch_file(&scratch, "containers");
	_cleanup_free_ char *ticker =
		suite_build(&scratch, "special/ticker.c", "ticker", ARGV("-O1", "-g"));
	if (process_call(&scratch, "which", ARGV("sh", "-c", "command -v podman")) != 0) {
		suite_skip("podman is not installed");
		return;
	}
	int status = process_call(&scratch, "podman",
				  ARGV("tests/e2e/containers_podman.sh", tracealloc, ticker,
				       "man/containers.md", place));
	_cleanup_free_ char *said = tracealloc_text(&scratch, "podman.out");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "podman.err");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		suite_skip("podman runs no containers here: %s", errors);
		return;
	}
	ck_assert_msg(status == 0, "status %#x: %s%s", status, said, errors);
	ck_assert_msg(strstr(errors, "/bin/ls (pid ") != NULL, "%s", errors);
	expect_ticker(said, "== attach\n");
	expect_ticker(said, "== debug\n");
	expect_ticker(said, "== exec\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("containers");
	TCase *tests = suite_case(suite, "containers", 60);

	tcase_add_loop_test(tests,
			    a_container_is_counted_line_by_line_however_many_threads_come_and_go, 0,
			    ENGINES);
	tcase_add_loop_test(tests, a_container_with_another_c_library_is_counted, 0, 4);
	tcase_add_test(tests, debug_information_is_taken_from_the_containers_own_root);
	tcase_add_test(tests, source_text_is_read_in_the_containers_own_root);
	tcase_add_test(tests, what_lies_in_wait_in_a_container_is_not_followed);
	tcase_add_test(tests, from_a_container_beside_it_it_is_process_1);
	tcase_add_test(tests, the_text_report_says_both_process_ids);
	if (suite_is_long())
		tcase_add_test(tests, the_pages_steps_work_in_containers);
	return suite_run(suite);
}
