/* SPDX-License-Identifier: MIT */
#include "snapshot/resolve.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "snapshot/frames.h"

/* Where the frames that an old one became were added first; count 0: not yet. */
struct run {
	size_t first, count;
};

struct resolution {
	struct snapshot *snapshot;
	const struct resolver *resolver;
	struct snapshot_frame *frames; /* the old ones, and the old stacks */
	uint32_t *stacks;
	struct run *runs; /* of each old frame */
};

static void resolution_deinit(struct resolution *resolution)
{
	free(resolution->frames);
	free(resolution->stacks);
	free(resolution->runs);
}

static struct error *add_frame(struct resolution *resolution, uint32_t old)
{
	struct snapshot *snapshot = resolution->snapshot;
	struct run *run = &resolution->runs[old];
	if (run->count)
		return snapshot_repeat_frames(snapshot, run->first, run->count);
	size_t first = snapshot->stack_count;
	struct error *err = resolution->resolver->add(resolution->resolver->context, snapshot,
						      &resolution->frames[old]);
	*run = (struct run){first, snapshot->stack_count - first};
	return err;
}

static struct error *add_site(struct resolution *resolution, struct snapshot_site *site)
{
	struct snapshot *snapshot = resolution->snapshot;
	size_t first = snapshot->stack_count;
	for (size_t i = 0; i < site->frame_count; i++) {
		struct error *err =
			add_frame(resolution, resolution->stacks[site->first_frame + i]);
		if (err)
			return err;
	}
	site->first_frame = first;
	site->frame_count = snapshot->stack_count - first;
	return NULL;
}

struct error *resolve_snapshot(struct snapshot *snapshot, const struct resolver *resolver)
{
	__attribute__((cleanup(resolution_deinit))) struct resolution resolution = {
		.snapshot = snapshot,
		.resolver = resolver,
		.frames = take_ptr(snapshot->frames),
		.stacks = take_ptr(snapshot->stacks),
		.runs = calloc(snapshot->frame_count + 1, sizeof *resolution.runs),
	};
	snapshot->frame_count = snapshot->frame_capacity = 0;
	snapshot->stack_count = snapshot->stack_capacity = 0;
	frames_deinit(snapshot->frame_index);
	struct error *err = resolution.runs ? NULL : error_no_memory();
	for (size_t i = 0; !err && i < snapshot->site_count; i++)
		err = add_site(&resolution, &snapshot->sites[i]);
	return err;
}
