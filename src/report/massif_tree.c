/* SPDX-License-Identifier: MIT */
#include "report/massif_tree.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "report/names.h"
#include "snapshot/sum.h"

/* Callers further out are not told apart: a tree is written by recursion. */
enum { DEPTH_MAX = 200 };

/* A row to be: the branches from..end, which agree in their places up to its depth. */
struct row {
	uint64_t bytes;
	size_t from, end;
};

struct rows {
	struct row *items;
	size_t count, capacity;
	uint64_t rest_bytes; /* of rows that are too small */
	size_t rest_count;
};

struct writing {
	const struct massif_tree *tree;
	const uint64_t *bytes;
	double threshold_percent;
	double threshold_bytes;
	struct buffer *out;
};

void massif_tree_deinit(struct massif_tree *tree)
{
	texts_deinit(&tree->places);
	free(tree->addresses);
	free(tree->numbers);
	free(tree->branches);
	*tree = (struct massif_tree){0};
}

/* frame: NULL for that of an unknown stack. What follows a '#' is a comment to ms_print. */
static struct error *number_place(struct massif_tree *tree, const struct snapshot_frame *frame,
				  uint32_t *ret)
{
	static const struct snapshot_frame unknown = {0};
	_cleanup_buffer_ struct buffer name = {0}, text = {0};
	frame = frame ? frame : &unknown;
	names_frame(&name, frame);
	for (const char *s = buffer_text(&name); *s; s++) {
		if (*s == '#')
			buffer_string(&text, "\\x23");
		else
			buffer_char(&text, *s);
	}
	size_t known = tree->places.count, number = texts_add(&tree->places, buffer_text(&text));
	if (buffer_failed(&name) || buffer_failed(&text) || tree->places.failed ||
	    !array_reserve(&tree->addresses, &tree->address_capacity, number + 1,
			   sizeof *tree->addresses))
		return error_no_memory();
	if (number == known)
		tree->addresses[number] = frame->offset;
	*ret = (uint32_t)number;
	return NULL;
}

/* Fills place_of, by frame of the snapshot, for the frames that stacks have. */
static struct error *number_places(struct massif_tree *tree, uint32_t *place_of)
{
	const struct selection *selection = tree->selection;
	struct error *err = NULL;
	for (size_t i = 0; i < selection->snapshot->frame_count; i++)
		place_of[i] = UINT32_MAX;
	for (size_t i = 0; i < selection->count; i++) {
		const struct selection_stack *stack = &selection->stacks[i];
		for (size_t k = 0; !err && k < stack->frame_count; k++)
			if (place_of[stack->frames[k]] == UINT32_MAX)
				err = number_place(tree, selection_frame(selection, stack, k),
						   &place_of[stack->frames[k]]);
	}
	return err;
}

static int compare_branches(const void *left, const void *right)
{
	const struct massif_branch *a = left, *b = right;
	for (size_t i = 0; i < a->place_count && i < b->place_count; i++)
		if (a->places[i] != b->places[i])
			return a->places[i] < b->places[i] ? -1 : 1;
	return (a->place_count > b->place_count) - (a->place_count < b->place_count);
}

static void grow_branches(struct massif_tree *tree, const uint32_t *place_of, uint32_t unknown)
{
	const struct selection *selection = tree->selection;
	uint32_t *next = tree->numbers;
	for (size_t i = 0; i < selection->count; i++) {
		const struct selection_stack *stack = &selection->stacks[i];
		const uint32_t *places = next;
		for (size_t k = 0; k < stack->frame_count && k < DEPTH_MAX; k++)
			*next++ = place_of[stack->frames[k]];
		if (!stack->frame_count)
			*next++ = unknown;
		tree->branches[i] = (struct massif_branch){
			.places = places, .place_count = (size_t)(next - places), .stack = i};
	}
	if (selection->count)
		qsort(tree->branches, selection->count, sizeof *tree->branches, compare_branches);
}

struct error *massif_tree_make(const struct selection *selection, struct massif_tree *ret)
{
	_cleanup_massif_tree_ struct massif_tree tree = {.selection = selection};
	_cleanup_free_ uint32_t *place_of =
		calloc(selection->snapshot->frame_count + 1, sizeof *place_of);
	uint32_t unknown;
	size_t frame_count = 1;
	for (size_t i = 0; i < selection->count; i++)
		frame_count += selection->stacks[i].frame_count + 1;
	tree.numbers = calloc(frame_count, sizeof *tree.numbers);
	tree.branches = calloc(selection->count + 1, sizeof *tree.branches);
	if (!place_of || !tree.numbers || !tree.branches)
		return error_no_memory();
	struct error *err = number_places(&tree, place_of);
	if (!err)
		err = number_place(&tree, NULL, &unknown);
	if (err)
		return err;
	grow_branches(&tree, place_of, unknown);
	*ret = tree;
	tree = (struct massif_tree){0};
	return NULL;
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return (a->from > b->from) - (a->from < b->from);
}

static bool is_small(const struct writing *writing, uint64_t bytes, size_t depth)
{
	return depth > 0 && (double)bytes < writing->threshold_bytes;
}

/* The rows of the branches from..end by their place at this depth, biggest first. */
static struct error *make_rows(const struct writing *writing, size_t from, size_t end, size_t depth,
			       struct rows *rows)
{
	const struct massif_branch *branches = writing->tree->branches;
	while (from < end && branches[from].place_count <= depth)
		from++;
	while (from < end) {
		struct row row = {.from = from};
		uint32_t place = branches[from].places[depth];
		for (; from < end && branches[from].places[depth] == place; from++)
			sum_add(&row.bytes, writing->bytes[branches[from].stack]);
		row.end = from;
		if (!row.bytes)
			continue;
		if (is_small(writing, row.bytes, depth)) {
			sum_add(&rows->rest_bytes, row.bytes);
			rows->rest_count++;
			continue;
		}
		if (!array_reserve(&rows->items, &rows->capacity, rows->count + 1,
				   sizeof *rows->items))
			return error_no_memory();
		rows->items[rows->count++] = row;
	}
	if (rows->count)
		qsort(rows->items, rows->count, sizeof *rows->items, compare_rows);
	return NULL;
}

static void indent(struct buffer *out, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		buffer_char(out, ' ');
}

static void write_rest(const struct writing *writing, const struct rows *rows, size_t depth)
{
	if (!rows->rest_count)
		return;
	bool one = rows->rest_count == 1;
	indent(writing->out, depth + 1);
	buffer_printf(writing->out,
		      "n0: %" PRIu64 " in %zu place%s, %sbelow massif's threshold (%.2f%%)\n",
		      rows->rest_bytes, rows->rest_count, one ? "" : "s", one ? "" : "all ",
		      writing->threshold_percent);
}

/* The row itself and those of its callers, whose places stand at depth + 1. */
static struct error *write_row(const struct writing *writing, const struct row *row, size_t depth)
{
	const struct massif_tree *tree = writing->tree;
	uint32_t place = tree->branches[row->from].places[depth];
	struct rows callers = {0};
	struct error *err = make_rows(writing, row->from, row->end, depth + 1, &callers);
	indent(writing->out, depth + 1);
	buffer_printf(writing->out, "n%zu: %" PRIu64 " 0x%" PRIX64 ": %s\n",
		      callers.count + (callers.rest_count > 0), row->bytes, tree->addresses[place],
		      texts_get(&tree->places, place));
	for (size_t i = 0; !err && i < callers.count; i++)
		err = write_row(writing, &callers.items[i], depth + 1);
	write_rest(writing, &callers, depth + 1);
	free(callers.items);
	return err;
}

struct error *massif_tree_write(const struct massif_tree *tree, const uint64_t *bytes,
				uint64_t total_bytes, double threshold_percent, struct buffer *out)
{
	const struct writing writing = {.tree = tree,
					.bytes = bytes,
					.threshold_percent = threshold_percent,
					.threshold_bytes =
						(double)total_bytes * threshold_percent / 100,
					.out = out};
	uint64_t known_bytes = 0;
	struct rows rows = {0};
	struct error *err = make_rows(&writing, 0, tree->selection->count, 0, &rows);
	for (size_t i = 0; i < rows.count; i++)
		sum_add(&known_bytes, rows.items[i].bytes);
	bool more = known_bytes < total_bytes;
	buffer_printf(out,
		      "n%zu: %" PRIu64
		      " (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n",
		      rows.count + more, total_bytes);
	for (size_t i = 0; !err && i < rows.count; i++)
		err = write_row(&writing, &rows.items[i], 0);
	if (more)
		buffer_printf(out, " n0: %" PRIu64 " in places that were not kept\n",
			      total_bytes - known_bytes);
	free(rows.items);
	return err;
}
