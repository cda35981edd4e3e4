/* SPDX-License-Identifier: MIT */
#include "session/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "ledger/reach.h"
#include "session/private.h"
#include "session/roots.h"
#include "target/pages.h"

enum { CHUNK_BYTES = 1 << 20, PAGE_BYTES = 4096, WORD_BYTES = 8 };

void leaks_deinit(struct leaks *leaks)
{
	free(leaks->sites);
	*leaks = (struct leaks){0};
}

struct reach_counters leaks_site(const struct leaks *leaks, site_id site)
{
	return site.v < leaks->capacity ? leaks->sites[site.v] : (struct reach_counters){0};
}

/* ---- memory */

struct reading {
	struct session_space *space;
	struct reach *reach;
	struct pages pages;
	uint64_t *chunk; /* CHUNK_BYTES */
};

/* A page that cannot be read (a device, a file that was cut off) holds nothing for us. */
static struct error *read_range(struct reading *reading, uint64_t start, uint64_t end, bool roots)
{
	while (start < end) {
		size_t want = end - start < CHUNK_BYTES ? end - start : CHUNK_BYTES;
		size_t got = target_read_some(reading->space->target, (target_addr){start},
					      reading->chunk, want);
		struct error *err = reach_add_memory(reading->reach, start, reading->chunk,
						     got / WORD_BYTES, roots);
		if (err)
			return err;
		start += got;
		if (got < want)
			start = (start & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES;
	}
	return NULL;
}

static uint64_t page_down(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

/* The pages of [start, end) that are there. */
static struct error *read_pages(struct reading *reading, uint64_t start, uint64_t end, bool roots)
{
	uint64_t from, to, at = page_down(start), limit = page_down(end + PAGE_BYTES - 1);
	struct error *err = NULL;
	while (!err && pages_next(&reading->pages, at, limit, &from, &to)) {
		at = to;
		err = read_range(reading, from > start ? from : start, to < end ? to : end, roots);
	}
	return err;
}

static struct error *read_piece(struct reading *reading, const struct roots_piece *piece)
{
	uint64_t at = piece->start, start, end;
	struct error *err = NULL;
	if (piece->others_are_roots)
		return read_pages(reading, piece->start, piece->end, true);
	while (!err && reach_next_range(reading->reach, at, piece->end, &start, &end)) {
		err = read_pages(reading, start, end, false);
		at = end;
	}
	return err;
}

static struct error *read_memory(struct session *session, struct session_space *space,
				 struct reach *reach, bool all_blocks_known)
{
	_cleanup_roots_ struct roots roots = {0};
	_cleanup_free_ uint64_t *chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return error_no_memory();
	struct error *err = roots_collect(&session->target, space, reach, all_blocks_known, &roots);
	if (err)
		return err;
	if (roots.moving_threads)
		log_write(session->options->log, LOG_WARNING,
			  "process %d: %zu threads could not be stopped: blocks that only their "
			  "registers point to are taken to be unreachable",
			  space->target->pid, roots.moving_threads);
	struct reading reading = {.space = space, .reach = reach, .chunk = chunk};
	pages_open(roots.tid, &reading.pages);
	for (size_t i = 0; !err && i < roots.count; i++)
		err = read_piece(&reading, &roots.items[i]);
	pages_close(&reading.pages);
	return err;
}

/* ---- blocks */

struct list {
	struct reach_block *items;
	size_t count, capacity;
};

static struct error *add_block(void *context, const struct ledger_live *block)
{
	struct list *list = context;
	if (list->count == list->capacity &&
	    !array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items))
		return error_no_memory();
	list->items[list->count++] =
		(struct reach_block){block->address.v, block->size_bytes, block->site};
	return NULL;
}

static struct error *list_blocks(const struct session *session, space_id space, struct reach **ret,
				 bool *resizing_ret)
{
	struct list list = {0};
	struct error *err =
		ledger_visit_space(session->ledger, space, add_block, &list, resizing_ret);
	_cleanup_free_ struct reach_block *items = list.items;
	return err ? err : reach_create(take_ptr(items), list.count, ret);
}

struct verdicts {
	struct leaks *leaks;
	bool failed; /* no memory */
};

static void note_verdict(void *context, const struct reach_block *block, enum reach_verdict verdict)
{
	struct verdicts *verdicts = context;
	struct leaks *leaks = verdicts->leaks;
	size_t before = leaks->capacity;
	leaks->blocks++;
	if (verdict == REACH_REACHABLE)
		return;
	if (!array_reserve(&leaks->sites, &leaks->capacity, (size_t)block->site.v + 1,
			   sizeof *leaks->sites)) {
		verdicts->failed = true;
		return;
	}
	if (leaks->capacity > before)
		memset(leaks->sites + before, 0, (leaks->capacity - before) * sizeof *leaks->sites);
	struct reach_counters *counters = &leaks->sites[block->site.v];
	bool direct = verdict == REACH_DIRECT;
	*(direct ? &counters->direct_bytes : &counters->indirect_bytes) += block->size_bytes;
	*(direct ? &counters->direct_blocks : &counters->indirect_blocks) += 1;
}

static struct error *look(struct session *session, struct session_space *space)
{
	_cleanup_reach_ struct reach *reach = NULL;
	space_id id = space->target->id;
	bool resizing;
	struct error *err = list_blocks(session, id, &reach, &resizing);
	if (err)
		return err;
	bool all_blocks_known = !space->from_before && !resizing &&
				!ledger_has_inherited(session->ledger, id) &&
				!taps_statistics(&session->taps).lost_events;
	err = read_memory(session, space, reach, all_blocks_known);
	if (err)
		return err;
	struct verdicts verdicts = {.leaks = &session->leaks};
	err = reach_finish(reach, note_verdict, &verdicts);
	return err || !verdicts.failed ? err : error_no_memory();
}

struct error *leaks_look_at(struct session *session, struct session_space *space)
{
	struct leaks *leaks = &session->leaks;
	uint64_t begun = clock_now_ns();
	pid_t pid = space->target->pid;
	struct error *err = look(session, space);
	uint64_t frozen_ns = clock_now_ns() - begun;
	if (frozen_ns > leaks->frozen_ns)
		leaks->frozen_ns = frozen_ns;
	leaks->looked_at += !err;
	leaks->missed += err != NULL;
	if (!err || error_kind_of(err) == ERROR_NO_MEMORY)
		return err;
	log_write(session->options->log, LOG_WARNING,
		  "process %d: what is unreachable in it could not be found out: %s", pid,
		  error_message(err));
	error_free(err);
	return NULL;
}
