/* SPDX-License-Identifier: MIT */
/* The status line: what it says, and that it fits. */
#include "cli/status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/units.h"

static const struct session_figures before = {
	.phase = SESSION_TRACING,
	.elapsed_ns = 59500000000,
	.tracer_cpu_ns = 3000000000,
	.current_bytes = 1000,
	.peak_bytes = 5000,
	.events = 1000000,
};
static const struct session_figures now = {
	.phase = SESSION_TRACING,
	.elapsed_ns = 60000000000,
	.tracer_cpu_ns = 3125000000,
	.current_bytes = 3 << 20,
	.peak_bytes = 200 << 20,
	.events = 1600000,
};
static const char whole[] = "tracealloc: 1:00, live 3072 KiB, peak 200 MiB, 1.2 M events/s, tracer "
			    "25 % of a CPU";

static void expect(const struct session_figures *figures, const struct session_figures *past,
		   size_t columns, const char *text)
{
	_cleanup_buffer_ struct buffer line = {0};
	status_render(figures, past, columns, &line);
	ck_assert_str_eq(buffer_text(&line), text);
}

START_TEST(it_says_time_sizes_rate_and_cost)
{
	expect(&now, &before, 200, whole);
}
END_TEST

START_TEST(rates_need_an_earlier_moment_of_the_same_phase)
{
	struct session_figures starting = {.phase = SESSION_STARTING};
	expect(&now, &starting, 200, "tracealloc: 1:00, live 3072 KiB, peak 200 MiB");
	expect(&now, &now, 200, "tracealloc: 1:00, live 3072 KiB, peak 200 MiB");
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_whole)
{
	for (size_t columns = 20; columns < sizeof whole + 5; columns++) {
		_cleanup_buffer_ struct buffer line = {0};
		status_render(&now, &before, columns, &line);
		ck_assert_uint_le(line.count, columns);
		ck_assert_msg(strncmp(whole, buffer_text(&line), line.count) == 0, "%s",
			      buffer_text(&line));
		ck_assert_msg(strchr(",", whole[line.count]) != NULL, "cut at %zu: %s", columns,
			      buffer_text(&line));
	}
}
END_TEST

START_TEST(the_other_phases_say_what_is_done)
{
	struct session_figures starting = {.phase = SESSION_STARTING, .elapsed_ns = 1};
	struct session_figures symbolizing = {
		.phase = SESSION_SYMBOLIZING, .done_stacks = 12000, .total_stacks = 20000};
	expect(&starting, &starting, 79, "tracealloc: putting the probes in");
	expect(&symbolizing, &now, 79, "tracealloc: symbolizing 12000 of 20000 call stacks");
	expect(&symbolizing, &now, 19, "tracealloc: symboli");
}
END_TEST

static void expect_fetching(uint64_t total_bytes, size_t columns, const char *text)
{
	_cleanup_buffer_ struct buffer line = {0};
	status_render_fetching("/lib/libx\033.so", 3 << 20, total_bytes, columns, &line);
	ck_assert_str_eq(buffer_text(&line), text);
}

START_TEST(what_is_fetched_is_named_with_how_much_of_it_is_there)
{
	static const char name[] = "tracealloc: fetching debug information of /lib/libx\\x1b.so";
	char text[128];
	snprintf(text, sizeof text, "%s, 3072 KiB of 200 MiB", name);
	expect_fetching(200 << 20, 100, text);
	snprintf(text, sizeof text, "%s, 3072 KiB", name);
	expect_fetching(0, 100, text);
	expect_fetching(200 << 20, strlen(name) + 5, name);
	expect_fetching(200 << 20, 20, "tracealloc: fetching");
}
END_TEST

START_TEST(long_times_have_hours)
{
	struct session_figures figures = {.phase = SESSION_TRACING,
					  .elapsed_ns = UINT64_C(3723000000000)};
	expect(&figures, &figures, 79, "tracealloc: 1:02:03, live 0 B, peak 0 B");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/status");
	TCase *tests = tcase_create("status");
	tcase_add_test(tests, it_says_time_sizes_rate_and_cost);
	tcase_add_test(tests, rates_need_an_earlier_moment_of_the_same_phase);
	tcase_add_test(tests, what_does_not_fit_is_left_out_whole);
	tcase_add_test(tests, the_other_phases_say_what_is_done);
	tcase_add_test(tests, what_is_fetched_is_named_with_how_much_of_it_is_there);
	tcase_add_test(tests, long_times_have_hours);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
