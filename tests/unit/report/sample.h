/* SPDX-License-Identifier: MIT */
/*
 * A hand-built snapshot, a source of lines, and the comparison with the files in tests/golden.
 *
 * Used by the tests of this folder, which run from the top of the tree. With
 * TRACEALLOC_UPDATE_GOLDEN set in the environment the files are written instead of compared.
 */
#ifndef TESTS_REPORT_SAMPLE_H
#define TESTS_REPORT_SAMPLE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/report.h"

#define HOSTILE_TEXT                                                                               \
	"\x1b[2J\n\xe2\x80\xae"                                                                    \
	"evil\xff\x7f"                                                                             \
	"\t\xc3\xa9"

static inline void sample_site(struct snapshot *snapshot, struct snapshot_frame frame,
			       struct site_counters counters)
{
	struct snapshot_site site = {.counters = counters};
	ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	struct total_counters *t = &snapshot->totals;
	t->current_bytes += counters.current_bytes;
	t->current_blocks += counters.current_blocks;
	t->peak_bytes += counters.peak_bytes;
	t->peak_blocks += counters.peak_blocks;
	t->total_bytes += counters.total_bytes;
	t->total_blocks += counters.total_blocks;
	t->released_bytes += counters.released_bytes;
	t->released_blocks += counters.released_blocks;
	t->ended_bytes += counters.ended_bytes;
	t->ended_blocks += counters.ended_blocks;
	t->temporary_blocks += counters.temporary_blocks;
	t->failed_calls += counters.failed_calls;
}

/* Counters of a site that made `blocks` blocks of `size`, of which `kept` live and `left` ended. */
static inline struct site_counters sample_counters(uint64_t size, uint64_t blocks, uint64_t kept,
						   uint64_t left)
{
	uint64_t released = blocks - kept - left;
	return (struct site_counters){.current_bytes = size * kept,
				      .current_blocks = kept,
				      .total_bytes = size * blocks,
				      .total_blocks = blocks,
				      .released_bytes = size * released,
				      .released_blocks = released,
				      .ended_bytes = size * left,
				      .ended_blocks = left,
				      .peak_bytes = size * ((blocks + 1) / 2),
				      .peak_blocks = (blocks + 1) / 2,
				      .largest_bytes = size,
				      .temporary_blocks = released / 4,
				      .lifetime_ns = 1000 * released};
}

static inline struct snapshot_frame sample_frame(const char *file, const char *label, uint32_t line,
						 const char *function)
{
	return (struct snapshot_frame){.file = file,
				       .label = label,
				       .function = function,
				       .module = "/usr/bin/parser",
				       .line = line};
}

static inline void sample_sites(struct snapshot *snapshot)
{
	sample_site(snapshot, sample_frame("/home/u/p/src/parse.c", "src/parse.c", 414, "parse"),
		    sample_counters(429875, 2, 1, 0));
	sample_site(snapshot, sample_frame("/home/u/p/src/parse.c", "src/parse.c", 77, "grow"),
		    sample_counters(1000, 500, 100, 50));
	sample_site(snapshot, sample_frame("/home/u/p/src/table.c", "src/table.c", 9, "table_new"),
		    sample_counters(64, 4000, 3000, 0));
	sample_site(snapshot, sample_frame("/home/u/p/src/table.c", "src/table.c", 12, "table_new"),
		    sample_counters(0, 3, 3, 0));
	sample_site(snapshot,
		    (struct snapshot_frame){.function = "xmlNewNode",
					    .module = "/usr/lib/libxml2.so.2",
					    .offset = 0x4711},
		    sample_counters(120, 600, 1, 0));
	sample_site(snapshot, (struct snapshot_frame){.module = "/opt/closed.so", .offset = 0xabc},
		    sample_counters(33, 7, 1, 6));
}

static inline void sample_around(struct snapshot *snapshot)
{
	struct snapshot_process processes[] = {
		{.pid = 4242, .command = "parser", .exited = true, .engine = "mixed"},
		{.pid = 4250,
		 .parent = 4242,
		 .command = "helper",
		 .signalled = true,
		 .signal = 9,
		 .engine = "breakpoint"},
	};
	struct snapshot_probe probes[] = {
		{.pid = 4242, .function = "malloc", .module = "/lib/libc.so.6", .kind = "jump"},
		{.pid = 4242,
		 .function = "valloc",
		 .module = "/lib/libc.so.6",
		 .kind = "breakpoint",
		 .reason = "a jump leads into its first five bytes"},
	};
	struct snapshot_blind_module blind[] = {
		{.module = "/usr/lib/libxml2.so.2", .build_id = "ab12cd34", .sites = 1},
		{.module = "/opt/closed.so", .build_id = NULL, .sites = 1},
		{.module = "/opt/b.so", .build_id = "../../../etc/passwd", .sites = 1},
		{.module = "/opt/c.so", .build_id = "99", .sites = 1},
		{.module = "/opt/d.so", .build_id = "0011", .sites = 1},
	};
	for (size_t i = 0; i < 2; i++)
		ck_assert_ptr_null(snapshot_add_process(snapshot, &processes[i]));
	for (size_t i = 0; i < 2; i++)
		ck_assert_ptr_null(snapshot_add_probe(snapshot, &probes[i]));
	for (size_t i = 0; i < 5; i++)
		ck_assert_ptr_null(snapshot_add_blind_module(snapshot, &blind[i]));
	struct snapshot_module module = {"/usr/bin/parser", "ab12cd34"};
	ck_assert_ptr_null(snapshot_add_module(snapshot, &module));
	for (uint64_t i = 0; i < 2; i++) {
		struct snapshot_timeline_point point = {i << 20, 1000 * i, i};
		ck_assert_ptr_null(snapshot_add_timeline_point(snapshot, &point));
	}
}

static inline void sample_command(struct snapshot *snapshot, const char *const *words, size_t count)
{
	snapshot->command = calloc(count + 1, sizeof *snapshot->command);
	for (size_t i = 0; i < count; i++)
		snapshot->command[i] = words[i];
	snapshot->command_count = count;
}

static inline struct snapshot *sample_snapshot(void)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	sample_command(snapshot, (const char *[]){"./parser", "-v", "a b.xml"}, 3);
	snapshot->pid = 4242;
	snapshot->started_unix_ns = 1700000000123456789;
	snapshot->duration_ns = 5678000000;
	snapshot->depth = 64;
	snapshot->machine =
		(struct snapshot_machine){"host", "Linux 6.1.0", "x86_64", "tracealloc"};
	snapshot->totals.peak_at_ns = 1234000000;
	snapshot->totals.events = 8142;
	snapshot->cost = (struct snapshot_cost){.target_stopped_ns = 123400000,
						.stops = 456,
						.install_freeze_ns = 2500000,
						.remove_freeze_ns = 1500000,
						.tracer_cpu_ns = 87600000,
						.tracer_rss_bytes = 12345678};
	sample_sites(snapshot);
	sample_around(snapshot);
	ck_assert_ptr_null(snapshot_check(snapshot));
	return snapshot;
}

/* A later session of the same program: a row grew, one shrank, one vanished, one is new. */
static inline struct snapshot *sample_later(void)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	sample_command(snapshot, (const char *[]){"./parser", "other.xml"}, 2);
	snapshot->pid = 4343;
	snapshot->started_unix_ns = 1700000100000000000;
	snapshot->duration_ns = 1000000000;
	sample_site(snapshot, sample_frame("/srv/p/src/parse.c", "src/parse.c", 414, "parse"),
		    sample_counters(429875, 20, 10, 0));
	sample_site(snapshot, sample_frame("/srv/p/src/parse.c", "src/parse.c", 77, "grow"),
		    sample_counters(1000, 50, 10, 5));
	sample_site(snapshot, sample_frame("/srv/p/src/table.c", "src/table.c", 9, "table_new"),
		    sample_counters(64, 4000, 3000, 0));
	sample_site(snapshot, sample_frame("/srv/p/src/new.c", "src/new.c", 3, "fresh"),
		    sample_counters(10, 3, 3, 0));
	for (size_t i = 0; i < snapshot->site_count; i++)
		snapshot->sites[i].process = SNAPSHOT_NO_PROCESS;
	ck_assert_ptr_null(snapshot_check(snapshot));
	return snapshot;
}

/* The same with everything that can be odd, and with names that want to harm. */
static inline struct snapshot *sample_hostile(void)
{
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	sample_command(snapshot, (const char *[]){HOSTILE_TEXT, "\xc0\x80"}, 2);
	snapshot->origin = SNAPSHOT_ATTACH;
	snapshot->pid = 1;
	snapshot->lost_events = UINT64_MAX;
	snapshot->truncated_stacks = 1;
	snapshot->incomplete_stacks = 2;
	sample_site(snapshot, sample_frame(HOSTILE_TEXT, HOSTILE_TEXT, 1, HOSTILE_TEXT),
		    sample_counters(1, 2, 1, 0));
	sample_site(snapshot,
		    (struct snapshot_frame){.function = HOSTILE_TEXT, .module = HOSTILE_TEXT},
		    sample_counters(1, 1, 1, 0));
	sample_site(snapshot, (struct snapshot_frame){.module = HOSTILE_TEXT},
		    (struct site_counters){.current_bytes = INT64_MAX,
					   .current_blocks = 1,
					   .total_bytes = INT64_MAX,
					   .total_blocks = 1,
					   .peak_bytes = INT64_MAX,
					   .peak_blocks = 1,
					   .failed_calls = 1});
	struct snapshot_blind_module blind = {.module = HOSTILE_TEXT, .build_id = HOSTILE_TEXT};
	ck_assert_ptr_null(snapshot_add_blind_module(snapshot, &blind));
	struct snapshot_process process = {.pid = 1, .command = HOSTILE_TEXT, .engine = "none"};
	ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
	struct total_counters *t = &snapshot->totals;
	t->unknown_releases = 2;
	t->inherited_releases = 3;
	t->null_releases = 4;
	t->implied_releases = 5;
	return snapshot;
}

/* Line n of a file: indented, with a tab inside; some lines are empty or cannot be found. */
static inline const char *sample_line(void *context, const char *file, uint32_t line)
{
	(void)context;
	static char text[128];
	if (strcmp(file, HOSTILE_TEXT) == 0)
		return "  " HOSTILE_TEXT "\r";
	if (line == 9)
		return NULL;
	if (line == 12)
		return " \t ";
	snprintf(text, sizeof text, "\t\tp%u = malloc(n);\t/* %s */ \n", line, strrchr(file, '/'));
	return text;
}

static const struct report_source sample_source = {.line = sample_line};

static inline bool sample_write(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");
	return file && fputs(text, file) >= 0;
}

/* The contents of a file or of a pipe; ended by NUL. */
static inline void sample_read(FILE *file, struct buffer *ret)
{
	char piece[4096];
	size_t count;
	while ((count = fread(piece, 1, sizeof piece, file)))
		buffer_append(ret, piece, count);
}

static inline void expect_golden(const char *name, const struct buffer *got)
{
	char path[256];
	snprintf(path, sizeof path, "tests/golden/%s", name);
	if (getenv("TRACEALLOC_UPDATE_GOLDEN"))
		ck_assert(sample_write(path, buffer_text(got)));
	_cleanup_buffer_ struct buffer want = {0};
	_cleanup_fclose_ FILE *file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s cannot be read; run from the top of the tree", path);
	sample_read(file, &want);
	ck_assert_str_eq(buffer_text(got), buffer_text(&want));
}

#endif
