/* SPDX-License-Identifier: MIT */
#include "unit/report/sample.h"

static void render(const struct snapshot *snapshot, struct query query,
		   struct report_options options, struct buffer *out)
{
	struct table table;
	ck_assert_ptr_null(query_run(snapshot, &query, &table));
	ck_assert_ptr_null(report_text(snapshot, &table, &sample_source, &options, out));
	table_deinit(&table);
}

static const struct query_filter sample_filters[] = {
	{.inclusive = true, .kind = FILTER_FILE, .pattern = "src/*"},
	{.kind = FILTER_FUNCTION, .pattern = "x\ny"}};

static const struct {
	const char *golden;
	struct query query;
	struct report_options options;
} texts[] = {
	{"text-peak-line.txt", {.show = QUERY_PEAK, .top = 10}, {0}},
	{"text-current-line-top2.txt", {.show = QUERY_CURRENT, .top = 2}, {0}},
	{"text-total-file.txt", {.show = QUERY_TOTAL, .group_by = QUERY_FILE, .top = 10}, {0}},
	{"text-leaked-function.txt",
	 {.show = QUERY_LEAKED, .group_by = QUERY_FUNCTION, .top = 10},
	 {.all_blind_modules = true}},
	{"text-count-module.txt", {.show = QUERY_COUNT, .group_by = QUERY_MODULE, .top = 2}, {0}},
	{"text-peak-quiet.txt", {.show = QUERY_PEAK, .top = 3}, {.body_only = true}},
	{"text-count-quiet.txt", {.show = QUERY_COUNT, .top = 3}, {.body_only = true}},
	{"text-lifetime-quiet.txt", {.show = QUERY_LIFETIME, .top = 3}, {.body_only = true}},
	{"text-lifetime.txt", {.show = QUERY_LIFETIME, .top = 1}, {0}},
	{"text-temporary-quiet.txt", {.show = QUERY_TEMPORARY, .top = 3}, {.body_only = true}},
	{"text-process.txt", {.group_by = QUERY_PROCESS, .top = 3}, {0}},
	{"text-filtered.txt",
	 {.group_by = QUERY_FILE,
	  .cumulative = true,
	  .top = 3,
	  .filters = sample_filters,
	  .filter_count = 2,
	  .all_frames = true},
	 {0}},
	{"text-traceback-quiet.txt",
	 {.group_by = QUERY_TRACEBACK, .top = 5, .charge = QUERY_CHARGE_CALLEE},
	 {.body_only = true}},
	{"text-traceback-lifetime-quiet.txt",
	 {.group_by = QUERY_TRACEBACK, .top = 1, .show = QUERY_LIFETIME},
	 {.body_only = true}},
};

START_TEST(a_text_report_is_as_agreed)
{
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	render(snapshot, texts[_i].query, texts[_i].options, &out);
	expect_golden(texts[_i].golden, &out);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(a_hostile_target_cannot_reach_the_terminal)
{
	struct snapshot *snapshot = sample_hostile();
	_cleanup_buffer_ struct buffer out = {0};
	render(snapshot, (struct query){.show = QUERY_CURRENT, .top = 10},
	       (struct report_options){0}, &out);
	for (size_t i = 0; i < out.count; i++) {
		unsigned char c = (unsigned char)out.bytes[i];
		ck_assert_msg(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f), "byte %02x", c);
	}
	ck_assert_ptr_null(strstr(buffer_text(&out), "\xe2\x80\xae"));
	expect_golden("text-hostile.txt", &out);
	snapshot_destroy(snapshot);
}
END_TEST

static void render_difference(struct query query, bool quiet, const char *golden)
{
	struct snapshot *old = sample_snapshot(), *new = sample_later();
	struct report_options options = {.body_only = quiet};
	struct table table;
	_cleanup_buffer_ struct buffer out = {0};
	ck_assert_ptr_null(query_compare(old, new, &query, &table));
	ck_assert_ptr_null(report_text(new, &table, &sample_source, &options, &out));
	table_deinit(&table);
	expect_golden(golden, &out);
	snapshot_destroy(old);
	snapshot_destroy(new);
}

START_TEST(a_difference_is_as_agreed)
{
	render_difference((struct query){.show = QUERY_CURRENT, .top = 10}, true,
			  "text-diff-quiet.txt");
	render_difference((struct query){.show = QUERY_TOTAL, .group_by = QUERY_FUNCTION, .top = 2},
			  false, "text-diff-function.txt");
	render_difference((struct query){.group_by = QUERY_TRACEBACK, .top = 3}, true,
			  "text-diff-traceback-quiet.txt");
}
END_TEST

START_TEST(a_hostile_target_cannot_reach_the_terminal_by_a_difference_or_traceback)
{
	struct snapshot *snapshot = sample_hostile();
	struct query query = {.show = QUERY_CURRENT, .group_by = QUERY_TRACEBACK, .top = 10};
	struct report_options options = {0};
	struct table table;
	_cleanup_buffer_ struct buffer out = {0};
	ck_assert_ptr_null(query_compare(snapshot, snapshot, &query, &table));
	ck_assert_ptr_null(report_text(snapshot, &table, &sample_source, &options, &out));
	table_deinit(&table);
	for (enum query_group by = QUERY_LINE; by <= QUERY_PROCESS; by++) {
		query.group_by = by;
		render(snapshot, query, options, &out);
	}
	for (size_t i = 0; i < out.count; i++) {
		unsigned char c = (unsigned char)out.bytes[i];
		ck_assert_msg(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f), "byte %02x", c);
	}
	ck_assert_ptr_null(strstr(buffer_text(&out), "\xe2\x80\xae"));
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(several_snapshots_say_that_they_are_several)
{
	struct snapshot *snapshot = sample_snapshot();
	snapshot->part_count = 3;
	_cleanup_buffer_ struct buffer out = {0};
	render(snapshot, (struct query){.show = QUERY_PEAK, .top = 1}, (struct report_options){0},
	       &out);
	render(snapshot, (struct query){.show = QUERY_CURRENT, .top = 1},
	       (struct report_options){0}, &out);
	expect_golden("text-merged.txt", &out);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(an_empty_snapshot_makes_an_empty_table)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	_cleanup_buffer_ struct buffer out = {0};
	render(snapshot, (struct query){.top = 10}, (struct report_options){.body_only = true},
	       &out);
	ck_assert_str_eq(buffer_text(&out), "Top 10 lines\nTotal allocated size: 0.0 KiB\n");
	snapshot_destroy(snapshot);
}
END_TEST

/* Lines of a few files with all magnitudes of size, some of them equal. */
static struct snapshot *random_lines(uint64_t seed)
{
	static const char *const files[] = {"/p/a.c", "/p/bb/b.c", "/p/c.c"};
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	uint64_t state = seed;
	for (uint32_t i = 0; i < 200; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		uint64_t size = (state >> 24) >> (state >> 59);
		if (i % 5 == 0)
			size = 512 * (i % 4);
		const char *file = files[state >> 30 & 1];
		sample_site(snapshot, sample_frame(file, file + 3, i % 150 + 1, "f"),
			    sample_counters(size, 3, 2, 0));
	}
	return snapshot;
}

static void run_python(const struct buffer *json, size_t top, struct buffer *ret)
{
	char path[] = "/tmp/tracealloc-report-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, json->bytes, json->count), (ssize_t)json->count);
	char command[256];
	snprintf(command, sizeof command, "python3 tests/unit/report/display_top.py %zu < %s", top,
		 path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	sample_read(pipe, ret);
	int status = pclose(pipe);
	unlink(path);
	ck_assert_int_eq(status, 0);
}

START_TEST(the_body_is_what_pythons_own_tracemalloc_prints)
{
	if (system("command -v python3 >/dev/null") != 0)
		return;
	static const size_t tops[] = {0, 1, 10, 1000};
	struct snapshot *snapshot = random_lines((uint64_t)_i + 1);
	struct query all = {.show = QUERY_CURRENT, .top = SIZE_MAX};
	struct table table;
	_cleanup_buffer_ struct buffer json = {0};
	ck_assert_ptr_null(query_run(snapshot, &all, &table));
	ck_assert_ptr_null(report_json(snapshot, &table, &sample_source, NULL, &json));
	table_deinit(&table);
	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
		_cleanup_buffer_ struct buffer want = {0}, got = {0};
		run_python(&json, tops[i], &want);
		render(snapshot, (struct query){.show = QUERY_CURRENT, .top = tops[i]},
		       (struct report_options){.body_only = true}, &got);
		ck_assert_str_eq(buffer_text(&got), buffer_text(&want));
	}
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *cases = tcase_create("text");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_text_report_is_as_agreed, 0, sizeof texts / sizeof *texts);
	tcase_add_test(cases, a_hostile_target_cannot_reach_the_terminal);
	tcase_add_test(cases, a_difference_is_as_agreed);
	tcase_add_test(cases,
		       a_hostile_target_cannot_reach_the_terminal_by_a_difference_or_traceback);
	tcase_add_test(cases, several_snapshots_say_that_they_are_several);
	tcase_add_test(cases, an_empty_snapshot_makes_an_empty_table);
	tcase_add_loop_test(cases, the_body_is_what_pythons_own_tracemalloc_prints, 0, 3);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
