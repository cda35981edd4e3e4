/* SPDX-License-Identifier: MIT */
/*
 * From ledger and stacks to the snapshot: everything that is shown later is looked up here, once.
 * Runs after the target was let go, so symbols may take their time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "session/pace.h"
#include "session/positions.h"
#include "session/private.h"

struct freeze {
	struct session *session;
	struct snapshot *snapshot;
	uint32_t *site_numbers; /* by site_id: index among the snapshot's sites, FREEZE_NO_SITE */
	uint32_t tree;		/* index of the root among the snapshot's processes */
	uint64_t *blind_sites;	/* by image id - 1: sites with a frame there that has no line */
	uint32_t *last_site;	/* by image id - 1: the last such site, + 1 */
	struct positions known;
	struct pace pace;
	bool waste_known;
};

static const char *keep(struct freeze *freeze, const char *string, struct error **err)
{
	return *err ? NULL : snapshot_string(freeze->snapshot, string, err);
}

static void note_blind(struct freeze *freeze, image_id image, uint32_t site)
{
	uint32_t index = image.v - 1;
	if (freeze->last_site[index] == site + 1)
		return;
	freeze->last_site[index] = site + 1;
	freeze->blind_sites[index]++;
}

static struct error *add_position(struct freeze *freeze, const struct image_position *position,
				  const char *module, uint64_t offset)
{
	struct error *err = NULL;
	struct snapshot_frame frame = {
		.file = keep(freeze, position->file, &err),
		.label = keep(freeze, position->label, &err),
		.function = keep(freeze, position->function, &err),
		.linkage = keep(freeze, position->linkage, &err),
		.module = keep(freeze, module, &err),
		.offset = offset,
		.line = position->line,
		.inlined = position->inlined,
	};
	return err ? err : snapshot_add_frame(freeze->snapshot, &frame);
}

/* Looks a frame's positions up; *run_ret: where they were added. */
static struct error *look_up(struct freeze *freeze, const struct frame *frame,
			     struct positions_run *run_ret)
{
	static const struct image_position unknown = {0};
	struct image *image = registry_image(freeze->session->registry, frame->image);
	const struct image_position *positions = &unknown;
	size_t count = 1;
	struct error *err = NULL;
	if (image && !(freeze->session->options->keep & KEPT_RAW))
		err = image_positions(image, (image_addr){frame->address}, &positions, &count);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err) {
		/* Damaged debug information costs the line, not the report. */
		log_write(freeze->session->options->log, LOG_INFO, "%s: %s", image_path(image),
			  error_message(err));
		error_free(err);
		positions = &unknown;
		count = 1;
	}
	const char *module = image ? image_path(image) : NULL;
	*run_ret = (struct positions_run){freeze->snapshot->stack_count, count};
	err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = add_position(freeze, &positions[i], module, frame->address);
	if (!err)
		positions_note(&freeze->known, frame, *run_ret);
	return err;
}

static struct error *add_frame(struct freeze *freeze, const struct frame *frame, uint32_t site)
{
	struct snapshot *snapshot = freeze->snapshot;
	struct positions_run run = positions_find(&freeze->known, frame);
	struct error *err = run.count ? snapshot_repeat_frames(snapshot, run.first, run.count)
				      : look_up(freeze, frame, &run);
	if (!err && run.count && frame->image.v && !(freeze->session->options->keep & KEPT_RAW) &&
	    !snapshot->frames[snapshot->stacks[run.first]].line)
		note_blind(freeze, frame->image, site);
	return err;
}

static void add_unreachable(struct reach_counters *sums, const struct reach_counters *one)
{
	sums->direct_bytes += one->direct_bytes;
	sums->direct_blocks += one->direct_blocks;
	sums->indirect_bytes += one->indirect_bytes;
	sums->indirect_blocks += one->indirect_blocks;
}

/* The site `index` of the ledger. */
static struct error *add_site(struct freeze *freeze, uint32_t index)
{
	struct session *session = freeze->session;
	struct snapshot_site site = {.process = freeze->tree,
				     .counters = ledger_site(session->ledger, (site_id){index})};
	site.counters.unreachable = leaks_site(&session->leaks, (site_id){index});
	add_unreachable(&freeze->snapshot->totals.unreachable, &site.counters.unreachable);
	if (!site.counters.total_blocks && !site.counters.failed_calls)
		return NULL;
	size_t count;
	site_id stack = freeze_kept_stack(session, index, freeze->waste_known, &site.traits);
	const struct frame *frames =
		interner_frames(session->interner, stack, &count, &site.truncated);
	for (size_t i = 0; i < count; i++) {
		struct error *err = add_frame(freeze, &frames[i], stack.v);
		if (err)
			return err;
	}
	freeze->site_numbers[index] = (uint32_t)freeze->snapshot->site_count;
	return snapshot_add_site(freeze->snapshot, &site);
}

static struct error *add_sites(struct freeze *freeze)
{
	struct session *session = freeze->session;
	_cleanup_free_ uint32_t *order = NULL;
	size_t count;
	struct error *err = freeze_kept_order(session, &order, &count);
	for (size_t i = 0; !err && i < count; i++) {
		err = add_site(freeze, order[i]);
		pace_symbolizing(&freeze->pace, i + 1, count);
	}
	return err ? err : freeze_kept(session, freeze->site_numbers, freeze->snapshot);
}

static bool was_probed(const struct session *session, pid_t pid, const char *kind)
{
	for (size_t i = 0; i < session->probes.count; i++)
		if (strcmp(session->probes.items[i].kind, kind) == 0 &&
		    session->probes.items[i].pid == pid)
			return true;
	return false;
}

/* A forked child runs under its parent's probes until it execs. */
static const char *engine_of(const struct session *session, const struct session_process *process)
{
	for (size_t depth = 0; process && depth < 64; depth++) {
		bool jumps = was_probed(session, process->pid, "jump");
		bool breakpoints = was_probed(session, process->pid, "breakpoint");
		if (jumps || breakpoints)
			return !breakpoints ? "jump" : jumps ? "mixed" : "breakpoint";
		const struct session_process *parent = NULL;
		for (size_t i = 0; i < session->processes.count; i++)
			if (session->processes.items[i].pid == process->parent)
				parent = &session->processes.items[i];
		process = parent == process ? NULL : parent;
	}
	return "none";
}

/* The ledger keeps the processes of a tree in one sum, so every site belongs to its root. */
static uint32_t find_tree(const struct session *session)
{
	for (size_t i = 0; i < session->processes.count; i++)
		if (session->processes.items[i].pid == session->root)
			return (uint32_t)i;
	return session->processes.count ? 0 : SNAPSHOT_NO_PROCESS;
}

static struct error *add_processes(struct freeze *freeze)
{
	struct session *session = freeze->session;
	freeze->tree = find_tree(session);
	for (size_t i = 0; i < session->processes.count; i++) {
		const struct session_process *from = &session->processes.items[i];
		struct error *err = NULL;
		struct snapshot_process process = {
			.pid = (uint32_t)from->pid,
			.inner_pid = from->inner_pid == from->pid ? 0 : (uint32_t)from->inner_pid,
			.parent = (uint32_t)from->parent,
			.tree = freeze->tree,
			.command = keep(freeze, from->command, &err),
			.exit_status = from->exit_status,
			.signal = from->signal,
			.exited = from->ended && !from->signal,
			.signalled = from->ended && from->signal,
			.engine = engine_of(session, from),
		};
		if (!err)
			err = snapshot_add_process(freeze->snapshot, &process);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *add_probes(struct freeze *freeze)
{
	struct session *session = freeze->session;
	for (size_t i = 0; i < session->probes.count; i++) {
		const struct space_probe *from = &session->probes.items[i];
		struct image *image = registry_image(session->registry, from->module);
		struct error *err = NULL;
		struct snapshot_probe probe = {
			.pid = (uint32_t)from->pid,
			.function = from->function,
			.module = keep(freeze, image ? image_path(image) : NULL, &err),
			.kind = from->kind,
			.reason = keep(freeze, from->reason, &err),
		};
		if (!err)
			err = snapshot_add_probe(freeze->snapshot, &probe);
		if (err)
			return err;
	}
	return NULL;
}

/* The build-id in hex, NULL where the file has none; at most as many bytes as a hash has. */
static const char *keep_build_id(struct freeze *freeze, const struct image *image,
				 struct error **err)
{
	char hex[129] = "";
	size_t bytes;
	const uint8_t *id = image_build_id(image, &bytes);
	for (size_t b = 0; b < bytes && b < 64; b++)
		snprintf(hex + b * 2, 3, "%02x", id[b]);
	return keep(freeze, bytes ? hex : NULL, err);
}

static struct error *add_module(struct freeze *freeze, struct image *image, uint64_t blind_sites)
{
	struct error *err = NULL;
	struct snapshot_module module = {
		.path = keep(freeze, image_path(image), &err),
		.build_id = keep_build_id(freeze, image, &err),
	};
	if (!err)
		err = snapshot_add_module(freeze->snapshot, &module);
	if (err || !blind_sites || image_has_lines(image))
		return err;
	struct snapshot_blind_module blind = {
		.module = module.path, .build_id = module.build_id, .sites = blind_sites};
	return snapshot_add_blind_module(freeze->snapshot, &blind);
}

static struct error *add_modules(struct freeze *freeze)
{
	uint32_t count = registry_count(freeze->session->registry);
	for (uint32_t i = 0; i < count; i++) {
		struct image *image = registry_image(freeze->session->registry, (image_id){i + 1});
		struct error *err =
			image ? add_module(freeze, image, freeze->blind_sites[i]) : NULL;
		if (err)
			return err;
	}
	return NULL;
}

static struct error *add_machine(struct freeze *freeze)
{
	struct utsname names;
	if (uname(&names) != 0)
		return NULL;
	char system[sizeof names.sysname + sizeof names.release];
	snprintf(system, sizeof system, "%s %s", names.sysname, names.release);
	struct error *err = NULL;
	freeze->snapshot->machine = (struct snapshot_machine){
		.host = keep(freeze, names.nodename, &err),
		.system = keep(freeze, system, &err),
		.architecture = keep(freeze, names.machine, &err),
		.producer = "tracealloc " TRACEALLOC_VERSION,
	};
	return err;
}

static struct error *add_timeline(struct freeze *freeze)
{
	size_t count;
	const struct ledger_point *points = ledger_timeline(freeze->session->ledger, &count);
	for (size_t i = 0; i < count; i++) {
		struct snapshot_timeline_point point = {points[i].time_ns, points[i].current_bytes,
							points[i].current_blocks};
		struct error *err = snapshot_add_timeline_point(freeze->snapshot, &point);
		if (err)
			return err;
	}
	return NULL;
}

static int compare_detail_sites(const void *left, const void *right)
{
	const struct snapshot_detail_site *a = left, *b = right;
	return (a->site > b->site) - (a->site < b->site);
}

/* The sites of the snapshot are in another order than those of the ledger. */
static struct error *add_detail(struct freeze *freeze, const struct ledger_detail *detail)
{
	struct snapshot_detail_point point = {.time_ns = detail->time_ns,
					      .current_bytes = detail->current_bytes,
					      .current_blocks = detail->current_blocks};
	_cleanup_free_ struct snapshot_detail_site *sites =
		calloc(detail->site_count + 1, sizeof *sites);
	size_t count = 0;
	if (!sites)
		return error_no_memory();
	for (size_t i = 0; i < detail->site_count; i++) {
		uint32_t site = freeze->site_numbers[detail->sites[i].site.v];
		if (site != FREEZE_NO_SITE)
			sites[count++] = (struct snapshot_detail_site){
				.bytes = detail->sites[i].bytes,
				.blocks = detail->sites[i].blocks,
				.site = site,
			};
	}
	if (count && freeze->session->traits)
		qsort(sites, count, sizeof *sites, compare_detail_sites);
	for (size_t i = 0; i < count; i++) {
		struct error *err = snapshot_add_detail_site(freeze->snapshot, &sites[i]);
		if (err)
			return err;
	}
	return snapshot_add_detail_point(freeze->snapshot, &point);
}

static struct error *add_details(struct freeze *freeze)
{
	size_t count;
	const struct ledger_detail *details = ledger_details(freeze->session->ledger, &count);
	for (size_t i = 0; i < count; i++) {
		struct error *err = add_detail(freeze, &details[i]);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *add_command(struct freeze *freeze, char *const command[])
{
	struct snapshot *snapshot = freeze->snapshot;
	while (command[snapshot->command_count])
		snapshot->command_count++;
	snapshot->command = calloc(snapshot->command_count + 1, sizeof *snapshot->command);
	if (!snapshot->command)
		return error_no_memory();
	struct error *err = NULL;
	for (size_t i = 0; i < snapshot->command_count; i++)
		snapshot->command[i] = keep(freeze, command[i], &err);
	return err;
}

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void add_totals(struct freeze *freeze, enum snapshot_origin origin)
{
	struct session *session = freeze->session;
	struct snapshot *snapshot = freeze->snapshot;
	snapshot->origin = origin;
	snapshot->pid = (uint32_t)session->root;
	snapshot->depth = (uint32_t)session->options->depth;
	snapshot->started_unix_ns = session->started_unix_ns;
	snapshot->duration_ns = session->duration_ns;
	snapshot->totals = *ledger_totals(session->ledger);
	snapshot->lost_events = taps_statistics(&session->taps).lost_events;
	snapshot->truncated_stacks = session->truncated_stacks;
	snapshot->incomplete_stacks = session->incomplete_stacks;
	snapshot->scan = (struct snapshot_scan){.looked_at = session->leaks.looked_at,
						.missed = session->leaks.missed,
						.blocks = session->leaks.blocks,
						.frozen_ns = session->leaks.frozen_ns};
	snapshot->heap = session->heap;
	snapshot->cost = (struct snapshot_cost){
		.target_stopped_ns = session->target.statistics.stopped_ns,
		.stops = session->target.statistics.stops,
		.install_freeze_ns = session->install_frozen_ns,
		.remove_freeze_ns = session->remove_frozen_ns,
		.tracer_cpu_ns = pace_cpu_ns(),
		.tracer_rss_bytes = resident_bytes(),
	};
}

static struct error *fill(struct freeze *freeze, enum snapshot_origin origin, char *const command[])
{
	add_totals(freeze, origin);
	struct error *err = add_command(freeze, command);
	if (!err)
		err = add_machine(freeze);
	if (!err)
		err = add_processes(freeze);
	if (!err)
		err = add_sites(freeze);
	if (!err)
		err = add_probes(freeze);
	if (!err)
		err = add_modules(freeze);
	if (!err)
		err = add_timeline(freeze);
	return err ? err : add_details(freeze);
}

struct error *freeze_snapshot(struct session *session, enum snapshot_origin origin,
			      char *const command[], struct snapshot **ret)
{
	uint32_t images = registry_count(session->registry);
	_cleanup_free_ uint64_t *blind_sites = calloc(images + 1, sizeof *blind_sites);
	_cleanup_free_ uint32_t *last_site = calloc(images + 1, sizeof *last_site);
	uint32_t sites = ledger_site_count(session->ledger);
	_cleanup_free_ uint32_t *site_numbers = malloc((sites + (size_t)1) * sizeof *site_numbers);
	struct freeze freeze = {.session = session,
				.blind_sites = blind_sites,
				.last_site = last_site,
				.site_numbers = site_numbers,
				.waste_known = freeze_kept_knows_waste(session)};
	if (!blind_sites || !last_site || !site_numbers)
		return error_no_memory();
	for (uint32_t i = 0; i < sites; i++)
		site_numbers[i] = FREEZE_NO_SITE;
	pace_begin(&freeze.pace, session->options->progress);
	struct error *err = TRACEALLOC_CHECKS >= 2 ? ledger_check(session->ledger) : NULL;
	if (!err)
		err = snapshot_create(&freeze.snapshot);
	if (!err)
		err = fill(&freeze, origin, command);
	if (!err && TRACEALLOC_CHECKS >= 2)
		err = snapshot_check(freeze.snapshot);
	positions_deinit(&freeze.known);
	if (err) {
		snapshot_destroy(freeze.snapshot);
		return err;
	}
	*ret = freeze.snapshot;
	return NULL;
}
