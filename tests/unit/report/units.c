/* SPDX-License-Identifier: MIT */
#include "report/units.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t sizes[] = {
	0,	    1,		126,	    1023,	1024,	    10239,
	10240,	    10241,	90829,	    102399,	102400,	    4971520,
	10485759,   10485760,	104857599,  104857600,	1ull << 30, 1ull << 34,
	1ull << 40, 1ull << 44, 1ull << 53, UINT64_MAX,
};

/* One Python for all sizes: its start takes longer than everything else. */
static FILE *start_python(const struct buffer *program)
{
	_cleanup_buffer_ struct buffer command = {0};
	buffer_printf(&command, "python3 -c 'from tracemalloc import _format_size as f\n%s'",
		      buffer_text(program));
	FILE *pipe = popen(buffer_text(&command), "r");
	ck_assert_ptr_nonnull(pipe);
	return pipe;
}

static void read_answer(FILE *pipe, char want[64])
{
	ck_assert_ptr_nonnull(fgets(want, 64, pipe));
	want[strcspn(want, "\n")] = 0;
}

START_TEST(sizes_read_as_pythons_tracemalloc_writes_them)
{
	_cleanup_buffer_ struct buffer program = {0};
	if (system("command -v python3 >/dev/null") != 0)
		return;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		buffer_printf(&program, "print(f(%llu, False))\n", (unsigned long long)sizes[i]);
	FILE *pipe = start_python(&program);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char want[64];
		_cleanup_buffer_ struct buffer got = {0};
		read_answer(pipe, want);
		units_size(&got, sizes[i]);
		ck_assert_str_eq(buffer_text(&got), want);
	}
	ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

START_TEST(sizes_read_as_the_documentation_of_tracemalloc_shows_them)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} known[] = {{126, "126 B"}, {90829, "88.7 KiB"}, {4971520, "4855 KiB"}};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_buffer_ struct buffer got = {0};
		units_size(&got, known[i].bytes);
		ck_assert_str_eq(buffer_text(&got), known[i].text);
	}
}
END_TEST

/* Three lines of Python for every size: up, down, mean. */
static void ask_for_changes(struct buffer *program)
{
	for (size_t i = 0; i + 1 < sizeof sizes / sizeof *sizes; i++) {
		unsigned long long old = sizes[i ? i - 1 : 0], new = sizes[i];
		buffer_printf(program, "print(f(%llu - %llu, True))\n", new, old);
		buffer_printf(program, "print(f(%llu - %llu, True))\n", old, new);
		buffer_printf(program, "print(f(%llu / 3, False))\n", new);
	}
}

START_TEST(changes_and_means_read_as_pythons_tracemalloc_writes_them)
{
	if (system("command -v python3 >/dev/null") != 0)
		return;
	_cleanup_buffer_ struct buffer program = {0};
	ask_for_changes(&program);
	FILE *pipe = start_python(&program);
	for (size_t i = 0; i + 1 < sizeof sizes / sizeof *sizes; i++) {
		/* Up and down from the size before; the mean of a third. */
		uint64_t old = sizes[i ? i - 1 : 0], new = sizes[i];
		char want[64];
		_cleanup_buffer_ struct buffer up = {0}, down = {0}, mean = {0};
		read_answer(pipe, want);
		units_size_change(&up, old, new);
		ck_assert_str_eq(buffer_text(&up), want);
		read_answer(pipe, want);
		units_size_change(&down, new, old);
		ck_assert_str_eq(buffer_text(&down), new == old ? "+0 B" : want);
		read_answer(pipe, want);
		units_mean_size(&mean, (double)new / 3);
		ck_assert_str_eq(buffer_text(&mean), want);
	}
	ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

START_TEST(mean_durations_go_down_to_nanoseconds)
{
	_cleanup_buffer_ struct buffer got = {0};
	static const uint64_t sums_ns[] = {0, 999, 1000, 999999, 1000000, 3000000000};
	for (size_t i = 0; i < sizeof sums_ns / sizeof *sums_ns; i++) {
		units_mean_duration(&got, sums_ns[i], 1);
		buffer_char(&got, '|');
	}
	units_mean_duration(&got, 5, 0);
	buffer_char(&got, '|');
	units_mean_duration(&got, 10, 4);
	ck_assert_str_eq(buffer_text(&got), "0 ns|999 ns|1.0 us|1000.0 us|1.0 ms|3.000 s|-|2 ns");
}
END_TEST

START_TEST(durations_counts_and_kib_read_well)
{
	_cleanup_buffer_ struct buffer got = {0};
	units_duration(&got, 0);
	buffer_char(&got, '|');
	units_duration(&got, 12345678);
	buffer_char(&got, '|');
	units_duration(&got, 1234567890);
	buffer_char(&got, '|');
	units_count(&got, 1, "block");
	buffer_char(&got, '|');
	units_count(&got, 0, "block");
	buffer_char(&got, '|');
	units_kib(&got, 5430374);
	ck_assert_str_eq(buffer_text(&got), "0.0 ms|12.3 ms|1.235 s|1 block|0 blocks|5303.1 KiB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *cases = tcase_create("units");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, sizes_read_as_pythons_tracemalloc_writes_them);
	tcase_add_test(cases, sizes_read_as_the_documentation_of_tracemalloc_shows_them);
	tcase_add_test(cases, changes_and_means_read_as_pythons_tracemalloc_writes_them);
	tcase_add_test(cases, mean_durations_go_down_to_nanoseconds);
	tcase_add_test(cases, durations_counts_and_kib_read_well);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
