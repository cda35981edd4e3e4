/* SPDX-License-Identifier: MIT */
/*
 * Files that were once written are read for ever, and answer as they did.
 *
 * The files are never written again: what a later tracealloc writes gets a file of its own beside
 * them.
 */
#include "snapshot/file.h"
#include "unit/report/sample.h"

static struct snapshot *load(const char *path)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_fclose_ FILE *file = fopen(path, "r");
	struct snapshot *snapshot;
	ck_assert_msg(file != NULL, "%s cannot be read; run from the top of the tree", path);
	sample_read(file, &bytes);
	struct error *err = file_decode(bytes.bytes, bytes.count, &snapshot);
	ck_assert_msg(!err, "%s: %s", path, err ? error_message(err) : "");
	return snapshot;
}

static const char *line_of(void *context, const char *file, uint32_t line)
{
	return snapshot_source_text(context, file, line);
}

static void expect_answer(struct snapshot *snapshot, const struct query *query, const char *golden)
{
	static const struct report_options options = {.body_only = true};
	const struct report_source source = {.line = line_of, .context = snapshot};
	_cleanup_buffer_ struct buffer text = {0};
	struct table table = {0};
	ck_assert_ptr_null(query_run(snapshot, query, &table));
	ck_assert_ptr_null(report_text(snapshot, &table, &source, &options, &text));
	table_deinit(&table);
	expect_golden(golden, &text);
}

START_TEST(a_file_of_the_first_format_answers_as_ever)
{
	struct snapshot *snapshot = load("tests/golden/first.snapshot");
	const struct query lines = {.show = QUERY_PEAK, .top = 10};
	const struct query stacks = {.show = QUERY_LEAKED, .group_by = QUERY_TRACEBACK, .top = 3};
	expect_answer(snapshot, &lines, "saved-first-line.txt");
	expect_answer(snapshot, &stacks, "saved-first-traceback.txt");
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(a_file_with_all_that_is_kept_answers_as_ever)
{
	static const struct query_filter old[] = {{.inclusive = true,
						   .kind = FILTER_AGE,
						   .pattern = ">10s",
						   .age = {10000000000, UINT64_MAX}}};
	static const struct query_filter reader[] = {
		{.inclusive = true, .kind = FILTER_THREAD, .pattern = "read*"},
		{.kind = FILTER_SIZE, .pattern = "..4", .size = {0, 4}}};
	static const struct {
		const char *golden;
		struct query query;
	} questions[] = {
		{"saved-kept-size.txt",
		 {.show = QUERY_TOTAL, .group_by = QUERY_SIZE, .histogram = QUERY_SIZE_HISTOGRAM}},
		{"saved-kept-thread.txt",
		 {.show = QUERY_LEAKED,
		  .group_by = QUERY_THREAD,
		  .histogram = QUERY_LIFETIME_HISTOGRAM}},
		{"saved-kept-waste.txt", {.show = QUERY_WASTE}},
		{"saved-kept-age.txt", {.show = QUERY_CURRENT, .filters = old, .filter_count = 1}},
		{"saved-kept-filter.txt",
		 {.show = QUERY_TOTAL,
		  .filters = reader,
		  .filter_count = 2,
		  .histogram = QUERY_SIZE_HISTOGRAM}},
	};
	struct snapshot *snapshot = load("tests/golden/kept.snapshot");
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		struct query query = questions[i].query;
		query.top = 10;
		expect_answer(snapshot, &query, questions[i].golden);
	}
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("saved");
	TCase *cases = tcase_create("saved");
	tcase_add_test(cases, a_file_of_the_first_format_answers_as_ever);
	tcase_add_test(cases, a_file_with_all_that_is_kept_answers_as_ever);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
