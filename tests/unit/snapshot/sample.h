/* SPDX-License-Identifier: MIT */
/*
 * Snapshots made by a generator of numbers, and their comparison member by member.
 *
 * Used by the tests of this folder.
 */
#ifndef TESTS_SNAPSHOT_SAMPLE_H
#define TESTS_SNAPSHOT_SAMPLE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/snapshot.h"

/* The next number of a generator (Knuth's MMIX constants), below limit. */
static inline uint64_t sample_next(uint64_t *state, uint64_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % limit;
}

/* A kept string "PREFIX-N", N below limit; now and then NULL where that may be. */
static inline const char *sample_string(struct snapshot *snapshot, uint64_t *state,
					const char *prefix, uint64_t limit)
{
	char text[64];
	struct error *err = NULL;
	if (sample_next(state, 8) == 0)
		return NULL;
	snprintf(text, sizeof text, "%s-%d\xc3\xa9\x1b", prefix, (int)sample_next(state, limit));
	const char *kept = snapshot_string(snapshot, text, &err);
	ck_assert_ptr_null(err);
	return kept;
}

/* One block of the newest site is young, the others are old; the classes of its size and lifetimes.
 */
static inline void sample_add_kept(struct snapshot *snapshot, const struct site_counters *c,
				   uint64_t size)
{
	struct snapshot_kept more = {0};
	uint32_t site = (uint32_t)snapshot->site_count - 1;
	struct snapshot_age young = {site, {0, 1000}, size, 1};
	struct snapshot_age old = {
		site, {1000, UINT64_MAX}, c->current_bytes - size, c->current_blocks - 1};
	struct snapshot_size_class sizes = {size_power_range(size_power_of(size)), c->total_bytes,
					    c->total_blocks, c->current_bytes, c->current_blocks};
	struct snapshot_lifetime_class lifetimes = {
		lifetime_class_range(lifetime_class_of(c->lifetime_ns)), c->released_bytes,
		c->released_blocks};
	if (c->current_blocks)
		ck_assert_ptr_null(kept_add_age(&snapshot->kept, &young));
	if (c->current_blocks > 1)
		ck_assert_ptr_null(kept_add_age(&snapshot->kept, &old));
	ck_assert_ptr_null(kept_add_size(&more, &sizes));
	ck_assert_ptr_null(kept_add_lifetime(&more, &lifetimes));
	ck_assert_ptr_null(kept_add_histograms(&snapshot->kept, &more));
	kept_deinit(&more);
}

static inline void sample_add_site(struct snapshot *snapshot, uint64_t *state)
{
	size_t depth = sample_next(state, 6);
	for (size_t i = 0; i < depth; i++) {
		struct snapshot_frame frame = {
			.file = sample_string(snapshot, state, "/src/file", 9),
			.label = sample_string(snapshot, state, "file", 9),
			.function = sample_string(snapshot, state, "function", 20),
			.linkage = sample_string(snapshot, state, "_Z", 20),
			.module = sample_string(snapshot, state, "/lib/module", 3),
			.offset = sample_next(state, 1u << 30) << sample_next(state, 33),
			.line = (uint32_t)sample_next(state, 40),
			.inlined = sample_next(state, 2),
		};
		ck_assert_ptr_null(snapshot_add_frame(snapshot, &frame));
	}
	uint64_t size = sample_next(state, 5000), kept = sample_next(state, 9);
	uint64_t left = sample_next(state, 9), released = sample_next(state, 9);
	struct snapshot_site site = {
		.process = sample_next(state, 3) ? (uint32_t)sample_next(state, 2)
						 : SNAPSHOT_NO_PROCESS,
		.truncated = sample_next(state, 2),
		.traits = {.thread = (uint32_t)sample_next(state, 4),
			   .waste_bytes = sample_next(state, 5) ? (uint32_t)sample_next(state, 99)
								: SNAPSHOT_NO_WASTE,
			   .size = size_class_range(size_class_of(size))},
		.counters = {.current_bytes = size * kept,
			     .current_blocks = kept,
			     .released_bytes = size * released,
			     .released_blocks = released,
			     .ended_bytes = size * left,
			     .ended_blocks = left,
			     .total_bytes = size * (kept + left + released),
			     .total_blocks = kept + left + released,
			     .peak_bytes = size * kept / 2,
			     .peak_blocks = kept / 2,
			     .largest_bytes = size,
			     .temporary_blocks = released / 2,
			     .lifetime_ns = sample_next(state, 1u << 30),
			     .failed_calls = sample_next(state, 2),
			     .unreachable = {.direct_bytes = size * kept,
					     .direct_blocks = kept,
					     .indirect_bytes = size * left,
					     .indirect_blocks = left}},
	};
	ck_assert_ptr_null(snapshot_add_site(snapshot, &site));
	sample_add_kept(snapshot, &site.counters, size);
	struct total_counters *t = &snapshot->totals;
	const struct site_counters *c = &site.counters;
	t->current_bytes += c->current_bytes;
	t->current_blocks += c->current_blocks;
	t->peak_bytes += c->peak_bytes;
	t->peak_blocks += c->peak_blocks;
	t->total_bytes += c->total_bytes;
	t->total_blocks += c->total_blocks;
	t->released_bytes += c->released_bytes;
	t->released_blocks += c->released_blocks;
	t->ended_bytes += c->ended_bytes;
	t->ended_blocks += c->ended_blocks;
	t->temporary_blocks += c->temporary_blocks;
	t->failed_calls += c->failed_calls;
	t->unreachable.direct_bytes += c->unreachable.direct_bytes;
	t->unreachable.direct_blocks += c->unreachable.direct_blocks;
	t->unreachable.indirect_bytes += c->unreachable.indirect_bytes;
	t->unreachable.indirect_blocks += c->unreachable.indirect_blocks;
}

static inline void sample_add_around(struct snapshot *snapshot, uint64_t *state)
{
	struct error *err = NULL;
	for (uint32_t i = 0; i < 2; i++) {
		struct snapshot_process process = {
			.pid = 100 + i,
			.inner_pid = i * 7,
			.parent = i * 100,
			.tree = (uint32_t)sample_next(state, 2),
			.command = sample_string(snapshot, state, "command", 5),
			.engine = "breakpoint",
			.exited = i == 0,
			.exit_status = i == 0 ? 3 : 0,
			.signalled = i == 1,
			.signal = i == 1 ? 11 : 0};
		struct snapshot_probe probe = {.pid = 100,
					       .function = "malloc",
					       .module =
						       sample_string(snapshot, state, "/lib/m", 5),
					       .kind = "breakpoint",
					       .reason = NULL};
		struct snapshot_blind_module blind = {
			.module = sample_string(snapshot, state, "/lib/m", 5), .sites = i};
		struct snapshot_module module = {
			.path = sample_string(snapshot, state, "/lib/m", 5),
			.build_id = snapshot_string(snapshot, "00ff", &err)};
		struct snapshot_timeline_point point = {i, 10 * i, 1};
		struct snapshot_source_line line = {"/src/file", "text = malloc(1);", i + 1};
		ck_assert_ptr_null(snapshot_add_process(snapshot, &process));
		ck_assert_ptr_null(snapshot_add_probe(snapshot, &probe));
		ck_assert_ptr_null(snapshot_add_blind_module(snapshot, &blind));
		ck_assert_ptr_null(snapshot_add_module(snapshot, &module));
		ck_assert_ptr_null(snapshot_add_timeline_point(snapshot, &point));
		ck_assert_ptr_null(snapshot_add_source_line(snapshot, &line));
	}
	snapshot_sort_source(snapshot);
}

static inline void sample_add_details(struct snapshot *snapshot, uint64_t *state)
{
	for (uint64_t i = 0; i < 5; i++) {
		struct snapshot_detail_point point = {.time_ns = i * 100};
		for (uint32_t k = 0; k < snapshot->site_count; k++) {
			struct snapshot_detail_site one = {sample_next(state, 5000), 1, k};
			if (sample_next(state, 2))
				continue;
			point.current_bytes += one.bytes;
			point.current_blocks += one.blocks + 1;
			ck_assert_ptr_null(snapshot_add_detail_site(snapshot, &one));
		}
		ck_assert_ptr_null(snapshot_add_detail_point(snapshot, &point));
	}
}

static inline void sample_add_marks(struct snapshot *snapshot, uint64_t *state)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct snapshot_mark mark = {
			.kind = i < 3 ? i % 2 : SNAPSHOT_MARK_TAKEN,
			.name = sample_string(snapshot, state, "mark", 9),
			.time_ns = i * sample_next(state, 100),
			.current_bytes = sample_next(state, 1u << 30) << 20,
		};
		ck_assert_ptr_null(snapshot_add_mark(snapshot, &mark));
	}
}

static inline struct snapshot *sample_random(uint64_t seed, size_t site_count)
{
	struct snapshot *snapshot;
	uint64_t state = seed;
	ck_assert_ptr_null(snapshot_create(&snapshot));
	snapshot->origin = SNAPSHOT_ATTACH;
	snapshot->command = calloc(3, sizeof *snapshot->command);
	snapshot->command[0] = "./prog";
	snapshot->command[1] = "";
	snapshot->command_count = 2;
	snapshot->pid = 4242;
	snapshot->depth = 64;
	snapshot->started_unix_ns = -5;
	snapshot->duration_ns = UINT64_MAX;
	snapshot->machine = (struct snapshot_machine){"host", "Linux 6.1.0", "x86_64", NULL};
	snapshot->totals.peak_at_ns = 7;
	snapshot->totals.unknown_releases = 8;
	snapshot->totals.events = 9;
	snapshot->lost_events = 10;
	snapshot->truncated_stacks = 11;
	snapshot->incomplete_stacks = 12;
	snapshot->cost = (struct snapshot_cost){1, 2, 3, 4, 5, 6};
	snapshot->kept.flags = KEPT_HISTOGRAMS | KEPT_AGES | KEPT_SIZES | KEPT_THREADS | KEPT_WASTE;
	for (uint32_t i = 0; i < 3; i++) {
		struct snapshot_thread thread = {100, 100 + i,
						 sample_string(snapshot, &state, "thread", 5)};
		ck_assert_ptr_null(kept_add_thread(&snapshot->kept, &thread));
	}
	snapshot->scan = (struct snapshot_scan){13, 14, 15, 16};
	snapshot->heap = (struct snapshot_heap){.measured = true,
						.known = true,
						.before_bytes = 17,
						.before_blocks = 18,
						.before_heap_bytes = 19,
						.heap_bytes = 75,
						.used_bytes = 20,
						.used_blocks = 21,
						.free_bytes = 22,
						.overhead_bytes = 33,
						.resident_bytes = 34};
	sample_add_around(snapshot, &state);
	for (size_t i = 0; i < site_count; i++)
		sample_add_site(snapshot, &state);
	sample_add_details(snapshot, &state);
	sample_add_marks(snapshot, &state);
	ck_assert_ptr_null(snapshot_check(snapshot));
	return snapshot;
}

static inline bool sample_same_string(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static inline bool sample_same_frame(const struct snapshot_frame *a, const struct snapshot_frame *b)
{
	return sample_same_string(a->file, b->file) && sample_same_string(a->label, b->label) &&
	       sample_same_string(a->function, b->function) &&
	       sample_same_string(a->linkage, b->linkage) &&
	       sample_same_string(a->module, b->module) && a->offset == b->offset &&
	       a->line == b->line && a->inlined == b->inlined;
}

static inline void sample_expect_same_sites(const struct snapshot *a, const struct snapshot *b)
{
	ck_assert_uint_eq(a->site_count, b->site_count);
	for (size_t i = 0; i < a->site_count; i++) {
		const struct snapshot_site *one = &a->sites[i], *other = &b->sites[i];
		ck_assert_uint_eq(one->frame_count, other->frame_count);
		ck_assert_uint_eq(one->process, other->process);
		ck_assert(one->truncated == other->truncated);
		ck_assert(!memcmp(&one->traits, &other->traits, sizeof one->traits));
		ck_assert(!memcmp(&one->counters, &other->counters, sizeof one->counters));
		for (size_t k = 0; k < one->frame_count; k++)
			ck_assert(sample_same_frame(snapshot_site_frame(a, one, k),
						    snapshot_site_frame(b, other, k)));
	}
}

static inline void sample_expect_same_around(const struct snapshot *a, const struct snapshot *b)
{
	ck_assert_uint_eq(a->process_count, b->process_count);
	for (size_t i = 0; i < a->process_count; i++) {
		const struct snapshot_process *one = &a->processes[i], *other = &b->processes[i];
		ck_assert(one->pid == other->pid && one->inner_pid == other->inner_pid &&
			  one->parent == other->parent && one->tree == other->tree &&
			  one->exited == other->exited && one->exit_status == other->exit_status &&
			  one->signalled == other->signalled && one->signal == other->signal);
		ck_assert(sample_same_string(one->command, other->command));
		ck_assert(sample_same_string(one->engine, other->engine));
	}
	ck_assert_uint_eq(a->probe_count, b->probe_count);
	for (size_t i = 0; i < a->probe_count; i++) {
		const struct snapshot_probe *one = &a->probes[i], *other = &b->probes[i];
		ck_assert(one->pid == other->pid &&
			  sample_same_string(one->function, other->function) &&
			  sample_same_string(one->module, other->module) &&
			  sample_same_string(one->kind, other->kind) &&
			  sample_same_string(one->reason, other->reason));
	}
	ck_assert_uint_eq(a->module_count, b->module_count);
	for (size_t i = 0; i < a->module_count; i++)
		ck_assert(sample_same_string(a->modules[i].path, b->modules[i].path) &&
			  sample_same_string(a->modules[i].build_id, b->modules[i].build_id));
	ck_assert_uint_eq(a->blind_module_count, b->blind_module_count);
	for (size_t i = 0; i < a->blind_module_count; i++)
		ck_assert(sample_same_string(a->blind_modules[i].module,
					     b->blind_modules[i].module) &&
			  sample_same_string(a->blind_modules[i].build_id,
					     b->blind_modules[i].build_id) &&
			  a->blind_modules[i].sites == b->blind_modules[i].sites);
}

static inline void sample_expect_same_kept(const struct snapshot_kept *a,
					   const struct snapshot_kept *b)
{
	ck_assert(a->flags == b->flags && a->thread_count == b->thread_count &&
		  a->age_count == b->age_count && a->size_count == b->size_count &&
		  a->lifetime_count == b->lifetime_count);
	for (size_t i = 0; i < a->thread_count; i++)
		ck_assert(a->threads[i].pid == b->threads[i].pid &&
			  a->threads[i].tid == b->threads[i].tid &&
			  sample_same_string(a->threads[i].name, b->threads[i].name));
	for (size_t i = 0; i < a->age_count; i++)
		ck_assert(a->ages[i].site == b->ages[i].site &&
			  a->ages[i].age.low_ns == b->ages[i].age.low_ns &&
			  a->ages[i].age.high_ns == b->ages[i].age.high_ns &&
			  a->ages[i].bytes == b->ages[i].bytes &&
			  a->ages[i].blocks == b->ages[i].blocks);
	for (size_t i = 0; i < a->size_count; i++)
		ck_assert(!memcmp(&a->sizes[i], &b->sizes[i], sizeof a->sizes[i]));
	for (size_t i = 0; i < a->lifetime_count; i++)
		ck_assert(!memcmp(&a->lifetimes[i], &b->lifetimes[i], sizeof a->lifetimes[i]));
}

static inline void sample_expect_same_marks(const struct snapshot *a, const struct snapshot *b)
{
	ck_assert_uint_eq(a->mark_count, b->mark_count);
	for (size_t i = 0; i < a->mark_count; i++)
		ck_assert(a->marks[i].kind == b->marks[i].kind &&
			  a->marks[i].time_ns == b->marks[i].time_ns &&
			  a->marks[i].current_bytes == b->marks[i].current_bytes &&
			  sample_same_string(a->marks[i].name, b->marks[i].name));
}

static inline void sample_expect_same(const struct snapshot *a, const struct snapshot *b)
{
	ck_assert(a->origin == b->origin && a->pid == b->pid && a->depth == b->depth &&
		  a->part_count == b->part_count && a->started_unix_ns == b->started_unix_ns &&
		  a->duration_ns == b->duration_ns && a->lost_events == b->lost_events &&
		  a->truncated_stacks == b->truncated_stacks &&
		  a->incomplete_stacks == b->incomplete_stacks);
	ck_assert(!memcmp(&a->totals, &b->totals, sizeof a->totals));
	ck_assert(!memcmp(&a->cost, &b->cost, sizeof a->cost));
	sample_expect_same_marks(a, b);
	ck_assert(sample_same_string(a->machine.host, b->machine.host) &&
		  sample_same_string(a->machine.system, b->machine.system) &&
		  sample_same_string(a->machine.architecture, b->machine.architecture) &&
		  sample_same_string(a->machine.producer, b->machine.producer));
	ck_assert_uint_eq(a->command_count, b->command_count);
	for (size_t i = 0; i < a->command_count; i++)
		ck_assert_str_eq(a->command[i], b->command[i]);
	ck_assert_uint_eq(a->timeline_count, b->timeline_count);
	for (size_t i = 0; i < a->timeline_count; i++)
		ck_assert(!memcmp(&a->timeline[i], &b->timeline[i], sizeof *a->timeline));
	ck_assert_uint_eq(a->detail_point_count, b->detail_point_count);
	for (size_t i = 0; i < a->detail_point_count; i++)
		ck_assert(!memcmp(&a->detail_points[i], &b->detail_points[i],
				  sizeof *a->detail_points));
	ck_assert_uint_eq(a->detail_site_count, b->detail_site_count);
	for (size_t i = 0; i < a->detail_site_count; i++)
		ck_assert(a->detail_sites[i].site == b->detail_sites[i].site &&
			  a->detail_sites[i].bytes == b->detail_sites[i].bytes &&
			  a->detail_sites[i].blocks == b->detail_sites[i].blocks);
	ck_assert_uint_eq(a->source_line_count, b->source_line_count);
	for (size_t i = 0; i < a->source_line_count; i++)
		ck_assert_str_eq(
			a->source_lines[i].text,
			snapshot_source_text(b, a->source_lines[i].file, a->source_lines[i].line));
	ck_assert(!memcmp(&a->scan, &b->scan, sizeof a->scan));
	ck_assert(a->heap.known == b->heap.known && a->heap.measured == b->heap.measured &&
		  a->heap.before_known == b->heap.before_known);
	ck_assert(!memcmp(&a->heap.before_bytes, &b->heap.before_bytes, 9 * sizeof(uint64_t)));
	sample_expect_same_around(a, b);
	sample_expect_same_kept(&a->kept, &b->kept);
	sample_expect_same_sites(a, b);
}

#endif
