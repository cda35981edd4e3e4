/* SPDX-License-Identifier: MIT */
#include "stack/interner.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

struct stack {
	uint64_t hash;
	size_t first; /* into frames */
	uint32_t count;
	bool truncated;
};

/*
 * Invariants: buckets is open-addressed over stacks by hash, holding index + 1 (0: free);
 * stack_count <= bucket_count / 2.
 */
struct interner {
	struct frame *frames;
	size_t frame_count, frame_capacity;
	struct stack *stacks;
	size_t stack_count, stack_capacity;
	uint32_t *buckets;
	size_t bucket_count;
};

struct error *interner_create(struct interner **ret)
{
	struct interner *interner = calloc(1, sizeof *interner);
	if (!interner)
		return error_no_memory();
	interner->bucket_count = 1024;
	interner->buckets = calloc(interner->bucket_count, sizeof *interner->buckets);
	if (!interner->buckets) {
		free(interner);
		return error_no_memory();
	}
	*ret = interner;
	return NULL;
}

void interner_destroy(struct interner *interner)
{
	if (!interner)
		return;
	free(interner->frames);
	free(interner->stacks);
	free(interner->buckets);
	free(interner);
}

static uint64_t hash_frames(const struct frame *frames, size_t count, bool truncated)
{
	uint64_t hash = truncated;
	for (size_t i = 0; i < count; i++) {
		hash = (hash ^ frames[i].address) * 0x9e3779b97f4a7c15u;
		hash = (hash ^ hash >> 29 ^ frames[i].image.v) * 0xbf58476d1ce4e5b9u;
	}
	return hash ^ hash >> 32;
}

static bool same_frames(const struct frame *one, const struct frame *other, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (one[i].address != other[i].address || one[i].image.v != other[i].image.v)
			return false;
	return true;
}

static bool grow(struct interner *interner)
{
	size_t bucket_count = interner->bucket_count * 2;
	uint32_t *buckets = calloc(bucket_count, sizeof *buckets);
	if (!buckets)
		return false;
	for (size_t i = 0; i < interner->stack_count; i++) {
		size_t slot = interner->stacks[i].hash & (bucket_count - 1);
		while (buckets[slot])
			slot = (slot + 1) & (bucket_count - 1);
		buckets[slot] = (uint32_t)i + 1;
	}
	free(interner->buckets);
	interner->buckets = buckets;
	interner->bucket_count = bucket_count;
	return true;
}

struct error *interner_site(struct interner *interner, const struct frame *frames, size_t count,
			    bool truncated, site_id *ret)
{
	uint64_t hash = hash_frames(frames, count, truncated);
	size_t mask = interner->bucket_count - 1, slot = hash & mask;
	for (; interner->buckets[slot]; slot = (slot + 1) & mask) {
		const struct stack *stack = &interner->stacks[interner->buckets[slot] - 1];
		if (stack->hash == hash && stack->count == count && stack->truncated == truncated &&
		    same_frames(interner->frames + stack->first, frames, count)) {
			*ret = (site_id){interner->buckets[slot] - 1};
			return NULL;
		}
	}
	if (interner->stack_count >= UINT32_MAX - 1 ||
	    !array_reserve(&interner->frames, &interner->frame_capacity,
			   interner->frame_count + count, sizeof *interner->frames) ||
	    !array_reserve(&interner->stacks, &interner->stack_capacity, interner->stack_count + 1,
			   sizeof *interner->stacks))
		return error_no_memory();
	if (count)
		memcpy(interner->frames + interner->frame_count, frames, count * sizeof *frames);
	interner->stacks[interner->stack_count] =
		(struct stack){hash, interner->frame_count, (uint32_t)count, truncated};
	interner->frame_count += count;
	interner->buckets[slot] = (uint32_t)++interner->stack_count;
	*ret = (site_id){(uint32_t)interner->stack_count - 1};
	if (interner->stack_count * 2 > interner->bucket_count && !grow(interner))
		return error_no_memory();
	return NULL;
}

uint32_t interner_count(const struct interner *interner)
{
	return (uint32_t)interner->stack_count;
}

const struct frame *interner_frames(const struct interner *interner, site_id site,
				    size_t *count_ret, bool *truncated_ret)
{
	const struct stack *stack = &interner->stacks[site.v];
	*count_ret = stack->count;
	*truncated_ret = stack->truncated;
	return interner->frames + stack->first;
}

uint64_t interner_memory_bytes(const struct interner *interner)
{
	return interner->frame_capacity * sizeof *interner->frames +
	       interner->stack_capacity * sizeof *interner->stacks +
	       interner->bucket_count * sizeof *interner->buckets;
}
