/* SPDX-License-Identifier: MIT */
/* The list of a tree's processes. */
#include "report/text_processes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void expect(struct snapshot_process *processes, size_t count, uint32_t parts,
		   const char *expected)
{
	struct snapshot snapshot = {
		.processes = processes, .process_count = count, .part_count = parts};
	_cleanup_buffer_ struct buffer out = {0};
	text_processes_write(&out, &snapshot);
	ck_assert_str_eq(buffer_text(&out), expected);
}

START_TEST(children_stand_below_their_parents)
{
	struct snapshot_process processes[] = {
		{.pid = 10, .command = "make -j2", .exited = true, .exit_status = 2},
		{.pid = 11, .parent = 10, .command = "gcc a.c", .exited = true},
		{.pid = 12, .parent = 10, .command = "/usr/bin/gcc b.c", .exited = true},
		{.pid = 13, .parent = 11, .command = "/usr/lib/gcc/cc1 -o /tmp/x", .exited = true},
		{.pid = 14, .parent = 12, .command = "cc1", .signalled = true, .signal = 11},
		{.pid = 15, .parent = 10, .command = "sleep 9"},
	};
	expect(processes, 6, 1,
	       "processes:\n"
	       "  10 make -j2 (status 2)\n"
	       "    11 gcc a.c\n"
	       "      13 cc1 -o /tmp/x\n"
	       "    12 gcc b.c\n"
	       "      14 cc1 (signal 11)\n"
	       "    15 sleep 9 (had not ended)\n");
}
END_TEST

START_TEST(a_process_alone_or_of_several_sessions_is_not_listed)
{
	struct snapshot_process processes[] = {{.pid = 10, .command = "a"},
					       {.pid = 10, .command = "b"}};
	expect(processes, 1, 1, "");
	expect(processes, 2, 2, "");
	expect(processes, 0, 1, "");
}
END_TEST

START_TEST(ids_that_come_again_and_circles_do_no_harm)
{
	struct snapshot_process again[] = {
		{.pid = 10, .command = "a", .exited = true},
		{.pid = 11, .parent = 10, .command = "b", .exited = true},
		{.pid = 11, .parent = 11, .command = "c", .exited = true},
		{.pid = 12, .parent = 11, .command = "d", .exited = true},
	};
	struct snapshot_process circle[] = {
		{.pid = 1, .parent = 2, .command = "a", .exited = true},
		{.pid = 2, .parent = 1, .command = "b", .exited = true},
		{.pid = 3, .parent = 3, .exited = true},
	};
	expect(again, 4, 1, "processes:\n  10 a\n    11 b\n      11 c\n        12 d\n");
	expect(circle, 3, 1, "processes:\n  1 a\n    2 b\n  3 <unknown>\n");
}
END_TEST

START_TEST(long_and_hostile_commands_stay_one_short_line)
{
	char command[200] = "/bin/x";
	struct snapshot_process processes[] = {{.pid = 1, .command = "a\nb\033[1m", .exited = true},
					       {.pid = 2, .command = command, .exited = true}};
	memset(command + 6, 'y', 150);
	expect(processes, 2, 1,
	       "processes:\n"
	       "  1 a\\x0ab\\x1b[1m\n"
	       "  2 xyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...\n");
}
END_TEST

START_TEST(of_many_the_first_hundred_are_listed)
{
	static struct snapshot_process processes[1000];
	for (size_t i = 0; i < 1000; i++)
		processes[i] = (struct snapshot_process){.pid = (uint32_t)i + 1,
							 .parent = (uint32_t)i,
							 .command = "deep",
							 .exited = true};
	struct snapshot snapshot = {.processes = processes, .process_count = 1000, .part_count = 1};
	_cleanup_buffer_ struct buffer out = {0};
	size_t lines = 0;
	text_processes_write(&out, &snapshot);
	for (const char *at = buffer_text(&out); *at; at++)
		lines += *at == '\n';
	ck_assert_uint_eq(lines, 102);
	ck_assert_ptr_nonnull(strstr(buffer_text(&out), "\n  and 900 more\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("report/text_processes");
	TCase *tests = tcase_create("processes");
	tcase_add_test(tests, children_stand_below_their_parents);
	tcase_add_test(tests, a_process_alone_or_of_several_sessions_is_not_listed);
	tcase_add_test(tests, ids_that_come_again_and_circles_do_no_harm);
	tcase_add_test(tests, long_and_hostile_commands_stay_one_short_line);
	tcase_add_test(tests, of_many_the_first_hundred_are_listed);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
