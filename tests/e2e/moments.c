/* SPDX-License-Identifier: MIT */
/*
 * Moments that the target itself names by static probes, and functions of modules that are loaded
 * later: each is acted on when it comes, and nothing is left behind.
 */
#include <check.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/code.h"
#include "lib/engine.h"
#include "lib/phases.h"
#include "lib/status.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

static const json_t *mark_at(const struct report *report, size_t i)
{
	const json_t *mark = json_array_get(json_object_get(report->root, "marks"), i);
	ck_assert_msg(mark != NULL, "no mark %zu", i);
	return mark;
}

static size_t mark_count(const struct report *report)
{
	return json_array_size(json_object_get(report->root, "marks"));
}

static void expect_mark(const struct report *report, size_t i, const char *kind, const char *name)
{
	const json_t *mark = mark_at(report, i);
	ck_assert_str_eq(report_string(mark, "kind"), kind);
	ck_assert_msg(json_is_null(json_object_get(mark, "name")) == !name, "mark %zu", i);
	ck_assert_str_eq(report_string(mark, "name"), name ? name : "");
}

static char *build_plugin(const struct scratch *scratch)
{
	return suite_build(scratch, "special/moments.c", "moments.so",
			   ARGV("-O2", "-g", "-shared", "-fPIC", "-D_GNU_SOURCE"));
}

static void read_snapshot(const struct scratch *scratch, const char *path, struct report *ret)
{
	_cleanup_free_ char *json = scratch_file(scratch, "report.json");
	ck_assert_int_eq(
		tracealloc_call(scratch, ARGV("report", "--format", "json", "--show", "leaked",
					      "--top", "100000", "--report", json, path)),
		0);
	tracealloc_report(scratch, ret);
}

START_TEST(the_targets_own_probes_are_obeyed)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0}, taken = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *output = scratch_file(&scratch, "out");
	_cleanup_free_ char *first = scratch_file(&scratch, "out.1");
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i), "--output", output),
			    &phases);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "drop 70");
	phases_tell(&phases, "probe mark");
	phases_tell(&phases, "probe reset");
	phases_tell(&phases, "grow 10 50");
	_cleanup_json_ json_t *truth = phases_truth(&phases);
	phases_tell(&phases, "probe snapshot");
	phases_tell(&phases, "drop 20");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_total(&report, "peak_bytes"), 30500);
	ck_assert_int_eq(report_total(&report, "peak_blocks"), 40);
	ck_assert_uint_eq(mark_count(&report), 2);
	expect_mark(&report, 0, "mark", "made of a buffer");
	ck_assert_int_eq(truth_integer(mark_at(&report, 0), "current_bytes"), 30000);
	expect_mark(&report, 1, "reset-peak", "tracealloc:reset_peak");
	read_snapshot(&scratch, first, &taken);
	truth_expect_lines(truth, &taken, "leaked");
	expect_mark(&taken, 2, "snapshot", "of the target");
}
END_TEST

START_TEST(they_are_left_alone_where_that_is_asked_for)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	phases_start_traced(&scratch, ARGV("--usdt", "ignore"), &phases);
	phases_tell(&phases, "probe mark");
	phases_tell(&phases, "load %s", plugin);
	process_wait_output(&phases.process, "semaphores 0 0 0 ");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_uint_eq(mark_count(&report), 0);
}
END_TEST

static void expect_plugin_marks(const struct report *report, size_t at)
{
	char longest[128];
	memset(longest, 'x', 127);
	longest[127] = '\0';
	expect_mark(report, at, "reset-peak", "tracealloc:reset_peak");
	expect_mark(report, at + 1, "mark", "of a variable");
	expect_mark(report, at + 2, "mark", "-7");
	expect_mark(report, at + 3, "mark", "of the stack");
	expect_mark(report, at + 4, "mark", NULL);
	ck_assert_str_eq(report_string(mark_at(report, at + 5), "kind"), "mark");
	ck_assert_ptr_null(strchr(report_string(mark_at(report, at + 5), "name"), '\xff'));
	expect_mark(report, at + 6, "mark", longest);
}

START_TEST(probes_of_a_library_that_is_loaded_later_are_obeyed)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	phases_tell(&phases, "load %s", plugin);
	process_wait_output(&phases.process, "semaphores 1 1 0 ");
	phases_tell(&phases, "load %s", plugin);
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_uint_eq(mark_count(&report), 14);
	expect_plugin_marks(&report, 0);
	expect_plugin_marks(&report, 7);
}
END_TEST

/* How often the program's output has a text. */
static size_t times_said(struct phases *phases, const char *text)
{
	_cleanup_free_ char *output = process_output(&phases->process);
	size_t times = 0;
	for (const char *at = output; (at = strstr(at, text)); at++)
		times++;
	return times;
}

START_TEST(after_an_attach_nothing_is_left_of_them)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	phases_start(&scratch, &phases);
	phases_tell(&phases, "load %s", plugin);
	ck_assert_uint_eq(times_said(&phases, "semaphores 0 0 0 "), 1);
	tracealloc_start_attach(&scratch, ARGV("--engine", engine_name(_i)), phases.pid, &attach);
	phases_until_answered(&scratch, phases.pid);
	phases_tell(&phases, "load %s", plugin);
	ck_assert_uint_eq(times_said(&phases, "semaphores 1 1 0 "), 1);
	phases_tell(&phases, "probe mark");
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	status_until_untraced(phases.pid);
	code_expect_clean(phases.pid);
	phases_tell(&phases, "load %s", plugin);
	ck_assert_uint_eq(times_said(&phases, "semaphores 0 0 0 "), 2);
	phases_tell(&phases, "probe mark");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_uint_eq(mark_count(&report), 8);
	expect_plugin_marks(&report, 0);
	expect_mark(&report, 7, "mark", "made of a buffer");
}
END_TEST

/* The word after a text of the program's output, as strtoull(3) reads it. */
static uint64_t said(struct phases *phases, const char *text, int base)
{
	_cleanup_free_ char *output = process_output(&phases->process);
	const char *at = strstr(output, text);
	ck_assert_msg(at != NULL, "no \"%s\" in: %s", text, output);
	return strtoull(at + strlen(text), NULL, base);
}

static unsigned semaphore_of(pid_t pid, uint64_t address)
{
	char path[32];
	uint16_t value;
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &value, sizeof value, (off_t)address), sizeof value);
	return value;
}

/* Whether they are followed or not. */
START_TEST(nothing_is_left_of_them_in_children)
{
	static const char *const policies[] = {"children", "none"};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process attach = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	phases_start(&scratch, &phases);
	phases_tell(&phases, "load %s", plugin);
	uint64_t address = said(&phases, "semaphores 0 0 0 at ", 16);
	tracealloc_start_attach(
		&scratch,
		ARGV("--engine", engine_name(_i % ENGINES), "--follow", policies[_i / ENGINES]),
		phases.pid, &attach);
	phases_until_answered(&scratch, phases.pid);
	ck_assert_uint_eq(semaphore_of(phases.pid, address), 1);
	phases_tell(&phases, "fork");
	pid_t child = (pid_t)said(&phases, "child ", 10);
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	status_until_untraced(phases.pid);
	status_until_untraced(child);
	ck_assert_uint_eq(semaphore_of(phases.pid, address), 0);
	ck_assert_uint_eq(semaphore_of(child, address), 0);
	code_expect_clean(child);
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

/* The section header of that name in an ELF file's bytes. */
static Elf64_Shdr *section(char *bytes, const char *name)
{
	Elf64_Ehdr *header = (void *)bytes;
	Elf64_Shdr *sections = (void *)(bytes + header->e_shoff);
	const char *names = bytes + sections[header->e_shstrndx].sh_offset;
	for (int i = 0; i < header->e_shnum; i++)
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return &sections[i];
	ck_abort_msg("no section %s", name);
}

/* Numbers that lie may cost marks, and the program nothing. */
START_TEST(notes_that_lie_do_no_harm)
{
	enum { COPIES = 20, CHANGES = 6 };
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	size_t size;

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	_cleanup_free_ char *bytes = scratch_read(plugin, &size);
	const Elf64_Shdr *notes = section(bytes, ".note.stapsdt");
	phases_start_traced(&scratch, ARGV("--engine", engine_name(_i)), &phases);
	srandom(5);
	for (int copy = 0; copy < COPIES; copy++) {
		char name[32];
		_cleanup_free_ char *changed = malloc(size);
		memcpy(changed, bytes, size);
		for (int i = 0; i < CHANGES; i++)
			changed[notes->sh_offset + (size_t)random() % notes->sh_size] ^=
				(char)(1 << random() % 8);
		snprintf(name, sizeof name, "copy-%d.so", copy);
		_cleanup_free_ char *path = scratch_file(&scratch, name);
		scratch_write(path, changed, size);
		phases_tell(&phases, "load %s", path);
	}
	ck_assert_int_eq(phases_finish(&phases), 0);
}
END_TEST

START_TEST(a_probe_on_no_nop_is_told)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};
	size_t size;

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	_cleanup_free_ char *bytes = scratch_read(plugin, &size);
	Elf64_Shdr *notes = section(bytes, ".note.stapsdt");
	/* The address of the first becomes that where the code begins. */
	Elf64_Nhdr *note = (void *)(bytes + notes->sh_offset);
	uint64_t address = section(bytes, ".text")->sh_addr;
	memcpy((char *)(note + 1) + note->n_namesz, &address, sizeof address);
	scratch_write(plugin, bytes, size);
	phases_start_traced(&scratch, ARGV("--depth", "8"), &phases);
	phases_tell(&phases, "load %s", plugin);
	phases_tell(&phases, "load %s", plugin);
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_uint_eq(mark_count(&report), 2 * 6);
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "traced.err");
	ck_assert_ptr_nonnull(strstr(errors, "is not heeded: there is no nop at 0x"));
	ck_assert_ptr_eq(strchr(errors, '\n'), errors + strlen(errors) - 1);
}
END_TEST

/* ---- functions of modules that are loaded later */

START_TEST(a_function_that_is_loaded_later_resets_the_peak)
{
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	phases_start_traced(&scratch,
			    ARGV("--engine", engine_name(_i), "--usdt", "ignore", "--reset-peak-at",
				 "moments.so:plugin_phase"),
			    &phases);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "drop 70");
	phases_tell(&phases, "load %s", plugin);
	phases_tell(&phases, "grow 10 50");
	phases_tell(&phases, "drop 20");
	ck_assert_int_eq(phases_finish(&phases), 0);
	tracealloc_report(&scratch, &report);
	ck_assert_int_eq(report_in_function(&report, "grow").peak_bytes, 30500);
	ck_assert_uint_eq(mark_count(&report), 1);
	expect_mark(&report, 0, "reset-peak", "plugin_phase");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "traced.err");
	ck_assert_str_eq(errors, "");
}
END_TEST

START_TEST(functions_that_are_loaded_later_take_snapshots)
{
	static const char *const options[] = {"moments.so:plugin_phase",
					      "*/moments.so:plugin_phase:exit"};
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_phases_ struct phases phases = {0};
	_cleanup_process_ struct process attach = {0};
	_cleanup_report_ struct report first = {0}, second = {0};

	scratch_make(&scratch);
	phases_use_directory(&scratch);
	_cleanup_free_ char *plugin = build_plugin(&scratch);
	_cleanup_free_ char *output = scratch_file(&scratch, "out");
	_cleanup_free_ char *first_path = scratch_file(&scratch, "out.1");
	_cleanup_free_ char *second_path = scratch_file(&scratch, "out.2");
	phases_start(&scratch, &phases);
	tracealloc_start_attach(&scratch,
				ARGV("--engine", engine_name(_i % 2), "--usdt", "ignore",
				     "--output", output, "--snapshot-at", options[_i / 2]),
				phases.pid, &attach);
	phases_until_answered(&scratch, phases.pid);
	phases_tell(&phases, "grow 100 1000");
	phases_tell(&phases, "load %s", plugin);
	phases_tell(&phases, "drop 70");
	phases_tell(&phases, "load %s", plugin);
	process_signal(&attach, SIGINT);
	ck_assert_int_eq(process_wait(&attach), 0);
	status_until_untraced(phases.pid);
	code_expect_clean(phases.pid);
	ck_assert_int_eq(phases_finish(&phases), 0);
	read_snapshot(&scratch, first_path, &first);
	ck_assert_int_eq(report_in_function(&first, "grow").current_bytes, 100000);
	expect_mark(&first, 0, "snapshot", "plugin_phase");
	read_snapshot(&scratch, second_path, &second);
	ck_assert_int_eq(report_in_function(&second, "grow").current_bytes, 30000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moments");
	TCase *probes = suite_case(suite, "static probes", 60);
	TCase *functions = suite_case(suite, "functions", 60);

	tcase_add_loop_test(probes, the_targets_own_probes_are_obeyed, 0, ENGINES);
	tcase_add_test(probes, they_are_left_alone_where_that_is_asked_for);
	tcase_add_loop_test(probes, probes_of_a_library_that_is_loaded_later_are_obeyed, 0,
			    ENGINES);
	tcase_add_loop_test(probes, after_an_attach_nothing_is_left_of_them, 0, ENGINES);
	tcase_add_loop_test(probes, nothing_is_left_of_them_in_children, 0, 2 * ENGINES);
	tcase_add_loop_test(probes, notes_that_lie_do_no_harm, 0, ENGINES);
	tcase_add_test(probes, a_probe_on_no_nop_is_told);
	tcase_add_loop_test(functions, a_function_that_is_loaded_later_resets_the_peak, 0, ENGINES);
	tcase_add_loop_test(functions, functions_that_are_loaded_later_take_snapshots, 0,
			    2 * ENGINES);
	return suite_run(suite);
}
