/* SPDX-License-Identifier: MIT */
#include "snapshot/merge.h"

#include "base/cleanup.h"
#include "snapshot/place.h"
#include "snapshot/sum.h"

struct merger {
	struct snapshot *whole;
	const struct snapshot *part;
	uint32_t first_process; /* of the part, among those of the whole */
	uint32_t first_thread;	/* likewise */
	uint32_t first_site;	/* likewise */
	struct error *err;	/* of the strings */
};

static void cleanup_snapshotp(struct snapshot **snapshot)
{
	snapshot_destroy(*snapshot);
}

static const char *keep(struct merger *merger, const char *string)
{
	return snapshot_string(merger->whole, string, &merger->err);
}

static void add_totals(struct total_counters *sums, const struct total_counters *one)
{
	sum_add(&sums->current_bytes, one->current_bytes);
	sum_add(&sums->current_blocks, one->current_blocks);
	sum_add(&sums->peak_bytes, one->peak_bytes);
	sum_add(&sums->peak_blocks, one->peak_blocks);
	sum_add(&sums->total_bytes, one->total_bytes);
	sum_add(&sums->total_blocks, one->total_blocks);
	sum_add(&sums->released_bytes, one->released_bytes);
	sum_add(&sums->released_blocks, one->released_blocks);
	sum_add(&sums->ended_bytes, one->ended_bytes);
	sum_add(&sums->ended_blocks, one->ended_blocks);
	sum_add(&sums->temporary_blocks, one->temporary_blocks);
	sum_add(&sums->failed_calls, one->failed_calls);
	sum_add(&sums->unknown_releases, one->unknown_releases);
	sum_add(&sums->inherited_releases, one->inherited_releases);
	sum_add(&sums->null_releases, one->null_releases);
	sum_add(&sums->implied_releases, one->implied_releases);
	sum_add(&sums->events, one->events);
	sum_reach(&sums->unreachable, &one->unreachable);
}

/* Freezes are longest times, not sums; memory is held by all tracers. */
static void add_cost(struct snapshot_cost *sums, const struct snapshot_cost *one)
{
	sum_add(&sums->target_stopped_ns, one->target_stopped_ns);
	sum_add(&sums->stops, one->stops);
	sum_add(&sums->tracer_cpu_ns, one->tracer_cpu_ns);
	sum_add(&sums->tracer_rss_bytes, one->tracer_rss_bytes);
	if (one->install_freeze_ns > sums->install_freeze_ns)
		sums->install_freeze_ns = one->install_freeze_ns;
	if (one->remove_freeze_ns > sums->remove_freeze_ns)
		sums->remove_freeze_ns = one->remove_freeze_ns;
}

static void add_scan(struct snapshot_scan *sums, const struct snapshot_scan *one)
{
	if (__builtin_add_overflow(sums->looked_at, one->looked_at, &sums->looked_at))
		sums->looked_at = UINT32_MAX;
	if (__builtin_add_overflow(sums->missed, one->missed, &sums->missed))
		sums->missed = UINT32_MAX;
	sum_add(&sums->blocks, one->blocks);
	if (one->frozen_ns > sums->frozen_ns)
		sums->frozen_ns = one->frozen_ns;
}

/* The end of a session on the wall clock, at most INT64_MAX. */
static int64_t end_of(int64_t started_unix_ns, uint64_t duration_ns)
{
	int64_t end;
	if (duration_ns > INT64_MAX ||
	    __builtin_add_overflow(started_unix_ns, (int64_t)duration_ns, &end))
		return INT64_MAX;
	return end;
}

static void add_time(struct snapshot *whole, const struct snapshot *part)
{
	int64_t end = end_of(whole->started_unix_ns, whole->duration_ns);
	int64_t part_end = end_of(part->started_unix_ns, part->duration_ns);
	if (part->started_unix_ns < whole->started_unix_ns)
		whole->started_unix_ns = part->started_unix_ns;
	whole->duration_ns =
		(uint64_t)(part_end > end ? part_end : end) - (uint64_t)whole->started_unix_ns;
}

static void add_session(struct merger *merger, bool first)
{
	struct snapshot *whole = merger->whole;
	const struct snapshot *part = merger->part;
	if (first) {
		whole->part_count = part->part_count;
		whole->origin = part->origin;
		whole->depth = part->depth;
		whole->started_unix_ns = part->started_unix_ns;
		whole->duration_ns = part->duration_ns;
	} else {
		if (__builtin_add_overflow(whole->part_count, part->part_count, &whole->part_count))
			whole->part_count = UINT32_MAX;
		if (part->origin == SNAPSHOT_ATTACH)
			whole->origin = SNAPSHOT_ATTACH;
		if (part->depth < whole->depth)
			whole->depth = part->depth;
		add_time(whole, part);
	}
	add_totals(&whole->totals, &part->totals);
	add_cost(&whole->cost, &part->cost);
	add_scan(&whole->scan, &part->scan);
	sum_add(&whole->lost_events, part->lost_events);
	sum_add(&whole->truncated_stacks, part->truncated_stacks);
	sum_add(&whole->incomplete_stacks, part->incomplete_stacks);
}

static struct error *add_processes(struct merger *merger)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < merger->part->process_count; i++) {
		struct snapshot_process process = merger->part->processes[i];
		process.tree += merger->first_process;
		process.command = keep(merger, process.command);
		process.engine = keep(merger, process.engine);
		process.host =
			keep(merger, process.host ? process.host : merger->part->machine.host);
		err = snapshot_add_process(merger->whole, &process);
	}
	return err;
}

static struct error *add_probes(struct merger *merger)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < merger->part->probe_count; i++) {
		struct snapshot_probe probe = merger->part->probes[i];
		probe.function = keep(merger, probe.function);
		probe.module = keep(merger, probe.module);
		probe.kind = keep(merger, probe.kind);
		probe.reason = keep(merger, probe.reason);
		err = snapshot_add_probe(merger->whole, &probe);
	}
	return err;
}

static struct error *add_module(struct merger *merger, const struct snapshot_module *module)
{
	struct snapshot *whole = merger->whole;
	struct snapshot_module kept = {.path = keep(merger, module->path),
				       .build_id = keep(merger, module->build_id)};
	for (size_t i = 0; i < whole->module_count; i++)
		if (whole->modules[i].path == kept.path &&
		    whole->modules[i].build_id == kept.build_id)
			return NULL;
	return snapshot_add_module(whole, &kept);
}

static struct error *add_blind_module(struct merger *merger,
				      const struct snapshot_blind_module *blind)
{
	struct snapshot *whole = merger->whole;
	struct snapshot_blind_module kept = {.module = keep(merger, blind->module),
					     .build_id = keep(merger, blind->build_id),
					     .sites = blind->sites};
	for (size_t i = 0; i < whole->blind_module_count; i++) {
		struct snapshot_blind_module *one = &whole->blind_modules[i];
		if (one->module == kept.module && one->build_id == kept.build_id) {
			sum_add(&one->sites, kept.sites);
			return NULL;
		}
	}
	return snapshot_add_blind_module(whole, &kept);
}

static struct error *add_modules(struct merger *merger)
{
	const struct snapshot *part = merger->part;
	struct error *err = NULL;
	for (size_t i = 0; !err && i < part->module_count; i++)
		err = add_module(merger, &part->modules[i]);
	for (size_t i = 0; !err && i < part->blind_module_count; i++)
		err = add_blind_module(merger, &part->blind_modules[i]);
	return err;
}

static struct error *add_frame(struct merger *merger, const struct snapshot_frame *frame)
{
	struct snapshot_frame kept = *frame;
	kept.file = keep(merger, frame->file);
	kept.label = keep(merger, frame->label);
	kept.function = keep(merger, frame->function);
	kept.linkage = keep(merger, frame->linkage);
	kept.module = keep(merger, frame->module);
	return merger->err ? take_ptr(merger->err) : snapshot_add_frame(merger->whole, &kept);
}

static struct error *add_sites(struct merger *merger)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < merger->part->site_count; i++) {
		struct snapshot_site site = merger->part->sites[i];
		for (size_t k = 0; !err && k < site.frame_count; k++)
			err = add_frame(merger, snapshot_site_frame(merger->part, &site, k));
		if (site.process != SNAPSHOT_NO_PROCESS)
			site.process += merger->first_process;
		if (site.traits.thread)
			site.traits.thread += merger->first_thread;
		if (!err)
			err = snapshot_add_site(merger->whole, &site);
	}
	return err;
}

static struct error *add_source(struct merger *merger)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < merger->part->source_line_count; i++) {
		struct snapshot_source_line line = merger->part->source_lines[i];
		line.file = keep(merger, line.file);
		line.text = keep(merger, line.text);
		err = merger->err ? take_ptr(merger->err)
				  : snapshot_add_source_line(merger->whole, &line);
	}
	return err;
}

/* What not every part has kept is not kept. */
static struct error *add_kept(struct merger *merger, bool first)
{
	struct snapshot_kept *kept = &merger->whole->kept;
	const struct snapshot_kept *part = &merger->part->kept;
	struct error *err = kept_add_histograms(kept, part);
	kept->flags = first ? part->flags : kept->flags & part->flags;
	for (size_t i = 0; !err && i < part->thread_count; i++) {
		struct snapshot_thread thread = part->threads[i];
		thread.name = keep(merger, thread.name);
		err = kept_add_thread(kept, &thread);
	}
	for (size_t i = 0; !err && i < part->age_count; i++) {
		struct snapshot_age age = part->ages[i];
		age.site += merger->first_site;
		err = kept_add_age(kept, &age);
	}
	return err;
}

/* Parts may come from different machines: what they have in common stays. */
static void add_machine(struct merger *merger, bool first)
{
	const struct snapshot_machine *from = &merger->part->machine;
	const char *values[] = {from->host, from->system, from->architecture, from->producer};
	struct snapshot_machine *whole = &merger->whole->machine;
	const char **places[] = {&whole->host, &whole->system, &whole->architecture,
				 &whole->producer};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		if (first)
			*places[i] = keep(merger, values[i]);
		else if (place_compare_strings(*places[i], values[i]) != 0)
			*places[i] = NULL;
	}
}

static struct error *add_part(struct merger *merger, bool first)
{
	merger->first_process = (uint32_t)merger->whole->process_count;
	merger->first_thread = (uint32_t)merger->whole->kept.thread_count;
	merger->first_site = (uint32_t)merger->whole->site_count;
	add_session(merger, first);
	add_machine(merger, first);
	struct error *err = add_processes(merger);
	if (!err)
		err = add_probes(merger);
	if (!err)
		err = add_modules(merger);
	if (!err)
		err = add_sites(merger);
	if (!err)
		err = add_source(merger);
	if (!err)
		err = add_kept(merger, first);
	if (err)
		error_free(merger->err);
	return err ? err : merger->err;
}

/* Of those parts that have any. */
static struct error *merge_mappings(const struct snapshot *const *parts, size_t count,
				    struct snapshot *whole)
{
	_cleanup_free_ const struct snapshot **mappings = calloc(count + 1, sizeof *mappings);
	size_t found = 0;
	if (!mappings)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		if (parts[i]->mappings)
			mappings[found++] = parts[i]->mappings;
	return found ? merge_snapshots(mappings, found, &whole->mappings) : NULL;
}

struct error *merge_snapshots(const struct snapshot *const *parts, size_t count,
			      struct snapshot **ret)
{
	__attribute__((cleanup(cleanup_snapshotp))) struct snapshot *whole = NULL;
	struct error *err = snapshot_create(&whole);
	struct merger merger = {.whole = whole};
	for (size_t i = 0; !err && i < count; i++) {
		merger.part = parts[i];
		err = add_part(&merger, i == 0);
	}
	if (!err)
		err = merge_mappings(parts, count, whole);
	if (err)
		return err;
	snapshot_sort_source(whole);
	*ret = take_ptr(whole);
	return NULL;
}
