/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "session/freeze.h"

/* Stacks of some sites, copied while the lock is held. */
enum { SITES_AT_ONCE = 256 };
struct stacks {
	struct frame *frames;
	size_t frame_count, frame_capacity;
	size_t counts[SITES_AT_ONCE];
	bool truncated[SITES_AT_ONCE];
};

static void note_blind(struct freeze *freeze, image_id image, uint32_t site)
{
	uint32_t index = image.v - 1;
	if (freeze->last_site[index] == site + 1)
		return;
	freeze->last_site[index] = site + 1;
	freeze->blind_sites[index]++;
}

static struct error *add_position(struct freeze *freeze, const struct image_position *position,
				  const char *module, uint64_t offset)
{
	struct error *err = NULL;
	struct snapshot_frame frame = {
		.file = freeze_keep(freeze, position->file, &err),
		.label = freeze_keep(freeze, position->label, &err),
		.function = freeze_keep(freeze, position->function, &err),
		.linkage = freeze_keep(freeze, position->linkage, &err),
		.module = freeze_keep(freeze, module, &err),
		.offset = offset,
		.line = position->line,
		.inlined = position->inlined,
	};
	return err ? err : snapshot_add_frame(freeze->snapshot, &frame);
}

/* Looks a frame's positions up; *run_ret: where they were added. */
static struct error *look_up(struct freeze *freeze, const struct frame *frame,
			     struct positions_run *run_ret)
{
	static const struct image_position unknown = {0};
	const struct image_position *positions = &unknown;
	size_t count = 1;
	struct session *session = freeze->session;
	struct image *image = symbols_image(session, frame->image);
	struct error *err = NULL;
	if (!(session->options->keep & KEPT_RAW))
		err = symbols_of(session, frame, &positions, &count);
	if (err && error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	if (err) {
		/* Damaged debug information costs the line, not the report. */
		log_write(session->options->log, LOG_INFO, "%s: %s", image_path(image),
			  error_message(err));
		error_free(err);
		positions = &unknown;
		count = 1;
	}
	const char *module = image ? image_path(image) : NULL;
	*run_ret = (struct positions_run){freeze->snapshot->stack_count, count};
	err = NULL;
	for (size_t i = 0; !err && i < count; i++)
		err = add_position(freeze, &positions[i], module, frame->address);
	if (!err)
		positions_note(&freeze->known, frame, *run_ret);
	return err;
}

/* Whether a frame in an image has no line, though lines were looked up. */
static bool is_blind(const struct freeze *freeze, const struct frame *frame,
		     const struct positions_run *run)
{
	const struct snapshot *snapshot = freeze->snapshot;
	return run->count && frame->image.v && !(freeze->session->options->keep & KEPT_RAW) &&
	       !snapshot->frames[snapshot->stacks[run->first]].line;
}

static struct error *add_frame(struct freeze *freeze, const struct frame *frame)
{
	struct snapshot *snapshot = freeze->snapshot;
	struct previous *now = &freeze->now;
	size_t first = snapshot->stack_count;
	struct positions_run run = positions_find(&freeze->known, frame);
	struct error *err = run.count ? snapshot_repeat_frames(snapshot, run.first, run.count)
				      : look_up(freeze, frame, &run);
	if (!err)
		now->items[now->count++] =
			(struct previous_frame){*frame, first, is_blind(freeze, frame, &run)};
	return err;
}

/* Adds the frames of a run, as they stand in the stack before. */
static struct error *repeat(struct freeze *freeze, const struct previous_run *run)
{
	struct previous *now = &freeze->now;
	const struct previous *previous = &freeze->previous;
	size_t first = previous_run_first(previous, run), end = previous_run_end(previous, run);
	size_t moved = freeze->snapshot->stack_count - first;
	for (size_t i = 0; i < run->count; i++) {
		now->items[now->count] = previous->items[run->there + i];
		now->items[now->count++].first += moved;
	}
	return snapshot_repeat_frames(freeze->snapshot, first, end - first);
}

static struct error *add_stack(struct freeze *freeze, const struct frame *frames, size_t count,
			       site_id stack)
{
	struct previous *now = &freeze->now;
	struct previous_run run = previous_match(&freeze->previous, frames, count);
	struct error *err = previous_begin(now, count);
	while (!err && now->count < count)
		err = run.count && now->count == run.here ? repeat(freeze, &run)
							  : add_frame(freeze, &frames[now->count]);
	if (err)
		return err;
	now->end = freeze->snapshot->stack_count;
	for (size_t i = 0; i < count; i++)
		if (now->items[i].blind)
			note_blind(freeze, frames[i].image, stack.v);
	struct previous last = freeze->previous;
	freeze->previous = *now;
	*now = last;
	return NULL;
}

static void add_unreachable(struct reach_counters *sums, const struct reach_counters *one)
{
	sums->direct_bytes += one->direct_bytes;
	sums->direct_blocks += one->direct_blocks;
	sums->indirect_bytes += one->indirect_bytes;
	sums->indirect_blocks += one->indirect_blocks;
}

static bool is_of_mappings(const struct freeze *freeze)
{
	return freeze->frozen && freeze->frozen->of_mappings;
}

/* The site `index` of the ledger, whose stack is `frames`. */
static struct error *add_site(struct freeze *freeze, uint32_t index,
			      const struct site_counters *counters, const struct frame *frames,
			      size_t count, bool truncated)
{
	struct snapshot_site site = {
		.process = freeze->tree, .counters = *counters, .truncated = truncated};
	/* What is unreachable is known at the end alone. */
	if (freeze->session->alone && !is_of_mappings(freeze))
		site.counters.unreachable = leaks_site(&freeze->session->leaks, (site_id){index});
	add_unreachable(&freeze->snapshot->totals.unreachable, &site.counters.unreachable);
	if (!site.counters.total_blocks && !site.counters.failed_calls)
		return NULL;
	site_id stack = freeze_kept_stack(freeze, index, &site.traits);
	struct error *err = add_stack(freeze, frames, count, stack);
	if (err)
		return err;
	freeze->site_numbers[index] = (uint32_t)freeze->snapshot->site_count;
	return snapshot_add_site(freeze->snapshot, &site);
}

/* A site's stack never changes: what is copied later than the figures is the same. */
static struct error *copy_stacks(const struct freeze *freeze, const uint32_t *sites, size_t count,
				 struct stacks *stacks)
{
	const struct interner *interner = freeze->session->interner;
	stacks->frame_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct snapshot_traits traits;
		site_id stack = freeze_kept_stack(freeze, sites[i], &traits);
		const struct frame *frames =
			interner_frames(interner, stack, &stacks->counts[i], &stacks->truncated[i]);
		if (!array_reserve(&stacks->frames, &stacks->frame_capacity,
				   stacks->frame_count + stacks->counts[i], sizeof *stacks->frames))
			return error_no_memory();
		if (stacks->counts[i])
			memcpy(stacks->frames + stacks->frame_count, frames,
			       stacks->counts[i] * sizeof *frames);
		stacks->frame_count += stacks->counts[i];
	}
	return NULL;
}

static struct error *add_some_sites(struct freeze *freeze, const uint32_t *sites, size_t count,
				    const struct site_counters *counters, struct stacks *stacks)
{
	taps_lock(&freeze->session->taps);
	struct error *err = copy_stacks(freeze, sites, count, stacks);
	taps_unlock(&freeze->session->taps);
	const struct frame *frames = stacks->frames;
	for (size_t i = 0; !err && i < count; i++) {
		err = add_site(freeze, sites[i], &counters[sites[i]], frames, stacks->counts[i],
			       stacks->truncated[i]);
		frames += stacks->counts[i];
	}
	return err;
}

struct error *freeze_add_sites(struct freeze *freeze)
{
	size_t count = freeze->frozen->site_count;
	_cleanup_free_ uint32_t *order = NULL;
	_cleanup_free_ struct stacks *stacks = calloc(1, sizeof *stacks);
	struct error *err = stacks ? freeze_kept_order(freeze, count, &order) : error_no_memory();
	for (size_t first = 0; !err && first < count; first += SITES_AT_ONCE) {
		size_t some = count - first < SITES_AT_ONCE ? count - first : SITES_AT_ONCE;
		err = add_some_sites(freeze, order + first, some, freeze->frozen->sites, stacks);
		pace_symbolizing(&freeze->pace, first + some, count);
	}
	if (stacks)
		free(stacks->frames);
	return err ? err : freeze_add_kept(freeze);
}

struct error *freeze_add_one_site(struct freeze *freeze, site_id site,
				  const struct site_counters *counters)
{
	_cleanup_free_ struct stacks *stacks = calloc(1, sizeof *stacks);
	if (!stacks)
		return error_no_memory();
	taps_lock(&freeze->session->taps);
	struct error *err = copy_stacks(freeze, &site.v, 1, stacks);
	taps_unlock(&freeze->session->taps);
	if (!err)
		err = add_site(freeze, site.v, counters, stacks->frames, stacks->counts[0],
			       stacks->truncated[0]);
	free(stacks->frames);
	return err;
}
