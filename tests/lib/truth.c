/* SPDX-License-Identifier: MIT */
#include "lib/truth.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

json_t *truth_load(const struct scratch *scratch, const char *name)
{
	static const char mark[] = "truth: ";
	_cleanup_free_ char *path = scratch_file(scratch, name);
	_cleanup_free_ char *text = scratch_read(path, NULL);
	const char *start = strstr(text, mark);
	json_error_t fault;

	if (!start)
		ck_abort_msg("the target said nothing of its truth; it said \"%s\"", text);
	json_t *truth = json_loads(start + strlen(mark), JSON_DISABLE_EOF_CHECK, &fault);
	if (!truth)
		ck_abort_msg("the target's truth is no JSON: %s", fault.text);
	return truth;
}

int64_t truth_integer(const json_t *truth, const char *key)
{
	const json_t *value = json_object_get(truth, key);

	if (!json_is_integer(value))
		ck_abort_msg("the truth has no \"%s\"", key);
	return json_integer_value(value);
}

static void expect_total(const json_t *truth, const struct report *report, const char *key,
			 int64_t extra)
{
	int64_t expected = truth_integer(truth, key) + extra;

	ck_assert_msg(report_total(report, key) == expected,
		      "%s: %lld, but the target counted %lld", key,
		      (long long)report_total(report, key), (long long)expected);
}

void truth_expect_totals(const json_t *truth, const struct report *report, int64_t extra_blocks,
			 int64_t extra_bytes)
{
	expect_total(truth, report, "total_blocks", extra_blocks);
	expect_total(truth, report, "total_bytes", extra_bytes);
	expect_total(truth, report, "peak_blocks", extra_blocks);
	expect_total(truth, report, "peak_bytes", extra_bytes);
	expect_total(truth, report, "released_blocks", 0);
	expect_total(truth, report, "released_bytes", 0);
	expect_total(truth, report, "failed_calls", 0);
	ck_assert_int_eq(report_total(report, "unknown_releases"), 0);
}

static void expect_figure(const char *where, const char *what, int64_t seen, int64_t expected)
{
	ck_assert_msg(seen == expected, "%s: %s %lld, but the target counted %lld", where, what,
		      (long long)seen, (long long)expected);
}

static void expect_line(const json_t *line, const struct report *report, const char *shown)
{
	const char *file = report_string(line, "file");
	int number = (int)truth_integer(line, "line");
	struct report_figures row = report_at(report, file, number);
	char where[256], key[32];

	snprintf(where, sizeof(where), "%s:%d", file, number);
	snprintf(key, sizeof(key), "%s_bytes", shown);
	expect_figure(where, key, row.bytes, truth_integer(line, key));
	snprintf(key, sizeof(key), "%s_blocks", shown);
	expect_figure(where, key, row.blocks, truth_integer(line, key));
	if (truth_integer(line, key) == 0)
		return;
	expect_figure(where, "rows", (int64_t)row.rows, 1);
	expect_figure(where, "total bytes", row.total_bytes, truth_integer(line, "total_bytes"));
	expect_figure(where, "total blocks", row.total_blocks, truth_integer(line, "total_blocks"));
	expect_figure(where, "peak bytes", row.peak_bytes, truth_integer(line, "peak_bytes"));
	expect_figure(where, "peak blocks", row.peak_blocks, truth_integer(line, "peak_blocks"));
}

/* The lines of one file cover everything the report has for that file. */
static void expect_nothing_more(const json_t *lines, const char *file, const struct report *report)
{
	struct report_figures all = report_at(report, file, 0);
	int64_t covered = 0;
	const json_t *line;
	size_t index;

	json_array_foreach(lines, index, line)
	{
		if (strcmp(report_string(line, "file"), file) == 0)
			covered += report_at(report, file, (int)truth_integer(line, "line"))
					   .total_blocks;
	}
	expect_figure(file, "blocks on lines that the target does not know",
		      all.total_blocks - covered, 0);
}

void truth_expect_lines(const json_t *truth, const struct report *report, const char *shown)
{
	const json_t *lines = json_object_get(truth, "lines");
	const json_t *line;
	size_t index;

	ck_assert_msg(json_array_size(lines) > 0, "the target allocated nothing");
	json_array_foreach(lines, index, line)
	{
		expect_line(line, report, shown);
		expect_nothing_more(lines, report_string(line, "file"), report);
	}
}

void truth_expect_line_totals(const json_t *truth, const struct report *report)
{
	const json_t *lines = json_object_get(truth, "lines");
	const json_t *line;
	size_t index;

	ck_assert_msg(json_array_size(lines) > 0, "the target allocated nothing");
	json_array_foreach(lines, index, line)
	{
		const char *file = report_string(line, "file");
		int number = (int)truth_integer(line, "line");
		struct report_figures row = report_at(report, file, number);

		expect_figure(file, "total bytes", row.total_bytes,
			      truth_integer(line, "total_bytes"));
		expect_figure(file, "total blocks", row.total_blocks,
			      truth_integer(line, "total_blocks"));
	}
}
