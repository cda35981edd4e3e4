/* SPDX-License-Identifier: MIT */
/* Tracebacks, processes, cumulative sums, lifetimes and filters, held against naive models. */
#include <check.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/query.h"

static struct snapshot *snapshot;

static void setup(void)
{
	ck_assert_ptr_null(snapshot_create(&snapshot));
}

static void teardown(void)
{
	snapshot_destroy(snapshot);
}

static void push(struct snapshot_frame frame)
{
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
}

/* A frame in a.c of prog. */
static void push_line(uint32_t line, const char *function)
{
	push((struct snapshot_frame){.file = "/s/a.c",
				     .label = "a.c",
				     .line = line,
				     .function = function,
				     .module = "/bin/prog"});
}

static void add_counters(struct site_counters counters)
{
	struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS, .counters = counters};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

static void add(uint64_t bytes, uint64_t blocks)
{
	add_counters((struct site_counters){.current_bytes = bytes, .current_blocks = blocks});
}

static struct table ask(struct query query)
{
	struct table table;
	query.top = query.top ? query.top : 1000;
	ck_assert_ptr_null(query_run(snapshot, &query, &table));
	return table;
}

static void expect_row(const struct table *table, size_t i, const char *label, uint64_t bytes,
		       uint64_t blocks)
{
	ck_assert_uint_lt(i, table->row_count);
	ck_assert_str_eq(table->rows[i].label, label);
	ck_assert_uint_eq(table->rows[i].bytes, bytes);
	ck_assert_uint_eq(table->rows[i].blocks, blocks);
}

START_TEST(a_traceback_begins_at_the_charged_frame)
{
	push((struct snapshot_frame){.function = "malloc", .module = "/lib/libc.so.6"});
	push((struct snapshot_frame){.function = "xmlNew", .module = "/lib/libxml2.so.2"});
	push_line(7, "f");
	push_line(9, "main");
	add(10, 1);
	push((struct snapshot_frame){.function = "calloc", .module = "/lib/libc.so.6"});
	push_line(7, "f");
	push_line(9, "main");
	add(5, 1);
	push_line(7, "f");
	push_line(8, "main");
	add(100, 2);
	struct table table =
		ask((struct query){.show = QUERY_CURRENT, .group_by = QUERY_TRACEBACK});
	ck_assert_uint_eq(table.row_count, 2);
	expect_row(&table, 0, "a.c:7", 100, 2);
	expect_row(&table, 1, "a.c:7", 15, 2);
	const struct table_row *row = &table.rows[1];
	ck_assert_uint_eq(row->frame_count, 2);
	ck_assert_uint_eq(row->snapshot->frames[row->stack[0]].line, 7);
	ck_assert_uint_eq(row->snapshot->frames[row->stack[1]].line, 9);
	table_deinit(&table);
}
END_TEST

START_TEST(tracebacks_differ_by_function_and_by_their_length)
{
	push_line(7, "f<int>");
	push_line(9, "main");
	add(3, 1);
	push_line(7, "f<char>");
	push_line(9, "main");
	add(2, 1);
	push_line(7, "f<int>");
	add(1, 1);
	add(8, 1); /* no frames at all */
	struct table table =
		ask((struct query){.show = QUERY_CURRENT, .group_by = QUERY_TRACEBACK});
	ck_assert_uint_eq(table.row_count, 4);
	expect_row(&table, 0, "<unknown>", 8, 1);
	expect_row(&table, 1, "a.c:7", 3, 1);
	expect_row(&table, 2, "a.c:7", 2, 1);
	expect_row(&table, 3, "a.c:7", 1, 1);
	ck_assert_uint_eq(table.rows[0].frame_count, 0);
	table_deinit(&table);
}
END_TEST

static void add_process(uint32_t pid, uint32_t tree, const char *command, const char *host)
{
	struct snapshot_process process = {
		.pid = pid, .tree = tree, .command = command, .host = host};
	ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
}

START_TEST(processes_are_rows_with_their_children)
{
	add_process(10, 0, "prog", "one");
	add_process(11, 0, "child", "one");
	add_process(12, 0, "child", "one");
	add_process(10, 3, NULL, "two");
	for (uint32_t i = 0; i < 4; i++) {
		push_line(i + 1, "f");
		struct snapshot_site site = {.process = i == 3	 ? SNAPSHOT_NO_PROCESS
							: i == 2 ? 3
								 : 0,
					     .counters.current_bytes = 1u << i};
		ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	}
	struct table table = ask((struct query){.show = QUERY_CURRENT, .group_by = QUERY_PROCESS});
	ck_assert_uint_eq(table.row_count, 3);
	expect_row(&table, 0, "<unknown>", 8, 0);
	expect_row(&table, 1, "<unknown> (pid 10 on two)", 4, 0);
	expect_row(&table, 2, "prog (pid 10 and 2 more processes on one)", 3, 0);
	ck_assert_ptr_eq(table.rows[2].process, &snapshot->processes[0]);
	table_deinit(&table);
	snapshot->processes[3].host = "one";
	table = ask((struct query){.show = QUERY_CURRENT, .group_by = QUERY_PROCESS});
	expect_row(&table, 2, "prog (pid 10 and 2 more processes)", 3, 0);
	table_deinit(&table);
}
END_TEST

START_TEST(lifetimes_are_means_and_order_rows)
{
	static const struct {
		uint64_t lifetime_ns, blocks;
	} sites[] = {{1000, 10}, {500, 1}, {90, 0}, {3000, 10}};
	for (uint32_t i = 0; i < 4; i++) {
		push_line(i + 1, "f");
		add_counters((struct site_counters){.released_bytes = 10 * sites[i].blocks,
						    .released_blocks = sites[i].blocks,
						    .lifetime_ns = sites[i].lifetime_ns});
	}
	struct table table = ask((struct query){.show = QUERY_LIFETIME, .top = 2});
	ck_assert_uint_eq(table.row_count, 2);
	expect_row(&table, 0, "a.c:2", 10, 1);
	expect_row(&table, 1, "a.c:4", 100, 10);
	ck_assert_uint_eq(table.other_count, 1);
	ck_assert_uint_eq(table.other_lifetime_ns, 1000);
	ck_assert_uint_eq(table.shown_lifetime_ns, 4500);
	ck_assert_uint_eq(table.shown_blocks, 21);
	table_deinit(&table);
}
END_TEST

START_TEST(enormous_lifetimes_are_ordered_right)
{
	for (uint32_t i = 0; i < 3; i++) {
		push_line(i + 1, "f");
		add_counters((struct site_counters){.released_blocks = UINT64_MAX - i % 2,
						    .lifetime_ns = UINT64_MAX - i});
	}
	struct table table = ask((struct query){.show = QUERY_LIFETIME});
	/* The means: 1, just less than 1, and (2^64 - 3) / (2^64 - 1). */
	ck_assert_uint_eq(table.row_count, 3);
	ck_assert_uint_eq(table.rows[2].line, 3);
	table_deinit(&table);
}
END_TEST

START_TEST(temporary_blocks_are_counted_and_ordered_by_number)
{
	static const uint64_t temporary[] = {3, 0, 9};
	for (uint32_t i = 0; i < 3; i++) {
		push_line(i + 1, "f");
		add_counters((struct site_counters){.released_bytes = 1000 - 100 * i,
						    .released_blocks = 10,
						    .temporary_blocks = temporary[i]});
	}
	struct table table = ask((struct query){.show = QUERY_TEMPORARY});
	ck_assert_uint_eq(table.row_count, 2);
	expect_row(&table, 0, "a.c:3", 0, 9);
	expect_row(&table, 1, "a.c:1", 0, 3);
	ck_assert_uint_eq(table.shown_blocks, 12);
	table_deinit(&table);
}
END_TEST

START_TEST(rows_below_the_least_size_are_counted_as_other)
{
	for (uint32_t i = 1; i <= 5; i++) {
		push_line(i, "f");
		add(i * 100, 6 - i);
	}
	struct table table = ask((struct query){.show = QUERY_CURRENT, .min_bytes = 300});
	ck_assert_uint_eq(table.row_count, 3);
	expect_row(&table, 2, "a.c:3", 300, 3);
	ck_assert_uint_eq(table.other_count, 2);
	ck_assert_uint_eq(table.other_bytes, 300);
	ck_assert_uint_eq(table.shown_bytes, 1500);
	table_deinit(&table);
	/* Where blocks decide the order, small rows stand between large ones. */
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct site_counters *c = &snapshot->sites[i].counters;
		c->total_bytes = c->current_bytes;
		c->total_blocks = c->current_blocks;
	}
	table = ask((struct query){.show = QUERY_COUNT, .min_bytes = 300, .top = 2});
	ck_assert_uint_eq(table.row_count, 2);
	expect_row(&table, 0, "a.c:3", 300, 3);
	expect_row(&table, 1, "a.c:4", 400, 2);
	ck_assert_uint_eq(table.rows[1].rank, 2);
	ck_assert_uint_eq(table.other_count, 3);
	table_deinit(&table);
}
END_TEST

static uint64_t next(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

/* What the naive models know of a site. */
enum { SITES = 3000, DEPTH = 8, LINES = 12 };
static struct model_site {
	size_t depth;
	struct {
		uint32_t line; /* 0: malloc of libc */
		bool skipped;
	} frames[DEPTH];
	uint64_t bytes;
} model[SITES];

/* Stacks with much recursion; malloc may stand anywhere; lines above 9 are in "skipped_" functions.
 */
static void make_random_sites(uint64_t seed)
{
	uint64_t state = seed;
	for (size_t i = 0; i < SITES; i++) {
		struct model_site *site = &model[i];
		*site = (struct model_site){.depth = next(&state, DEPTH) + 1,
					    .bytes = next(&state, 5000)};
		for (size_t k = 0; k < site->depth; k++) {
			uint32_t line = (uint32_t)next(&state, LINES);
			site->frames[k].line = line;
			site->frames[k].skipped = line > 9;
			if (line)
				push_line(line, line > 9 ? "skipped_f" : "f");
			else
				push((struct snapshot_frame){.function = "malloc",
							     .module = "/lib/libc.so.6"});
		}
		add(site->bytes, 1);
	}
}

/* The charged frame: the first with a line that is not skipped; else the first skipped, else 0. */
static size_t charged_of(const struct model_site *site)
{
	for (size_t k = 0; k < site->depth; k++)
		if (site->frames[k].line && !site->frames[k].skipped)
			return k;
	for (size_t k = 0; k < site->depth; k++)
		if (site->frames[k].line)
			return k;
	return 0;
}

static const char *const skip[] = {"skipped_*"};

START_TEST(cumulative_sums_count_each_block_once_a_line)
{
	uint64_t sums[LINES] = {0}, all = 0;
	make_random_sites((uint64_t)_i + 1);
	for (size_t i = 0; i < SITES; i++) {
		bool on[LINES] = {false};
		on[model[i].frames[charged_of(&model[i])].line] = true;
		for (size_t k = 0; k < model[i].depth; k++)
			if (model[i].frames[k].line && !model[i].frames[k].skipped)
				on[model[i].frames[k].line] = true;
		for (size_t line = 0; line < LINES; line++)
			sums[line] += on[line] ? model[i].bytes : 0;
		all += model[i].bytes;
	}
	struct table table = ask((struct query){
		.show = QUERY_CURRENT, .cumulative = true, .skip = skip, .skip_count = 1});
	ck_assert_uint_eq(table.shown_bytes, all);
	size_t rows = 0;
	for (size_t i = 0; i < table.row_count; i++) {
		ck_assert_uint_eq(table.rows[i].bytes, sums[table.rows[i].line]);
		rows++;
	}
	for (size_t line = 0; line < LINES; line++)
		rows -= sums[line] > 0;
	ck_assert_uint_eq(rows, 0);
	table_deinit(&table);
	/* All lines are of one file: each block counts once. */
	table = ask((struct query){.show = QUERY_CURRENT,
				   .group_by = QUERY_FILE,
				   .cumulative = true,
				   .skip = skip,
				   .skip_count = 1});
	uint64_t of_file = 0;
	for (size_t i = 0; i < SITES; i++)
		of_file += model[i].frames[charged_of(&model[i])].line ? model[i].bytes : 0;
	expect_row(&table, 0, "a.c", of_file, table.rows[0].blocks);
	table_deinit(&table);
}
END_TEST

/* Whether some line among those a filter looks at is one of the pattern's. */
static bool model_matches(const struct model_site *site, bool all_frames, const char *pattern)
{
	size_t charged = charged_of(site);
	for (size_t k = 0; k < site->depth; k++) {
		char text[16];
		snprintf(text, sizeof text, "a.c:%u", site->frames[k].line);
		if ((all_frames || k == charged) && site->frames[k].line &&
		    fnmatch(pattern, text, 0) == 0)
			return true;
	}
	return false;
}

START_TEST(filters_let_pass_what_a_naive_model_says)
{
	static const struct query_filter filters[] = {
		{.inclusive = true, .kind = FILTER_LINE, .pattern = "a.c:[1-4]"},
		{.inclusive = true, .kind = FILTER_LINE, .pattern = "*:1?"},
		{.kind = FILTER_LINE, .pattern = "a.c:3"},
		{.kind = FILTER_LINE, .pattern = "a.c:1*"}};
	make_random_sites(7);
	for (size_t which = 0; which < 1u << 4; which++) {
		for (int all_frames = 0; all_frames < 2; all_frames++) {
			struct query_filter used[4];
			size_t count = 0;
			uint64_t want = 0;
			for (size_t f = 0; f < 4; f++)
				if (which >> f & 1)
					used[count++] = filters[f];
			for (size_t i = 0; i < SITES; i++) {
				bool wanted = !(which & 3), unwanted = false;
				for (size_t f = 0; f < count; f++) {
					bool match = model_matches(&model[i], all_frames,
								   used[f].pattern);
					wanted |= match && used[f].inclusive;
					unwanted |= match && !used[f].inclusive;
				}
				want += wanted && !unwanted ? model[i].bytes : 0;
			}
			struct table table = ask((struct query){.show = QUERY_CURRENT,
								.skip = skip,
								.skip_count = 1,
								.filters = used,
								.filter_count = count,
								.all_frames = all_frames});
			ck_assert_uint_eq(table.shown_bytes, want);
			table_deinit(&table);
		}
	}
}
END_TEST

static uint64_t filtered(enum query_filter_kind kind, const char *pattern)
{
	struct query_filter filter = {.inclusive = true, .kind = kind, .pattern = pattern};
	struct table table =
		ask((struct query){.show = QUERY_CURRENT, .filters = &filter, .filter_count = 1});
	uint64_t bytes = table.shown_bytes;
	table_deinit(&table);
	return bytes;
}

START_TEST(a_filter_matches_paths_labels_names_and_last_components)
{
	push_line(7, "ns::f(int)");
	add(1, 1);
	push((struct snapshot_frame){.function = "g", .module = "/usr/lib/libx.so.2"});
	add(2, 1);
	push((struct snapshot_frame){.module = "nodirectory.so", .offset = 3});
	add(4, 1);
	add(8, 1);
	ck_assert_uint_eq(filtered(FILTER_FILE, "/s/*"), 1);
	ck_assert_uint_eq(filtered(FILTER_FILE, "a.c"), 1);
	ck_assert_uint_eq(filtered(FILTER_FILE, "s/a.c"), 0);
	ck_assert_uint_eq(filtered(FILTER_FUNCTION, "ns::f(*)"), 1);
	ck_assert_uint_eq(filtered(FILTER_FUNCTION, "?"), 2);
	ck_assert_uint_eq(filtered(FILTER_MODULE, "libx.so*"), 2);
	ck_assert_uint_eq(filtered(FILTER_MODULE, "/usr/lib/*"), 2);
	ck_assert_uint_eq(filtered(FILTER_MODULE, "nodir*"), 4);
	ck_assert_uint_eq(filtered(FILTER_MODULE, "lib/libx*"), 0);
	ck_assert_uint_eq(filtered(FILTER_LINE, "/s/a.c:7"), 1);
	ck_assert_uint_eq(filtered(FILTER_LINE, "a.c:7"), 1);
	ck_assert_uint_eq(filtered(FILTER_LINE, "a.c:?7"), 0);
	/* What is not known matches nothing, not even everything. */
	ck_assert_uint_eq(filtered(FILTER_FILE, "*"), 1);
	ck_assert_uint_eq(filtered(FILTER_FUNCTION, "*"), 3);
	ck_assert_uint_eq(filtered(FILTER_MODULE, "*"), 7);
}
END_TEST

START_TEST(many_groups_are_joined_without_loss)
{
	enum { MANY = 150000, DISTINCT = 40000 };
	uint64_t all = 0, first = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		push_line(i % DISTINCT + 1, "f");
		add(i, 1);
		all += i;
		first += i % DISTINCT == 0 ? i : 0;
	}
	struct table table = ask((struct query){.show = QUERY_CURRENT, .top = MANY});
	ck_assert_uint_eq(table.row_count, DISTINCT);
	uint64_t sum = 0;
	for (size_t i = 0; i < table.row_count; i++) {
		sum += table.rows[i].bytes;
		if (table.rows[i].line == 1)
			ck_assert_uint_eq(table.rows[i].bytes, first);
	}
	ck_assert_uint_eq(sum, all);
	table_deinit(&table);
}
END_TEST

START_TEST(an_empty_name_has_an_empty_label)
{
	push((struct snapshot_frame){.file = "", .label = "", .function = "f", .line = 1});
	add(1, 1);
	struct table table = ask((struct query){.show = QUERY_CURRENT, .group_by = QUERY_FILE});
	expect_row(&table, 0, "", 1, 1);
	table_deinit(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statistics");
	TCase *cases = tcase_create("statistics");
	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, a_traceback_begins_at_the_charged_frame);
	tcase_add_test(cases, tracebacks_differ_by_function_and_by_their_length);
	tcase_add_test(cases, processes_are_rows_with_their_children);
	tcase_add_test(cases, lifetimes_are_means_and_order_rows);
	tcase_add_test(cases, enormous_lifetimes_are_ordered_right);
	tcase_add_test(cases, temporary_blocks_are_counted_and_ordered_by_number);
	tcase_add_test(cases, rows_below_the_least_size_are_counted_as_other);
	tcase_add_loop_test(cases, cumulative_sums_count_each_block_once_a_line, 0, 3);
	tcase_add_test(cases, filters_let_pass_what_a_naive_model_says);
	tcase_add_test(cases, a_filter_matches_paths_labels_names_and_last_components);
	tcase_add_test(cases, many_groups_are_joined_without_loss);
	tcase_add_test(cases, an_empty_name_has_an_empty_label);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
