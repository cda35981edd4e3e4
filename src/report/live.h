/* SPDX-License-Identifier: MIT */
/*
 * What a session that goes on says of itself, for people or as JSON: how it stands, and one block.
 *
 * Does not: know where the figures come from. Sizes are bytes, times nanoseconds since the
 * session's start. Hostile text comes out escaped. Called by: cli, from one thread. Errors: no
 * memory.
 */
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include "report/report.h"

struct report_status {
	uint64_t pid;
	uint64_t processes; /* alive, of the tree */
	const char *command;
	const char *engine; /* "jump", "breakpoint", "mixed", "none" */
	bool attached;	    /* else started */
	uint64_t time_ns;
	uint64_t current_bytes, current_blocks;
	uint64_t peak_bytes, peak_blocks, peak_at_ns;
	uint64_t total_bytes, total_blocks;
	uint64_t events, events_per_s, lost_events, stops;
};

struct error *report_status_text(const struct report_status *status, struct buffer *out);
struct error *report_status_json(const struct report_status *status, struct buffer *out);

/* The block that holds `asked`. */
struct report_block {
	uint64_t asked;
	uint64_t address, size_bytes, age_ns;
	uint64_t thread; /* that allocated it; 0: it has ended */
	uint64_t process;
};

/* snapshot has one site, that of the block; source may be NULL. */
struct error *report_block_text(const struct report_block *block, const struct snapshot *snapshot,
				const struct report_source *source, struct buffer *out);
struct error *report_block_json(const struct report_block *block, const struct snapshot *snapshot,
				const struct report_source *source, struct buffer *out);

#endif
