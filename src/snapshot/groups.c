/* SPDX-License-Identifier: MIT */
#include "snapshot/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "snapshot/charge.h"
#include "snapshot/filter.h"
#include "snapshot/needs.h"
#include "snapshot/owners.h"
#include "snapshot/sum.h"
#include "snapshot/suppress.h"

/* Groups that are kept before equal ones are joined for the first time. */
enum { JOIN_AT = 1 << 16 };

/* What is known while sites are gone through. */
struct collection {
	struct groups *groups;
	const struct snapshot *snapshot;
	struct table *table;
	struct charge charge;
	struct filter filter;
	struct suppress suppress;
	struct owners owners; /* QUERY_PROCESS */
	size_t join_at;
	const struct snapshot_site *lineless; /* the last one charged without a line */
};

static void collection_deinit(struct collection *collection)
{
	charge_deinit(&collection->charge);
	filter_deinit(&collection->filter);
	suppress_deinit(&collection->suppress);
	owners_deinit(&collection->owners);
}

void groups_deinit(struct groups *groups)
{
	free(groups->items);
	*groups = (struct groups){0};
}

void query_quantity(enum query_show show, const struct site_counters *c, uint64_t *bytes_ret,
		    uint64_t *blocks_ret)
{
	switch (show) {
	case QUERY_WASTE:
		*bytes_ret = c->waste_bytes;
		*blocks_ret = c->peak_blocks;
		return;
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
	case QUERY_TEMPORARY:
		*bytes_ret = 0;
		*blocks_ret = c->temporary_blocks;
		return;
	case QUERY_LIFETIME:
		*bytes_ret = c->released_bytes;
		*blocks_ret = c->released_blocks;
		return;
	case QUERY_UNREACHABLE:
		*bytes_ret = c->unreachable.direct_bytes;
		*blocks_ret = c->unreachable.direct_blocks;
		sum_add(bytes_ret, c->unreachable.indirect_bytes);
		sum_add(blocks_ret, c->unreachable.indirect_blocks);
		return;
	case QUERY_TOTAL:
	case QUERY_COUNT:
		break;
	}
	*bytes_ret = c->total_bytes;
	*blocks_ret = c->total_blocks;
}

/* Tracebacks from the outermost frame, as tracemalloc has them; the shorter of two comes first. */
static int compare_tracebacks(const struct table_row *a, const struct table_row *b, bool portable)
{
	size_t left = a->frame_count, right = b->frame_count;
	while (left && right) {
		const struct snapshot_frame *one = &a->snapshot->frames[a->stack[--left]];
		const struct snapshot_frame *other = &b->snapshot->frames[b->stack[--right]];
		if (one == other)
			continue;
		struct place place = place_of(one, QUERY_TRACEBACK, portable);
		struct place other_place = place_of(other, QUERY_TRACEBACK, portable);
		int order = place_compare(&place, &other_place);
		if (order)
			return order;
	}
	return (left > right) - (left < right);
}

/* Processes in the order of their start, those of two snapshots by their command. */
static int compare_processes(const struct table_row *a, const struct table_row *b, bool portable)
{
	const struct snapshot_process *one = a->process, *other = b->process;
	if (one && other && portable)
		return place_compare_strings(one->command, other->command);
	return (one > other) - (one < other);
}

static int compare_sizes(const struct table_row *a, const struct table_row *b)
{
	const struct size_range *one = &a->size, *other = &b->size;
	int order = (one->low_bytes > other->low_bytes) - (one->low_bytes < other->low_bytes);
	return order ? order
		     : (one->high_bytes > other->high_bytes) -
			       (one->high_bytes < other->high_bytes);
}

/* Threads in the order in which they were first seen, those of two snapshots by their name. */
static int compare_threads(const struct table_row *a, const struct table_row *b, bool portable)
{
	const struct snapshot_thread *one = a->thread, *other = b->thread;
	if (one && other && portable)
		return place_compare_strings(one->name, other->name);
	return (one > other) - (one < other);
}

int groups_compare(const struct groups *groups, const struct group *a, const struct group *b)
{
	switch (groups->query->group_by) {
	case QUERY_TRACEBACK:
		return compare_tracebacks(&a->row, &b->row, groups->portable);
	case QUERY_PROCESS:
		return compare_processes(&a->row, &b->row, groups->portable);
	case QUERY_SIZE:
		return compare_sizes(&a->row, &b->row);
	case QUERY_THREAD:
		return compare_threads(&a->row, &b->row, groups->portable);
	case QUERY_LINE:
	case QUERY_FILE:
	case QUERY_FUNCTION:
	case QUERY_MODULE:
		break;
	}
	return place_compare(&a->place, &b->place);
}

static int compare_for_sort(const void *left, const void *right, void *context)
{
	return groups_compare(context, left, right);
}

static void join_rows(struct table_row *row, const struct table_row *other)
{
	sum_add(&row->bytes, other->bytes);
	sum_add(&row->blocks, other->blocks);
	sum_site(&row->counters, &other->counters);
	if (place_compare_strings(row->function, other->function))
		row->function = NULL;
	if (place_compare_strings(row->module, other->module))
		row->module = NULL;
	if (place_compare_strings(row->file, other->file))
		row->file = NULL;
}

/* Sorts items[from .. count) by key and makes one of equal ones: by addition, or the first. */
static void join(struct groups *groups, size_t from, bool add)
{
	size_t kept = from;
	if (groups->count > from)
		qsort_r(groups->items + from, groups->count - from, sizeof *groups->items,
			compare_for_sort, groups);
	for (size_t i = from; i < groups->count; i++) {
		struct group *last = kept > from ? &groups->items[kept - 1] : NULL;
		if (!last || groups_compare(groups, last, &groups->items[i]) != 0)
			groups->items[kept++] = groups->items[i];
		else if (add)
			join_rows(&last->row, &groups->items[i].row);
	}
	groups->count = kept;
}

/* Adds a group for frame i of the site (SIZE_MAX: it has none), with the figures of `row`. */
static struct error *add_group(struct collection *collection, const struct snapshot_site *site,
			       size_t i, const struct table_row *row)
{
	struct groups *groups = collection->groups;
	const struct snapshot *snapshot = collection->snapshot;
	enum query_group by = groups->query->group_by;
	if (!array_reserve(&groups->items, &groups->capacity, groups->count + 1,
			   sizeof *groups->items))
		return error_no_memory();
	const struct snapshot_frame *frame =
		i == SIZE_MAX ? NULL : snapshot_site_frame(snapshot, site, i);
	struct group *group = &groups->items[groups->count++];
	*group = (struct group){.place = place_of(frame, by, groups->portable), .row = *row};
	group->row.snapshot = snapshot;
	group->row.size = site->traits.size;
	if (by == QUERY_PROCESS)
		group->row.process = owners_of(&collection->owners, site);
	if (by == QUERY_THREAD && site->traits.thread)
		group->row.thread = &snapshot->kept.threads[site->traits.thread - 1];
	if (!frame || by == QUERY_PROCESS || by == QUERY_SIZE || by == QUERY_THREAD)
		return NULL;
	group->row.file = by == QUERY_MODULE ? NULL : frame->file;
	group->row.line = group->place.line;
	group->row.function = by == QUERY_FILE || by == QUERY_MODULE ? NULL : frame->function;
	group->row.module = frame->module;
	if (by == QUERY_TRACEBACK) {
		group->row.stack = &snapshot->stacks[site->first_frame + i];
		group->row.frame_count = site->frame_count - i;
	}
	return NULL;
}

/* A group for each frame that counts; of several in one group one stays. */
static struct error *add_cumulative(struct collection *collection, const struct snapshot_site *site,
				    size_t charged, const struct table_row *row)
{
	size_t from = collection->groups->count;
	struct error *err = add_group(collection, site, charged, row);
	for (size_t i = 0; !err && i < site->frame_count; i++)
		if (i != charged && charge_counts(&collection->charge, site, i))
			err = add_group(collection, site, i, row);
	if (!err)
		join(collection->groups, from, false);
	return err;
}

static bool same_stack(const struct snapshot *snapshot, const struct snapshot_site *a,
		       const struct snapshot_site *b)
{
	return a->frame_count == b->frame_count &&
	       memcmp(&snapshot->stacks[a->first_frame], &snapshot->stacks[b->first_frame],
		      a->frame_count * sizeof *snapshot->stacks) == 0;
}

/* Sites of one stack that traits tell apart stand beside each other. */
static void note_lineless(struct collection *collection, const struct snapshot_site *site,
			  size_t charged)
{
	const struct snapshot *snapshot = collection->snapshot;
	const struct snapshot_frame *frame =
		charged == SIZE_MAX ? NULL : snapshot_site_frame(snapshot, site, charged);
	if (frame && frame->file && frame->line)
		return;
	if (!collection->lineless || !same_stack(snapshot, collection->lineless, site))
		collection->table->lineless_sites++;
	collection->lineless = site;
}

static void add_to_sums(struct collection *collection, const struct snapshot_site *site,
			size_t charged, const struct table_row *row)
{
	struct table *table = collection->table;
	note_lineless(collection, site, charged);
	sum_add(&table->shown_bytes, row->bytes);
	sum_add(&table->shown_blocks, row->blocks);
	sum_add(&table->shown_lifetime_ns, row->counters.lifetime_ns);
	if (site->traits.waste_bytes == SNAPSHOT_NO_WASTE)
		sum_add(&table->unknown_blocks, row->blocks);
}

static struct error *add_site(struct collection *collection, const struct snapshot_site *site)
{
	const struct query *query = collection->groups->query;
	struct table_row row = {0};
	size_t suppression;
	query_quantity(query->show, &site->counters, &row.bytes, &row.blocks);
	if (!row.bytes && !row.blocks)
		return NULL;
	size_t charged = charge_frame(&collection->charge, site);
	struct error *err = filter_counters(&collection->filter, site, charged, &row.counters);
	query_quantity(query->show, &row.counters, &row.bytes, &row.blocks);
	if (err || (!row.bytes && !row.blocks))
		return err;
	if (suppress_site(&collection->suppress, site, &suppression)) {
		sum_add(&collection->table->suppressed[suppression].bytes, row.bytes);
		sum_add(&collection->table->suppressed[suppression].blocks, row.blocks);
		return NULL;
	}
	add_to_sums(collection, site, charged, &row);
	err = query->cumulative ? add_cumulative(collection, site, charged, &row)
				: add_group(collection, site, charged, &row);
	if (!err && collection->groups->count >= collection->join_at) {
		join(collection->groups, 0, true);
		collection->join_at = collection->groups->count * 2;
		if (collection->join_at < JOIN_AT)
			collection->join_at = JOIN_AT;
	}
	return err;
}

static struct error *make_suppressed(struct table *table, const struct query *query)
{
	table->suppressed = calloc(query->suppression_count + 1, sizeof *table->suppressed);
	return table->suppressed ? NULL : error_no_memory();
}

struct error *groups_collect(struct groups *groups, const struct snapshot *snapshot,
			     struct table *table)
{
	__attribute__((cleanup(collection_deinit))) struct collection collection = {
		.groups = groups, .snapshot = snapshot, .table = table, .join_at = JOIN_AT};
	struct error *err = needs_check(snapshot, groups->query);
	if (!err)
		err = charge_init(&collection.charge, snapshot, groups->query);
	if (!err)
		err = filter_init(&collection.filter, snapshot, groups->query);
	if (!err)
		err = suppress_init(&collection.suppress, snapshot, groups->query);
	if (!err && groups->query->group_by == QUERY_PROCESS)
		err = owners_init(&collection.owners, snapshot);
	if (!err)
		err = make_suppressed(table, groups->query);
	for (size_t i = 0; !err && i < snapshot->site_count; i++)
		err = add_site(&collection, &snapshot->sites[i]);
	if (!err)
		join(groups, 0, true);
	return err;
}

/*
 * "prog (pid 12 and 2 more processes)", where these are not told apart; the machine is named where
 * there are several.
 */
static void label_process(const struct table_row *row, struct buffer *out)
{
	const struct snapshot *snapshot = row->snapshot;
	const struct snapshot_process *root = row->process;
	size_t others = 0;
	bool one_host = true, apart = snapshot->kept.flags & KEPT_THREADS;
	if (!root) {
		buffer_string(out, "<unknown>");
		return;
	}
	for (size_t i = 0; i < snapshot->process_count; i++) {
		const struct snapshot_process *one = &snapshot->processes[i];
		others += one != root && &snapshot->processes[one->tree] == root;
		one_host = one_host && !place_compare_strings(one->host, root->host);
	}
	buffer_printf(out, "%s (pid %u", root->command ? root->command : "<unknown>", root->pid);
	if (others && !apart)
		buffer_printf(out, " and %zu more process%s", others, others == 1 ? "" : "es");
	if (!one_host)
		buffer_printf(out, " on %s", root->host ? root->host : "<unknown>");
	buffer_char(out, ')');
}

/* "4096 bytes", "4097-4607 bytes" */
static void label_size(const struct table_row *row, struct buffer *out)
{
	unsigned long long low = row->size.low_bytes, high = row->size.high_bytes;
	if (low == high)
		buffer_printf(out, "%llu byte%s", low, low == 1 ? "" : "s");
	else
		buffer_printf(out, "%llu-%llu bytes", low, high);
}

/* "worker (thread 123)"; where names are compared the name alone. */
static void label_thread(const struct table_row *row, struct buffer *out, bool portable)
{
	const struct snapshot_thread *thread = row->thread;
	buffer_string(out, thread && thread->name ? thread->name : "<unknown>");
	if (thread && !portable)
		buffer_printf(out, " (thread %u)", thread->tid);
}

struct error *groups_label(const struct groups *groups, struct group *group)
{
	_cleanup_buffer_ struct buffer label = {0};
	if (groups->query->group_by == QUERY_PROCESS)
		label_process(&group->row, &label);
	else if (groups->query->group_by == QUERY_SIZE)
		label_size(&group->row, &label);
	else if (groups->query->group_by == QUERY_THREAD)
		label_thread(&group->row, &label, groups->portable);
	else
		place_label(&group->place, groups->query->group_by, &label);
	if (buffer_failed(&label))
		return error_no_memory();
	group->row.label = strdup(buffer_text(&label));
	return group->row.label ? NULL : error_no_memory();
}
