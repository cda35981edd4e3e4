/* SPDX-License-Identifier: MIT */
#include "snapshot/query.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "snapshot/sum.h"

/*
 * A group while it is made: what tells it from others, and its row. A key field is NULL or 0 where
 * the grouping does not look at it; `path` is the label of `file`, for the row's label and order.
 */
struct group {
	const char *file;
	const char *path;
	const char *function;
	const char *module;
	uint64_t offset;
	uint32_t line;
	struct table_row row;
};

struct groups {
	struct group *items;
	size_t count;
};

static void cleanup_groups(struct groups *groups)
{
	free(groups->items);
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void quantity_of(enum query_show show, const struct site_counters *c, uint64_t *bytes_ret,
			uint64_t *blocks_ret)
{
	switch (show) {
	case QUERY_PEAK:
		*bytes_ret = c->peak_bytes;
		*blocks_ret = c->peak_blocks;
		return;
	case QUERY_CURRENT:
		*bytes_ret = c->current_bytes;
		*blocks_ret = c->current_blocks;
		return;
	case QUERY_LEAKED:
		*bytes_ret = c->current_bytes;
		*blocks_ret = c->current_blocks;
		sum_add(bytes_ret, c->ended_bytes);
		sum_add(blocks_ret, c->ended_blocks);
		return;
	case QUERY_TOTAL:
	case QUERY_COUNT:
		break;
	}
	*bytes_ret = c->total_bytes;
	*blocks_ret = c->total_blocks;
}

/* Where there is no line: function and module, without a function the place in the module. */
static void key_by_place(struct group *group, const struct snapshot_frame *frame)
{
	group->function = frame->function;
	group->module = frame->module;
	group->offset = frame->function ? 0 : frame->offset;
}

static void key_by_file(struct group *group, const struct snapshot_frame *frame)
{
	group->file = frame->file;
	group->path = frame->label ? frame->label : frame->file;
}

static void set_key(struct group *group, const struct snapshot_frame *frame, enum query_group by)
{
	switch (by) {
	case QUERY_LINE:
		if (!frame->file || !frame->line) {
			key_by_place(group, frame);
			return;
		}
		key_by_file(group, frame);
		group->line = frame->line;
		return;
	case QUERY_FUNCTION:
		group->function = frame->function;
		/* fall through */
	case QUERY_FILE:
		key_by_file(group, frame);
		if (!frame->file)
			group->module = frame->module;
		return;
	case QUERY_MODULE:
		group->module = frame->module;
		return;
	}
}

static void begin_group(struct group *group, const struct snapshot_frame *frame,
			enum query_group by)
{
	static const struct snapshot_frame unknown;
	if (!frame)
		frame = &unknown;
	set_key(group, frame, by);
	group->row.file = by == QUERY_MODULE ? NULL : frame->file;
	group->row.line = group->line;
	group->row.function = by == QUERY_LINE || by == QUERY_FUNCTION ? frame->function : NULL;
	group->row.module = frame->module;
}

/* NULL before any string; equal pointers are common, because strings are interned. */
static int compare_strings(const char *a, const char *b)
{
	if (a == b)
		return 0;
	return !a ? -1 : !b ? 1 : strcmp(a, b);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_keys(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	int order = compare_strings(a->path, b->path);
	if (!order)
		order = compare_numbers(a->line, b->line);
	if (!order)
		order = compare_strings(a->file, b->file);
	if (!order)
		order = compare_strings(a->function, b->function);
	if (!order)
		order = compare_strings(a->module, b->module);
	return order ? order : compare_numbers(a->offset, b->offset);
}

/* Biggest first; by blocks first where they are what is counted. */
static int compare_figures(const struct table_row *a, const struct table_row *b, bool by_blocks)
{
	int bytes = compare_numbers(b->bytes, a->bytes);
	int blocks = compare_numbers(b->blocks, a->blocks);
	if (by_blocks)
		return blocks ? blocks : bytes;
	return bytes ? bytes : blocks;
}

static int compare_by_bytes(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	int order = compare_figures(&a->row, &b->row, false);
	return order ? order : compare_keys(right, left);
}

static int compare_by_blocks(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	int order = compare_figures(&a->row, &b->row, true);
	return order ? order : compare_keys(right, left);
}

/* One group a site; sites with nothing of the quantity shown are left out. */
static void collect(const struct snapshot *snapshot, const struct query *query,
		    struct groups *groups, struct table *table)
{
	for (size_t i = 0; i < snapshot->site_count; i++) {
		const struct snapshot_site *site = &snapshot->sites[i];
		struct group *group = &groups->items[groups->count];
		*group = (struct group){.row.counters = site->counters};
		quantity_of(query->show, &site->counters, &group->row.bytes, &group->row.blocks);
		if (!group->row.bytes && !group->row.blocks)
			continue;
		size_t charged = query_charged_frame(snapshot, site, query);
		const struct snapshot_frame *frame =
			charged == SIZE_MAX ? NULL : &snapshot->frames[charged];
		begin_group(group, frame, query->group_by);
		table->lineless_sites += !frame || !frame->file || !frame->line;
		sum_add(&table->shown_bytes, group->row.bytes);
		sum_add(&table->shown_blocks, group->row.blocks);
		groups->count++;
	}
}

static void merge_into(struct table_row *row, const struct table_row *other)
{
	sum_add(&row->bytes, other->bytes);
	sum_add(&row->blocks, other->blocks);
	sum_site(&row->counters, &other->counters);
	if (compare_strings(row->function, other->function))
		row->function = NULL;
	if (compare_strings(row->module, other->module))
		row->module = NULL;
}

/* Joins neighbours with equal keys; the groups are sorted by key. */
static void merge(struct groups *groups)
{
	size_t kept = 0;
	for (size_t i = 0; i < groups->count; i++) {
		if (kept && compare_keys(&groups->items[kept - 1], &groups->items[i]) == 0)
			merge_into(&groups->items[kept - 1].row, &groups->items[i].row);
		else
			groups->items[kept++] = groups->items[i];
	}
	groups->count = kept;
}

static void print_module_place(struct buffer *out, const struct group *group)
{
	if (group->module)
		buffer_printf(out, "%s+0x%llx", basename_of(group->module),
			      (unsigned long long)group->offset);
	else if (group->offset)
		buffer_printf(out, "0x%llx", (unsigned long long)group->offset);
	else
		buffer_string(out, "<unknown>");
}

static void print_line_label(struct buffer *out, const struct group *group)
{
	if (group->file)
		buffer_printf(out, "%s:%u", group->path, group->line);
	else if (group->function && group->module)
		buffer_printf(out, "%s (%s)", group->function, basename_of(group->module));
	else if (group->function)
		buffer_string(out, group->function);
	else
		print_module_place(out, group);
}

static void print_function_label(struct buffer *out, const struct group *group)
{
	buffer_string(out, group->function ? group->function : "<unknown>");
	if (group->file)
		buffer_printf(out, " (%s)", group->path);
	else if (group->module)
		buffer_printf(out, " (%s)", basename_of(group->module));
}

static void print_label(struct buffer *out, const struct group *group, enum query_group by)
{
	switch (by) {
	case QUERY_LINE:
		print_line_label(out, group);
		return;
	case QUERY_FUNCTION:
		print_function_label(out, group);
		return;
	case QUERY_FILE:
	case QUERY_MODULE:
		break;
	}
	buffer_string(out, group->file ? group->path : group->module ? group->module : "<unknown>");
}

static struct error *make_label(struct group *group, enum query_group by)
{
	_cleanup_buffer_ struct buffer label = {0};
	print_label(&label, group, by);
	if (buffer_failed(&label) || !label.bytes)
		return error_no_memory();
	group->row.label = take_ptr(label.bytes);
	label = (struct buffer){0};
	return NULL;
}

/* The first query.top groups become rows, the rest is added up. */
static struct error *cut(struct groups *groups, struct table *table)
{
	size_t rows = groups->count < table->query.top ? groups->count : table->query.top;
	table->rows = calloc(rows + 1, sizeof *table->rows);
	if (!table->rows)
		return error_no_memory();
	for (size_t i = 0; i < rows; i++) {
		struct error *err = make_label(&groups->items[i], table->query.group_by);
		if (err)
			return err;
		groups->items[i].row.rank = i + 1;
		table->rows[table->row_count++] = groups->items[i].row;
	}
	for (size_t i = rows; i < groups->count; i++) {
		sum_add(&table->other_bytes, groups->items[i].row.bytes);
		sum_add(&table->other_blocks, groups->items[i].row.blocks);
	}
	table->other_count = groups->count - rows;
	return NULL;
}

struct error *query_run(const struct snapshot *snapshot, const struct query *query,
			struct table *ret)
{
	__attribute__((cleanup(cleanup_groups))) struct groups groups = {0};
	groups.items = calloc(snapshot->site_count + 1, sizeof *groups.items);
	if (!groups.items)
		return error_no_memory();
	struct table table = {.query = *query};
	collect(snapshot, query, &groups, &table);
	qsort(groups.items, groups.count, sizeof *groups.items, compare_keys);
	merge(&groups);
	qsort(groups.items, groups.count, sizeof *groups.items,
	      query->show == QUERY_COUNT ? compare_by_blocks : compare_by_bytes);
	struct error *err = cut(&groups, &table);
	if (err) {
		table_deinit(&table);
		return err;
	}
	*ret = table;
	return NULL;
}

void table_deinit(struct table *table)
{
	for (size_t i = 0; i < table->row_count; i++)
		free(table->rows[i].label);
	free(table->rows);
	*table = (struct table){0};
}
