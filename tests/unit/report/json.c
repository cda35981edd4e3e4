/* SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "unit/report/sample.h"

static json_t *render(const struct snapshot *snapshot, struct query query, struct buffer *out)
{
	struct table table;
	struct report_options options = {0};
	ck_assert_ptr_null(query_run(snapshot, &query, &table));
	ck_assert_ptr_null(report_json(snapshot, &table, &sample_source, &options, out));
	table_deinit(&table);
	json_t *report = json_loadb(out->bytes, out->count, 0, NULL);
	ck_assert_msg(report != NULL, "not JSON: %s", buffer_text(out));
	return report;
}

START_TEST(a_json_report_is_as_agreed)
{
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	const char *skip[] = {"util_*"};
	json_decref(render(
		snapshot,
		(struct query){.show = QUERY_PEAK, .top = 3, .skip = skip, .skip_count = 1}, &out));
	expect_golden("json-peak-line.json", &out);
	snapshot_destroy(snapshot);
}
END_TEST

/* The keys of object must begin with these, in this order. */
static void expect_keys(const json_t *object, const char *const *keys)
{
	ck_assert(json_is_object(object));
	void *at = json_object_iter((json_t *)object);
	for (; *keys; keys++) {
		ck_assert_ptr_nonnull(at);
		ck_assert_str_eq(json_object_iter_key(at), *keys);
		at = json_object_iter_next((json_t *)object, at);
	}
}

START_TEST(the_keys_of_the_contract_stand_first_and_in_order)
{
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(snapshot, (struct query){.show = QUERY_PEAK, .top = 3}, &out);
	expect_keys(report,
		    (const char *[]){"format", "version", "command", "started", "duration_ns",
				     "processes", "probes", "totals", "query", "rows", "other",
				     "shown_bytes", "cost", NULL});
	expect_keys(json_array_get(json_object_get(report, "processes"), 0),
		    (const char *[]){"pid", "parent", "command", "exit_status", "signal", "engine",
				     NULL});
	expect_keys(json_array_get(json_object_get(report, "probes"), 0),
		    (const char *[]){"pid", "function", "module", "kind", "reason", NULL});
	expect_keys(json_object_get(report, "totals"),
		    (const char *[]){"current_bytes", "current_blocks", "peak_bytes", "peak_blocks",
				     "peak_at_ns", "total_bytes", "total_blocks", "released_bytes",
				     "released_blocks", "temporary_blocks", "failed_calls",
				     "unknown_releases", "events", "lost_events",
				     "truncated_stacks", "incomplete_stacks", NULL});
	expect_keys(json_object_get(report, "query"),
		    (const char *[]){"show", "group_by", "cumulative", "top", "filters", NULL});
	expect_keys(json_array_get(json_object_get(report, "rows"), 0),
		    (const char *[]){"rank", "label", "file", "line", "function", "module",
				     "source", "bytes", "blocks", "current_bytes", "current_blocks",
				     "peak_bytes", "peak_blocks", "total_bytes", "total_blocks",
				     NULL});
	expect_keys(json_object_get(report, "other"),
		    (const char *[]){"count", "bytes", "blocks", NULL});
	expect_keys(json_object_get(report, "cost"),
		    (const char *[]){"target_stopped_ns", "stops", "tracer_cpu_ns",
				     "tracer_rss_bytes", NULL});
	json_decref(report);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(absent_knowledge_is_null)
{
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(snapshot, (struct query){.show = QUERY_CURRENT, .top = 10}, &out);
	json_t *process = json_array_get(json_object_get(report, "processes"), 0);
	ck_assert(json_is_null(json_object_get(process, "parent")));
	ck_assert(json_is_null(json_object_get(process, "signal")));
	ck_assert(json_is_integer(json_object_get(process, "exit_status")));
	json_t *rows = json_object_get(report, "rows");
	json_t *last = json_array_get(rows, json_array_size(rows) - 1);
	ck_assert_str_eq(json_string_value(json_object_get(last, "label")), "src/table.c:12");
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		bool lined = json_is_string(json_object_get(row, "file"));
		ck_assert(json_is_null(json_object_get(row, "line")) == !lined);
	}
	json_decref(report);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(hostile_names_and_figures_make_sound_ascii)
{
	struct snapshot *snapshot = sample_hostile();
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(snapshot, (struct query){.show = QUERY_CURRENT, .top = 10}, &out);
	for (size_t i = 0; i < out.count; i++) {
		unsigned char c = (unsigned char)out.bytes[i];
		ck_assert_msg(c == '\n' || (c >= 0x20 && c < 0x7f), "byte %02x", c);
	}
	json_t *totals = json_object_get(report, "totals");
	ck_assert_int_eq(json_integer_value(json_object_get(totals, "lost_events")), INT64_MAX);
	ck_assert_int_eq(json_integer_value(json_object_get(report, "shown_bytes")), INT64_MAX);
	json_t *command = json_object_get(report, "command");
	ck_assert_str_eq(json_string_value(json_array_get(command, 1)), "\\xc0\\x80");
	json_decref(report);
	expect_golden("json-hostile.json", &out);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(valid_text_comes_back_unchanged)
{
	static const char text[] =
		"\x01 \"\\ \t \x7f \xc2\x85 \xc3\xa9 \xe2\x80\xae \xf0\x9f\x90\x8d";
	struct snapshot *snapshot = sample_snapshot();
	snapshot->command[1] = text;
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(snapshot, (struct query){.top = 10}, &out);
	json_t *command = json_object_get(report, "command");
	ck_assert_str_eq(json_string_value(json_array_get(command, 1)), text);
	ck_assert_ptr_null(strchr(buffer_text(&out), 0x7f));
	json_decref(report);
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *cases = tcase_create("json");
	tcase_add_test(cases, a_json_report_is_as_agreed);
	tcase_add_test(cases, the_keys_of_the_contract_stand_first_and_in_order);
	tcase_add_test(cases, absent_knowledge_is_null);
	tcase_add_test(cases, hostile_names_and_figures_make_sound_ascii);
	tcase_add_test(cases, valid_text_comes_back_unchanged);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
