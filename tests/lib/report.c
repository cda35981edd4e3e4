/* SPDX-License-Identifier: MIT */
#include "lib/report.h"

#include <check.h>
#include <string.h>

static int64_t integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		ck_abort_msg("the report has no integer \"%s\"", key);
	if (json_integer_value(value) < 0)
		ck_abort_msg("\"%s\" is negative: %lld", key, (long long)json_integer_value(value));
	return json_integer_value(value);
}

/* Keys that later versions added: 0 where they are not written. */
static int64_t added_integer(const json_t *object, const char *key)
{
	return json_object_get(object, key) ? integer(object, key) : 0;
}

static const json_t *rows_of(const struct report *report)
{
	const json_t *rows = json_object_get(report->root, "rows");

	if (!json_is_array(rows))
		ck_abort_msg("the report has no rows");
	return rows;
}

static void add_row(const json_t *row, struct report_figures *sum)
{
	sum->rows++;
	sum->bytes += integer(row, "bytes");
	sum->blocks += integer(row, "blocks");
	sum->current_bytes += integer(row, "current_bytes");
	sum->current_blocks += integer(row, "current_blocks");
	sum->peak_bytes += integer(row, "peak_bytes");
	sum->peak_blocks += integer(row, "peak_blocks");
	sum->total_bytes += integer(row, "total_bytes");
	sum->total_blocks += integer(row, "total_blocks");
}

static void check_rows(const struct report *report)
{
	const json_t *query = json_object_get(report->root, "query");
	const json_t *other = json_object_get(report->root, "other");
	bool by_count = strcmp(report_string(query, "show"), "count") == 0;
	const char *shown = by_count ? "blocks" : "bytes";
	struct report_figures sum = {0};
	int64_t previous = INT64_MAX;
	const json_t *row;
	size_t index;

	json_array_foreach(rows_of(report), index, row)
	{
		ck_assert_int_eq(integer(row, "rank"), (int64_t)index + 1);
		ck_assert_msg(integer(row, shown) <= previous, "row %zu is larger than row %zu",
			      index + 1, index);
		previous = integer(row, shown);
		add_row(row, &sum);
	}
	ck_assert_int_eq(sum.bytes + integer(other, "bytes"), integer(report->root, "shown_bytes"));
	bool complete = integer(other, "count") == 0;
	if (complete && strcmp(report_string(query, "show"), "total") == 0) {
		ck_assert_int_eq(sum.total_bytes, report_total(report, "total_bytes"));
		ck_assert_int_eq(sum.total_blocks, report_total(report, "total_blocks"));
	}
	if (complete && strcmp(report_string(query, "show"), "peak") == 0)
		ck_assert_int_eq(sum.peak_bytes, report_total(report, "peak_bytes"));
}

static void check_totals(const json_t *totals)
{
	static const char *const units[][4] = {
		{"total_bytes", "current_bytes", "released_bytes", "ended_bytes"},
		{"total_blocks", "current_blocks", "released_blocks", "ended_blocks"}};

	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(integer(totals, units[i][0]),
				 integer(totals, units[i][1]) + integer(totals, units[i][2]) +
					 added_integer(totals, units[i][3]));
	ck_assert_int_le(integer(totals, "current_bytes"), integer(totals, "peak_bytes"));
	ck_assert_int_le(integer(totals, "peak_bytes"), integer(totals, "total_bytes"));
}

void report_load_lossy(const char *path, struct report *ret)
{
	json_error_t fault;

	ret->root = json_load_file(path, JSON_REJECT_DUPLICATES, &fault);
	if (!ret->root)
		ck_abort_msg("%s is no JSON: line %d: %s", path, fault.line, fault.text);
	ck_assert_str_eq(report_string(ret->root, "format"), "tracealloc-report");
	ck_assert_int_eq(integer(ret->root, "version"), 1);
	check_totals(json_object_get(ret->root, "totals"));
	check_rows(ret);
}

void report_load(const char *path, struct report *ret)
{
	report_load_lossy(path, ret);
	ck_assert_int_eq(report_total(ret, "lost_events"), 0);
}

void report_unload(struct report *report)
{
	json_decref(report->root);
}

int64_t report_total(const struct report *report, const char *key)
{
	return integer(json_object_get(report->root, "totals"), key);
}

const char *report_string(const json_t *row, const char *key)
{
	const char *value = json_string_value(json_object_get(row, key));

	return value ? value : "";
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

struct report_figures report_at(const struct report *report, const char *file, int line)
{
	struct report_figures sum = {0};
	const json_t *row;
	size_t index;

	json_array_foreach(rows_of(report), index, row)
	{
		if (strcmp(last_component(report_string(row, "file")), last_component(file)) == 0 &&
		    (line == 0 || json_integer_value(json_object_get(row, "line")) == line))
			add_row(row, &sum);
	}
	return sum;
}

struct report_figures report_labelled(const struct report *report, const char *text)
{
	struct report_figures sum = {0};
	const json_t *row;
	size_t index;

	json_array_foreach(rows_of(report), index, row)
	{
		if (strstr(report_string(row, "label"), text))
			add_row(row, &sum);
	}
	return sum;
}

struct report_figures report_in_function(const struct report *report, const char *function)
{
	struct report_figures sum = {0};
	const json_t *row;
	size_t index;

	json_array_foreach(rows_of(report), index, row)
	{
		if (strcmp(report_string(row, "function"), function) == 0)
			add_row(row, &sum);
	}
	return sum;
}

const json_t *report_process(const struct report *report, int64_t pid)
{
	const json_t *one;
	size_t index;

	json_array_foreach(json_object_get(report->root, "processes"), index, one)
	{
		if (integer(one, "pid") == pid)
			return one;
	}
	return NULL;
}

size_t report_process_count(const struct report *report)
{
	return json_array_size(json_object_get(report->root, "processes"));
}
