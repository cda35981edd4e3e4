/* SPDX-License-Identifier: MIT */
/*
 * Threads, sizes, ages, lifetimes and waste against the log of a target that knows them of each of
 * its blocks, through either engine, live and from a saved snapshot.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/size_class.h"
#include "lib/engine.h"
#include "lib/suite.h"
#include "lib/tracealloc.h"
#include "lib/truth.h"

/* A block of the target's log. */
struct logged {
	int64_t size, usable, thread, lifetime_ns; /* -1: it lives */
};

struct fixture {
	struct scratch scratch;
	char *program;
	char *snapshot;
	struct logged *blocks;
	size_t count;
};

static void fixture_free(struct fixture *fixture)
{
	free(fixture->program);
	free(fixture->snapshot);
	free(fixture->blocks);
	scratch_remove(&fixture->scratch);
}
#define _cleanup_fixture_ __attribute__((__cleanup__(fixture_free)))

static void load_log(struct fixture *fixture)
{
	_cleanup_json_ json_t *truth = truth_load(&fixture->scratch, "traced.out");
	const json_t *blocks = json_object_get(truth, "blocks");
	fixture->count = json_array_size(blocks);
	fixture->blocks = calloc(fixture->count, sizeof *fixture->blocks);
	for (size_t i = 0; i < fixture->count; i++) {
		const json_t *one = json_array_get(blocks, i);
		fixture->blocks[i] = (struct logged){json_integer_value(json_array_get(one, 0)),
						     json_integer_value(json_array_get(one, 1)),
						     json_integer_value(json_array_get(one, 2)),
						     json_integer_value(json_array_get(one, 3))};
	}
	ck_assert_uint_gt(fixture->count, 50);
}

/* Runs the target under `keep` and has its log and a snapshot. */
static void prepare(struct fixture *ret, int engine, const char *mode, const char *keep,
		    struct report *report)
{
	scratch_make(&ret->scratch);
	ret->program = suite_target("traits");
	ret->snapshot = scratch_file(&ret->scratch, "a.snapshot");
	int status = tracealloc_run(&ret->scratch,
				    ARGV("--engine", engine_name(engine), "--keep", keep, "--show",
					 "total", "--output", ret->snapshot),
				    ARGV(ret->program, mode), report);
	ck_assert_int_eq(status, 0);
	load_log(ret);
}

/* The answer of `tracealloc report` to options, as JSON with all rows. */
static void ask(const struct fixture *fixture, const char *const options[], struct report *ret)
{
	_cleanup_free_ char *path = scratch_file(&fixture->scratch, "asked.json");
	const char *words[24] = {"report", "--format=json",  "--top=100000", "--report",
				 path,	   fixture->snapshot};
	size_t count = 6;
	for (size_t i = 0; options[i]; i++)
		words[count++] = options[i];
	int status = tracealloc_call(&fixture->scratch, words);
	_cleanup_free_ char *errors = tracealloc_text(&fixture->scratch, "call.err");
	ck_assert_msg(status == 0, "status %#x: %s", status, errors);
	_cleanup_free_ char *text = scratch_read(path, NULL);
	ret->root = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(ret->root);
}

static int64_t integer(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	ck_assert_msg(json_is_integer(value), "no integer '%s'", key);
	return json_integer_value(value);
}

/* The only row whose `key` is `want`. */
static const json_t *row_of(const struct report *report, const char *key, const char *want)
{
	const json_t *rows = json_object_get(report->root, "rows"), *found = NULL;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		if (strcmp(report_string(row, key), want) != 0)
			continue;
		ck_assert_msg(!found, "two rows of %s", want);
		found = row;
	}
	ck_assert_msg(found != NULL, "no row of %s", want);
	return found;
}

struct sums {
	int64_t blocks, bytes, live_blocks, live_bytes, usable;
};

/* Of the log, what is of a thread (-1: any) and within a range of sizes. */
static struct sums sums_of(const struct fixture *fixture, int64_t thread, uint64_t low,
			   uint64_t high)
{
	struct sums sums = {0};
	for (size_t i = 0; i < fixture->count; i++) {
		const struct logged *one = &fixture->blocks[i];
		if ((thread >= 0 && one->thread != thread) || (uint64_t)one->size < low ||
		    (uint64_t)one->size > high)
			continue;
		sums.blocks++;
		sums.bytes += one->size;
		sums.usable += one->usable;
		sums.live_blocks += one->lifetime_ns < 0;
		sums.live_bytes += one->lifetime_ns < 0 ? one->size : 0;
	}
	return sums;
}

/* The C library allocates for threads, too. */
#define ONLY_TARGET "--filter=function=make"

START_TEST(each_thread_has_what_it_made)
{
	static const char *const names[] = {"traits", "red", "green", "blue"};
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0}, saved = {0};
	prepare(&fixture, _i, "threads", "thread", &live);
	ask(&fixture, ARGV("--group-by=thread", "--show=total", ONLY_TARGET), &saved);
	ck_assert_uint_eq(json_array_size(json_object_get(saved.root, "rows")), 4);
	for (int64_t thread = 0; thread < 4; thread++) {
		const json_t *row = row_of(&saved, "thread", names[thread]);
		struct sums sums = sums_of(&fixture, thread, 0, UINT64_MAX);
		ck_assert_int_eq(integer(row, "total_bytes"), sums.bytes);
		ck_assert_int_eq(integer(row, "total_blocks"), sums.blocks);
		ck_assert_int_eq(integer(row, "current_bytes"), sums.live_bytes);
		ck_assert_int_eq(integer(row, "current_blocks"), sums.live_blocks);
		ck_assert_int_gt(integer(row, "tid"), 0);
	}
	_cleanup_report_ struct report red = {0}, other = {0};
	ask(&fixture, ARGV("--show=total", ONLY_TARGET, "--exclude=thread=[a-qs-z]*"), &red);
	ck_assert_int_eq(integer(red.root, "shown_bytes"),
			 sums_of(&fixture, 1, 0, UINT64_MAX).bytes);
	char filter[64];
	snprintf(filter, sizeof filter, "--filter=thread=%lld",
		 (long long)integer(row_of(&saved, "thread", "blue"), "tid"));
	ask(&fixture, ARGV("--show=total", filter, "--exclude=file=none"), &other);
	ck_assert_int_eq(report_in_function(&other, "make").total_bytes,
			 sums_of(&fixture, 3, 0, UINT64_MAX).bytes);
}
END_TEST

START_TEST(each_class_of_sizes_has_its_blocks)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0}, saved = {0};
	prepare(&fixture, _i, "threads", "size,thread", &live);
	ask(&fixture, ARGV("--group-by=size", "--show=total", ONLY_TARGET), &saved);
	const json_t *rows = json_object_get(saved.root, "rows");
	int64_t blocks = 0;
	ck_assert_uint_gt(json_array_size(rows), 100);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		struct sums sums = sums_of(&fixture, -1, (uint64_t)integer(row, "low_bytes"),
					   (uint64_t)integer(row, "high_bytes"));
		ck_assert_int_eq(integer(row, "total_bytes"), sums.bytes);
		ck_assert_int_eq(integer(row, "total_blocks"), sums.blocks);
		ck_assert_int_eq(integer(row, "current_blocks"), sums.live_blocks);
		blocks += sums.blocks;
	}
	ck_assert_int_eq(blocks, (int64_t)fixture.count);
	_cleanup_report_ struct report some = {0};
	ask(&fixture, ARGV("--show=total", "--filter=size=64..4096", "--exclude=thread=blue"),
	    &some);
	struct sums all = sums_of(&fixture, -1, 64, 4096), blue = sums_of(&fixture, 3, 64, 4096);
	ck_assert_int_eq(report_in_function(&some, "make").total_bytes, all.bytes - blue.bytes);
}
END_TEST

/* Through each engine; ages and sizes at once, live as saved. */
START_TEST(the_histogram_of_sizes_is_that_of_the_log)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0}, saved = {0};
	prepare(&fixture, _i, "ages", "size", &live);
	ask(&fixture, ARGV("--histogram=size", "--show=total", ONLY_TARGET), &saved);
	const json_t *histogram = json_object_get(saved.root, "histogram");
	const json_t *classes = json_object_get(histogram, "classes");
	ck_assert_str_eq(report_string(histogram, "of"), "size");
	int64_t blocks = 0;
	for (size_t i = 0; i < json_array_size(classes); i++) {
		const json_t *one = json_array_get(classes, i);
		struct sums sums = sums_of(&fixture, -1, (uint64_t)integer(one, "low_bytes"),
					   (uint64_t)integer(one, "high_bytes"));
		ck_assert_int_eq(integer(one, "total_bytes"), sums.bytes);
		ck_assert_int_eq(integer(one, "total_blocks"), sums.blocks);
		ck_assert_int_eq(integer(one, "current_bytes"), sums.live_bytes);
		ck_assert_int_eq(integer(one, "current_blocks"), sums.live_blocks);
		blocks += sums.blocks;
	}
	ck_assert_int_eq(blocks, (int64_t)fixture.count);
	/* Of the whole session there may be more, by libraries. */
	_cleanup_report_ struct report whole = {0};
	ask(&fixture, ARGV("--histogram=size"), &whole);
	classes = json_object_get(json_object_get(whole.root, "histogram"), "classes");
	int64_t bytes = 0;
	for (size_t i = 0; i < json_array_size(classes); i++)
		bytes += integer(json_array_get(classes, i), "total_bytes");
	ck_assert_int_eq(bytes, report_total(&whole, "total_bytes"));
}
END_TEST

enum { SLACK_MS = 60 };

/* Blocks of the log that lived for at least so long. */
static int64_t lived(const struct fixture *fixture, int64_t ns)
{
	int64_t count = 0;
	for (size_t i = 0; i < fixture->count; i++)
		count += fixture->blocks[i].lifetime_ns >= ns;
	return count;
}

/*
 * The clocks of target and tracer are read at different moments, so each class may be off by what
 * lies within a few milliseconds of its borders: of the log's lifetimes nothing does, unless the
 * machine stalls.
 */
START_TEST(the_histogram_of_lifetimes_is_that_of_the_log)
{
	static const int64_t borders_ns[] = {100000000, 200000000, 500000000, 1000000000};
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0}, saved = {0};
	prepare(&fixture, _i, "ages", "size", &live);
	ask(&fixture, ARGV("--histogram=lifetime"), &saved);
	const json_t *classes =
		json_object_get(json_object_get(saved.root, "histogram"), "classes");
	int64_t all = 0;
	for (size_t i = 0; i < json_array_size(classes); i++)
		all += integer(json_array_get(classes, i), "blocks");
	ck_assert_int_eq(all, report_total(&saved, "released_blocks"));
	for (size_t b = 0; b < sizeof borders_ns / sizeof *borders_ns; b++) {
		int64_t slack_ns = SLACK_MS * INT64_C(1000000), above = 0;
		for (size_t i = 0; i < json_array_size(classes); i++)
			if (integer(json_array_get(classes, i), "low_ns") >= borders_ns[b])
				above += integer(json_array_get(classes, i), "blocks");
		ck_assert_int_ge(above, lived(&fixture, borders_ns[b] + slack_ns));
		ck_assert_int_le(above, lived(&fixture, borders_ns[b] - slack_ns));
	}
	ck_assert_int_ge(lived(&fixture, 100000000), 80);
}
END_TEST

START_TEST(ages_tell_old_blocks_from_young_ones)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0}, old = {0}, young = {0}, all = {0};
	prepare(&fixture, _i, "ages", "size", &live);
	/* 40 blocks lived for 350 ms when the last one was made. */
	ask(&fixture, ARGV("--show=current", "--filter=age=>200ms"), &old);
	struct report_figures figures = report_labelled(&old, "traits.c");
	ck_assert_int_eq(figures.blocks, 40);
	ck_assert_int_eq(figures.current_blocks, 40);
	ask(&fixture, ARGV("--show=leaked", "--exclude=age=>200ms"), &young);
	ck_assert_int_eq(report_labelled(&young, "traits.c").blocks, 1);
	ck_assert_int_eq(report_labelled(&young, "traits.c").bytes, 77);
	ask(&fixture, ARGV("--show=current", "--filter=age=>200ms", "--filter=size=77"), &all);
	ck_assert_int_eq(report_labelled(&all, "traits.c").blocks, 41);
}
END_TEST

static int64_t wasted(const struct fixture *fixture)
{
	_cleanup_report_ struct report report = {0};
	ask(fixture, ARGV("--show=waste", ONLY_TARGET), &report);
	return integer(report.root, "shown_bytes");
}

START_TEST(waste_is_what_malloc_usable_size_says_of_fresh_chunks)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0};
	prepare(&fixture, _i, "fresh", "waste", &live);
	struct sums sums = sums_of(&fixture, -1, 0, UINT64_MAX);
	ck_assert_int_gt(sums.usable, sums.bytes);
	ck_assert_int_eq(wasted(&fixture), sums.usable - sums.bytes);
}
END_TEST

START_TEST(waste_is_at_most_a_little_less_where_chunks_are_used_again)
{
	_cleanup_fixture_ struct fixture fixture = {0};
	_cleanup_report_ struct report live = {0};
	prepare(&fixture, _i, "used", "waste", &live);
	int64_t truth = 0, blocks = 0;
	for (size_t i = 0; i < fixture.count; i++) {
		bool lives = fixture.blocks[i].lifetime_ns < 0;
		truth += lives ? fixture.blocks[i].usable - fixture.blocks[i].size : 0;
		blocks += lives;
	}
	int64_t ours = wasted(&fixture);
	ck_assert_int_le(ours, truth);
	ck_assert_int_ge(ours + 16 * blocks, truth);
}
END_TEST

START_TEST(a_live_answer_is_that_of_the_snapshot)
{
	static const char *const questions[][4] = {
		{"--group-by=size", "--show=leaked"},
		{"--show=waste", "--filter=size=..100"},
		{"--histogram=size", "--exclude=size=64..4096", "--show=total"},
		{"--filter=thread=traits", "--show=total"},
	};
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		_cleanup_fixture_ struct fixture fixture = {0};
		scratch_make(&fixture.scratch);
		fixture.program = suite_target("traits");
		fixture.snapshot = scratch_file(&fixture.scratch, "a.snapshot");
		const char *words[16] = {"run", "--quiet", "--output", fixture.snapshot};
		const char *report[16] = {"report", "--quiet", fixture.snapshot};
		size_t count = 4, asked = 3;
		for (size_t k = 0; k < 4 && questions[i][k]; k++)
			words[count++] = report[asked++] = questions[i][k];
		words[count++] = fixture.program;
		words[count++] = "fresh";
		ck_assert_int_eq(tracealloc_call(&fixture.scratch, words), 0);
		_cleanup_free_ char *live = tracealloc_text(&fixture.scratch, "call.err");
		ck_assert_int_eq(tracealloc_call(&fixture.scratch, report), 0);
		_cleanup_free_ char *saved = tracealloc_text(&fixture.scratch, "call.out");
		ck_assert_uint_gt(strlen(live), 50);
		ck_assert_str_eq(live, saved);
	}
}
END_TEST

START_TEST(a_snapshot_without_them_says_how_to_record_them)
{
	static const char *const questions[][2] = {
		{"--group-by=thread",
		 "it does not tell threads apart: record it with --keep thread"},
		{"--filter=size=8", "it does not tell sizes apart: record it with --keep size"},
		{"--show=waste", "it does not know what is wasted: record it with --keep waste"},
	};
	_cleanup_fixture_ struct fixture fixture = {0};
	scratch_make(&fixture.scratch);
	fixture.program = suite_target("traits");
	fixture.snapshot = scratch_file(&fixture.scratch, "a.snapshot");
	ck_assert_int_eq(tracealloc_call(&fixture.scratch, ARGV("run", "--output", fixture.snapshot,
								fixture.program, "fresh")),
			 0);
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		int status = tracealloc_call(&fixture.scratch,
					     ARGV("report", questions[i][0], fixture.snapshot));
		_cleanup_free_ char *errors = tracealloc_text(&fixture.scratch, "call.err");
		ck_assert_int_eq(WEXITSTATUS(status), 1);
		ck_assert_msg(strstr(errors, questions[i][1]) != NULL, "%s", errors);
		ck_assert_ptr_eq(strchr(errors, '\n') + 1, errors + strlen(errors));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("traits");
	TCase *tests = suite_case(suite, "traits", 120);

	tcase_add_loop_test(tests, each_thread_has_what_it_made, 0, ENGINES);
	tcase_add_loop_test(tests, each_class_of_sizes_has_its_blocks, 0, ENGINES);
	tcase_add_loop_test(tests, the_histogram_of_sizes_is_that_of_the_log, 0, ENGINES);
	tcase_add_loop_test(tests, the_histogram_of_lifetimes_is_that_of_the_log, 0, ENGINES);
	tcase_add_loop_test(tests, ages_tell_old_blocks_from_young_ones, 0, ENGINES);
	tcase_add_loop_test(tests, waste_is_what_malloc_usable_size_says_of_fresh_chunks, 0,
			    ENGINES);
	tcase_add_loop_test(tests, waste_is_at_most_a_little_less_where_chunks_are_used_again, 0,
			    ENGINES);
	tcase_add_test(tests, a_live_answer_is_that_of_the_snapshot);
	tcase_add_test(tests, a_snapshot_without_them_says_how_to_record_them);
	return suite_run(suite);
}
