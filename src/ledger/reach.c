/* SPDX-License-Identifier: MIT */
#include "ledger/reach.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "ledger/reach_index.h"

enum mark { MARK_NONE, MARK_REACHABLE, MARK_INDIRECT };

enum { WORD_BYTES = sizeof(uint64_t) };

struct reach {
	struct reach_block *blocks; /* sorted by start */
	struct reach_extent *extents;
	uint8_t *marks;
	uint32_t *first_edge; /* count + 1; of the blocks below `open` final */
	uint32_t count;
	uint32_t open; /* first_edge of the blocks up to this one are known */
	uint32_t *targets;
	size_t target_count, target_capacity;
	struct reach_index index;
};

static int compare_blocks(const void *left, const void *right)
{
	const struct reach_block *a = left, *b = right;
	int order = (a->start > b->start) - (a->start < b->start);
	return order ? order : (a->size_bytes < b->size_bytes) - (a->size_bytes > b->size_bytes);
}

/* Where pointers to a block end; see the header. */
static uint64_t pointed_end(const struct reach_block *block)
{
	uint64_t bytes = block->size_bytes, end;
	if (bytes == 0 || bytes == WORD_BYTES)
		bytes++;
	return __builtin_add_overflow(block->start, bytes, &end) ? UINT64_MAX : end;
}

static void fill_extents(struct reach *reach)
{
	for (uint32_t i = 0; i < reach->count; i++) {
		uint64_t end = pointed_end(&reach->blocks[i]);
		if (i + 1 < reach->count && reach->blocks[i + 1].start < end)
			end = reach->blocks[i + 1].start;
		reach->extents[i] = (struct reach_extent){reach->blocks[i].start, end};
		if (end == reach->blocks[i].start)
			reach->marks[i] = MARK_REACHABLE;
	}
}

struct error *reach_create(const struct reach_block *blocks, size_t count, struct reach **ret)
{
	if (count >= UINT32_MAX)
		return error_new(ERROR_UNSUPPORTED, "there are too many blocks");
	_cleanup_reach_ struct reach *reach = calloc(1, sizeof *reach);
	if (!reach)
		return error_no_memory();
	reach->count = (uint32_t)count;
	reach->blocks = calloc(count + 1, sizeof *reach->blocks);
	reach->extents = calloc(count + 1, sizeof *reach->extents);
	reach->marks = calloc(count + 1, sizeof *reach->marks);
	reach->first_edge = calloc(count + 1, sizeof *reach->first_edge);
	if (!reach->blocks || !reach->extents || !reach->marks || !reach->first_edge)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		reach->blocks[i] = blocks[i];
	if (count)
		qsort(reach->blocks, count, sizeof *reach->blocks, compare_blocks);
	fill_extents(reach);
	struct error *err = reach_index_build(&reach->index, reach->extents, reach->count);
	if (err)
		return err;
	*ret = take_ptr(reach);
	return NULL;
}

void reach_destroy(struct reach *reach)
{
	if (!reach)
		return;
	reach_index_deinit(&reach->index);
	free(reach->blocks);
	free(reach->extents);
	free(reach->marks);
	free(reach->first_edge);
	free(reach->targets);
	free(reach);
}

static void add_root(struct reach *reach, uint64_t word)
{
	uint32_t block;
	if (reach_index_find(&reach->index, word, &block))
		reach->marks[block] = MARK_REACHABLE;
}

void reach_add_roots(struct reach *reach, const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_root(reach, words[i]);
}

/* A pointer to what is reachable anyway need not be kept. */
static struct error *add_edge(struct reach *reach, uint32_t from, uint64_t word)
{
	uint32_t to;
	if (!reach_index_find(&reach->index, word, &to) || to == from ||
	    reach->marks[to] == MARK_REACHABLE)
		return NULL;
	if (reach->target_count > reach->first_edge[from] &&
	    reach->targets[reach->target_count - 1] == to)
		return NULL;
	if (reach->target_count >= REACH_POINTERS_MAX)
		return error_new(ERROR_UNSUPPORTED, "there are too many pointers");
	if (!array_reserve(&reach->targets, &reach->target_capacity, reach->target_count + 1,
			   sizeof *reach->targets))
		return error_no_memory();
	reach->targets[reach->target_count++] = to;
	return NULL;
}

/* Edges come in the order of blocks: those that were passed by have none (more). */
static void open_block(struct reach *reach, uint32_t block)
{
	while (reach->open < block)
		reach->first_edge[++reach->open] = (uint32_t)reach->target_count;
}

/* The words of a block that stand from `address` on; *done_ret is how many those were. */
static struct error *add_block(struct reach *reach, uint32_t block, uint64_t address,
			       const uint64_t *words, size_t count, size_t *done_ret)
{
	const struct reach_block *whole = &reach->blocks[block];
	uint64_t end = reach->extents[block].end, last_end = end;
	struct error *err = NULL;
	size_t i = 0;
	if (end - whole->start > whole->size_bytes)
		last_end = whole->start + whole->size_bytes;
	open_block(reach, block);
	for (; !err && i < count && address + i * WORD_BYTES < end; i++)
		if (address + (i + 1) * WORD_BYTES <= last_end)
			err = add_edge(reach, block, words[i]);
	*done_ret = i;
	return err;
}

struct error *reach_add_memory(struct reach *reach, uint64_t address, const uint64_t *words,
			       size_t count, bool others_are_roots)
{
	size_t i = 0;
	uint32_t block = reach_index_after(&reach->index, address, reach->count);
	while (i < count) {
		uint64_t at = address + i * WORD_BYTES, before = count - i;
		while (block < reach->count && reach->extents[block].end <= at)
			block++;
		if (block < reach->count && reach->extents[block].start <= at) {
			size_t done;
			struct error *err =
				add_block(reach, block, at, words + i, count - i, &done);
			if (err)
				return err;
			i += done;
			continue;
		}
		if (block < reach->count &&
		    (reach->extents[block].start - at) / WORD_BYTES < before)
			before = (reach->extents[block].start - at + WORD_BYTES - 1) / WORD_BYTES;
		if (others_are_roots)
			reach_add_roots(reach, words + i, before);
		i += before;
	}
	return NULL;
}

bool reach_next_block(const struct reach *reach, uint64_t from, uint64_t end, uint64_t *start_ret)
{
	uint32_t block = reach_index_after(&reach->index, from, reach->count);
	if (block == reach->count || reach->extents[block].start >= end)
		return false;
	*start_ret = reach->extents[block].start;
	return true;
}

bool reach_next_range(const struct reach *reach, uint64_t from, uint64_t end, uint64_t *start_ret,
		      uint64_t *end_ret)
{
	const uint64_t page = REACH_PAGE_BYTES;
	uint32_t block = reach_index_after(&reach->index, from, reach->count);
	if (block == reach->count || reach->extents[block].start >= end)
		return false;
	uint64_t start = reach->extents[block].start & ~(page - 1), last;
	do
		last = reach->extents[block].end;
	while (++block < reach->count && reach->extents[block].start < end &&
	       reach->extents[block].start - last < page);
	*start_ret = start > from ? start : from;
	*end_ret = last < end ? (last + page - 1) & ~(page - 1) : end;
	if (*end_ret > end || *end_ret < *start_ret)
		*end_ret = end;
	return true;
}

/* Everything that reachable blocks point to, and what that points to. */
static struct error *flood(struct reach *reach)
{
	_cleanup_free_ uint32_t *waiting = calloc((size_t)reach->count + 1, sizeof *waiting);
	size_t count = 0;
	if (!waiting)
		return error_no_memory();
	for (uint32_t i = 0; i < reach->count; i++)
		if (reach->marks[i] == MARK_REACHABLE)
			waiting[count++] = i;
	while (count) {
		uint32_t block = waiting[--count];
		for (uint32_t e = reach->first_edge[block]; e < reach->first_edge[block + 1]; e++) {
			uint32_t to = reach->targets[e];
			if (reach->marks[to] == MARK_REACHABLE)
				continue;
			reach->marks[to] = MARK_REACHABLE;
			waiting[count++] = to;
		}
	}
	return NULL;
}

static void mark_indirect(struct reach *reach)
{
	for (uint32_t i = 0; i < reach->count; i++) {
		if (reach->marks[i] == MARK_REACHABLE)
			continue;
		for (uint32_t e = reach->first_edge[i]; e < reach->first_edge[i + 1]; e++)
			if (reach->marks[reach->targets[e]] == MARK_NONE)
				reach->marks[reach->targets[e]] = MARK_INDIRECT;
	}
}

struct error *reach_finish(struct reach *reach,
			   void (*visit)(void *context, const struct reach_block *block,
					 enum reach_verdict verdict),
			   void *context)
{
	static const enum reach_verdict verdicts[] = {[MARK_NONE] = REACH_DIRECT,
						      [MARK_REACHABLE] = REACH_REACHABLE,
						      [MARK_INDIRECT] = REACH_INDIRECT};
	open_block(reach, reach->count);
	struct error *err = flood(reach);
	if (err)
		return err;
	mark_indirect(reach);
	for (uint32_t i = 0; i < reach->count; i++)
		visit(context, &reach->blocks[i], verdicts[reach->marks[i]]);
	return NULL;
}
