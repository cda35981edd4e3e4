/* SPDX-License-Identifier: MIT */
#include "snapshot/suppress.h"

#include <check.h>
#include <stdlib.h>

#include "snapshot/query.h"

START_TEST(patterns_mean_what_they_mean_in_leak_sanitizer)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"oo", "foobar", true},
		{"foo", "foo", true},
		{"fooo", "foo", false},
		{"^foo", "foobar", true},
		{"^oo", "foobar", false},
		{"bar$", "foobar", true},
		{"foo$", "foobar", false},
		{"foo$", "foofoo", true},
		{"^foo$", "foo", true},
		{"^foo$", "foobar", false},
		{"f*r", "foobar", true},
		{"f*x", "foobar", false},
		{"^*bar$", "foobar", true},
		{"^f*b*r$", "foobar", true},
		{"^foo*$", "foobar", true},
		{"o*o", "foobar", true},
		{"b*o", "foobar", false},
		{"a$r", "foobar", false},
		{"a$r", "a$r", true},
		{"foo", "", false},
		{"foo", NULL, false},
		{"^libx.so", "/usr/lib/libx.so", false},
		{"*libx.so$", "/usr/lib/libx.so", true},
		{"(", "f(int)", true},
		{"^a*a$", "a", false},
		{"ab*ab$", "abab", true},
		{"ab*ab$", "ab", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_msg(suppress_matches(cases[i].pattern, cases[i].text) == cases[i].matches,
			      "'%s' and '%s'", cases[i].pattern,
			      cases[i].text ? cases[i].text : "(null)");
}
END_TEST

static void add(struct snapshot *snapshot, const char *function, const char *module, uint64_t bytes)
{
	struct snapshot_frame inner = {.function = "malloc", .module = "/lib/libc.so.6"};
	struct snapshot_frame frame = {.file = "/src/a.c",
				       .line = (uint32_t)bytes,
				       .function = function,
				       .module = module};
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = bytes,
			     .current_blocks = 1,
			     .total_bytes = bytes,
			     .total_blocks = 1,
			     .unreachable = {.direct_bytes = bytes, .direct_blocks = 1}}};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &inner));
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
}

START_TEST(what_matches_is_counted_by_the_first_pattern_and_not_shown)
{
	static const struct query_suppression suppressions[] = {
		{"^known", "f:1"}, {"libx", "f:2"}, {"known_too", "f:3"}};
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	add(snapshot, "known", "/bin/prog", 1);
	add(snapshot, "known_too", "/lib/libx.so", 2);
	add(snapshot, "other", "/lib/libx.so", 4);
	add(snapshot, "unknown", "/bin/prog", 8);
	static const struct {
		enum query_show show;
		uint64_t shown, by_first, by_second;
	} cases[] = {{QUERY_UNREACHABLE, 8, 3, 4},
		     {QUERY_LEAKED, 8, 3, 4},
		     {QUERY_CURRENT, 15, 0, 0},
		     {QUERY_TOTAL, 15, 0, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct query query = {.show = cases[i].show,
				      .top = 10,
				      .suppressions = suppressions,
				      .suppression_count = 3};
		struct table table;
		ck_assert_ptr_null(query_run(snapshot, &query, &table));
		ck_assert_uint_eq(table.shown_bytes, cases[i].shown);
		ck_assert_uint_eq(table.suppressed[0].bytes, cases[i].by_first);
		ck_assert_uint_eq(table.suppressed[1].bytes, cases[i].by_second);
		ck_assert_uint_eq(table.suppressed[2].bytes, 0);
		table_deinit(&table);
	}
	snapshot_destroy(snapshot);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot/suppress");
	TCase *tcase = tcase_create("suppress");
	tcase_add_test(tcase, patterns_mean_what_they_mean_in_leak_sanitizer);
	tcase_add_test(tcase, what_matches_is_counted_by_the_first_pattern_and_not_shown);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
