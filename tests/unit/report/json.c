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
		    (const char *[]){"pid", "inner_pid", "parent", "command", "exit_status",
				     "signal", "engine", NULL});
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
		    (const char *[]){"target_stopped_ns", "stops", "install_freeze_ns",
				     "remove_freeze_ns", "tracer_cpu_ns", "tracer_rss_bytes",
				     NULL});
	json_decref(report);
	snapshot_destroy(snapshot);
}
END_TEST

static json_t *render_difference(const struct snapshot *old, const struct snapshot *new,
				 struct query query)
{
	struct table table;
	_cleanup_buffer_ struct buffer out = {0};
	ck_assert_ptr_null(query_compare(old, new, &query, &table));
	ck_assert_ptr_null(report_json(new, &table, &sample_source, NULL, &out));
	table_deinit(&table);
	json_t *report = json_loadb(out.bytes, out.count, 0, NULL);
	ck_assert_ptr_nonnull(report);
	return report;
}

static json_int_t integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	ck_assert_msg(json_is_integer(value), "%s", key);
	return json_integer_value(value);
}

START_TEST(a_difference_has_the_old_and_the_new_figures)
{
	struct snapshot *old = sample_snapshot(), *new = sample_later();
	json_t *report =
		render_difference(old, new, (struct query){.show = QUERY_CURRENT, .top = 10});
	const json_t *rows = json_object_get(report, "rows"), *row;
	json_int_t bytes = 0, blocks = 0;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		ck_assert_int_eq(integer(row, "bytes") - integer(row, "old_bytes"),
				 integer(row, "bytes_diff"));
		ck_assert_int_eq(integer(row, "blocks") - integer(row, "old_blocks"),
				 integer(row, "blocks_diff"));
		bytes += integer(row, "bytes_diff");
		blocks += integer(row, "blocks_diff");
	}
	/* parse.c:414, :77, table.c:9, :12, libxml2, closed.so, and new.c:3 */
	ck_assert_uint_eq(json_array_size(rows), 7);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "label")),
			 "src/parse.c:414");
	ck_assert_int_eq(integer(json_array_get(rows, 0), "bytes_diff"), 9 * 429875);
	ck_assert_int_eq(integer(json_array_get(rows, 1), "bytes_diff"), -90000);
	ck_assert_int_eq(integer(report, "bytes_diff"), bytes);
	ck_assert_int_eq(integer(report, "blocks_diff"), blocks);
	const json_t *before = json_object_get(report, "old");
	ck_assert_int_eq(integer(before, "pid"), 4242);
	ck_assert_int_eq(integer(report, "pid"), 4343);
	ck_assert_int_eq(integer(report, "shown_bytes") - integer(before, "shown_bytes"), bytes);
	ck_assert_int_eq(integer(json_object_get(before, "totals"), "current_bytes"),
			 (json_int_t)old->totals.current_bytes);
	json_decref(report);
	snapshot_destroy(old);
	snapshot_destroy(new);
}
END_TEST

START_TEST(differences_beyond_63_bits_stop_there)
{
	struct snapshot *old, *new;
	ck_assert_ptr_null(snapshot_create(&old));
	ck_assert_ptr_null(snapshot_create(&new));
	sample_site(new, sample_frame("a.c", "a.c", 1, "f"),
		    (struct site_counters){.current_bytes = UINT64_MAX, .current_blocks = 1});
	struct query query = {.show = QUERY_CURRENT, .top = 10};
	json_t *up = render_difference(old, new, query), *down = render_difference(new, old, query);
	ck_assert_int_eq(integer(up, "bytes_diff"), INT64_MAX);
	ck_assert_int_eq(integer(down, "bytes_diff"), -INT64_MAX);
	json_decref(up);
	json_decref(down);
	snapshot_destroy(old);
	snapshot_destroy(new);
}
END_TEST

START_TEST(a_traceback_has_its_frames_innermost_first)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	struct snapshot_frame outer = sample_frame("/s/b.c", "b.c", 2, "main");
	struct snapshot_frame inner = sample_frame("/s/a.c", "a.c", 1, "f");
	inner.inlined = true;
	inner.offset = 0x99;
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &inner));
	sample_site(snapshot, outer, sample_counters(10, 1, 1, 0));
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(
		snapshot,
		(struct query){.show = QUERY_CURRENT, .group_by = QUERY_TRACEBACK, .top = 1}, &out);
	const json_t *row = json_array_get(json_object_get(report, "rows"), 0);
	const json_t *frames = json_object_get(row, "frames");
	ck_assert_uint_eq(json_array_size(frames), 2);
	const json_t *first = json_array_get(frames, 0);
	expect_keys(first, (const char *[]){"function", "file", "line", "module", "offset",
					    "inlined", NULL});
	ck_assert_str_eq(json_string_value(json_object_get(first, "function")), "f");
	ck_assert_int_eq(integer(first, "offset"), 0x99);
	ck_assert(json_is_true(json_object_get(first, "inlined")));
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(frames, 1), "file")),
			 "/s/b.c");
	ck_assert_str_eq(json_string_value(json_object_get(row, "label")), "a.c:1");
	json_decref(report);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_question_is_told_with_its_filters)
{
	static const struct query_filter filters[] = {
		{.inclusive = true, .kind = FILTER_FILE, .pattern = "src/*"},
		{.kind = FILTER_LINE, .pattern = "a.c:3"}};
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	json_t *report = render(snapshot,
				(struct query){.show = QUERY_TEMPORARY,
					       .group_by = QUERY_FILE,
					       .cumulative = true,
					       .filters = filters,
					       .filter_count = 2,
					       .all_frames = true,
					       .top = 3},
				&out);
	const json_t *query = json_object_get(report, "query");
	const json_t *told = json_object_get(query, "filters");
	ck_assert(json_is_true(json_object_get(query, "cumulative")));
	ck_assert(json_is_true(json_object_get(query, "all_frames")));
	ck_assert_uint_eq(json_array_size(told), 2);
	json_t *want = json_pack("[{sbssss}{sbssss}]", "inclusive", 1, "kind", "file", "pattern",
				 "src/*", "inclusive", 0, "kind", "line", "pattern", "a.c:3");
	ck_assert(json_equal(told, want));
	json_decref(want);
	/* The sizes of temporary blocks are not known. */
	const json_t *row = json_array_get(json_object_get(report, "rows"), 0);
	ck_assert(json_is_null(json_object_get(row, "bytes")));
	ck_assert_int_gt(integer(row, "blocks"), 0);
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
	tcase_add_test(cases, a_difference_has_the_old_and_the_new_figures);
	tcase_add_test(cases, differences_beyond_63_bits_stop_there);
	tcase_add_test(cases, a_traceback_has_its_frames_innermost_first);
	tcase_add_test(cases, the_question_is_told_with_its_filters);
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
