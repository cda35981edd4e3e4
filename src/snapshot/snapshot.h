/* SPDX-License-Identifier: MIT */
/*
 * The snapshot: the frozen, symbolized, self-contained result. What reports, diffs and exports
 * read.
 *
 * Owns: the model and every string in it (one arena). Does not: read files, targets or DWARF.
 * Built by: session (freeze). Read by: report, cli. From one thread.
 */
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/error.h"

/* One source position of a stack, after inline expansion. Strings are interned in the snapshot. */
struct snapshot_frame {
	const char *file;     /* full path as the debug information has it, NULL: unknown */
	const char *label;    /* the same path, without the directory it was compiled in */
	const char *function; /* demangled, NULL: unknown */
	const char *linkage;  /* as in the symbol table, NULL: unknown */
	const char *module;   /* path of the module, NULL: not in a file */
	uint64_t offset;      /* address within the module, as its ELF file states it */
	uint32_t line;	      /* 0: unknown */
	bool inlined;	      /* inlined into the next frame */
};

struct snapshot_site {
	size_t first_frame; /* index into frames; innermost first */
	size_t frame_count;
	bool truncated;
	struct site_counters counters;
};

struct snapshot_process {
	uint32_t pid;
	uint32_t parent; /* 0: not in the tree */
	const char *command;
	int exit_status; /* valid if exited */
	int signal;	 /* valid if signalled */
	bool exited;
	bool signalled;
	const char *engine; /* "jump", "breakpoint", "mixed", "none" */
};

struct snapshot_probe {
	uint32_t pid;
	const char *function;
	const char *module;
	const char *kind;   /* "jump", "breakpoint", "none" */
	const char *reason; /* why not better, NULL if there is nothing to say */
};

/* A module whose frames lacked line information, for the report's foot. */
struct snapshot_blind_module {
	const char *module;
	const char *build_id; /* hex, NULL: none */
	uint64_t sites;	      /* sites with a frame in it */
};

struct snapshot_cost {
	uint64_t target_stopped_ns; /* sum over stops, as measured by the tracer */
	uint64_t stops;
	uint64_t tracer_cpu_ns;
	uint64_t tracer_rss_bytes;
};

struct snapshot_timeline_point {
	uint64_t time_ns;
	uint64_t current_bytes;
	uint64_t current_blocks;
};

enum snapshot_origin { SNAPSHOT_RUN, SNAPSHOT_ATTACH };

struct snapshot {
	enum snapshot_origin origin;
	const char *
		*command; /* NULL-terminated, from malloc(3), freed with the snapshot; or NULL */
	size_t command_count;
	uint32_t pid;
	int64_t started_unix_ns; /* wall clock */
	uint64_t duration_ns;
	struct total_counters totals;
	uint64_t lost_events;
	uint64_t truncated_stacks;  /* events whose stack was cut at the depth limit */
	uint64_t incomplete_stacks; /* events whose stack could not be followed to its end */
	struct snapshot_cost cost;
	struct snapshot_frame *frames;
	size_t frame_count, frame_capacity;
	struct snapshot_site *sites;
	size_t site_count, site_capacity;
	struct snapshot_process *processes;
	size_t process_count, process_capacity;
	struct snapshot_probe *probes;
	size_t probe_count, probe_capacity;
	struct snapshot_blind_module *blind_modules;
	size_t blind_module_count, blind_module_capacity;
	struct snapshot_timeline_point *timeline;
	size_t timeline_count, timeline_capacity;
	struct snapshot_strings *strings; /* private to snapshot */
};

struct error *snapshot_create(struct snapshot **ret);
void snapshot_destroy(struct snapshot *snapshot);

/*
 * A copy of string kept as long as the snapshot; equal strings give equal pointers. NULL: NULL.
 * Without memory *err_ret is set. Where *err_ret is set already nothing is done, so that one look
 * at it after several calls is enough; the caller sets it to NULL before the first.
 */
const char *snapshot_string(struct snapshot *snapshot, const char *string, struct error **err_ret);

/* Appending; strings of what is given must come from snapshot_string (or be literals). */
struct error *snapshot_add_frame(struct snapshot *snapshot, const struct snapshot_frame *frame);
struct error *snapshot_add_site(struct snapshot *snapshot, const struct snapshot_site *site);
struct error *snapshot_add_process(struct snapshot *snapshot, const struct snapshot_process *one);
struct error *snapshot_add_probe(struct snapshot *snapshot, const struct snapshot_probe *probe);
struct error *snapshot_add_blind_module(struct snapshot *snapshot,
					const struct snapshot_blind_module *one);
struct error *snapshot_add_timeline_point(struct snapshot *snapshot,
					  const struct snapshot_timeline_point *point);

/* Sums over sites equal the totals; frame ranges lie inside. NULL when they hold. */
struct error *snapshot_check(const struct snapshot *snapshot);

#endif
