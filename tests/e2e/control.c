/* SPDX-License-Identifier: MIT */
/*
 * Asking while tracing goes on: status, snapshots, the peak counted anew, marks, one block; and
 * that nobody who asks, however he does it, harms the target, the session or anybody else.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/phases.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

static int64_t figure(const json_t *answer, const char *key)
{
	return truth_integer(answer, key);
}

static int64_t live(const json_t *truth, const char *what)
{
	char total[32], released[32];

	snprintf(total, sizeof total, "total_%s", what);
	snprintf(released, sizeof released, "released_%s", what);
	return figure(truth, total) - figure(truth, released);
}

static void expect_same(const json_t *answer, const json_t *truth)
{
	ck_assert_int_eq(figure(answer, "current_bytes"), live(truth, "bytes"));
	ck_assert_int_eq(figure(answer, "current_blocks"), live(truth, "blocks"));
	ck_assert_int_eq(figure(answer, "peak_bytes"), figure(truth, "peak_bytes"));
	ck_assert_int_eq(figure(answer, "peak_blocks"), figure(truth, "peak_blocks"));
	ck_assert_int_eq(figure(answer, "total_bytes"), figure(truth, "total_bytes"));
	ck_assert_int_eq(figure(answer, "total_blocks"), figure(truth, "total_blocks"));
	ck_assert_int_eq(figure(answer, "lost_events"), 0);
}

/* What `ctl status` says now is what the target says. */
static void expect_true_status(struct phases *phases)
{
	_cleanup_json_ json_t *truth = phases_truth(phases);
	_cleanup_json_ json_t *answer = phases_ask(phases->scratch, phases->pid, ARGV("status"));
	expect_same(answer, truth);
}

START_TEST(status_says_what_the_target_knows)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	phases_tell(&phases, "grow 100 1000");
	expect_true_status(&phases);
	phases_tell(&phases, "drop 60");
	expect_true_status(&phases);
	_cleanup_json_ json_t *answer = phases_ask(&scratch, phases.pid, ARGV("status"));
	ck_assert_str_eq(json_string_value(json_object_get(answer, "engine")), engine_name(_i));
	ck_assert_int_eq(figure(answer, "pid"), phases.pid);
	phases_ctl(&scratch, phases.pid, ARGV("status"));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.out");
	ck_assert_ptr_nonnull(strstr(text, "current:   39.1 KiB in 40 blocks\n"));
	ck_assert_ptr_nonnull(strstr(text, "peak:      97.7 KiB in 100 blocks, after "));
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(a_peak_that_was_reset_counts_from_there)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "drop 70");
	phases_ctl(&scratch, phases.pid, ARGV("reset-peak"));
	_cleanup_json_ json_t *answer = phases_ask(&scratch, phases.pid, ARGV("status"));
	ck_assert_int_eq(figure(answer, "peak_bytes"), 30000);
	ck_assert_int_eq(figure(answer, "peak_blocks"), 30);
	phases_tell(&phases, "grow 10 50");
	phases_tell(&phases, "drop 20");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_total(&report, "peak_bytes"), 30500);
	ck_assert_int_eq(report_total(&report, "peak_blocks"), 40);
	ck_assert_int_eq(report_in_function(&report, "grow").peak_bytes, 30500);
	const json_t *marks = json_object_get(report.root, "marks");
	ck_assert_uint_eq(json_array_size(marks), 1);
	ck_assert_str_eq(report_string(json_array_get(marks, 0), "kind"), "reset-peak");
	ck_assert_int_eq(figure(json_array_get(marks, 0), "current_bytes"), 30000);
}
END_TEST

START_TEST(marks_are_in_the_report)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--format", "text"), &phases);
	phases_tell(&phases, "grow 10 1000");
	phases_ctl(&scratch, phases.pid, ARGV("mark", "loaded"));
	phases_tell(&phases, "drop 5");
	phases_ctl(&scratch, phases.pid, ARGV("mark", "a\x1b[31m\nb"));
	ck_assert_int_eq(phases_finish(&phases), 0);
	_cleanup_free_ char *text = tracealloc_text(&scratch, "report.json");
	ck_assert_ptr_nonnull(strstr(text, "\nmark 'loaded': 10000 B in use, after "));
	ck_assert_ptr_nonnull(strstr(text, "\nmark 'a\\x1b[31m\\x0ab': 5000 B in use, after "));
}
END_TEST

/* Reads a saved snapshot and holds it against the truth, line by line. */
static void expect_true_snapshot(const struct scratch *scratch, const char *path,
				 const json_t *truth)
{
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *json = scratch_file(scratch, "report.json");

	ck_assert_int_eq(
		tracealloc_call(scratch, ARGV("report", "--format", "json", "--show", "leaked",
					      "--top", "100000", "--report", json, path)),
		0);
	tracealloc_report(scratch, &report);
	truth_expect_lines(truth, &report, "leaked");
	ck_assert_int_eq(report_total(&report, "total_blocks"), figure(truth, "total_blocks"));
}

START_TEST(a_snapshot_taken_meanwhile_is_whole_and_true)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *output = scratch_file(&scratch, "out.tas");
	_cleanup_free_ char *first = scratch_file(&scratch, "out.1.tas");
	_cleanup_free_ char *second = scratch_file(&scratch, "out.2.tas");
	_cleanup_free_ char *mine = scratch_file(&scratch, "mine.tas");
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i), "--output", output),
			    &phases);
	phases_tell(&phases, "grow 100 1000");
	_cleanup_json_ json_t *truth = phases_truth(&phases);
	phases_ctl(&scratch, phases.pid, ARGV("snapshot", mine));
	phases_ctl(&scratch, phases.pid, ARGV("snapshot"));
	_cleanup_free_ char *said = tracealloc_text(&scratch, "call.out");
	ck_assert_ptr_nonnull(strstr(said, "/out.1.tas\n"));
	phases_tell(&phases, "drop 60");
	phases_tell(&phases, "work 5 300");
	_cleanup_json_ json_t *later = phases_truth(&phases);
	phases_ctl(&scratch, phases.pid, ARGV("snapshot"));
	expect_true_snapshot(&scratch, mine, truth);
	expect_true_snapshot(&scratch, first, truth);
	expect_true_snapshot(&scratch, second, later);
	phases_tell(&phases, "drop 50");
	_cleanup_json_ json_t *last = phases_truth(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
	expect_true_snapshot(&scratch, output, last);
}
END_TEST

/* What a question to a saved snapshot shows in all. */
static int64_t shown(const struct scratch *scratch, const char *path, const char *const options[],
		     const char *key)
{
	const char *words[16] = {"report", "--format", "json", "--report"};
	_cleanup_free_ char *json = scratch_file(scratch, "asked.json");
	size_t count = 4;

	words[count++] = json;
	for (size_t i = 0; options[i]; i++)
		words[count++] = options[i];
	words[count] = path;
	ck_assert_int_eq(tracealloc_call(scratch, words), 0);
	_cleanup_free_ char *text = scratch_read(json, NULL);
	_cleanup_json_ json_t *root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(root);
	if (strcmp(key, "shown_bytes") == 0)
		return figure(root, key);
	const json_t *classes = json_object_get(json_object_get(root, "histogram"), "classes");
	int64_t sum = 0;
	for (size_t i = 0; i < json_array_size(classes); i++)
		sum += figure(json_array_get(classes, i), key);
	return sum;
}

START_TEST(a_snapshot_taken_meanwhile_knows_ages_and_histograms)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *mine = scratch_file(&scratch, "mine.tas");
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "drop 60");
	phases_ctl(&scratch, phases.pid, ARGV("snapshot", mine));
	ck_assert_int_eq(phases_finish(&phases), 0);
	ck_assert_int_eq(
		shown(&scratch, mine, ARGV("--show=current", "--exclude=age=>12h"), "shown_bytes"),
		40000);
	ck_assert_int_eq(
		shown(&scratch, mine, ARGV("--show=current", "--filter=age=>12h"), "shown_bytes"),
		0);
	ck_assert_int_eq(shown(&scratch, mine, ARGV("--histogram=size"), "total_blocks"), 100);
	ck_assert_int_eq(shown(&scratch, mine, ARGV("--histogram=size"), "current_bytes"), 40000);
	ck_assert_int_eq(shown(&scratch, mine, ARGV("--histogram=lifetime"), "blocks"), 60);
}
END_TEST

START_TEST(without_an_output_a_snapshot_needs_a_name)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	phases_ctl_refused(&scratch, phases.pid, ARGV("snapshot"), "name the FILE");
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

struct file_wait {
	char *path;
};

static bool is_there(const void *context)
{
	return access(((const struct file_wait *)context)->path, R_OK) == 0;
}

START_TEST(an_interval_makes_numbered_snapshots)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *output = scratch_file(&scratch, "v1.d");
	_cleanup_free_ char *third = scratch_file(&scratch, "v1.3.d");
	phases_start_traced(&scratch, ARGV("--interval", "50ms", "--output", output), &phases);
	phases_tell(&phases, "grow 10 10");
	process_until(is_there, &(struct file_wait){third}, "a third snapshot");
	ck_assert_int_eq(tracealloc_call(&scratch, ARGV("report", third)), 0);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(an_interval_without_output_reports)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *second = scratch_file(&scratch, "report.2.json");
	phases_start_traced(&scratch, ARGV("--interval", "50ms", "--format", "text"), &phases);
	phases_tell(&phases, "grow 10 10");
	process_until(is_there, &(struct file_wait){second}, "a second report");
	_cleanup_free_ char *text = scratch_read(second, NULL);
	ck_assert_ptr_nonnull(strstr(text, "Top 100000 lines\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nsnapshot: "));
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* ---- at functions */

START_TEST(the_peak_is_reset_where_a_function_is_called)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch,
			    ARGV("--engine", engine_name(_i), "--reset-peak-at", "phase_begin"),
			    &phases);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "drop 70");
	phases_tell(&phases, "begin");
	expect_true_status(&phases);
	phases_tell(&phases, "grow 10 50");
	phases_tell(&phases, "drop 20");
	expect_true_status(&phases);
	phases_tell(&phases, "begin");
	phases_tell(&phases, "begin");
	expect_true_status(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(snapshots_are_taken_where_functions_are_called_and_return)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	static const char *const options[] = {"phase_work", "phases:phase_work:exit"};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *output = scratch_file(&scratch, "out");
	_cleanup_free_ char *first = scratch_file(&scratch, "out.1");
	_cleanup_free_ char *second = scratch_file(&scratch, "out.2");
	phases_start_traced(&scratch,
			    ARGV("--engine", engine_name(_i % 2), "--output", output,
				 "--snapshot-at", options[_i / 2]),
			    &phases);
	phases_tell(&phases, "grow 100 1000");
	_cleanup_json_ json_t *before = phases_truth(&phases);
	phases_tell(&phases, "work 5 300");
	_cleanup_json_ json_t *after = phases_truth(&phases);
	phases_tell(&phases, "drop 50");
	_cleanup_json_ json_t *before_second = phases_truth(&phases);
	phases_tell(&phases, "work 7 300");
	_cleanup_json_ json_t *after_second = phases_truth(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
	expect_true_snapshot(&scratch, first, _i / 2 ? after : before);
	expect_true_snapshot(&scratch, second, _i / 2 ? after_second : before_second);
}
END_TEST

START_TEST(a_function_that_is_nowhere_is_told)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *program = suite_target("phases");
	char pid[16];

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	ck_assert_int_eq(tracealloc_run(&scratch, ARGV("--reset-peak-at", "no_such_function"),
					ARGV(program), &report),
			 0);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "traced.err");
	ck_assert_ptr_nonnull(strstr(errors, "no function 'no_such_function' of --reset-peak-at"));
	phases_start(&scratch, &phases);
	snprintf(pid, sizeof pid, "%d", phases.pid);
	int status = tracealloc_call(&scratch, ARGV("attach", "--snapshot-at", "nowhere", pid));
	_cleanup_free_ char *refusal = tracealloc_text(&scratch, "call.err");
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x: %s", status,
		      refusal);
	ck_assert_ptr_nonnull(strstr(refusal, "has no function 'nowhere'"));
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* ---- one block */

static uint64_t newest_block(struct phases *phases)
{
	phases_tell(phases, "address");
	_cleanup_free_ char *output = process_output(&phases->process);
	const char *last = NULL;
	for (const char *at = output; (at = strstr(at, "address 0x")); at++)
		last = at + strlen("address ");
	ck_assert_ptr_nonnull(last);
	return strtoull(last, NULL, 16);
}

static void expect_holder(const struct phases *phases, uint64_t asked, uint64_t block, int64_t size)
{
	char address[32];

	snprintf(address, sizeof address, "0x%llx", (unsigned long long)asked);
	_cleanup_json_ json_t *answer =
		phases_ask(phases->scratch, phases->pid, ARGV("where", address));
	ck_assert_uint_eq((uint64_t)figure(answer, "address"), block);
	ck_assert_int_eq(figure(answer, "size_bytes"), size);
	ck_assert_int_eq(figure(answer, "thread"), phases->pid);
	ck_assert_int_eq(figure(answer, "process"), phases->pid);
	ck_assert_int_gt(figure(answer, "age_ns"), 0);
	const json_t *frame = json_array_get(json_object_get(answer, "frames"), 0);
	ck_assert_str_eq(report_string(frame, "function"), "phase_work");
	ck_assert_ptr_nonnull(strstr(report_string(frame, "source"), "MALLOC(size)"));
}

START_TEST(where_finds_the_block_that_holds_an_address)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	char address[32];

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	phases_tell(&phases, "grow 1000 48");
	phases_tell(&phases, "work 1 4000");
	uint64_t block = newest_block(&phases);
	expect_holder(&phases, block, block, 4000);
	expect_holder(&phases, block + 1, block, 4000);
	expect_holder(&phases, block + 3999, block, 4000);
	snprintf(address, sizeof address, "0x%llx", (unsigned long long)block + 4000);
	phases_ctl_refused(&scratch, phases.pid, ARGV("where", address), address);
	phases_ctl_refused(&scratch, phases.pid, ARGV("where", "0x10"), "0x10");
	snprintf(address, sizeof address, "0x%llx", (unsigned long long)block + 7);
	phases_ctl(&scratch, phases.pid, ARGV("where", address));
	_cleanup_free_ char *text = tracealloc_text(&scratch, "call.out");
	ck_assert_ptr_nonnull(strstr(text, "lies 7 bytes into the block at "));
	ck_assert_ptr_nonnull(strstr(text, "4000 B, allocated "));
	ck_assert_ptr_nonnull(strstr(text, "phases.c\", line "));
	phases_tell(&phases, "drop 1");
	phases_ctl_refused(&scratch, phases.pid, ARGV("where", address), "no live block");
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* ---- symbols */

struct opened {
	pid_t tracer;
	const char *program;
	size_t least;
};

/* Whether the tracer has the program's file open so many times. */
static bool is_open(const void *context)
{
	const struct opened *opened = context;
	char directory[64];
	size_t count = 0;

	snprintf(directory, sizeof directory, "/proc/%d/fd", opened->tracer);
	DIR *descriptors = opendir(directory);
	ck_assert_ptr_nonnull(descriptors);
	for (struct dirent *entry; (entry = readdir(descriptors));) {
		char file[PATH_MAX];
		ssize_t got = readlinkat(dirfd(descriptors), entry->d_name, file, sizeof file - 1);
		file[got > 0 ? got : 0] = '\0';
		count += strcmp(file, opened->program) == 0;
	}
	closedir(descriptors);
	return count >= opened->least;
}

/* Once for unwinding and, as soon as there is a block, once more for lines. */
START_TEST(lines_are_looked_up_while_the_target_runs)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};
	_cleanup_free_ char *program = suite_target("phases");

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, NULL, &phases);
	phases_tell(&phases, "grow 100 1000");
	process_until(is_open, &(struct opened){phases.process.pid, program, 2},
		      "the program to be opened for its lines");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_total(&report, "total_blocks"), 100);
}
END_TEST

/* ---- who is asked */

START_TEST(any_process_of_a_tree_leads_to_its_tracer)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	phases_tell(&phases, "grow 3 100");
	phases_tell(&phases, "fork");
	_cleanup_free_ char *output = process_output(&phases.process);
	const char *child = strstr(output, "child ");
	ck_assert_ptr_nonnull(child);
	pid_t pid = (pid_t)strtol(child + strlen("child "), NULL, 10);
	_cleanup_json_ json_t *answer = phases_ask(&scratch, pid, ARGV("status"));
	ck_assert_int_eq(figure(answer, "pid"), phases.pid);
	ck_assert_int_eq(figure(answer, "processes"), 2);
	kill(pid, SIGKILL);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(each_of_two_sessions_answers_for_its_own)
{
	_cleanup_scratch_ struct scratch scratch = {0}, other_scratch = {0};
	_cleanup_phases_ struct phases one = {0}, other = {0};

	scratch_make(&scratch);
	scratch_make(&other_scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &one);
	phases_start_traced(&other_scratch, ARGV("--depth", "8"), &other);
	phases_tell(&one, "grow 10 100");
	phases_tell(&other, "grow 20 50");
	expect_true_status(&one);
	expect_true_status(&other);
	phases_ctl(&scratch, other.pid, ARGV("reset-peak"));
	expect_true_status(&one);
	phases_ctl_refused(&scratch, getpid(), ARGV("status"), "no tracealloc of yours");
	ck_assert_int_eq(phases_finish(&one), 0);
	phases_ctl_refused(&scratch, one.pid, ARGV("status"), "no tracealloc of yours");
	ck_assert_int_eq(phases_finish(&other), 0);
}
END_TEST

START_TEST(stop_ends_tracing_and_not_the_target)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start(&scratch, &phases);
	tracealloc_start_attach(&scratch, ARGV("--engine", engine_name(_i)), phases.pid, &attach);
	phases_until_answered(&scratch, phases.pid);
	phases_tell(&phases, "grow 10 100");
	phases_ctl(&scratch, phases.pid, ARGV("stop"));
	phases_tell(&phases, "grow 10 100");
	ck_assert_int_eq(process_wait(&attach), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_total(&report, "current_blocks"), 10);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* ---- those who mean no good */

static struct sockaddr_un socket_of(const struct scratch *scratch, pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s/tracealloc/%d.sock", scratch->path,
		 pid);
	return address;
}

static int connect_to(const struct phases *phases)
{
	struct sockaddr_un address = socket_of(phases->scratch, phases->pid);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	return -1;
}

static const char *const nonsense[] = {
	"",
	"x",
	"tracealloc-control-1 ",
	"tracealloc-control-1 status",
	"tracealloc-control-1 status\npid 99999999999999999999\n",
	"tracealloc-control-1 status\npid -1\n",
	"tracealloc-control-1 mark\nname %zz\npid 1\n",
	"tracealloc-control-1 mark\nname %0",
	"tracealloc-control-2 status\npid 1\n",
	"tracealloc-control-1 destroy\npid 1\n",
	"tracealloc-control-1 status\n\n\n\n",
};

START_TEST(nonsense_is_refused_and_forgotten)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	char long_packet[20000];

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	memset(long_packet, 'a', sizeof long_packet);
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		_cleanup_close_ int fd = connect_to(&phases);
		ck_assert_int_ge(fd, 0);
		send(fd, nonsense[i], strlen(nonsense[i]), MSG_NOSIGNAL);
		expect_true_status(&phases);
	}
	for (int i = 0; i < 100; i++) {
		_cleanup_close_ int fd = connect_to(&phases);
		for (size_t k = 0; k < sizeof long_packet; k++)
			long_packet[k] = (char)rand();
		if (fd >= 0)
			send(fd, long_packet, (size_t)rand() % sizeof long_packet, MSG_NOSIGNAL);
	}
	phases_tell(&phases, "grow 10 10");
	expect_true_status(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* Connections that say nothing, and ones that ask without end and never read an answer. */
START_TEST(those_who_stall_or_flood_keep_nobody_waiting)
{
	enum { IDLE = 100, FLOODS = 8, PACKETS = 2000 };
	static const char packet[] = "tracealloc-control-1 status\npid %d\n";
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	int idle[IDLE], floods[FLOODS];
	char text[64];

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	snprintf(text, sizeof text, packet, phases.pid);
	for (int i = 0; i < IDLE; i++)
		idle[i] = connect_to(&phases);
	for (int i = 0; i < FLOODS; i++)
		floods[i] = connect_to(&phases);
	for (int i = 0; i < FLOODS * PACKETS; i++)
		if (floods[i % FLOODS] >= 0)
			send(floods[i % FLOODS], text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	phases_tell(&phases, "grow 1000 100");
	expect_true_status(&phases);
	for (int i = 0; i < IDLE; i++)
		if (idle[i] >= 0)
			close(idle[i]);
	for (int i = 0; i < FLOODS; i++)
		if (floods[i] >= 0)
			close(floods[i]);
	expect_true_status(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(another_user_is_not_served)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	char pid[16];
	struct stat status;

	if (geteuid() != 0) {
		suite_skip("to be another user takes root");
		return;
	}
	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	struct sockaddr_un address = socket_of(&scratch, phases.pid);
	ck_assert_int_eq(stat(address.sun_path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	_cleanup_free_ char *directory = scratch_file(&scratch, "tracealloc");
	ck_assert_int_eq(stat(directory, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0700);
	_cleanup_free_ char *program = suite_tracealloc();
	snprintf(pid, sizeof pid, "%d", phases.pid);
	int end = process_call(&scratch, "nobody",
			       ARGV("setpriv", "--reuid", "65534", "--regid", "65534",
				    "--clear-groups", program, "ctl", pid, "reset-peak"));
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "nobody.err");
	ck_assert_msg(WIFEXITED(end) && WEXITSTATUS(end) == 1, "status %#x: %s", end, errors);
	ck_assert_ptr_nonnull(strstr(errors, "no tracealloc of yours"));
	/* Even where the file system lets everybody in. */
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(chmod(address.sun_path, 0666), 0);
	pid_t child = fork();
	if (child == 0) {
		char byte;
		if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
			_exit(3);
		_exit(recv(fd, &byte, 1, 0) == 0 ? 0 : 4);
	}
	ck_assert_int_eq(waitpid(child, &end, 0), child);
	ck_assert_int_eq(end, 0);
	ck_assert_int_eq(chmod(directory, 0700), 0);
	expect_true_status(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(a_killed_tracers_socket_is_replaced)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process killed = {0}, attach = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	phases_start(&scratch, &phases);
	struct sockaddr_un address = socket_of(&scratch, phases.pid);
	tracealloc_start_attach(&scratch, ARGV("--engine", "jump"), phases.pid, &killed);
	phases_until_answered(&scratch, phases.pid);
	process_signal(&killed, SIGKILL);
	process_wait(&killed);
	ck_assert_int_eq(access(address.sun_path, F_OK), 0);
	phases_ctl_refused(&scratch, phases.pid, ARGV("status"), "no tracealloc of yours");
	tracealloc_start_attach(&scratch, ARGV("--engine", "jump"), phases.pid, &attach);
	phases_until_answered(&scratch, phases.pid);
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	ck_assert_int_eq(access(address.sun_path, F_OK), -1);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* A directory that others can write to is none to put a socket in. */
START_TEST(a_directory_of_others_is_not_used)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	struct stat status;

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *directory = scratch_file(&scratch, "tracealloc");
	ck_assert_int_eq(mkdir(directory, 0777), 0);
	ck_assert_int_eq(chmod(directory, 0777), 0);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	struct sockaddr_un address = socket_of(&scratch, phases.pid);
	ck_assert_int_eq(stat(address.sun_path, &status), -1);
	expect_true_status(&phases);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *figures = suite_case(suite, "figures", 60);
	TCase *snapshots = suite_case(suite, "snapshots", 60);
	TCase *sessions = suite_case(suite, "sessions", 60);
	TCase *hostile = suite_case(suite, "hostile", 60);

	tcase_add_loop_test(figures, status_says_what_the_target_knows, 0, ENGINES);
	tcase_add_loop_test(figures, a_peak_that_was_reset_counts_from_there, 0, ENGINES);
	tcase_add_test(figures, marks_are_in_the_report);
	tcase_add_loop_test(figures, the_peak_is_reset_where_a_function_is_called, 0, ENGINES);
	tcase_add_loop_test(snapshots, snapshots_are_taken_where_functions_are_called_and_return, 0,
			    2 * ENGINES);
	tcase_add_test(sessions, a_function_that_is_nowhere_is_told);
	tcase_add_loop_test(figures, where_finds_the_block_that_holds_an_address, 0, ENGINES);
	tcase_add_loop_test(snapshots, a_snapshot_taken_meanwhile_is_whole_and_true, 0, ENGINES);
	tcase_add_loop_test(snapshots, a_snapshot_taken_meanwhile_knows_ages_and_histograms, 0,
			    ENGINES);
	tcase_add_test(snapshots, without_an_output_a_snapshot_needs_a_name);
	tcase_add_test(snapshots, an_interval_makes_numbered_snapshots);
	tcase_add_test(snapshots, an_interval_without_output_reports);
	tcase_add_test(sessions, lines_are_looked_up_while_the_target_runs);
	tcase_add_test(sessions, any_process_of_a_tree_leads_to_its_tracer);
	tcase_add_test(sessions, each_of_two_sessions_answers_for_its_own);
	tcase_add_loop_test(sessions, stop_ends_tracing_and_not_the_target, 0, ENGINES);
	tcase_add_test(hostile, nonsense_is_refused_and_forgotten);
	tcase_add_loop_test(hostile, those_who_stall_or_flood_keep_nobody_waiting, 0, ENGINES);
	tcase_add_test(hostile, another_user_is_not_served);
	tcase_add_test(hostile, a_killed_tracers_socket_is_replaced);
	tcase_add_test(hostile, a_directory_of_others_is_not_used);
	return suite_run(suite);
}
