/* SPDX-License-Identifier: MIT */
#include "cli/top_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

static const double SECOND_NS = 1e9;

/* ---- moments */

static struct top_moment *hold(struct top_moment *moment)
{
	if (moment)
		moment->users++;
	return moment;
}

static void release(struct top_moment **moment)
{
	struct top_moment *one = *moment;
	*moment = NULL;
	if (!one || --one->users)
		return;
	snapshot_destroy(one->snapshot);
	free(one);
}

void top_model_init(const struct query *query, struct top_model *ret)
{
	*ret = (struct top_model){.query = *query};
	/* Rows that have shrunk to nothing are rows: what was ever allocated has one. */
	ret->query.show = QUERY_TOTAL;
	ret->query.top = SIZE_MAX;
	ret->query.min_bytes = 0;
}

void top_model_deinit(struct top_model *model)
{
	table_deinit(&model->table);
	free(model->rows);
	release(&model->now);
	release(&model->before);
	release(&model->mark);
	*model = (struct top_model){0};
}

/* ---- rows of different snapshots */

static int compare_strings(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

/* Which row it is. A row's function may come and go, as more of them make blocks at its line. */
static int compare_places(const struct table_row *a, const struct table_row *b)
{
	int order = compare_strings(a->label, b->label);
	if (!order)
		order = compare_strings(a->file, b->file);
	if (!order)
		order = (a->line > b->line) - (a->line < b->line);
	if (!order && !a->file)
		order = compare_strings(a->module, b->module);
	return order;
}

static int compare_table_rows(const void *a, const void *b)
{
	return compare_places(a, b);
}

/* The answer of an older moment, ordered by place. */
static struct error *answer_of(const struct top_model *model, const struct top_moment *moment,
			       struct table *ret)
{
	*ret = (struct table){0};
	if (!moment)
		return NULL;
	struct error *err = query_run(moment->snapshot, &model->query, ret);
	if (!err && ret->row_count)
		qsort(ret->rows, ret->row_count, sizeof *ret->rows, compare_table_rows);
	return err;
}

static const struct site_counters *find(const struct table *table, const struct table_row *row)
{
	static const struct site_counters nothing;
	const struct table_row *found = NULL;
	if (table->row_count)
		found = bsearch(row, table->rows, table->row_count, sizeof *table->rows,
				compare_table_rows);
	return found ? &found->counters : &nothing;
}

/* ---- which rows, in which order */

static bool contains(const char *text, const char *pattern)
{
	return text && strcasestr(text, pattern);
}

static bool passes(const struct top_model *model, const struct table_row *row)
{
	const char *pattern = model->pattern;
	return !*pattern || contains(row->label, pattern) || contains(row->file, pattern) ||
	       contains(row->function, pattern) || contains(row->module, pattern);
}

/* The change as an unsigned sum would wrap: as a double it only rounds. */
static double growth(uint64_t old, uint64_t new)
{
	return new >= old ? (double)(new - old) : -(double)(old - new);
}

static double weight(const struct top_row *row, enum top_order order)
{
	switch (order) {
	case TOP_BY_BLOCKS:
		return (double)row->blocks;
	case TOP_BY_CHANGE:
		return growth(row->before_bytes, row->bytes);
	case TOP_BY_MARK:
		return growth(row->mark_bytes, row->bytes);
	case TOP_BY_BYTES:
		break;
	}
	return (double)row->bytes;
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct top_row *one = a, *other = b;
	const enum top_order *order = context;
	double first = weight(one, *order), second = weight(other, *order);
	if (first != second)
		return first < second ? 1 : -1;
	if (one->bytes != other->bytes)
		return one->bytes < other->bytes ? 1 : -1;
	return compare_places(one->source, other->source);
}

static double past_s(const struct top_model *model)
{
	if (!model->before)
		return 0;
	double past =
		growth(model->before->snapshot->duration_ns, model->now->snapshot->duration_ns);
	return past > 0 ? past / SECOND_NS : 0;
}

static double rate(const struct top_model *model, uint64_t old, uint64_t new)
{
	double past = past_s(model);
	return past > 0 && new > old ? (double)(new - old) / past : 0;
}

static bool is_worth_a_line(const struct top_row *row)
{
	return row->bytes || row->blocks || row->before_bytes || row->mark_bytes ||
	       row->bytes_per_s > 0;
}

static void fill(struct top_model *model, const struct table *before, const struct table *mark)
{
	for (size_t i = 0; i < model->table.row_count; i++) {
		const struct table_row *source = &model->table.rows[i];
		const struct site_counters *then = find(before, source);
		struct top_row row = {
			.source = source,
			.bytes = source->counters.current_bytes,
			.blocks = source->counters.current_blocks,
			.before_bytes = then->current_bytes,
			.mark_bytes = find(mark, source)->current_bytes,
			.bytes_per_s = rate(model, then->total_bytes, source->counters.total_bytes),
		};
		if (passes(model, source) && is_worth_a_line(&row))
			model->rows[model->count++] = row;
	}
	if (model->count)
		qsort_r(model->rows, model->count, sizeof *model->rows, compare_rows,
			&model->order);
}

/* Where the row stands that was selected; the place stays where it has gone. */
static void keep_selection(struct top_model *model, const struct table_row *selected)
{
	for (size_t i = 0; selected && i < model->count; i++)
		if (compare_places(model->rows[i].source, selected) == 0)
			model->selected = i;
	if (model->selected >= model->count)
		model->selected = model->count ? model->count - 1 : 0;
}

struct error *top_model_answer(struct top_model *model)
{
	__attribute__((__cleanup__(table_deinit))) struct table before = {0}, mark = {0}, old = {0};
	if (!model->now)
		return NULL;
	struct error *err = answer_of(model, model->before, &before);
	if (!err)
		err = answer_of(model, model->mark, &mark);
	const struct table_row *selected =
		model->follows && model->count ? model->rows[model->selected].source : NULL;
	old = model->table;
	model->table = (struct table){0};
	model->count = 0;
	if (!err)
		err = query_run(model->now->snapshot, &model->query, &model->table);
	if (!err && !array_reserve(&model->rows, &model->capacity, model->table.row_count + 1,
				   sizeof *model->rows))
		err = error_no_memory();
	if (!err)
		fill(model, &before, &mark);
	keep_selection(model, selected);
	return err;
}

/* ---- time goes on */

static void remember(struct top_model *model, uint64_t bytes)
{
	if (model->history_count == TOP_HISTORY) {
		memmove(model->history, model->history + 1,
			(TOP_HISTORY - 1) * sizeof *model->history);
		model->history_count--;
	}
	model->history[model->history_count++] = bytes;
}

struct error *top_model_take(struct top_model *model, struct snapshot *snapshot)
{
	struct top_moment *moment = malloc(sizeof *moment);
	if (!moment) {
		snapshot_destroy(snapshot);
		return error_no_memory();
	}
	*moment = (struct top_moment){.snapshot = snapshot, .users = 1};
	/* The old answer borrows from what is `before` now, and lives until there is a new one. */
	release(&model->before);
	model->before = model->now;
	model->now = moment;
	if (!model->mark)
		model->mark = hold(moment);
	remember(model, snapshot->totals.current_bytes);
	return top_model_answer(model);
}

struct error *top_model_mark(struct top_model *model)
{
	release(&model->mark);
	model->mark = hold(model->now);
	return top_model_answer(model);
}

void top_model_move(struct top_model *model, long rows)
{
	size_t last = model->count ? model->count - 1 : 0;
	size_t step = rows < 0 ? -(size_t)rows : (size_t)rows;
	if (rows < 0)
		model->selected -= step < model->selected ? step : model->selected;
	else
		model->selected = step < last - model->selected ? model->selected + step : last;
	model->follows = model->selected > 0;
}

double top_model_events_per_s(const struct top_model *model)
{
	return model->before ? rate(model, model->before->snapshot->totals.events,
				    model->now->snapshot->totals.events)
			     : 0;
}

double top_model_cpu_percent(const struct top_model *model)
{
	return model->before ? rate(model, model->before->snapshot->cost.tracer_cpu_ns,
				    model->now->snapshot->cost.tracer_cpu_ns) *
				       100 / SECOND_NS
			     : 0;
}

/* ---- one row's stacks */

struct error *top_model_stacks(const struct top_model *model, struct table *ret)
{
	struct query query = model->query;
	*ret = (struct table){0};
	if (!model->now)
		return NULL;
	query.show = QUERY_CURRENT;
	query.group_by = QUERY_TRACEBACK;
	query.cumulative = false;
	return query_run(model->now->snapshot, &query, ret);
}

static bool is_equal(const char *a, const char *b)
{
	return compare_strings(a, b) == 0;
}

/* A row without line and function is called by module and offset alone. */
static bool has_label_of(const struct table_row *row, const struct snapshot_frame *frame)
{
	char end[32];
	snprintf(end, sizeof end, "+0x%" PRIx64, frame->offset);
	size_t length = strlen(row->label), cut = strlen(end);
	return length >= cut && strcmp(row->label + length - cut, end) == 0;
}

bool top_model_is_of_row(const struct top_model *model, const struct table_row *stack)
{
	if (!model->count || !stack->frame_count)
		return false;
	const struct table_row *row = model->rows[model->selected].source;
	const struct snapshot_frame *frame = &stack->snapshot->frames[stack->stack[0]];
	switch (model->query.group_by) {
	case QUERY_LINE:
		if (row->line)
			return row->line == frame->line && is_equal(row->file, frame->file);
		if (frame->line || !is_equal(row->module, frame->module))
			return false;
		return frame->function ? is_equal(row->function, frame->function)
				       : !row->function && has_label_of(row, frame);
	case QUERY_FILE:
		return row->file ? is_equal(row->file, frame->file)
				 : !frame->file && is_equal(row->module, frame->module);
	case QUERY_FUNCTION:
		return is_equal(row->function, frame->function) &&
		       (row->file ? is_equal(row->file, frame->file)
				  : is_equal(row->module, frame->module));
	default:
		return is_equal(row->module, frame->module);
	}
}

bool top_model_check(const struct top_model *model)
{
	return (model->count ? model->selected < model->count : model->selected == 0) &&
	       model->history_count <= TOP_HISTORY;
}
