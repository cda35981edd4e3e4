/* SPDX-License-Identifier: MIT */
/*
 * From a copy of the figures to the snapshot: everything that is shown later is looked up here.
 * Symbols take their time; the target does not wait for them, nor does anyone for the lock but
 * while a piece of what the tracer thread owns is copied.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/freeze.h"

/* ---- processes and probes */

static struct error *copy_processes(struct freeze *freeze)
{
	const struct session_processes *from = &freeze->session->processes;
	freeze->processes = calloc(from->count + 1, sizeof *freeze->processes);
	if (!freeze->processes)
		return error_no_memory();
	for (size_t i = 0; i < from->count; i++) {
		freeze->processes[i] = from->items[i];
		freeze->processes[i].command = strdup(from->items[i].command);
		if (!freeze->processes[i].command)
			return error_no_memory();
		freeze->process_count++;
	}
	return NULL;
}

static struct error *copy_probes(struct freeze *freeze)
{
	const struct space_probes *from = &freeze->session->probes;
	freeze->probes = calloc(from->count + 1, sizeof *freeze->probes);
	if (!freeze->probes)
		return error_no_memory();
	if (from->count)
		memcpy(freeze->probes, from->items, from->count * sizeof *from->items);
	freeze->probe_count = from->count;
	return NULL;
}

/* What the tracer thread changes. */
static struct error *copy_lists(struct freeze *freeze)
{
	taps_lock(&freeze->session->taps);
	struct error *err = copy_processes(freeze);
	if (!err)
		err = copy_probes(freeze);
	freeze->image_count = registry_count(freeze->session->registry);
	taps_unlock(&freeze->session->taps);
	return err;
}

static void freeze_deinit(struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->process_count; i++)
		free(freeze->processes[i].command);
	free(freeze->processes);
	free(freeze->probes);
	free(freeze->blind_sites);
	free(freeze->last_site);
	free(freeze->site_numbers);
	free(freeze->traits);
	positions_deinit(&freeze->known);
	previous_deinit(&freeze->previous);
	previous_deinit(&freeze->now);
}

struct image *freeze_image(const struct freeze *freeze, image_id id)
{
	taps_lock(&freeze->session->taps);
	struct image *image = registry_image(freeze->session->registry, id);
	taps_unlock(&freeze->session->taps);
	return image;
}

static bool was_probed(const struct freeze *freeze, pid_t pid, const char *kind)
{
	for (size_t i = 0; i < freeze->probe_count; i++)
		if (strcmp(freeze->probes[i].kind, kind) == 0 && freeze->probes[i].pid == pid &&
		    !freeze->probes[i].maps)
			return true;
	return false;
}

/* A forked child runs under its parent's probes until it execs. */
static const char *engine_of(const struct freeze *freeze, const struct session_process *process)
{
	for (size_t depth = 0; process && depth < 64; depth++) {
		bool jumps = was_probed(freeze, process->pid, "jump");
		bool breakpoints = was_probed(freeze, process->pid, "breakpoint");
		if (jumps || breakpoints)
			return !breakpoints ? "jump" : jumps ? "mixed" : "breakpoint";
		const struct session_process *parent = NULL;
		for (size_t i = 0; i < freeze->process_count; i++)
			if (freeze->processes[i].pid == process->parent)
				parent = &freeze->processes[i];
		process = parent == process ? NULL : parent;
	}
	return "none";
}

/* The ledger keeps the processes of a tree in one sum, so every site belongs to its root. */
static uint32_t find_tree(const struct freeze *freeze)
{
	for (size_t i = 0; i < freeze->process_count; i++)
		if (freeze->processes[i].pid == freeze->session->root)
			return (uint32_t)i;
	return freeze->process_count ? 0 : SNAPSHOT_NO_PROCESS;
}

static struct error *add_processes(struct freeze *freeze)
{
	freeze->tree = find_tree(freeze);
	for (size_t i = 0; i < freeze->process_count; i++) {
		const struct session_process *from = &freeze->processes[i];
		struct error *err = NULL;
		struct snapshot_process process = {
			.pid = (uint32_t)from->pid,
			.inner_pid = from->inner_pid == from->pid ? 0 : (uint32_t)from->inner_pid,
			.parent = (uint32_t)from->parent,
			.tree = freeze->tree,
			.command = freeze_keep(freeze, from->command, &err),
			.exit_status = from->exit_status,
			.signal = from->signal,
			.exited = from->ended && !from->signal,
			.signalled = from->ended && from->signal,
			.engine = engine_of(freeze, from),
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
	for (size_t i = 0; i < freeze->probe_count; i++) {
		const struct space_probe *from = &freeze->probes[i];
		struct image *image = freeze_image(freeze, from->module);
		struct error *err = NULL;
		struct snapshot_probe probe = {
			.pid = (uint32_t)from->pid,
			.function = freeze_keep(freeze, from->function, &err),
			.module = freeze_keep(freeze, image ? image_path(image) : NULL, &err),
			.kind = from->kind,
			.reason = freeze_keep(freeze, from->reason, &err),
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
	return freeze_keep(freeze, bytes ? hex : NULL, err);
}

static struct error *add_module(struct freeze *freeze, image_id id, uint64_t blind_sites)
{
	struct image *image = freeze_image(freeze, id);
	if (!image)
		return NULL;
	struct error *err = NULL;
	struct snapshot_module module = {
		.path = freeze_keep(freeze, image_path(image), &err),
		.build_id = keep_build_id(freeze, image, &err),
	};
	if (!err)
		err = snapshot_add_module(freeze->snapshot, &module);
	if (err || !blind_sites)
		return err;
	image = symbols_image(freeze->session, id);
	if (!image || image_has_lines(image))
		return NULL;
	struct snapshot_blind_module blind = {
		.module = module.path, .build_id = module.build_id, .sites = blind_sites};
	return snapshot_add_blind_module(freeze->snapshot, &blind);
}

static struct error *add_modules(struct freeze *freeze)
{
	struct error *err = NULL;
	for (uint32_t i = 0; !err && i < freeze->image_count; i++)
		err = add_module(freeze, (image_id){i + 1}, freeze->blind_sites[i]);
	return err;
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
		.host = freeze_keep(freeze, names.nodename, &err),
		.system = freeze_keep(freeze, system, &err),
		.architecture = freeze_keep(freeze, names.machine, &err),
		.producer = "tracealloc " TRACEALLOC_VERSION,
	};
	return err;
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
		snapshot->command[i] = freeze_keep(freeze, command[i], &err);
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

/* What was found out when the target was let go of. */
static void add_end(const struct session *session, struct snapshot *snapshot)
{
	snapshot->scan = (struct snapshot_scan){.looked_at = session->leaks.looked_at,
						.missed = session->leaks.missed,
						.blocks = session->leaks.blocks,
						.frozen_ns = session->leaks.frozen_ns};
	snapshot->heap = session->heap;
}

/* The tracer thread may be at the rest just now. */
static void add_beginning(const struct session *session, struct snapshot *snapshot)
{
	const struct snapshot_heap *heap = &session->heap;
	snapshot->heap = (struct snapshot_heap){.measured = heap->measured,
						.before_known = heap->before_known,
						.before_heap_bytes = heap->before_heap_bytes,
						.before_bytes = heap->before_bytes,
						.before_blocks = heap->before_blocks};
}

static void add_totals(struct freeze *freeze)
{
	bool of_mappings = freeze->frozen->of_mappings;
	const struct session *session = freeze->session;
	const struct frozen *frozen = freeze->frozen;
	struct snapshot *snapshot = freeze->snapshot;
	snapshot->origin = session->origin;
	snapshot->pid = (uint32_t)session->root;
	snapshot->depth = (uint32_t)session->options->depth;
	snapshot->started_unix_ns = session->started_unix_ns;
	snapshot->duration_ns = frozen->time_ns;
	snapshot->totals = frozen->totals;
	snapshot->lost_events = frozen->lost_events;
	snapshot->truncated_stacks = frozen->truncated_stacks;
	snapshot->incomplete_stacks = frozen->incomplete_stacks;
	if (session->alone && !of_mappings)
		add_end(session, snapshot);
	else if (!of_mappings)
		add_beginning(session, snapshot);
	snapshot->cost = frozen->cost;
	snapshot->cost.tracer_cpu_ns = pace_cpu_ns();
	snapshot->cost.tracer_rss_bytes = resident_bytes();
}

static struct error *fill(struct freeze *freeze)
{
	add_totals(freeze);
	struct error *err = add_command(freeze, freeze->session->command);
	if (!err)
		err = add_machine(freeze);
	if (!err)
		err = add_processes(freeze);
	if (!err)
		err = freeze_add_sites(freeze);
	if (!err)
		err = add_probes(freeze);
	if (!err)
		err = add_modules(freeze);
	if (!err)
		err = freeze_add_sources(freeze);
	return err ? err : freeze_add_history(freeze);
}

static struct error *copy_traits(struct freeze *freeze, size_t site_count)
{
	struct session *session = freeze->session;
	if (!session->traits || (freeze->frozen && freeze->frozen->of_mappings))
		return NULL;
	freeze->traits = calloc(site_count + 1, sizeof *freeze->traits);
	if (!freeze->traits)
		return error_no_memory();
	taps_lock(&session->taps);
	for (uint32_t i = 0; i < site_count; i++)
		freeze->traits[i] = *traits_site_at(session->traits, i);
	taps_unlock(&session->taps);
	return NULL;
}

/* site_count: above the id of every site that is to be added. */
static struct error *prepare(struct freeze *freeze, size_t site_count)
{
	struct error *err = copy_lists(freeze);
	if (!err)
		err = copy_traits(freeze, site_count);
	if (err)
		return err;
	freeze->waste_known = freeze_kept_knows_waste(freeze);
	freeze->blind_sites = calloc(freeze->image_count + 1, sizeof *freeze->blind_sites);
	freeze->last_site = calloc(freeze->image_count + 1, sizeof *freeze->last_site);
	freeze->site_numbers = malloc((site_count + 1) * sizeof *freeze->site_numbers);
	if (!freeze->blind_sites || !freeze->last_site || !freeze->site_numbers)
		return error_no_memory();
	for (size_t i = 0; i < site_count; i++)
		freeze->site_numbers[i] = FREEZE_NO_SITE;
	/* Only who waits for the report is told how it goes. */
	pace_begin(&freeze->pace,
		   freeze->session->alone ? freeze->session->options->progress : NULL);
	return snapshot_create(&freeze->snapshot);
}

static struct error *make(struct session *session, const struct frozen *frozen,
			  struct snapshot **ret)
{
	__attribute__((cleanup(freeze_deinit))) struct freeze freeze = {.session = session,
									.frozen = frozen};
	struct error *err = prepare(&freeze, frozen->site_count);
	if (!err)
		err = fill(&freeze);
	if (!err && frozen->mappings)
		err = make(session, frozen->mappings, &freeze.snapshot->mappings);
	if (!err && TRACEALLOC_CHECKS >= 2)
		err = snapshot_check(freeze.snapshot);
	if (err) {
		snapshot_destroy(freeze.snapshot);
		return err;
	}
	*ret = freeze.snapshot;
	return NULL;
}

static struct error *make_site(struct session *session, site_id site, uint64_t size_bytes,
			       struct snapshot **ret)
{
	__attribute__((cleanup(freeze_deinit))) struct freeze freeze = {.session = session};
	const struct site_counters one = {.current_bytes = size_bytes,
					  .current_blocks = 1,
					  .total_bytes = size_bytes,
					  .total_blocks = 1,
					  .peak_bytes = size_bytes,
					  .peak_blocks = 1,
					  .largest_bytes = size_bytes};
	struct error *err = prepare(&freeze, (size_t)site.v + 1);
	if (!err)
		err = add_processes(&freeze);
	if (!err)
		err = freeze_add_one_site(&freeze, site, &one);
	if (err) {
		snapshot_destroy(freeze.snapshot);
		return err;
	}
	freeze.snapshot->totals.current_bytes = freeze.snapshot->totals.total_bytes =
		freeze.snapshot->totals.peak_bytes = size_bytes;
	freeze.snapshot->totals.current_blocks = freeze.snapshot->totals.total_blocks =
		freeze.snapshot->totals.peak_blocks = 1;
	*ret = freeze.snapshot;
	return NULL;
}

struct error *freeze_snapshot(struct session *session, const struct frozen *frozen,
			      struct snapshot **ret)
{
	ahead_hurry(session);
	symbols_lock(&session->symbols);
	struct error *err = make(session, frozen, ret);
	symbols_unlock(&session->symbols);
	return err;
}

struct error *freeze_site(struct session *session, site_id site, uint64_t size_bytes,
			  struct snapshot **ret)
{
	ahead_hurry(session);
	symbols_lock(&session->symbols);
	struct error *err = make_site(session, site, size_bytes, ret);
	symbols_unlock(&session->symbols);
	return err;
}
