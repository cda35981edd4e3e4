/* SPDX-License-Identifier: MIT */
/*
 * The HTML page of real runs. What is in it is compared with what the JSON report says of the same
 * snapshot; with TRACEALLOC_LONG it is opened, clicked and typed at in a browser (html_browser.py).
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/phases.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"

#define DATA_BEGIN "<script type=\"application/json\" id=\"data\">"

static void call(const struct scratch *scratch, const char *const arguments[])
{
	int status = tracealloc_call(scratch, arguments);
	_cleanup_free_ char *errors = tracealloc_text(scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
}

/* The data of a page; the caller releases it. */
static json_t *data_of(const char *path)
{
	size_t size;
	_cleanup_free_ char *text = scratch_read(path, &size);
	char *begin = strstr(text, DATA_BEGIN);
	ck_assert_ptr_nonnull(begin);
	begin += strlen(DATA_BEGIN);
	char *end = strstr(begin, "</script>");
	ck_assert_ptr_nonnull(end);
	json_t *data = json_loadb(begin, (size_t)(end - begin), 0, NULL);
	ck_assert_ptr_nonnull(data);
	return data;
}

static json_int_t sum_of(const json_t *data, const char *column)
{
	const json_t *values = json_object_get(json_object_get(data, "sites"), column), *value;
	json_int_t sum = 0;
	size_t i;
	json_array_foreach(values, i, value) sum += json_integer_value(value);
	return sum;
}

static json_int_t total(const json_t *report, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(report, "totals"), key));
}

START_TEST(a_page_holds_what_the_report_says)
{
	_cleanup_scratch_ struct scratch scratch;
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_target("branches");
	_cleanup_free_ char *page = scratch_file(&scratch, "page.html");
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	_cleanup_free_ char *again = scratch_file(&scratch, "again.html");
	_cleanup_free_ char *json = scratch_file(&scratch, "report.json");
	call(&scratch, ARGV("run", "--format", "html", "--report", page, "--output", snapshot, "--",
			    program, "500"));
	call(&scratch, ARGV("export", "--format", "html", "--report", again, snapshot));
	call(&scratch, ARGV("report", "--format", "json", "--report", json, snapshot));
	json_t *data = data_of(page), *same = data_of(again);
	_cleanup_free_ char *text = scratch_read(json, NULL);
	json_t *report = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(report);
	ck_assert(json_equal(data, same));
	ck_assert_int_eq(sum_of(data, "peak_bytes"), total(report, "peak_bytes"));
	ck_assert_int_eq(sum_of(data, "peak_blocks"), total(report, "peak_blocks"));
	ck_assert_int_eq(sum_of(data, "total_bytes"), total(report, "total_bytes"));
	ck_assert_int_eq(sum_of(data, "total_blocks"), total(report, "total_blocks"));
	ck_assert_int_ge(
		json_integer_value(json_object_get(json_object_get(data, "sites"), "count")), 500);
	ck_assert_uint_gt(json_array_size(json_object_get(data, "source")), 6);
	ck_assert_uint_ge(json_array_size(json_object_get(data, "details")), 1);
	json_decref(report);
	json_decref(same);
	json_decref(data);
}
END_TEST

static const json_t *mark_at(const json_t *data, size_t i)
{
	return json_array_get(json_object_get(data, "marks"), i);
}

static const char *mark_text(const json_t *data, size_t i, const char *key)
{
	return json_string_value(json_object_get(mark_at(data, i), key));
}

static json_int_t mark_number(const json_t *data, size_t i, const char *key)
{
	return json_integer_value(json_object_get(mark_at(data, i), key));
}

START_TEST(a_page_has_the_marks_of_its_session)
{
	_cleanup_scratch_ struct scratch scratch;
	_cleanup_phases_ struct phases phases = {0};
	scratch_make(&scratch);
	_cleanup_free_ char *snapshot = scratch_file(&scratch, "a.snapshot");
	_cleanup_free_ char *page = scratch_file(&scratch, "page.html");
	phases_use_directory(&scratch);
	phases_start_traced(&scratch, ARGV("--output", snapshot), &phases);
	phases_tell(&phases, "grow 10 1000");
	phases_ctl(&scratch, phases.pid, ARGV("mark", "</script>full"));
	phases_tell(&phases, "drop 10");
	phases_ctl(&scratch, phases.pid, ARGV("reset-peak"));
	ck_assert_int_eq(phases_finish(&phases), 0);
	call(&scratch, ARGV("export", "--format", "html", "--report", page, snapshot));
	json_t *data = data_of(page);
	ck_assert_uint_eq(json_array_size(json_object_get(data, "marks")), 2);
	ck_assert_str_eq(mark_text(data, 0, "kind"), "mark");
	ck_assert_str_eq(mark_text(data, 0, "name"), "</script>full");
	ck_assert_str_eq(mark_text(data, 1, "kind"), "reset-peak");
	ck_assert_int_eq(mark_number(data, 0, "bytes") - mark_number(data, 1, "bytes"), 10000);
	ck_assert_int_lt(mark_number(data, 0, "time_ns"), mark_number(data, 1, "time_ns"));
	json_decref(data);
}
END_TEST

/* The text of what a browser said goes to the log of the test. */
START_TEST(the_page_works_in_a_browser)
{
	_cleanup_scratch_ struct scratch scratch;
	scratch_make(&scratch);
	_cleanup_free_ char *program = suite_tracealloc();
	_cleanup_free_ char *branches = suite_target("branches");
	int status = process_call(
		&scratch, "browser",
		ARGV("python3", "tests/e2e/html_browser.py", program, branches, scratch.path));
	_cleanup_free_ char *said = tracealloc_text(&scratch, "browser.out");
	_cleanup_free_ char *errors = tracealloc_text(&scratch, "browser.err");
	printf("%s", said);
	fflush(stdout);
	ck_assert_msg(status == 0, "status %#x:\n%s%s", status, said, errors);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("html");
	TCase *pages = suite_case(suite, "pages", 60);
	tcase_add_test(pages, a_page_holds_what_the_report_says);
	tcase_add_test(pages, a_page_has_the_marks_of_its_session);
	if (suite_is_long())
		tcase_add_test(pages, the_page_works_in_a_browser);
	return suite_run(suite);
}
