/* SPDX-License-Identifier: MIT */
#include "snapshot/frames.h"

#include <stdlib.h>

#include "base/array.h"

enum { FIRST_SLOTS = 256 };

void frames_deinit(struct snapshot_frame_index *index)
{
	free(index->slots);
	*index = (struct snapshot_frame_index){0};
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* Where the index lies is what a file made to collide cannot know. */
static uint64_t hash_of(const struct snapshot_frame_index *index,
			const struct snapshot_frame *frame)
{
	uint64_t hash = mix((uintptr_t)index, frame->offset);
	hash = mix(hash, frame->line * 2u + frame->inlined);
	hash = mix(hash, (uintptr_t)frame->file);
	hash = mix(hash, (uintptr_t)frame->label);
	hash = mix(hash, (uintptr_t)frame->function);
	hash = mix(hash, (uintptr_t)frame->linkage);
	return mix(hash, (uintptr_t)frame->module);
}

static bool are_equal(const struct snapshot_frame *a, const struct snapshot_frame *b)
{
	return a->offset == b->offset && a->line == b->line && a->inlined == b->inlined &&
	       a->file == b->file && a->label == b->label && a->function == b->function &&
	       a->linkage == b->linkage && a->module == b->module;
}

/* The slot of an equal frame, else the free slot where it belongs. There is always a free one. */
static uint32_t *slot_of(const struct snapshot *snapshot, const struct snapshot_frame *frame)
{
	const struct snapshot_frame_index *index = snapshot->frame_index;
	size_t mask = index->slot_count - 1;
	size_t i = (size_t)hash_of(index, frame) & mask;
	while (index->slots[i] && !are_equal(&snapshot->frames[index->slots[i] - 1], frame))
		i = (i + 1) & mask;
	return &index->slots[i];
}

static bool grow(struct snapshot *snapshot)
{
	struct snapshot_frame_index *index = snapshot->frame_index;
	size_t slot_count = index->slot_count ? index->slot_count * 2 : FIRST_SLOTS;
	uint32_t *slots = calloc(slot_count, sizeof *slots);
	if (!slots)
		return false;
	free(index->slots);
	*index = (struct snapshot_frame_index){.slots = slots, .slot_count = slot_count};
	for (size_t i = 0; i < snapshot->frame_count; i++)
		*slot_of(snapshot, &snapshot->frames[i]) = (uint32_t)i + 1;
	return true;
}

struct error *frames_intern(struct snapshot *snapshot, const struct snapshot_frame *frame,
			    uint32_t *ret)
{
	size_t count = snapshot->frame_count;
	if (count >= UINT32_MAX - 1 || !array_reserve(&snapshot->frames, &snapshot->frame_capacity,
						      count + 1, sizeof *snapshot->frames))
		return error_no_memory();
	if ((count + 1) * 4 > snapshot->frame_index->slot_count * 3 && !grow(snapshot))
		return error_no_memory();
	uint32_t *slot = slot_of(snapshot, frame);
	if (!*slot) {
		snapshot->frames[count] = *frame;
		snapshot->frame_count++;
		*slot = (uint32_t)count + 1;
	}
	*ret = *slot - 1;
	return NULL;
}
