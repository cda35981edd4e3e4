/* SPDX-License-Identifier: MIT */
/*
 * What a live view shows: the rows of the newest snapshot, held against the one before it and
 * against a mark.
 *
 * Owns: the three snapshots, the answer, the order, which row is selected, the course of the total.
 * Does not: ask for snapshots, draw, or know what a key means. Pure. Private to cli; main thread.
 */
#ifndef CLI_TOP_MODEL_H
#define CLI_TOP_MODEL_H

#include "snapshot/query.h"

enum { TOP_HISTORY = 512, TOP_PATTERN_BYTES = 128 };

enum top_order { TOP_BY_BYTES, TOP_BY_BLOCKS, TOP_BY_CHANGE, TOP_BY_MARK };

/* A snapshot that several moments may be. */
struct top_moment {
	struct snapshot *snapshot;
	unsigned users;
};

/* What is live of a row now, and what was; a row that was not there had nothing. */
struct top_row {
	const struct table_row *source;
	uint64_t bytes, blocks;
	uint64_t before_bytes;
	uint64_t mark_bytes;
	double bytes_per_s; /* allocated, released or not */
};

/*
 * Invariants: selected < count, or count == 0 and selected == 0; history_count <= TOP_HISTORY.
 * Rows point into table, table into now.
 */
struct top_model {
	struct query query; /* as the options have it; the view changes group_by alone */
	enum top_order order;
	char pattern[TOP_PATTERN_BYTES]; /* rows whose place contains it, in any case; "": all */
	struct top_moment *now, *before, *mark;
	struct table table;
	struct top_row *rows;
	size_t count, capacity;
	size_t selected;
	bool follows;		       /* the selection stays with its row, not with its place */
	uint64_t history[TOP_HISTORY]; /* of the live bytes, oldest first */
	size_t history_count;
};

void top_model_init(const struct query *query, struct top_model *ret);
void top_model_deinit(struct top_model *model);

/*
 * A newer snapshot, which becomes the model's also when this fails; the first is the mark, too.
 * Errors: no memory, and those of query_run.
 */
struct error *top_model_take(struct top_model *model, struct snapshot *snapshot);

/* Works out the rows again, after query, order or pattern were changed. Errors as above. */
struct error *top_model_answer(struct top_model *model);

/* What is live now is what the rows are held against from here on. */
struct error *top_model_mark(struct top_model *model);

/* Selects the row that stands so many places further down (or, below zero, up). */
void top_model_move(struct top_model *model, long rows);

/* A second's events, and the percentage of a CPU that tracing took, since the snapshot before; 0
 * where there is none. */
double top_model_events_per_s(const struct top_model *model);
double top_model_cpu_percent(const struct top_model *model);

/*
 * The stacks that the selected row is made of, as rows of a table that borrows from the newest
 * snapshot (table_deinit); those of other rows are among them: top_model_is_of_row tells.
 */
struct error *top_model_stacks(const struct top_model *model, struct table *ret);
bool top_model_is_of_row(const struct top_model *model, const struct table_row *stack);

/* Of the invariants above, for tests. */
bool top_model_check(const struct top_model *model);

#define _cleanup_top_model_ __attribute__((__cleanup__(top_model_deinit)))

#endif
