/* SPDX-License-Identifier: MIT */
/* The list of formats, and what each makes of two snapshots: an ordinary and a hostile one. */
#include <unistd.h>

#include "snapshot/merge.h"
#include "unit/report/stacks.h"

static const struct query_filter only_walk[] = {
	{.inclusive = true, .kind = FILTER_FUNCTION, .pattern = "walk"}};

static const struct {
	const char *format;
	const char *golden;
	struct query query;
	bool hostile;
} stacks[] = {
	{"folded", "folded-total.txt", {.show = QUERY_TOTAL}, false},
	{"folded", "folded-temporary.txt", {.show = QUERY_TEMPORARY}, false},
	{"folded", "folded-hostile.txt", {.show = QUERY_CURRENT}, true},
	{"dhat", "dhat.json", {.show = QUERY_PEAK}, false},
	{"dhat", "dhat-hostile.json", {.show = QUERY_PEAK}, true},
	{"massif", "massif.txt", {.show = QUERY_PEAK}, false},
	{"massif", "massif-filtered.txt", {.filters = only_walk, .filter_count = 1}, false},
	{"massif", "massif-hostile.txt", {.show = QUERY_PEAK}, true},
	{"callgrind", "callgrind.txt", {.show = QUERY_TOTAL}, false},
	{"callgrind", "callgrind-hostile.txt", {.show = QUERY_PEAK}, true},
	{"speedscope", "speedscope.json", {.show = QUERY_CURRENT}, false},
	{"speedscope", "speedscope-hostile.json", {.show = QUERY_PEAK}, true},
};

START_TEST(a_format_of_stacks_is_as_agreed)
{
	struct snapshot *snapshot = stacks[_i].hostile ? stacks_hostile() : stacks_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	stacks_render(stacks[_i].format, snapshot, stacks[_i].query, &out);
	expect_golden(stacks[_i].golden, &out);
	snapshot_destroy(snapshot);
}
END_TEST

/* The bytes are packed, so that it is their meaning by our own description that is compared. */
static void decode(const struct buffer *packed, struct buffer *ret)
{
	char path[] = "/tmp/tracealloc-pprof-XXXXXX", command[256];
	_cleanup_close_ int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, packed->bytes, packed->count), (ssize_t)packed->count);
	snprintf(command, sizeof command,
		 "zcat <%s | protoc --decode=pprof.Profile -Isrc/report pprof.proto", path);
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	sample_read(pipe, ret);
	ck_assert_int_eq(pclose(pipe), 0);
	unlink(path);
}

static void expect_profile(const char *golden, struct snapshot *snapshot, struct query query)
{
	_cleanup_buffer_ struct buffer packed = {0}, text = {0};
	stacks_render("pprof", snapshot, query, &packed);
	decode(&packed, &text);
	expect_golden(golden, &text);
	snapshot_destroy(snapshot);
}

START_TEST(a_pprof_profile_is_as_agreed)
{
	expect_profile("pprof.txt", stacks_snapshot(), (struct query){.show = QUERY_PEAK});
	expect_profile("pprof-hostile.txt", stacks_hostile(), (struct query){.show = QUERY_COUNT});
}
END_TEST

START_TEST(samples_of_several_sessions_say_whose_they_are)
{
	struct snapshot *one = stacks_snapshot(), *merged;
	const struct snapshot *parts[] = {one, one};
	ck_assert_ptr_null(merge_snapshots(parts, 2, &merged));
	_cleanup_buffer_ struct buffer packed = {0}, text = {0};
	stacks_render("pprof", merged, (struct query){.show = QUERY_TOTAL}, &packed);
	decode(&packed, &text);
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "\"parser (pid 4242)\""));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "  label {\n"));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "\"2 snapshots\""));
	snapshot_destroy(one);
	snapshot_destroy(merged);
}
END_TEST

START_TEST(samples_say_of_which_thread_and_size_they_are_where_that_was_kept)
{
	struct snapshot *snapshot = stacks_snapshot();
	struct snapshot_thread worker = {.pid = 4242, .tid = 4243, .name = "work\ner"};
	_cleanup_buffer_ struct buffer packed = {0}, text = {0};
	ck_assert_ptr_null(kept_add_thread(&snapshot->kept, &worker));
	snapshot->kept.flags = KEPT_THREADS | KEPT_SIZES;
	/* Two sites of one stack, of which one is of a thread. */
	snapshot->sites[1].traits =
		(struct snapshot_traits){.thread = 1, .size = {.low_bytes = 60, .high_bytes = 64}};
	snapshot->sites[6].traits.size = (struct size_range){.low_bytes = 10, .high_bytes = 10};
	stacks_render("pprof", snapshot, (struct query){.show = QUERY_TOTAL}, &packed);
	decode(&packed, &text);
	size_t samples = 0;
	for (const char *at = buffer_text(&text); (at = strstr(at, "sample {\n")); at++)
		samples++;
	ck_assert_uint_eq(samples, snapshot->site_count);
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "\"work\\\\x0aer (thread 4243)\""));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "    num: 64\n"));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "    num: 10\n"));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "  value: 6400\n"));
	ck_assert_ptr_nonnull(strstr(buffer_text(&text), "  value: 20\n"));
	snapshot_destroy(snapshot);
}
END_TEST

static const struct {
	const char *golden;
	struct query query;
	bool hostile;
} tables[] = {
	{"csv-total.csv", {.show = QUERY_TOTAL, .top = 3}, false},
	{"csv-traceback.csv", {.group_by = QUERY_TRACEBACK, .top = 9}, false},
	{"csv-process.csv", {.group_by = QUERY_PROCESS, .show = QUERY_TEMPORARY, .top = 9}, false},
	{"csv-hostile.csv", {.show = QUERY_CURRENT, .group_by = QUERY_FUNCTION, .top = 9}, true},
};

START_TEST(a_csv_table_is_as_agreed)
{
	struct snapshot *snapshot = tables[_i].hostile ? stacks_hostile() : stacks_snapshot();
	_cleanup_buffer_ struct buffer out = {0};
	struct table table;
	ck_assert_ptr_null(query_run(snapshot, &tables[_i].query, &table));
	ck_assert_ptr_null(report_csv(snapshot, &table, &sample_source, NULL, &out));
	table_deinit(&table);
	expect_golden(tables[_i].golden, &out);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(a_csv_comparison_has_both_figures_and_their_difference)
{
	struct snapshot *old = sample_snapshot(), *new = sample_later();
	struct query query = {.show = QUERY_CURRENT, .top = 10};
	_cleanup_buffer_ struct buffer out = {0};
	struct table table;
	ck_assert_ptr_null(query_compare(old, new, &query, &table));
	ck_assert_ptr_null(report_csv(new, &table, &sample_source, NULL, &out));
	table_deinit(&table);
	expect_golden("csv-diff.csv", &out);
	snapshot_destroy(old);
	snapshot_destroy(new);
}
END_TEST

START_TEST(the_names_of_formats_are_those_of_the_list)
{
	_cleanup_buffer_ struct buffer choices = {0}, listed = {0};
	size_t count;
	const struct report_format *formats = report_formats(&count);
	for (size_t i = 0; i < count; i++) {
		buffer_printf(&choices, "%s%s", i ? "|" : "", formats[i].name);
		buffer_printf(&listed, "%s%s", i ? ", " : "", formats[i].name);
		ck_assert_ptr_eq(report_format(formats[i].name), &formats[i]);
		ck_assert_int_eq(!!formats[i].write_table + !!formats[i].write_stacks +
					 !!formats[i].write_page,
				 1);
	}
	ck_assert_str_eq(buffer_text(&choices), REPORT_FORMATS);
	ck_assert_str_eq(buffer_text(&listed), REPORT_FORMATS_LISTED);
	ck_assert_ptr_null(report_format("xml"));
}
END_TEST

START_TEST(a_snapshot_of_nothing_can_have_every_format)
{
	size_t count;
	const struct report_format *formats = report_formats(&count);
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	for (size_t i = 0; i < count; i++) {
		_cleanup_buffer_ struct buffer out = {0};
		if (!formats[i].write_stacks)
			continue;
		stacks_render(formats[i].name, snapshot, (struct query){0}, &out);
		ck_assert(out.count > 0 || strcmp(formats[i].name, "folded") == 0);
	}
	snapshot_destroy(snapshot);
}
END_TEST

/* What the shell makes of the golden files: a judge that does not know our code. */
static void expect_output(const char *command, const char *want)
{
	_cleanup_buffer_ struct buffer got = {0};
	FILE *pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	sample_read(pipe, &got);
	ck_assert_int_eq(pclose(pipe), 0);
	ck_assert_str_eq(buffer_text(&got), want);
}

START_TEST(folded_stacks_sum_up_to_the_total)
{
	/* 3000 + 6420 + 4000 + 7200 + 231 + 1 + 5 */
	expect_output("awk '{ sum += $NF } END { print sum }' tests/golden/folded-total.txt",
		      "20857\n");
}
END_TEST

START_TEST(each_block_is_inclusive_once_where_functions_call_themselves)
{
	/* main and what it calls, the sites of closed.so and of nothing apart. */
	expect_output("callgrind_annotate --inclusive=yes --show=totB --show-percs=no "
		      "--threshold=100 --auto=no tests/golden/callgrind.txt | "
		      "sed -nE 's/^ *([0-9,]+)  (.*)$/\\1 \\2/p'",
		      "20,857 PROGRAM TOTALS\n"
		      "20,857 ???:[root] [???]\n"
		      "20,851 /s/main.c:main [/bin/prog]\n"
		      "17,620 /s/walk.c:walk [/bin/prog]\n"
		      "10,420 /s/fill.h:fill [/bin/prog]\n"
		      "10,420 /s/walk.c:step [/bin/prog]\n"
		      "5 ???:<unknown> [???]\n"
		      "1 ???:closed.so+0xabc [/opt/closed.so]\n");
}
END_TEST

START_TEST(readers_take_hostile_names)
{
	expect_output("callgrind_annotate --auto=no --threshold=100 --show=peakB --show-percs=no "
		      "tests/golden/callgrind-hostile.txt 2>&1 | grep -c '^ *17  \\|WARNING'",
		      "2\n");
	expect_output("ms_print --threshold=0 tests/golden/massif-hostile.txt 2>&1 | "
		      "grep -c '^->100.00% (17B) .*:2)$'",
		      "2\n");
	expect_output("jq -r '[.pps[].gb] | add' tests/golden/dhat-hostile.json", "17\n");
	expect_output("jq -r '.profiles[.activeProfileIndex].weights | add' "
		      "tests/golden/speedscope-hostile.json",
		      "17\n");
}
END_TEST

START_TEST(rows_of_dhat_that_read_alike_are_one)
{
	struct snapshot *one = stacks_snapshot(), *merged;
	const struct snapshot *parts[] = {one, one};
	ck_assert_ptr_null(merge_snapshots(parts, 2, &merged));
	_cleanup_buffer_ struct buffer once = {0}, twice = {0};
	stacks_render("dhat", one, (struct query){0}, &once);
	stacks_render("dhat", merged, (struct query){0}, &twice);
	size_t rows = 0, merged_rows = 0;
	for (const char *s = buffer_text(&once); (s = strstr(s, "\"tb\":")); s++)
		rows++;
	for (const char *s = buffer_text(&twice); (s = strstr(s, "\"tb\":")); s++)
		merged_rows++;
	ck_assert_uint_eq(rows, 6);
	ck_assert_uint_eq(merged_rows, 6);
	ck_assert_ptr_nonnull(strstr(buffer_text(&twice), "\"tb\":12840"));
	snapshot_destroy(one);
	snapshot_destroy(merged);
}
END_TEST

START_TEST(a_csv_reader_takes_hostile_names_as_one_cell)
{
	expect_output("python3 -c '\n"
		      "import csv\n"
		      "rows = list(csv.reader(open(\"tests/golden/csv-hostile.csv\", newline=\"\"),"
		      " strict=True))\n"
		      "print(len(rows), len({len(row) for row in rows}))\n"
		      "print(rows[1][4])'",
		      "2 1\n"
		      "\\x3d(1) a;b,c\"d'e\\f#g%h<i>&\\x0afn=x\\x0d\\x1b[2J\\xff\\u{202e}\\x09\\x7f"
		      "\xc3\xa9\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("formats");
	TCase *cases = tcase_create("formats");
	tcase_add_loop_test(cases, a_format_of_stacks_is_as_agreed, 0,
			    sizeof stacks / sizeof *stacks);
	tcase_add_test(cases, a_pprof_profile_is_as_agreed);
	tcase_add_test(cases, samples_of_several_sessions_say_whose_they_are);
	tcase_add_test(cases, samples_say_of_which_thread_and_size_they_are_where_that_was_kept);
	tcase_add_loop_test(cases, a_csv_table_is_as_agreed, 0, sizeof tables / sizeof *tables);
	tcase_add_test(cases, a_csv_comparison_has_both_figures_and_their_difference);
	tcase_add_test(cases, the_names_of_formats_are_those_of_the_list);
	tcase_add_test(cases, a_snapshot_of_nothing_can_have_every_format);
	tcase_add_test(cases, folded_stacks_sum_up_to_the_total);
	tcase_add_test(cases, each_block_is_inclusive_once_where_functions_call_themselves);
	tcase_add_test(cases, readers_take_hostile_names);
	tcase_add_test(cases, rows_of_dhat_that_read_alike_are_one);
	tcase_add_test(cases, a_csv_reader_takes_hostile_names_as_one_cell);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
