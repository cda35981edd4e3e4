/* SPDX-License-Identifier: MIT */
#include "ledger/reach.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "ledger/reach_index.h"

enum mark { MARK_NONE, MARK_REACHABLE, MARK_INDIRECT };

enum { WORD_BYTES = sizeof(uint64_t), PAGE_BYTES = 4096 };

/* Words that may be pointers, with the blocks that they stand in, in order. */
struct batch {
	uint64_t words[REACH_BATCH];
	uint32_t from[REACH_BATCH];
	size_t count;
};

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

struct error *reach_create(struct reach_block *blocks, size_t count, struct reach **ret)
{
	_cleanup_free_ struct reach_block *guarded = blocks;
	if (count >= UINT32_MAX)
		return error_new(ERROR_UNSUPPORTED, "there are too many blocks");
	_cleanup_reach_ struct reach *reach = calloc(1, sizeof *reach);
	if (!reach)
		return error_no_memory();
	reach->count = (uint32_t)count;
	reach->blocks = take_ptr(guarded);
	reach->extents = calloc(count + 1, sizeof *reach->extents);
	reach->marks = calloc(count + 1, sizeof *reach->marks);
	reach->first_edge = calloc(count + 1, sizeof *reach->first_edge);
	if (!reach->extents || !reach->marks || !reach->first_edge)
		return error_no_memory();
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

/* Edges come in the order of blocks: those that were passed by have none (more). */
static void open_block(struct reach *reach, uint32_t block)
{
	while (reach->open < block)
		reach->first_edge[++reach->open] = (uint32_t)reach->target_count;
}

/* A pointer to what is reachable anyway need not be kept. */
static struct error *add_edge(struct reach *reach, uint32_t from, uint32_t to)
{
	open_block(reach, from);
	if (to == from || reach->marks[to] == MARK_REACHABLE ||
	    (reach->target_count > reach->first_edge[from] &&
	     reach->targets[reach->target_count - 1] == to))
		return NULL;
	if (reach->target_count >= REACH_POINTERS_MAX)
		return error_new(ERROR_UNSUPPORTED, "there are too many pointers");
	if (!array_reserve(&reach->targets, &reach->target_capacity, reach->target_count + 1,
			   sizeof *reach->targets))
		return error_no_memory();
	reach->targets[reach->target_count++] = to;
	return NULL;
}

/* What the words of a batch point to becomes reachable, or edges. */
static struct error *settle(struct reach *reach, struct batch *batch)
{
	uint32_t blocks[REACH_BATCH];
	struct error *err = NULL;
	reach_index_find(&reach->index, batch->words, batch->count, blocks);
	for (size_t i = 0; !err && i < batch->count; i++) {
		if (blocks[i] == REACH_NO_BLOCK)
			continue;
		if (batch->from[i] == REACH_NO_BLOCK)
			reach->marks[blocks[i]] = MARK_REACHABLE;
		else
			err = add_edge(reach, batch->from[i], blocks[i]);
	}
	batch->count = 0;
	return err;
}

/* from: the block that the words stand in, REACH_NO_BLOCK: they are roots. */
static struct error *add_words(struct reach *reach, struct batch *batch, uint32_t from,
			       const uint64_t *words, size_t count)
{
	struct error *err = NULL;
	for (size_t i = 0; !err && i < count; i++) {
		if (!reach_index_may_hold(&reach->index, words[i]))
			continue;
		batch->words[batch->count] = words[i];
		batch->from[batch->count++] = from;
		if (batch->count == REACH_BATCH)
			err = settle(reach, batch);
	}
	return err;
}

void reach_add_roots(struct reach *reach, const uint64_t *words, size_t count)
{
	struct batch batch = {.count = 0};
	/* Only edges may fail. */
	error_free(add_words(reach, &batch, REACH_NO_BLOCK, words, count));
	error_free(settle(reach, &batch));
}

/* How many of `count` words from `address` on are of a block, and whole ones of it. */
static size_t words_of(const struct reach *reach, uint32_t block, uint64_t address, size_t count,
		       size_t *whole_ret)
{
	const struct reach_block *one = &reach->blocks[block];
	uint64_t end = reach->extents[block].end, last_end = end;
	if (end - one->start > one->size_bytes)
		last_end = one->start + one->size_bytes;
	size_t all = (end - 1 - address) / WORD_BYTES + 1;
	*whole_ret = last_end > address ? (last_end - address) / WORD_BYTES : 0;
	if (*whole_ret > count)
		*whole_ret = count;
	return all < count ? all : count;
}

/* How many of `count` words from `address` on lie before a block. */
static size_t words_before(const struct reach *reach, uint32_t block, uint64_t address,
			   size_t count)
{
	if (block == reach->count)
		return count;
	uint64_t bytes = reach->extents[block].start - address;
	return bytes / WORD_BYTES < count ? (bytes + WORD_BYTES - 1) / WORD_BYTES : count;
}

struct error *reach_add_memory(struct reach *reach, uint64_t address, const uint64_t *words,
			       size_t count, bool others_are_roots)
{
	struct batch batch = {.count = 0};
	struct error *err = NULL;
	uint32_t block = reach_index_after(&reach->index, address, reach->count);
	for (size_t i = 0, done; !err && i < count; i += done) {
		uint64_t at = address + i * WORD_BYTES;
		while (block < reach->count && reach->extents[block].end <= at)
			block++;
		if (block < reach->count && reach->extents[block].start <= at) {
			size_t whole;
			done = words_of(reach, block, at, count - i, &whole);
			err = add_words(reach, &batch, block, words + i, whole);
			continue;
		}
		done = words_before(reach, block, at, count - i);
		if (others_are_roots)
			err = add_words(reach, &batch, REACH_NO_BLOCK, words + i, done);
	}
	return err ? err : settle(reach, &batch);
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
	const uint64_t page = PAGE_BYTES;
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
