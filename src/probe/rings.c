/* SPDX-License-Identifier: MIT */
#include "probe/rings.h"

#include <stdlib.h>
#include <x86intrin.h>

#include "base/cleanup.h"
#include "probe/ring_area.h"

enum {
	FUTURE_NS = 1000000000, /* a stamp further ahead than this is forged */
	LOST_EVERY = 64,	/* takes between two looks at what agents count as lost */
	QUIET_TAKES = 64,	/* with little in them: the burst is over */
	QUIET_WORDS = AGENT_RING_WORDS / 8,
};

/*
 * Invariant: claimed[0 .. claimed_count) are the indices of the areas that are `claimed`;
 * ended_count of them have `ended`. sealed: no area is claimed and no head is read any more.
 */
struct rings {
	struct agent_shared *shared;
	uint64_t takes;
	uint64_t threads;
	uint64_t lost_events;
	uint64_t shared_lost; /* agent_shared.lost as last read */
	bool gave_up;
	bool sealed;
	uint32_t claimed_count, ended_count;
	uint16_t claimed[AGENT_AREAS];
	struct ring_area areas[AGENT_AREAS];
	uint32_t quiet_takes;
	struct ring_pool pool;
	struct ring_context context;
	struct ring_merge merge;
};

static struct agent_thread *area_at(struct agent_shared *shared, uint64_t index)
{
	uint8_t *base = (uint8_t *)shared + AGENT_SHARED_AREAS;
	return (struct agent_thread *)(void *)(base + index * AGENT_AREA_STRIDE);
}

static uint64_t ticks_of(const struct rings_clock *clock, uint64_t ns)
{
	return (uint64_t)((double)ns / clock->ns_per_tick);
}

struct error *rings_create(struct agent_shared *shared, const struct rings_clock *clock,
			   const struct rings_sink *sink, struct rings **ret)
{
	_cleanup_free_ struct rings *rings = calloc(1, sizeof *rings);
	if (!rings)
		return error_no_memory();
	rings->shared = shared;
	rings->context.sink = *sink;
	rings->context.clock = *clock;
	rings->context.ns_scale =
		(uint64_t)(clock->ns_per_tick * (double)(UINT64_C(1) << RING_SCALE_BITS));
	rings->context.floor_ns = clock->base_ns;
	rings->merge.skew_ticks = ticks_of(clock, RING_SKEW_NS);
	rings->merge.breath_ticks = ticks_of(clock, RING_BREATH_NS);
	rings->merge.beat = &shared->beat;
	rings->merge.pool = &rings->pool;
	ring_pool_init(&rings->pool);
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		ring_area_init(&rings->areas[i], area_at(shared, i), &rings->pool);
	*ret = take_ptr(rings);
	return NULL;
}

void rings_destroy(struct rings *rings)
{
	if (!rings)
		return;
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		ring_area_deinit(&rings->areas[i]);
	ring_pool_deinit(&rings->pool);
	free(rings);
}

/* Nothing that is read afterwards is older than this, and nothing read before is younger. */
static uint64_t now_ticks(void)
{
	_mm_lfence();
	uint64_t now = __rdtsc();
	_mm_lfence();
	return ring_time_of(now);
}

/*
 * The last stamp to give out. Whatever a record stamped up to it depends on was committed before
 * this returns, even by a clock that is RING_MARGIN_NS ahead of ours. With `all`, so that what was
 * committed before the call is stamped up to it even by such a clock, the margin is waited for.
 */
static uint64_t choose_cut(const struct rings *rings, bool all)
{
	uint64_t margin = ticks_of(&rings->context.clock, RING_MARGIN_NS);
	uint64_t begin = now_ticks();
	if (!all)
		return begin - margin;
	while (now_ticks() - begin < 2 * margin)
		_mm_pause();
	return begin + margin;
}

static void look_for_claims(struct rings *rings, bool *moved_ret)
{
	for (uint32_t i = 0; i < AGENT_AREAS; i++) {
		uint32_t state = __atomic_load_n(&rings->shared->area_state[i], __ATOMIC_ACQUIRE);
		if (state == 0 || rings->areas[i].claimed)
			continue;
		ring_area_claim(&rings->areas[i]);
		rings->claimed[rings->claimed_count++] = (uint16_t)i;
		rings->threads++;
		*moved_ret = true;
	}
}

/* Reads all heads; merge has the rings that hold something. *moved_ret: whether any has moved. */
static struct error *look(struct rings *rings, bool *moved_ret)
{
	*moved_ret = false;
	rings->merge.count = 0;
	if (!rings->sealed)
		look_for_claims(rings, moved_ret);
	for (uint32_t i = 0; i < rings->claimed_count; i++) {
		struct ring_area *area = &rings->areas[rings->claimed[i]];
		struct error *err = rings->sealed ? NULL : ring_area_read_heads(area, moved_ret);
		if (err)
			return err;
		ring_area_list(area, &rings->merge);
	}
	return NULL;
}

struct error *rings_seal(struct rings *rings)
{
	bool moved;
	struct error *err = look(rings, &moved);
	rings->sealed = rings->merge.sealed = !err;
	return err;
}

/* Gives back what can be given back, keeping claimed dense. */
static void give_back(struct rings *rings)
{
	for (uint32_t i = 0; rings->ended_count && i < rings->claimed_count;) {
		uint32_t index = rings->claimed[i];
		if (!ring_area_give_back(&rings->areas[index], &rings->shared->area_state[index])) {
			i++;
			continue;
		}
		rings->claimed[i] = rings->claimed[--rings->claimed_count];
		rings->ended_count--;
	}
}

static void settle(struct rings *rings)
{
	if (rings->merge.count)
		for (uint32_t i = 0; i < rings->claimed_count; i++)
			ring_area_settle(&rings->areas[rings->claimed[i]]);
	give_back(rings);
}

static void add_lost(struct rings *rings, uint64_t count)
{
	if (__builtin_add_overflow(rings->lost_events, count, &rings->lost_events))
		rings->lost_events = UINT64_MAX;
}

static void count_lost(struct rings *rings)
{
	uint64_t lost = __atomic_load_n(&rings->shared->lost, __ATOMIC_RELAXED);
	if (lost > rings->shared_lost) {
		add_lost(rings, lost - rings->shared_lost);
		rings->shared_lost = lost;
	}
	for (uint32_t i = 0; i < rings->claimed_count; i++)
		add_lost(rings, ring_area_lost(&rings->areas[rings->claimed[i]]));
	rings->gave_up |= __atomic_load_n(&rings->shared->gave_up, __ATOMIC_RELAXED) != 0;
}

/* What a burst has needed is kept for the next one, but not for ever. */
static void rest(struct rings *rings)
{
	if (rings->context.taken_words >= QUIET_WORDS)
		rings->quiet_takes = 0;
	else if (++rings->quiet_takes % QUIET_TAKES == 0)
		ring_pool_trim(&rings->pool);
}

struct error *rings_take(struct rings *rings, bool all, uint64_t *taken_ret)
{
	struct ring_context *context = &rings->context;
	*taken_ret = 0;
	all |= rings->sealed;
	__atomic_fetch_add(&rings->shared->beat, 1, __ATOMIC_RELAXED);
	uint64_t cut = choose_cut(rings, all);
	bool moved;
	struct error *err = look(rings, &moved);
	/* Heads that stand still from one reading to the next were so at one point in time. */
	if (!err && all)
		err = look(rings, &moved);
	if (err)
		return err;
	rings->merge.cut = all && !moved ? UINT64_MAX : cut;
	context->taken_words = 0;
	context->latest = now_ticks() + ticks_of(&context->clock, FUTURE_NS);
	err = ring_merge_run(&rings->merge, context);
	settle(rings);
	rest(rings);
	context->floor_ns = ring_context_time(context, cut);
	if (all || ++rings->takes % LOST_EVERY == 0)
		count_lost(rings);
	*taken_ret = context->taken_words;
	return err;
}

void rings_thread_ended(struct rings *rings, space_id space, uint32_t thread)
{
	bool moved;
	if (!rings->sealed)
		look_for_claims(rings, &moved);
	for (uint32_t i = 0; i < rings->claimed_count; i++) {
		struct ring_area *area = &rings->areas[rings->claimed[i]];
		if (area->ended || !ring_area_belongs(area, space, thread))
			continue;
		area->ended = true;
		rings->ended_count++;
	}
	give_back(rings);
}

void rings_visit_unknown_stacks(struct rings *rings,
				struct agent_bounds (*visit)(void *context, space_id space,
							     uint32_t thread, uint64_t sp),
				void *context)
{
	for (uint32_t i = 0; i < rings->claimed_count; i++) {
		struct ring_area *area = &rings->areas[rings->claimed[i]];
		uint64_t sp = ring_area_unknown_sp(area);
		if (sp && ring_area_identify(area))
			ring_area_answer(area, sp, visit(context, area->space, area->thread, sp));
	}
}

struct rings_statistics rings_statistics(const struct rings *rings)
{
	struct rings_statistics statistics = {
		.records = rings->merge.records,
		.reordered = rings->merge.reordered,
		.lost_events = rings->lost_events,
		.threads = rings->threads,
		.gave_up = rings->gave_up,
	};
	for (uint32_t i = 0; i < AGENT_AREAS; i++)
		statistics.closed_rings += ring_area_closed_rings(&rings->areas[i]);
	return statistics;
}
