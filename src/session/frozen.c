/* SPDX-License-Identifier: MIT */
#include "session/frozen.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session/private.h"

void frozen_destroy(struct frozen *frozen)
{
	if (!frozen)
		return;
	frozen_destroy(frozen->mappings);
	free(frozen->sites);
	free(frozen->blocks);
	free(frozen->detail_sites);
	free(frozen->marks);
	free(frozen);
}

static void cleanup_frozenp(struct frozen **frozen)
{
	frozen_destroy(*frozen);
}

static void copy_totals(struct session *session, struct frozen *frozen)
{
	const struct target_statistics *statistics = &session->target.statistics;
	size_t count;
	const struct ledger_point *points = ledger_timeline(session->ledger, &count);
	memcpy(frozen->timeline, points, count * sizeof *points);
	frozen->timeline_count = count;
	frozen->totals = *ledger_totals(session->ledger);
	frozen->lost_events = taps_statistics(&session->taps).lost_events;
	frozen->truncated_stacks = session->truncated_stacks;
	frozen->incomplete_stacks = session->incomplete_stacks;
	/* The tracer thread may be counting just now: each figure is one it had. */
	frozen->cost = (struct snapshot_cost){
		.target_stopped_ns = __atomic_load_n(&statistics->stopped_ns, __ATOMIC_RELAXED),
		.stops = __atomic_load_n(&statistics->stops, __ATOMIC_RELAXED),
		.install_freeze_ns = session->install_frozen_ns,
		.remove_freeze_ns = session->remove_frozen_ns,
	};
}

static void copy_details(const struct session *session, struct frozen *frozen)
{
	struct ledger_detail_site *room = frozen->detail_sites;
	size_t count;
	const struct ledger_detail *details = ledger_details(session->ledger, &count);
	for (size_t i = 0; i < count; i++, room += LEDGER_DETAIL_SITES) {
		frozen->details[i] = details[i];
		frozen->details[i].sites = room;
		memcpy(room, details[i].sites, details[i].site_count * sizeof *room);
	}
	frozen->detail_count = count;
}

static void copy_marks(const struct session *session, enum frozen_kind kind, const char *name,
		       struct frozen *frozen)
{
	const struct marks *marks = &session->marks;
	if (marks->count)
		memcpy(frozen->marks, marks->items, marks->count * sizeof *marks->items);
	frozen->mark_count = marks->count;
	if (kind == FROZEN_END)
		return;
	struct mark *taken = &frozen->marks[frozen->mark_count++];
	*taken = (struct mark){.kind = SNAPSHOT_MARK_TAKEN,
			       .time_ns = frozen->time_ns,
			       .current_bytes = frozen->totals.current_bytes};
	strncpy(taken->name, name ? name : "", sizeof taken->name - 1);
}

/* Into room that was made for as many sites as there may be by now. */
static bool copy_mappings(const struct session *session, struct frozen *frozen)
{
	uint32_t count = mappings_site_count(session->mappings);
	struct frozen *of = frozen->mappings;
	if (count > of->site_capacity)
		return false;
	for (uint32_t i = 0; i < count; i++)
		of->sites[i] = mappings_site(session->mappings, (site_id){i});
	of->site_count = count;
	of->totals = *mappings_totals(session->mappings);
	of->time_ns = frozen->time_ns;
	of->cost = frozen->cost;
	return true;
}

/* False: there are more blocks now than the copy has room for. */
static bool copy_blocks(const struct session *session, struct frozen *frozen)
{
	frozen->block_count = 0;
	frozen->blocks_known =
		frozen->blocks && ledger_copy_ages(session->ledger, frozen->blocks,
						   frozen->block_capacity, &frozen->block_count);
	return !frozen->blocks || frozen->blocks_known;
}

/* False: there are more sites, or blocks, now than the copy has room for. */
static bool copy(struct session *session, enum frozen_kind kind, const char *name,
		 struct frozen *frozen)
{
	uint32_t count = ledger_site_count(session->ledger);
	uint32_t known = session->traits ? traits_site_count(session->traits)
					 : interner_count(session->interner);
	if (count > known)
		count = known;
	if (count > frozen->site_capacity || !copy_blocks(session, frozen))
		return false;
	frozen->time_ns =
		kind == FROZEN_END ? session->duration_ns : clock_now_ns() - session->started_ns;
	frozen->histograms = *ledger_histograms(session->ledger);
	for (uint32_t i = 0; i < count; i++)
		frozen->sites[i] = ledger_site(session->ledger, (site_id){i});
	frozen->site_count = count;
	copy_totals(session, frozen);
	copy_details(session, frozen);
	copy_marks(session, kind, name, frozen);
	return !session->mappings || copy_mappings(session, frozen);
}

/* Memory that is there, so that writing to it does not take the time of a page fault. */
static void *make_touched(size_t count, size_t item_bytes)
{
	void *items = malloc(count * item_bytes);
	if (items)
		memset(items, 0, count * item_bytes);
	return items;
}

/* Of the end nobody waits, and the blocks can be looked at where they are. */
static struct error *make_block_room(enum frozen_kind kind, size_t count, struct frozen *frozen)
{
	enum { SPARE_BLOCKS = 1 << 16 };
	free(take_ptr(frozen->blocks));
	if (kind != FROZEN_SNAPSHOT || count > FROZEN_BLOCKS_MAX)
		return NULL;
	frozen->block_capacity = count + count / 4 + SPARE_BLOCKS;
	frozen->blocks = make_touched(frozen->block_capacity, sizeof *frozen->blocks);
	return frozen->blocks ? NULL : error_no_memory();
}

/* Made while nobody waits for the lock. */
static struct error *make_sites(struct frozen *frozen, size_t count)
{
	free(take_ptr(frozen->sites));
	frozen->sites = make_touched(count, sizeof *frozen->sites);
	if (!frozen->sites)
		return error_no_memory();
	frozen->site_capacity = count;
	return NULL;
}

static struct error *make_room(struct session *session, enum frozen_kind kind,
			       struct frozen *frozen)
{
	enum { SPARE_SITES = 1024 };
	taps_lock(&session->taps);
	size_t count = ledger_site_count(session->ledger) + (size_t)SPARE_SITES;
	size_t mapping_count =
		session->mappings ? mappings_site_count(session->mappings) + (size_t)SPARE_SITES
				  : 0;
	size_t blocks = ledger_totals(session->ledger)->current_blocks;
	taps_unlock(&session->taps);
	struct error *err = make_sites(frozen, count);
	if (!err)
		err = make_block_room(kind, blocks, frozen);
	if (err || !session->mappings)
		return err;
	if (!frozen->mappings)
		frozen->mappings = calloc(1, sizeof *frozen->mappings);
	if (!frozen->mappings)
		return error_no_memory();
	frozen->mappings->of_mappings = true;
	return make_sites(frozen->mappings, mapping_count);
}

struct error *frozen_take(struct session *session, enum frozen_kind kind, const char *name,
			  struct frozen **ret)
{
	__attribute__((cleanup(cleanup_frozenp))) struct frozen *frozen = calloc(1, sizeof *frozen);
	if (!frozen)
		return error_no_memory();
	frozen->marks = calloc(MARKS_MAX + 1, sizeof *frozen->marks);
	frozen->detail_sites = calloc((size_t)LEDGER_DETAIL_POINTS * LEDGER_DETAIL_SITES,
				      sizeof *frozen->detail_sites);
	if (!frozen->marks || !frozen->detail_sites)
		return error_no_memory();
	bool done = false;
	uint64_t held_ns = 0;
	struct error *err = NULL;
	while (!err && !done) {
		err = make_room(session, kind, frozen);
		if (err)
			break;
		taps_lock(&session->taps);
		uint64_t locked_ns = clock_now_ns();
		done = copy(session, kind, name, frozen);
		held_ns = clock_now_ns() - locked_ns;
		if (done && TRACEALLOC_CHECKS >= 2)
			err = ledger_check(session->ledger);
		taps_unlock(&session->taps);
	}
	if (err)
		return err;
	log_write(session->options->log, LOG_DEBUG,
		  "%zu sites and %zu blocks were copied; the lock was held for %.1f us",
		  frozen->site_count, frozen->block_count, (double)held_ns / 1e3);
	*ret = take_ptr(frozen);
	return NULL;
}
