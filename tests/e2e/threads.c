/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate, resize and release across each other, against the log that they keep
 * themselves: nothing is missing, nothing is extra, no size is wrong, through either engine.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/engine.h"
#include "lib/keeper.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "targets/storm.h"

enum {
	THREADS = 16,
	EVENTS_SHORT = 100000,
	EVENTS_LONG = 1000000,
	LINES_MAX = 512,
	/*
	 * A new thread's vector of thread-local storage: one entry a module, 14 in reserve and two
	 * for the header, 16 bytes each, asked for by the dynamic loader (glibc's allocate_dtv).
	 * The program has one module with such storage, the C library.
	 */
	THREAD_VECTOR_BYTES = (1 + 14 + 2) * 16,
};

struct log_sums {
	int64_t created_blocks, created_bytes;
	int64_t released_blocks, released_bytes;
	int64_t line_blocks[LINES_MAX], line_bytes[LINES_MAX];
	int64_t records;
};

static void add_record(const struct storm_record *record, struct log_sums *sums)
{
	bool creates = record->kind != STORM_FREE;
	bool releases = record->kind == STORM_FREE ||
			(record->kind == STORM_REALLOC && !record->resizes_null);

	ck_assert_int_lt(record->line, LINES_MAX);
	sums->records++;
	if (creates) {
		sums->created_blocks++;
		sums->created_bytes += (int64_t)record->size_bytes;
		sums->line_blocks[record->line]++;
		sums->line_bytes[record->line] += (int64_t)record->size_bytes;
	}
	if (releases) {
		sums->released_blocks++;
		sums->released_bytes += (int64_t)record->old_size_bytes;
	}
}

static void load_log(const char *path, struct log_sums *ret)
{
	size_t size;
	_cleanup_free_ char *bytes = scratch_read(path, &size);
	struct storm_record record;

	*ret = (struct log_sums){0};
	ck_assert_int_eq(size % sizeof(record), 0);
	for (size_t at = 0; at < size; at += sizeof(record)) {
		memcpy(&record, bytes + at, sizeof(record));
		add_record(&record, ret);
	}
}

static void expect_log(const struct log_sums *sums, const struct report *report, int64_t threads)
{
	int64_t vector_bytes = threads * THREAD_VECTOR_BYTES;

	ck_assert_int_eq(report_total(report, "total_blocks"), sums->created_blocks + threads);
	ck_assert_int_eq(report_total(report, "total_bytes"), sums->created_bytes + vector_bytes);
	ck_assert_int_eq(report_total(report, "released_blocks"), sums->released_blocks);
	ck_assert_int_eq(report_total(report, "released_bytes"), sums->released_bytes);
	ck_assert_int_eq(report_total(report, "failed_calls"), 0);
	ck_assert_int_eq(report_total(report, "unknown_releases"), 0);
	for (int line = 1; line < LINES_MAX; line++) {
		if (sums->line_blocks[line] == 0)
			continue;
		struct report_figures row = report_at(report, "storm.c", line);
		ck_assert_msg(row.total_blocks == sums->line_blocks[line],
			      "storm.c:%d: %jd blocks, but the log has %jd", line,
			      (intmax_t)row.total_blocks, (intmax_t)sums->line_blocks[line]);
		ck_assert_int_eq(row.total_bytes, sums->line_bytes[line]);
		/* The end releases everything. */
		ck_assert_int_eq(row.current_bytes, 0);
	}
}

static void expect_storm(int engine, int threads, int events)
{
	_cleanup_free_ char *program = suite_target("storm");
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_report_ struct report report = {0};
	char thread_count[16], operations[16];

	scratch_make(&scratch);
	_cleanup_free_ char *log_path = scratch_file(&scratch, "log");
	/* An operation is one or two calls; 1.4 on average once the table is full. */
	snprintf(thread_count, sizeof(thread_count), "%d", threads);
	snprintf(operations, sizeof(operations), "%d", events / threads * 10 / 14);
	int status =
		tracealloc_run(&scratch, ARGV("--engine", engine_name(engine), "--show", "total"),
			       ARGV(program, thread_count, operations, log_path), &report);
	ck_assert_int_eq(status, 0);

	struct log_sums sums;
	load_log(log_path, &sums);
	ck_assert_int_ge(sums.records, events / 2);
	expect_log(&sums, &report, threads);
}

START_TEST(sixteen_threads_lose_and_invent_nothing)
{
	expect_storm(_i, THREADS, suite_is_long() ? EVENTS_LONG : EVENTS_SHORT);
}
END_TEST

START_TEST(one_thread_loses_and_invents_nothing)
{
	expect_storm(_i, 1, suite_is_long() ? EVENTS_LONG / 4 : EVENTS_SHORT / 4);
}
END_TEST

/*
 * More events than a log has room for: the target adds up what it makes. It gives back every block
 * that it has made, so that a block whose end was seen before its beginning, or never, would show
 * as an unknown release, or as current.
 */
START_TEST(eight_threads_in_full_swing_lose_and_invent_nothing)
{
	/* A turn is 1.8 events: in the long run there are 10^8 of them. */
	enum { KEEPERS = 8, TURNS_SHORT = 60000, TURNS_LONG = 7000000 };
	long turns = suite_is_long() ? TURNS_LONG : TURNS_SHORT;
	_cleanup_scratch_ struct scratch scratch = {0};
	_cleanup_keeper_ struct keeper keeper = {0};
	_cleanup_report_ struct report report = {0};

	scratch_make(&scratch);
	keeper_start_traced(&scratch, ARGV("--engine", "jump", "--show", "total"), "rounds",
			    KEEPERS, &keeper);
	keeper_wait_ready(&keeper);
	struct keeper_made made = keeper_play(&keeper, turns);
	keeper_expect_good_end(&keeper);
	ck_assert_int_eq(process_wait(&keeper.process), 0);
	tracealloc_report(&scratch, &report);
	printf("%jd events\n", (intmax_t)report_total(&report, "events"));
	fflush(stdout);
	struct report_figures row = report_in_function(&report, "make");
	struct report_figures resized = report_in_function(&report, "resize");
	ck_assert_int_eq(made.blocks, KEEPERS * turns);
	ck_assert_int_eq(report_at(&report, "keeper.c", 0).total_blocks, made.blocks + KEEPERS);
	ck_assert_int_eq(row.total_blocks + resized.total_blocks, made.blocks);
	ck_assert_int_eq(row.total_bytes + resized.total_bytes, made.bytes);
	ck_assert_int_eq(row.current_blocks + resized.current_blocks, 0);
	ck_assert_int_eq(report_total(&report, "unknown_releases"), 0);
	ck_assert_int_eq(report_total(&report, "implied_releases"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *storm_case = suite_case(suite, "storm", 240);

	tcase_add_loop_test(storm_case, sixteen_threads_lose_and_invent_nothing, 0, ENGINES);
	tcase_add_loop_test(storm_case, one_thread_loses_and_invents_nothing, 0, ENGINES);
	tcase_add_test(storm_case, eight_threads_in_full_swing_lose_and_invent_nothing);
	return suite_run(suite);
}
