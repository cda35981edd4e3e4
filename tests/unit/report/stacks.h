/* SPDX-License-Identifier: MIT */
/*
 * Hand-built snapshots of whole stacks, for the formats that hold them, and what renders these.
 *
 * Used by the tests of this folder.
 */
#ifndef TESTS_REPORT_STACKS_H
#define TESTS_REPORT_STACKS_H

#include "unit/report/sample.h"

/* Punctuation of every format there is, controls, what is not UTF-8, what looks like a formula. */
#define HOSTILE_NAME                                                                               \
	"=(1) a;b,c\"d'e\\f#g%h<i>&\n"                                                             \
	"fn=x\r\x1b[2J\xff\xe2\x80\xae\t\x7f\xc3\xa9"

static inline void stacks_site(struct snapshot *snapshot, const struct snapshot_frame *frames,
			       size_t count, struct site_counters counters)
{
	for (size_t i = 0; i + 1 < count; i++)
		ck_assert_ptr_null(snapshot_add_frame(snapshot, &frames[i]));
	sample_site(snapshot, frames[count - 1], counters);
}

/* Two moments: one that is known whole, one of which two sites are known. */
static inline void stacks_details(struct snapshot *snapshot)
{
	const struct snapshot_detail_site sites[] = {
		{.site = 0, .bytes = 2000, .blocks = 2},
		{.site = 1, .bytes = 640, .blocks = 10},
		{.site = 6, .bytes = 10, .blocks = 1},
	};
	const struct snapshot_detail_point points[] = {
		{.time_ns = 600000000, .current_bytes = 2000, .current_blocks = 2},
		{.time_ns = 3000000000, .current_bytes = 1000, .current_blocks = 20},
	};
	ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &sites[0]));
	ck_assert_ptr_null(snapshot_add_detail_point(snapshot, &points[0]));
	ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &sites[1]));
	ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &sites[2]));
	ck_assert_ptr_null(snapshot_add_detail_point(snapshot, &points[1]));
}

/*
 * Two modules; a function that calls itself through another one; an inlined one; allocator frames
 * that are passed by; two sites of one stack; a stack that was cut; a stack without
 * any frame.
 */
static inline struct snapshot *stacks_snapshot(void)
{
	static const struct snapshot_frame
		main_frame = {"/s/main.c", "main.c", "main", "main", "/bin/prog", 0x1100, 10, 0},
		walk = {"/s/walk.c", "walk.c", "walk", "walk", "/bin/prog", 0x1200, 20, 0},
		step = {"/s/walk.c", "walk.c", "step", "step", "/bin/prog", 0x1300, 30, 0},
		fill = {"/s/fill.h", "fill.h", "fill", "fill", "/bin/prog", 0x1300, 7, 1},
		grow = {"/usr/include/c++/12/x.h",
			"x.h",
			"std::grow(int)",
			"_ZSt4growi",
			"/bin/prog",
			0x1300,
			99,
			1},
		node = {NULL, NULL, "xmlNewNode", "xmlNewNode", "/lib/libxml2.so.2", 0x4711, 0, 0},
		bare = {NULL, NULL, NULL, NULL, "/opt/closed.so", 0xabc, 0, 0};
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	sample_command(snapshot, (const char *[]){"./prog", "-x", "a b"}, 3);
	snapshot->pid = 4242;
	snapshot->started_unix_ns = 1700000000123456789;
	snapshot->duration_ns = 5678000000;
	snapshot->totals.peak_at_ns = 1234567000;
	snapshot->machine =
		(struct snapshot_machine){"host", "Linux 6.1.0", "x86_64", "tracealloc 0.1.0"};
	sample_around(snapshot);
	stacks_site(snapshot, (struct snapshot_frame[]){main_frame}, 1,
		    sample_counters(1000, 3, 1, 0));
	stacks_site(snapshot,
		    (struct snapshot_frame[]){grow, fill, step, walk, step, walk, main_frame}, 7,
		    sample_counters(64, 100, 20, 5));
	stacks_site(snapshot, (struct snapshot_frame[]){fill, step, walk, main_frame}, 4,
		    sample_counters(500, 8, 0, 0));
	stacks_site(snapshot, (struct snapshot_frame[]){node, walk, main_frame}, 3,
		    sample_counters(120, 60, 1, 0));
	stacks_site(snapshot, (struct snapshot_frame[]){bare, main_frame}, 2,
		    sample_counters(33, 7, 1, 6));
	stacks_site(snapshot, (struct snapshot_frame[]){bare}, 1, sample_counters(1, 1, 1, 0));
	stacks_site(snapshot,
		    (struct snapshot_frame[]){grow, fill, step, walk, step, walk, main_frame}, 7,
		    sample_counters(10, 2, 1, 0));
	struct snapshot_site unknown = {.counters = {.current_bytes = 5,
						     .current_blocks = 1,
						     .total_bytes = 5,
						     .total_blocks = 1}};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &unknown));
	snapshot->totals.current_bytes += 5, snapshot->totals.total_bytes += 5;
	snapshot->totals.current_blocks++, snapshot->totals.total_blocks++;
	snapshot->sites[5].truncated = true;
	stacks_details(snapshot);
	ck_assert_ptr_null(snapshot_check(snapshot));
	return snapshot;
}

/* Every name that can be is hostile. */
static inline struct snapshot *stacks_hostile(void)
{
	static const struct snapshot_frame inner = {HOSTILE_NAME,
						    HOSTILE_NAME,
						    HOSTILE_NAME,
						    HOSTILE_NAME,
						    HOSTILE_NAME,
						    1,
						    2,
						    0},
					   outer = {NULL, NULL, HOSTILE_NAME, NULL, HOSTILE_NAME, 3,
						    0,	  0},
					   bare = {NULL, NULL, NULL, NULL, HOSTILE_NAME, 4, 0, 0};
	struct snapshot *snapshot;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	sample_command(snapshot, (const char *[]){HOSTILE_NAME, "\xc0\x80"}, 2);
	snapshot->pid = 1;
	snapshot->machine =
		(struct snapshot_machine){HOSTILE_NAME, HOSTILE_NAME, HOSTILE_NAME, HOSTILE_NAME};
	struct snapshot_process process = {.pid = 1, .command = HOSTILE_NAME, .engine = "none"};
	struct snapshot_module module = {.path = HOSTILE_NAME, .build_id = HOSTILE_NAME};
	ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
	ck_assert_ptr_null(snapshot_add_module(snapshot, &module));
	stacks_site(snapshot, (struct snapshot_frame[]){inner, outer}, 2,
		    sample_counters(7, 4, 2, 1));
	stacks_site(snapshot, (struct snapshot_frame[]){bare, inner}, 2,
		    sample_counters(3, 2, 1, 0));
	return snapshot;
}

/* Renders a snapshot in a format of whole stacks. */
static inline void stacks_render(const char *format, const struct snapshot *snapshot,
				 struct query query, struct buffer *out)
{
	_cleanup_selection_ struct selection selection = {0};
	ck_assert_ptr_null(selection_make(snapshot, &query, &selection));
	ck_assert_ptr_null(report_format(format)->write_stacks(&selection, &sample_source, out));
}

#endif
