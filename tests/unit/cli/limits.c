/* SPDX-License-Identifier: MIT */
#include "cli/limits.h"

#include <check.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* A session that leaked and used as said; looked: for unreachable blocks, of which it has `lost`.
 */
static struct snapshot *make(uint64_t live, uint64_t peak, bool looked, uint64_t lost)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	struct snapshot_frame frame = {.file = "/src/a.c", .line = 7, .function = "f"};
	struct snapshot_site site = {
		.process = SNAPSHOT_NO_PROCESS,
		.counters = {.current_bytes = live,
			     .current_blocks = 1,
			     .total_bytes = live,
			     .total_blocks = 1,
			     .peak_bytes = peak,
			     .peak_blocks = 1,
			     .unreachable = {.direct_bytes = lost, .direct_blocks = looked}}};
	snapshot->scan.looked_at = looked;
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	return snapshot;
}

static bool exceeds(const char *text, const struct snapshot *old, const struct snapshot *snapshot)
{
	struct limits limits = {.count = 0};
	struct query query = {.top = 10};
	bool exceeded;
	ck_assert(limits_parse(&limits, text));
	struct error *err = limits_check(&limits, &query, old, snapshot, &exceeded);
	ck_assert_msg(!err, "%s", err ? error_message(err) : "");
	return exceeded;
}

START_TEST(a_limit_is_exceeded_by_one_byte_more)
{
	struct snapshot *snapshot = make(1024, 2048, true, 0);
	ck_assert(!exceeds("leaked=1KiB,peak=2KiB,current=1k,total=1024", NULL, snapshot));
	ck_assert(exceeds("leaked=1023", NULL, snapshot));
	ck_assert(exceeds("peak=2047,leaked=1k", NULL, snapshot));
	ck_assert(exceeds("current=1023", NULL, snapshot));
	ck_assert(exceeds("total=0", NULL, snapshot));
	/* A block of no bytes. */
	ck_assert(exceeds("unreachable=0", NULL, snapshot));
	ck_assert(!exceeds("unreachable=1", NULL, snapshot));
	snapshot_destroy(snapshot);
}
END_TEST

START_TEST(of_one_kind_the_last_counts_and_a_bad_text_changes_nothing)
{
	struct limits limits = {.count = 0};
	ck_assert(limits_parse(&limits, "peak=1,leaked=2,peak=3"));
	ck_assert(!limits_parse(&limits, "leaked=5,peak=x"));
	ck_assert(limits_parse(&limits, "unreachable=1,current=1,total=1,peak=4"));
	ck_assert_uint_eq(limits.count, LIMITS_MAX);
	ck_assert_uint_eq(limits.items[0].bytes, 4);
	ck_assert_uint_eq(limits.items[1].bytes, 2);
	ck_assert(limits_have(&limits, QUERY_UNREACHABLE));
	ck_assert(!limits_have(&limits, QUERY_COUNT));
}
END_TEST

START_TEST(between_two_snapshots_it_is_the_growth_that_counts)
{
	struct snapshot *old = make(1000, 5000, true, 10), *new = make(1500, 4000, true, 10);
	ck_assert(!exceeds("leaked=500,peak=0,unreachable=0", old, new));
	ck_assert(exceeds("leaked=499", old, new));
	ck_assert(!exceeds("leaked=0", new, old));
	snapshot_destroy(old);
	snapshot_destroy(new);
}
END_TEST

static void expect_unknown(const struct snapshot *old, const struct snapshot *snapshot,
			   const char *message)
{
	struct limits limits = {.count = 0};
	struct query query = {.top = 10};
	bool exceeded;
	ck_assert(limits_parse(&limits, "unreachable=1G"));
	_cleanup_error_ struct error *err = limits_check(&limits, &query, old, snapshot, &exceeded);
	ck_assert_ptr_nonnull(err);
	ck_assert_str_eq(error_message(err), message);
}

START_TEST(what_nobody_has_looked_for_is_no_success)
{
	struct snapshot *looked = make(1, 1, true, 0), *not_looked = make(1, 1, false, 0);
	expect_unknown(NULL, not_looked,
		       "cannot check --fail-on unreachable: the snapshot was made without "
		       "--unreachable");
	expect_unknown(not_looked, looked,
		       "cannot check --fail-on unreachable: the snapshot was made without "
		       "--unreachable");
	looked->scan.missed = 1;
	expect_unknown(NULL, looked,
		       "cannot check --fail-on unreachable: not every process was looked at for "
		       "unreachable blocks");
	snapshot_destroy(looked);
	snapshot_destroy(not_looked);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli/limits");
	TCase *tcase = tcase_create("limits");
	tcase_add_test(tcase, a_limit_is_exceeded_by_one_byte_more);
	tcase_add_test(tcase, of_one_kind_the_last_counts_and_a_bad_text_changes_nothing);
	tcase_add_test(tcase, between_two_snapshots_it_is_the_growth_that_counts);
	tcase_add_test(tcase, what_nobody_has_looked_for_is_no_success);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
