/* SPDX-License-Identifier: MIT */
/*
 * The data of the HTML page: every stack, charge and figure can be read back from it, and no name
 * in it can be taken for markup.
 */
#include <jansson.h>

#include "snapshot/charge.h"
#include "unit/report/sample.h"

#define DATA_BEGIN "<script type=\"application/json\" id=\"data\">"

/* The page, and what stands in its element of data. */
struct page {
	struct buffer text;
	struct buffer data;
	json_t *json;
};

static void page_deinit(struct page *page)
{
	buffer_deinit(&page->text);
	buffer_deinit(&page->data);
	json_decref(page->json);
}

#define _cleanup_page_ __attribute__((__cleanup__(page_deinit)))

static struct page render(const struct snapshot *snapshot, struct query query)
{
	struct page page = {0};
	json_error_t error;
	ck_assert_ptr_null(report_html(snapshot, &query, &sample_source, &page.text));
	const char *begin = strstr(buffer_text(&page.text), DATA_BEGIN);
	ck_assert_ptr_nonnull(begin);
	begin += strlen(DATA_BEGIN);
	const char *end = strstr(begin, "</script>");
	ck_assert_ptr_nonnull(end);
	buffer_append(&page.data, begin, (size_t)(end - begin));
	page.json = json_loadb(page.data.bytes, page.data.count, 0, &error);
	ck_assert_msg(page.json != NULL, "not JSON: %s", error.text);
	return page;
}

static const json_t *at(const struct page *page, const char *table, const char *column)
{
	const json_t *found = json_object_get(page->json, table);
	found = column ? json_object_get(found, column) : found;
	ck_assert_ptr_nonnull(found);
	return found;
}

/* A value of a column; a column of zeroes is the number 0. */
static uint64_t value(const struct page *page, const char *table, const char *column, size_t i)
{
	const json_t *found = at(page, table, column);
	return (uint64_t)json_integer_value(json_is_array(found) ? json_array_get(found, i)
								 : found);
}

static const char *string(const struct page *page, const char *column, size_t frame)
{
	uint64_t number = value(page, "frames", column, frame);
	return json_string_value(json_array_get(at(page, "strings", NULL), number));
}

START_TEST(the_data_of_a_small_session_is_as_agreed)
{
	struct snapshot *snapshot = sample_snapshot();
	struct snapshot_detail_site held[] = {{100, 1, 1}, {50, 2, 2}};
	struct snapshot_detail_point point = {
		.time_ns = 9, .current_bytes = 150, .current_blocks = 4};
	static const struct snapshot_mark marks[] = {
		{SNAPSHOT_MARK_NAMED, 7, 120, "</script>\xe2\x80\xae loaded"},
		{SNAPSHOT_MARK_PEAK_RESET, 8, 130, NULL},
		{SNAPSHOT_MARK_TAKEN, 9, 150, NULL},
	};
	for (size_t i = 0; i < 2; i++)
		ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &held[i]));
	ck_assert_ptr_null(snapshot_add_detail_point(snapshot, &point));
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		ck_assert_ptr_null(snapshot_add_mark(snapshot, &marks[i]));
	_cleanup_page_ struct page page = render(snapshot, (struct query){.top = 10});
	expect_golden("html-data.json", &page.data);
	snapshot_destroy(snapshot);
}
END_TEST

/* Stacks with common parts: frames are of few functions, deeper ones of fewer. */
static struct snapshot *tangle(uint64_t state, size_t sites)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	for (size_t i = 0; i < sites; i++) {
		struct snapshot_site site = {.process = SNAPSHOT_NO_PROCESS};
		size_t depth;
		state = state * 6364136223846793005u + 1442695040888963407u;
		depth = state >> 33 & 7;
		for (size_t k = 0; k < depth; k++) {
			static const char *const functions[] = {"malloc", "grow", "main", "strdup"};
			unsigned choice = state >> (40 + 2 * k) & (k + 2 < depth ? 3 : 1);
			struct snapshot_frame frame = {.function = functions[choice],
						       .module = "/lib/libc.so.6",
						       .file = choice & 1 ? "/src/a.c" : NULL,
						       .line = choice,
						       .offset = 16 * choice};
			ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
		}
		site.counters = sample_counters(1 + i, 10, 3, 2);
		ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	}
	return snapshot;
}

/* Whether the stack that begins at this node (from 1, 0: none) is that of a site of the snapshot.
 */
static bool is_stack(const struct page *page, uint64_t node, const struct snapshot *snapshot,
		     const struct snapshot_site *site)
{
	for (size_t k = 0; k < site->frame_count; k++) {
		if (!node || value(page, "nodes", "frame", node - 1) !=
				     snapshot->stacks[site->first_frame + k])
			return false;
		uint64_t up = value(page, "nodes", "up", node - 1);
		ck_assert(up <= node - 1);
		node = up ? node - up : 0;
	}
	return !node;
}

static void expect_site(const struct page *page, size_t row, const struct snapshot *snapshot,
			struct charge *charge, size_t *sites)
{
	uint64_t node = value(page, "sites", "leaf", row), peak_bytes = 0;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		if (!is_stack(page, node, snapshot, site))
			continue;
		size_t charged = charge_frame(charge, site);
		peak_bytes += site->counters.peak_bytes;
		++*sites;
		ck_assert_uint_eq(value(page, "sites", "charged", row),
				  charged == SIZE_MAX ? 0 : charged);
		for (size_t k = 0; k < site->frame_count; k++)
			ck_assert_uint_eq(value(page, "frames", "own",
						snapshot->stacks[site->first_frame + k]),
					  charge_counts(charge, site, k));
	}
	ck_assert_uint_eq(value(page, "sites", "peak_bytes", row), peak_bytes);
}

START_TEST(every_stack_stands_once_with_its_charged_frame_and_its_sums)
{
	struct snapshot *snapshot = tangle((uint64_t)_i, 300);
	struct query query = {.charge = _i % 2 ? QUERY_CHARGE_CALLEE : QUERY_CHARGE_CALLER};
	_cleanup_page_ struct page page = render(snapshot, query);
	_cleanup_charge_ struct charge charge;
	size_t sites = 0, rows = value(&page, "sites", "count", 0);
	ck_assert_ptr_null(charge_init(&charge, snapshot, &query));
	ck_assert_uint_gt(rows, 20);
	ck_assert_uint_lt(rows, 300);
	ck_assert_uint_lt(value(&page, "nodes", "count", 0), snapshot->stack_count);
	for (size_t row = 0; row < rows; row++)
		expect_site(&page, row, snapshot, &charge, &sites);
	ck_assert_uint_eq(sites, 300);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(names_are_text_whatever_they_are)
{
	static const char *const names[] = {
		"</script><script>alert(1)</script>",
		"<!-- data -->",
		"a\"b\\c'd&amp;",
		"\xe2\x80\xae evil",
		"\xff\xfe",
		"tab\there\nline",
		"\xc3\xa9\xf0\x9f\x98\x80",
		"",
	};
	enum { COUNT = sizeof names / sizeof *names };
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	for (uint32_t i = 0; i < COUNT; i++)
		sample_site(snapshot, sample_frame(names[i], names[i], i + 1, names[i]),
			    sample_counters(8, 4, 2, 1));
	for (size_t i = 0; i < snapshot->site_count; i++)
		snapshot->sites[i].process = SNAPSHOT_NO_PROCESS;
	sample_command(snapshot, names, 3);
	_cleanup_page_ struct page page = render(snapshot, (struct query){.top = 1});
	ck_assert_ptr_null(strpbrk(buffer_text(&page.data), "<>&'"));
	ck_assert_ptr_null(strstr(buffer_text(&page.data), "\xe2\x80\xae"));
	for (uint32_t i = 0; i < COUNT; i++) {
		_cleanup_buffer_ struct buffer want = {0};
		for (const char *rest = names[i]; *rest; rest++) {
			char one[2] = {*rest};
			if (*rest == '\t')
				buffer_char(&want, '\t');
			else if ((unsigned char)*rest < 0x80)
				buffer_escaped(&want, one);
			else {
				buffer_escaped(&want, rest);
				break;
			}
		}
		ck_assert_str_eq(string(&page, "function", i), buffer_text(&want));
		ck_assert_str_eq(string(&page, "file", i), buffer_text(&want));
	}
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(sites_that_filters_leave_out_do_not_stand_on_the_page)
{
	struct snapshot *snapshot = sample_snapshot();
	struct query_filter filter = {
		.inclusive = true, .kind = FILTER_FILE, .pattern = "*/table.c"};
	struct query query = {.filters = &filter, .filter_count = 1, .top = 10};
	struct snapshot_detail_site held[] = {{100, 1, 0}, {50, 2, 2}, {7, 1, 3}};
	struct snapshot_detail_point point = {.current_bytes = 157, .current_blocks = 4};
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &held[i]));
	ck_assert_ptr_null(snapshot_add_detail_point(snapshot, &point));
	_cleanup_page_ struct page page = render(snapshot, query);
	ck_assert_uint_eq(value(&page, "sites", "count", 0), 2);
	const json_t *sites =
		json_object_get(json_array_get(at(&page, "details", NULL), 0), "sites");
	ck_assert_uint_eq(json_array_size(sites), 4);
	ck_assert_int_eq(json_integer_value(json_array_get(sites, 0)), 0);
	ck_assert_int_eq(json_integer_value(json_array_get(sites, 1)), 50);
	ck_assert_int_eq(json_integer_value(json_array_get(sites, 2)), 1);
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(the_page_is_whole_and_loads_nothing)
{
	struct snapshot *snapshot = sample_snapshot();
	_cleanup_page_ struct page page = render(snapshot, (struct query){.top = 10});
	const char *text = buffer_text(&page.text);
	ck_assert_int_eq(strncmp(text, "<!DOCTYPE html>\n", 16), 0);
	ck_assert_str_eq(text + page.text.count - 8, "</html>\n");
	ck_assert_ptr_nonnull(strstr(text, "default-src 'none'; style-src 'sha256-"));
	ck_assert_ptr_nonnull(strstr(text, "script-src 'sha256-"));
	ck_assert_ptr_null(strstr(text, "STYLE_HASH"));
	ck_assert_ptr_null(strstr(text, "SCRIPT_HASH"));
	ck_assert_ptr_null(strstr(text, " src="));
	ck_assert_ptr_null(strstr(text, "url("));
	ck_assert_ptr_null(strstr(text, "@import"));
	ck_assert_ptr_null(strstr(text, "innerHTML"));
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(an_empty_snapshot_has_a_page)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	_cleanup_page_ struct page page = render(snapshot, (struct query){.top = 10});
	ck_assert_uint_eq(value(&page, "sites", "count", 0), 0);
	ck_assert_uint_eq(value(&page, "nodes", "count", 0), 0);
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("html");
	TCase *cases = tcase_create("html");
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, the_data_of_a_small_session_is_as_agreed);
	tcase_add_loop_test(cases, every_stack_stands_once_with_its_charged_frame_and_its_sums, 0,
			    6);
	tcase_add_test(cases, names_are_text_whatever_they_are);
	tcase_add_test(cases, sites_that_filters_leave_out_do_not_stand_on_the_page);
	tcase_add_test(cases, the_page_is_whole_and_loads_nothing);
	tcase_add_test(cases, an_empty_snapshot_has_a_page);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
