/* SPDX-License-Identifier: MIT */
/*
 * The snapshot: the frozen, symbolized, self-contained result. What reports, diffs and exports
 * read.
 *
 * Owns: the model and every string in it (one arena). Does not: read files, targets or DWARF.
 * Built by: session (freeze), snapshot/file.h from saved bytes. Read by: report, cli. From one
 * thread.
 */
#ifndef SNAPSHOT_SNAPSHOT_H
#define SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/error.h"
#include "snapshot/kept.h"

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

/* One distinct stack of one session: frames[stacks[first_frame + i]], innermost first. */
struct snapshot_site {
	size_t first_frame; /* index into stacks */
	size_t frame_count;
	uint32_t process; /* index into processes: the root of the tree it was seen in */
	bool truncated;
	struct snapshot_traits traits;
	struct site_counters counters;
};

/* A site whose process is not known. */
#define SNAPSHOT_NO_PROCESS UINT32_MAX

struct snapshot_process {
	uint32_t pid;
	uint32_t inner_pid; /* in its own pid namespace; 0: it has none of its own */
	uint32_t parent;    /* 0: not in the tree */
	uint32_t tree;	    /* index into processes: the one that was started or attached to */
	const char *command;
	int exit_status; /* valid if exited */
	int signal;	 /* valid if signalled */
	bool exited;
	bool signalled;
	const char *engine; /* "jump", "breakpoint", "mixed", "none" */
	const char *host;   /* where snapshots were merged: the machine it ran on */
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

/* A file that was mapped as code, so that its symbols can be found again elsewhere. */
struct snapshot_module {
	const char *path;
	const char *build_id; /* hex, NULL: none */
};

/* The text of a source line, without its newline. */
struct snapshot_source_line {
	const char *file; /* as in snapshot_frame */
	const char *text;
	uint32_t line;
};

/* Where a session ran: uname(2), and which tracealloc it was. */
struct snapshot_machine {
	const char *host;	  /* NULL: unknown */
	const char *system;	  /* "Linux 6.1.0", likewise */
	const char *architecture; /* "x86_64", likewise */
	const char *producer;	  /* "tracealloc 0.1.0", likewise */
};

struct snapshot_cost {
	uint64_t target_stopped_ns; /* sum over stops, as measured by the tracer */
	uint64_t stops;
	uint64_t install_freeze_ns; /* the longest time that all threads stood still at once */
	uint64_t remove_freeze_ns;  /* the same at the end, when probes are taken out */
	uint64_t tracer_cpu_ns;
	uint64_t tracer_rss_bytes;
};

/* The look for blocks that nothing points to. Where looked_at and missed are 0 there was none. */
struct snapshot_scan {
	uint32_t looked_at; /* processes */
	uint32_t missed;    /* processes that ended before they could be looked at */
	uint64_t blocks;
	uint64_t frozen_ns; /* the longest that a process stood still for it */
};

/*
 * What the allocator of the process that was attached to held, whoever asked for it: before
 * tracing, and when it ended.
 *
 * Equation: heap_bytes = used_bytes + free_bytes + overhead_bytes, where `known`
 */
struct snapshot_heap {
	bool measured;	   /* before_heap_bytes is valid */
	bool before_known; /* before_bytes and before_blocks are valid */
	bool known;	   /* used_, free_ and overhead_ are valid */
	uint64_t before_bytes;
	uint64_t before_blocks;
	uint64_t before_heap_bytes; /* of the heap; of what may be one, where before_known is not */
	uint64_t heap_bytes;	    /* the same when tracing ended, where resident_bytes is known */
	uint64_t used_bytes;
	uint64_t used_blocks;
	uint64_t free_bytes;
	uint64_t overhead_bytes;
	uint64_t resident_bytes; /* of the process; 0: not known, as where it had ended */
};

static inline bool snapshot_scan_was_made(const struct snapshot_scan *scan)
{
	return scan->looked_at || scan->missed;
}

struct snapshot_timeline_point {
	uint64_t time_ns;
	uint64_t current_bytes;
	uint64_t current_blocks;
};

/*
 * Which sites held what was in use at a moment: detail_sites[first_site + i], in the order of the
 * sites. What they do not add up to was held by others, too many to be kept.
 */
struct snapshot_detail_point {
	uint64_t time_ns;
	uint64_t current_bytes; /* of all sites */
	uint64_t current_blocks;
	size_t first_site; /* index into detail_sites */
	size_t site_count;
};

struct snapshot_detail_site {
	uint64_t bytes;
	uint64_t blocks;
	uint32_t site; /* index into sites */
};

/* A moment of the session that somebody named. */
enum snapshot_mark_kind {
	SNAPSHOT_MARK_NAMED,	  /* by `ctl mark`, or by the target itself */
	SNAPSHOT_MARK_PEAK_RESET, /* the peak counts from here */
	SNAPSHOT_MARK_TAKEN,	  /* the snapshot was taken while tracing went on: the last mark */
};

struct snapshot_mark {
	enum snapshot_mark_kind kind;
	uint64_t time_ns;
	uint64_t current_bytes;
	const char *name; /* NULL: none */
};

enum snapshot_origin { SNAPSHOT_RUN, SNAPSHOT_ATTACH };

struct snapshot {
	uint32_t part_count; /* sessions in it: 1, more where snapshots were merged */
	enum snapshot_origin origin;
	const char *
		*command; /* NULL-terminated, from malloc(3), freed with the snapshot; or NULL */
	size_t command_count;
	uint32_t pid;
	uint32_t depth;		 /* the limit of frames a stack; 0: unknown */
	int64_t started_unix_ns; /* wall clock */
	uint64_t duration_ns;
	struct snapshot_machine machine;
	struct total_counters totals;
	uint64_t lost_events;
	uint64_t truncated_stacks;  /* events whose stack was cut at the depth limit */
	uint64_t incomplete_stacks; /* events whose stack could not be followed to its end */
	struct snapshot_cost cost;
	struct snapshot_scan scan;
	struct snapshot_heap heap;     /* of one session; of several not known */
	struct snapshot_frame *frames; /* no two are equal */
	size_t frame_count, frame_capacity;
	uint32_t *stacks; /* indices into frames, site after site */
	size_t stack_count, stack_capacity;
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
	struct snapshot_detail_point *detail_points; /* in the order of time */
	size_t detail_point_count, detail_point_capacity;
	struct snapshot_detail_site *detail_sites; /* point after point */
	size_t detail_site_count, detail_site_capacity;
	struct snapshot_mark *marks;
	size_t mark_count, mark_capacity;
	struct snapshot_module *modules;
	size_t module_count, module_capacity;
	struct snapshot_source_line *source_lines; /* in the order of file and line */
	size_t source_line_count, source_line_capacity;
	struct snapshot_kept kept;
	/*
	 * What was mapped beside the allocators (mmap(2), brk(2)): the same session told of
	 * mappings in the place of blocks, apart from all figures here. It has none of its own.
	 * NULL: that was not followed.
	 */
	struct snapshot *mappings;
	/* Private to snapshot: every string kept once, every frame found by its value. */
	struct snapshot_strings *strings;
	struct snapshot_frame_index *frame_index;
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

/* Appends a frame to the stack of the site that comes next, innermost first. */
struct error *snapshot_add_frame(struct snapshot *snapshot, const struct snapshot_frame *frame);

/* The same for frames that stand at `first` and after it in snapshot.stacks already. */
struct error *snapshot_repeat_frames(struct snapshot *snapshot, size_t first, size_t count);

/*
 * Appends a site. Its stack is what snapshot_add_frame was given since the last site: first_frame
 * and frame_count of what is given are not looked at.
 */
struct error *snapshot_add_site(struct snapshot *snapshot, const struct snapshot_site *site);
struct error *snapshot_add_process(struct snapshot *snapshot, const struct snapshot_process *one);
struct error *snapshot_add_probe(struct snapshot *snapshot, const struct snapshot_probe *probe);
struct error *snapshot_add_blind_module(struct snapshot *snapshot,
					const struct snapshot_blind_module *one);
struct error *snapshot_add_timeline_point(struct snapshot *snapshot,
					  const struct snapshot_timeline_point *point);

/*
 * Appends a detail of the timeline. Its sites are what snapshot_add_detail_site was given since the
 * last one: first_site and site_count of what is given are not looked at.
 */
struct error *snapshot_add_detail_site(struct snapshot *snapshot,
				       const struct snapshot_detail_site *one);
struct error *snapshot_add_detail_point(struct snapshot *snapshot,
					const struct snapshot_detail_point *point);

struct error *snapshot_add_mark(struct snapshot *snapshot, const struct snapshot_mark *mark);

/* Whether it was taken while tracing went on. */
static inline bool snapshot_is_interim(const struct snapshot *snapshot)
{
	return snapshot->mark_count &&
	       snapshot->marks[snapshot->mark_count - 1].kind == SNAPSHOT_MARK_TAKEN;
}

/* The last time the peak was reset, NULL: never. */
const struct snapshot_mark *snapshot_last_reset(const struct snapshot *snapshot);

struct error *snapshot_add_module(struct snapshot *snapshot, const struct snapshot_module *module);

/*
 * Appends a source line; once all are there snapshot_sort_source puts them in order, and takes a
 * line away for which two different texts were given.
 */
struct error *snapshot_add_source_line(struct snapshot *snapshot,
				       const struct snapshot_source_line *line);
void snapshot_sort_source(struct snapshot *snapshot);

/* The text of a line of a file, NULL where the snapshot has none. */
const char *snapshot_source_text(const struct snapshot *snapshot, const char *file, uint32_t line);

/* The i-th frame of a site, from 0, the innermost. */
static inline const struct snapshot_frame *
snapshot_site_frame(const struct snapshot *snapshot, const struct snapshot_site *site, size_t i)
{
	return &snapshot->frames[snapshot->stacks[site->first_frame + i]];
}

/*
 * Sums over sites equal the totals; stacks, frames, processes and sites that are named exist; no
 * detail of the timeline has sites that hold more than all. NULL when they hold.
 */
struct error *snapshot_check(const struct snapshot *snapshot);

#endif
