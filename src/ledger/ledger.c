/* SPDX-License-Identifier: MIT */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "ledger/live_access.h"
#include "ledger/sites_change.h"
#include "ledger/state.h"

struct error *ledger_create(struct ledger **ret)
{
	_cleanup_free_ struct ledger *ledger = calloc(1, sizeof *ledger);
	if (!ledger)
		return error_no_memory();
	/* Without entropy the seed is 0 or partial: the ledger is then right, only predictable. */
	if (getrandom(&ledger->seed, sizeof ledger->seed, GRND_NONBLOCK) < 0)
		ledger->seed = (uintptr_t)ledger;
	struct error *err = details_init(&ledger->details);
	if (err)
		return err;
	sites_init(&ledger->sites);
	timeline_init(&ledger->timeline);
	*ret = take_ptr(ledger);
	return NULL;
}

static void space_free(struct space *space)
{
	live_table_deinit(&space->blocks);
	threads_deinit(&space->threads);
	free(space);
}

void ledger_destroy(struct ledger *ledger)
{
	if (!ledger)
		return;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&ledger->spaces, &cursor)))
		space_free(entry->value);
	map_deinit(&ledger->spaces);
	sites_deinit(&ledger->sites);
	details_deinit(&ledger->details);
	free(ledger);
}

static struct space *recent_space(const struct ledger *ledger, space_id id)
{
	struct space *recent = ledger->recent[id.v % LEDGER_RECENT_SPACES];
	return recent && recent->id.v == id.v ? recent : NULL;
}

static struct space *find_space(const struct ledger *ledger, space_id id)
{
	struct space *recent = recent_space(ledger, id);
	return recent ? recent : map_get(&ledger->spaces, id.v);
}

static struct error *get_space(struct ledger *ledger, space_id id, struct space **ret)
{
	struct space **recent = &ledger->recent[id.v % LEDGER_RECENT_SPACES];
	*ret = find_space(ledger, id);
	if (*ret) {
		*recent = *ret;
		return NULL;
	}
	_cleanup_free_ struct space *space = calloc(1, sizeof *space);
	if (!space || !map_put(&ledger->spaces, id.v, space))
		return error_no_memory();
	space->id = id;
	live_table_init(&space->blocks, ledger->seed);
	threads_init(&space->threads);
	*recent = space;
	*ret = take_ptr(space);
	return NULL;
}

static inline uint64_t lifetime_ns(const struct live_block *block, uint64_t now_ns)
{
	return now_ns > block->born_ns ? now_ns - block->born_ns : 0;
}

static inline void release_block(struct ledger *ledger, struct space *space,
				 const struct live_block *block, uint64_t now_ns)
{
	bool temporary = threads_forget_last(&space->threads, block->thread, block->address);
	sites_released(&ledger->sites, block->site, block->size_bytes, lifetime_ns(block, now_ns),
		       temporary);
}

static void count_unknown(struct ledger *ledger, const struct space *space)
{
	if (space->inherits)
		ledger->sites.totals.inherited_releases++;
	else
		ledger->sites.totals.unknown_releases++;
}

static inline uint64_t event_size_bytes(const struct event *event)
{
	return event->size_bytes < LIVE_BLOCK_SIZE_MAX ? event->size_bytes : LIVE_BLOCK_SIZE_MAX;
}

/* Where a block stands already, it was released unseen. */
static __attribute__((noinline)) struct error *
place_unusual(struct ledger *ledger, struct space *space, struct live_block block)
{
	struct live_block old;
	bool stood;
	struct error *err = live_table_put_unusual(&space->blocks, &block, &old, &stood);
	if (err || !stood)
		return err;
	ledger->sites.totals.implied_releases++;
	release_block(ledger, space, &old, block.born_ns);
	return NULL;
}

/* Puts the block of a creation where its address says; what stood there was released unseen. */
static inline __attribute__((always_inline)) struct error *
place_block(struct ledger *ledger, struct space *space, const struct ledger_thread *thread,
	    const struct event *event)
{
	struct live_block block = {
		.address = event->address.v,
		.born_ns = event->time_ns,
		.size_bytes = event_size_bytes(event),
		.site = event->site.v,
		.thread = thread->slot,
	};
	struct error *err = sites_prepare(&ledger->sites, event->site.v);
	if (!err)
		err = live_access_prepare(&space->blocks);
	if (err || __builtin_expect(live_access_add(&space->blocks, &block), 1))
		return err;
	return place_unusual(ledger, space, block);
}

static inline void count_creation(struct ledger *ledger, struct space *space,
				  struct ledger_thread *thread, const struct event *event)
{
	sites_created(&ledger->sites, event->site.v, event_size_bytes(event), event->time_ns);
	threads_created(&space->threads, thread, event->address.v);
}

static struct error *on_failed(struct ledger *ledger, const struct event *event)
{
	struct error *err = sites_prepare(&ledger->sites, event->site.v);
	if (err)
		return err;
	sites_failed(&ledger->sites, event->site.v);
	return NULL;
}

static inline __attribute__((always_inline)) struct error *
on_create(struct ledger *ledger, struct space *space, const struct event *event)
{
	struct ledger_thread *thread = threads_recent(&space->threads, event->thread);
	struct error *err = thread ? NULL : threads_get(&space->threads, event->thread, &thread);
	if (!err)
		err = place_block(ledger, space, thread, event);
	if (err)
		return err;
	count_creation(ledger, space, thread, event);
	return NULL;
}

static inline void on_release(struct ledger *ledger, struct space *space, const struct event *event)
{
	struct live_block block;
	if (event->address.v == 0)
		ledger->sites.totals.null_releases++;
	else if (live_access_take(&space->blocks, event->address.v, &block))
		release_block(ledger, space, &block, event->time_ns);
	else
		count_unknown(ledger, space);
}

/*
 * The old block of an open resize lives again. When its address was given out meanwhile, the newer
 * block is believed and the old one counts as released unseen. The same for want of memory.
 */
static void revive_open(struct ledger *ledger, struct space *space, struct ledger_thread *thread,
			struct open_resize *begun)
{
	struct open_resize open = *begun;
	const struct live_block *block = &open.block;
	struct live_block newer;
	bool stood;
	thread_close(thread, begun);
	if (!block->address)
		return;
	if (!live_table_find(&space->blocks, block->address, &newer)) {
		_cleanup_error_ struct error *err =
			live_table_put(&space->blocks, block, &newer, &stood);
		if (!err) {
			threads_resume_last(&space->threads, block->thread, open.serial,
					    block->address);
			return;
		}
	}
	ledger->sites.totals.implied_releases++;
	sites_released(&ledger->sites, block->site, block->size_bytes, 0, false);
}

/* Opens a resize of old_address (not 0). */
static struct error *open_resize(struct ledger *ledger, struct space *space,
				 struct ledger_thread *thread, uint64_t old_address)
{
	if (thread->open_count == THREAD_OPEN_RESIZES)
		revive_open(ledger, space, thread, &thread->open[0]);
	struct error *err = thread_reserve_open(thread);
	if (err)
		return err;
	struct open_resize open = {.old_address = old_address};
	if (live_table_take(&space->blocks, old_address, &open.block))
		open.serial = threads_suspend_last(&space->threads, open.block.thread, old_address);
	thread->open[thread->open_count++] = open;
	return NULL;
}

static struct error *on_resize_begin(struct ledger *ledger, struct space *space,
				     const struct event *event)
{
	struct ledger_thread *thread;
	if (event->old_address.v == 0)
		return NULL;
	struct error *err = threads_get(&space->threads, event->thread, &thread);
	return err ? err : open_resize(ledger, space, thread, event->old_address.v);
}

/* The open resize an end belongs to; an end whose begin was not seen begins here. */
static struct error *find_begun(struct ledger *ledger, struct space *space,
				struct ledger_thread *thread, uint64_t old_address,
				struct open_resize **ret)
{
	*ret = thread_find_open(thread, old_address);
	if (*ret)
		return NULL;
	struct error *err = open_resize(ledger, space, thread, old_address);
	*ret = err ? NULL : &thread->open[thread->open_count - 1];
	return err;
}

/* The old block of an open resize is gone for good. */
static void release_open(struct ledger *ledger, struct space *space, struct ledger_thread *thread,
			 struct open_resize *open, uint64_t now_ns)
{
	const struct live_block *block = &open->block;
	if (block->address) {
		bool temporary =
			threads_forget_serial(&space->threads, block->thread, open->serial);
		sites_released(&ledger->sites, block->site, block->size_bytes,
			       lifetime_ns(block, now_ns), temporary);
	} else {
		count_unknown(ledger, space);
	}
	thread_close(thread, open);
}

static struct error *on_resize_end(struct ledger *ledger, struct space *space,
				   const struct event *event)
{
	struct ledger_thread *thread;
	struct open_resize *open;
	if (event->old_address.v == 0)
		return event->address.v ? on_create(ledger, space, event)
					: on_failed(ledger, event);
	struct error *err = threads_get(&space->threads, event->thread, &thread);
	if (!err)
		err = find_begun(ledger, space, thread, event->old_address.v, &open);
	if (err)
		return err;
	if (event->address.v == 0) {
		revive_open(ledger, space, thread, open);
		return on_failed(ledger, event);
	}
	err = place_block(ledger, space, thread, event);
	if (err) {
		revive_open(ledger, space, thread, open);
		return err;
	}
	release_open(ledger, space, thread, open, event->time_ns);
	count_creation(ledger, space, thread, event);
	return NULL;
}

static struct error *on_resize_released(struct ledger *ledger, struct space *space,
					const struct event *event)
{
	struct ledger_thread *thread;
	struct open_resize *open;
	if (event->old_address.v == 0) {
		ledger->sites.totals.null_releases++;
		return NULL;
	}
	struct error *err = threads_get(&space->threads, event->thread, &thread);
	if (!err)
		err = find_begun(ledger, space, thread, event->old_address.v, &open);
	if (err)
		return err;
	release_open(ledger, space, thread, open, event->time_ns);
	return NULL;
}

static struct error *dispatch(struct ledger *ledger, struct space *space, const struct event *event)
{
	switch (event->kind) {
	case EVENT_CREATE:
		return event->address.v ? on_create(ledger, space, event)
					: on_failed(ledger, event);
	case EVENT_RELEASE:
		on_release(ledger, space, event);
		return NULL;
	case EVENT_RESIZE_BEGIN:
		return on_resize_begin(ledger, space, event);
	case EVENT_RESIZE_END:
		return on_resize_end(ledger, space, event);
	case EVENT_RESIZE_RELEASED:
		return on_resize_released(ledger, space, event);
	case EVENT_FAILED:
		return on_failed(ledger, event);
	}
	return error_new(ERROR_BAD_INPUT, "an event of unknown kind %d", (int)event->kind);
}

static struct timeline_level level_of(const struct total_counters *totals)
{
	return (struct timeline_level){.bytes = totals->current_bytes,
				       .blocks = totals->current_blocks};
}

/* The event at time_ns has brought the level from before to where it is, in a point of its own. */
static void begin_point(struct ledger *ledger, uint64_t time_ns, struct timeline_level before)
{
	timeline_record(&ledger->timeline, time_ns, before, level_of(&ledger->sites.totals));
	details_record(&ledger->details, time_ns, ledger->timeline.shift, &ledger->sites);
}

struct error *ledger_record(struct ledger *ledger, const struct event *event)
{
	struct space *space = recent_space(ledger, event->space);
	struct error *err = space ? NULL : get_space(ledger, event->space, &space);
	if (err)
		return err;
	struct total_counters *totals = &ledger->sites.totals;
	bool begins = timeline_is_beyond(&ledger->timeline, event->time_ns);
	struct timeline_level before = {0};
	if (__builtin_expect(begins, 0))
		before = level_of(totals);
	err = dispatch(ledger, space, event);
	if (err)
		return err;
	if (event->kind != EVENT_RESIZE_BEGIN)
		totals->events++;
	if (__builtin_expect(begins, 0))
		begin_point(ledger, event->time_ns, before);
	else
		timeline_raise(&ledger->timeline, &totals->current_bytes, &totals->current_blocks);
	return NULL;
}

void ledger_prefetch(const struct ledger *ledger, space_id id, const uint64_t *addresses,
		     size_t count)
{
	const struct space *space = find_space(ledger, id);
	if (space)
		live_table_prefetch(&space->blocks, addresses, count);
}

struct error *ledger_space_inherits(struct ledger *ledger, space_id id)
{
	struct space *space;
	struct error *err = get_space(ledger, id, &space);
	if (!err)
		space->inherits = true;
	return err;
}

static void end_open_resizes(struct ledger *ledger, struct space *space)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&space->threads.by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		for (size_t i = 0; i < thread->open_count; i++) {
			const struct live_block *block = &thread->open[i].block;
			if (block->address)
				sites_ended(&ledger->sites, block->site, block->size_bytes);
		}
	}
}

struct error *ledger_space_end(struct ledger *ledger, space_id id)
{
	struct space *space = map_remove(&ledger->spaces, id.v);
	if (!space)
		return NULL;
	if (ledger->recent[id.v % LEDGER_RECENT_SPACES] == space)
		ledger->recent[id.v % LEDGER_RECENT_SPACES] = NULL;
	size_t cursor = 0;
	struct live_block block;
	while (live_table_next(&space->blocks, &cursor, &block))
		sites_ended(&ledger->sites, block.site, block.size_bytes);
	end_open_resizes(ledger, space);
	space_free(space);
	return NULL;
}

void ledger_thread_end(struct ledger *ledger, space_id id, uint32_t tid)
{
	struct space *space = find_space(ledger, id);
	struct ledger_thread *thread = space ? threads_find(&space->threads, tid) : NULL;
	if (!thread)
		return;
	while (thread->open_count)
		revive_open(ledger, space, thread, &thread->open[0]);
	threads_remove(&space->threads, thread);
}

void ledger_resize_cancel(struct ledger *ledger, space_id id, uint32_t tid, target_addr old_address)
{
	struct space *space = find_space(ledger, id);
	struct ledger_thread *thread = space ? threads_find(&space->threads, tid) : NULL;
	struct open_resize *open = thread ? thread_find_open(thread, old_address.v) : NULL;
	if (open)
		revive_open(ledger, space, thread, open);
}

void ledger_reset_peak(struct ledger *ledger, uint64_t time_ns)
{
	sites_reset_peak(&ledger->sites, time_ns);
}

const struct total_counters *ledger_totals(const struct ledger *ledger)
{
	return &ledger->sites.totals;
}

uint32_t ledger_site_count(const struct ledger *ledger)
{
	return ledger->sites.count;
}

struct site_counters ledger_site(const struct ledger *ledger, site_id site)
{
	return sites_get(&ledger->sites, site.v);
}

bool ledger_block(const struct ledger *ledger, space_id id, target_addr address,
		  uint64_t *size_bytes_ret, site_id *site_ret)
{
	const struct space *space = find_space(ledger, id);
	struct live_block block;
	if (!space || !address.v || !live_table_find(&space->blocks, address.v, &block))
		return false;
	*size_bytes_ret = block.size_bytes;
	site_ret->v = block.site;
	return true;
}

const struct histogram_counters *ledger_histograms(const struct ledger *ledger)
{
	return &ledger->sites.histograms;
}

static bool holds(const struct live_block *block, uint64_t address)
{
	return address - block->address < block->size_bytes || address == block->address;
}

static bool find_holder(const struct live_table *table, uint64_t address, struct live_block *ret)
{
	size_t cursor = 0;
	if (live_table_find(table, address, ret))
		return true;
	while (live_table_next(table, &cursor, ret))
		if (holds(ret, address))
			return true;
	return false;
}

bool ledger_holder(const struct ledger *ledger, space_id id, target_addr address,
		   struct ledger_holder *ret)
{
	const struct space *space = find_space(ledger, id);
	struct live_block block;
	if (!space || !address.v || !find_holder(&space->blocks, address.v, &block))
		return false;
	const struct ledger_thread *thread = threads_of_slot(&space->threads, block.thread);
	*ret = (struct ledger_holder){.address = {block.address},
				      .size_bytes = block.size_bytes,
				      .site = {block.site},
				      .born_ns = block.born_ns,
				      .thread = thread ? thread->tid : 0};
	return true;
}

const struct ledger_point *ledger_timeline(const struct ledger *ledger, size_t *count_ret)
{
	*count_ret = ledger->timeline.count;
	return ledger->timeline.points;
}

const struct ledger_detail *ledger_details(const struct ledger *ledger, size_t *count_ret)
{
	*count_ret = ledger->details.count;
	return ledger->details.points;
}

uint64_t ledger_memory_bytes(const struct ledger *ledger)
{
	uint64_t bytes = sizeof *ledger + sites_memory_bytes(&ledger->sites) +
			 details_memory_bytes() +
			 ledger->spaces.capacity * sizeof *ledger->spaces.entries;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&ledger->spaces, &cursor))) {
		const struct space *space = entry->value;
		bytes += sizeof *space + live_table_memory_bytes(&space->blocks) +
			 threads_memory_bytes(&space->threads);
	}
	return bytes;
}
