/* SPDX-License-Identifier: MIT */
/*
 * An obviously right ledger: a plain array of blocks, and every sum recomputed after every event.
 *
 * Addresses, spaces, threads and sites are small numbers, so that everything collides with
 * everything. Used by the property test of the ledger alone.
 */
#ifndef TESTS_LEDGER_MODEL_H
#define TESTS_LEDGER_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/counters.h"
#include "base/event.h"

enum {
	MODEL_SPACES = 3,
	MODEL_THREADS = 4,
	MODEL_SITES = 12,
	MODEL_ADDRESSES = 40,
	MODEL_BLOCKS = 1024,
	MODEL_OPEN_MOST = 16, /* begun resizes a thread may have; the oldest is cancelled */
};

/* A block from creation to its end; in the table, or taken out by an open resize. */
struct model_block {
	bool exists;
	uint32_t space, thread, site;
	uint64_t address, size, born, creation; /* creation: number among all creations */
	bool creator_gone;
	bool in_table;
};

struct model_open {
	bool exists;
	uint32_t space, thread;
	uint64_t old_address, order;
	int block; /* index, -1: unknown */
};

struct model {
	struct model_block blocks[MODEL_BLOCKS];
	struct model_open open[MODEL_BLOCKS];
	struct site_counters sites[MODEL_SITES];
	struct total_counters totals;
	bool inherits[MODEL_SPACES];
	uint64_t creations, opens;
};

static inline int model_find(const struct model *m, uint32_t space, uint64_t address)
{
	for (int i = 0; i < MODEL_BLOCKS; i++)
		if (m->blocks[i].exists && m->blocks[i].in_table && m->blocks[i].space == space &&
		    m->blocks[i].address == address)
			return i;
	return -1;
}

static inline int model_find_open(const struct model *m, const struct event *e)
{
	int best = -1;
	for (int i = 0; i < MODEL_BLOCKS; i++)
		if (m->open[i].exists && m->open[i].space == e->space.v &&
		    m->open[i].thread == e->thread && m->open[i].old_address == e->old_address.v &&
		    (best < 0 || m->open[i].order > m->open[best].order))
			best = i;
	return best;
}

/* Has the thread that created this block created nothing since, and is it still there? */
static inline bool model_is_temporary(const struct model_block *b,
				      const uint64_t last_creation[MODEL_SPACES][MODEL_THREADS])
{
	return !b->creator_gone && last_creation[b->space][b->thread] == b->creation;
}

struct model_run {
	struct model m;
	uint64_t last_creation[MODEL_SPACES][MODEL_THREADS];
};

static inline void model_release(struct model_run *r, int i, uint64_t now)
{
	struct model_block *b = &r->m.blocks[i];
	struct site_counters *s = &r->m.sites[b->site];
	s->released_bytes += b->size;
	s->released_blocks++;
	s->lifetime_ns += now > b->born ? now - b->born : 0;
	s->temporary_blocks += model_is_temporary(b, r->last_creation);
	b->exists = false;
}

static inline void model_unknown(struct model_run *r, uint32_t space)
{
	if (r->m.inherits[space])
		r->m.totals.inherited_releases++;
	else
		r->m.totals.unknown_releases++;
}

static inline void model_place(struct model_run *r, const struct event *e)
{
	int stood = model_find(&r->m, e->space.v, e->address.v);
	if (stood >= 0) {
		r->m.totals.implied_releases++;
		model_release(r, stood, e->time_ns);
	}
}

static inline void model_create(struct model_run *r, const struct event *e)
{
	int i = 0;
	while (r->m.blocks[i].exists)
		i++;
	r->m.blocks[i] = (struct model_block){.exists = true,
					      .space = e->space.v,
					      .thread = e->thread,
					      .site = e->site.v,
					      .address = e->address.v,
					      .size = e->size_bytes,
					      .born = e->time_ns,
					      .creation = ++r->m.creations,
					      .in_table = true};
	r->last_creation[e->space.v][e->thread] = r->m.creations;
	struct site_counters *s = &r->m.sites[e->site.v];
	s->total_bytes += e->size_bytes;
	s->total_blocks++;
	if (e->size_bytes > s->largest_bytes)
		s->largest_bytes = e->size_bytes;
}

static inline void model_cancel(struct model_run *r, int open)
{
	struct model_open *o = &r->m.open[open];
	o->exists = false;
	if (o->block < 0)
		return;
	struct model_block *b = &r->m.blocks[o->block];
	if (model_find(&r->m, b->space, b->address) < 0) {
		b->in_table = true;
		return;
	}
	r->m.totals.implied_releases++;
	r->m.sites[b->site].released_bytes += b->size;
	r->m.sites[b->site].released_blocks++;
	b->exists = false;
}

static inline int model_oldest_open(const struct model *m, uint32_t space, uint32_t thread,
				    int *count)
{
	int oldest = -1;
	*count = 0;
	for (int i = 0; i < MODEL_BLOCKS; i++) {
		const struct model_open *o = &m->open[i];
		if (!o->exists || o->space != space || o->thread != thread)
			continue;
		++*count;
		if (oldest < 0 || o->order < m->open[oldest].order)
			oldest = i;
	}
	return oldest;
}

static inline int model_begin(struct model_run *r, const struct event *e)
{
	int count;
	int oldest = model_oldest_open(&r->m, e->space.v, e->thread, &count);
	if (count == MODEL_OPEN_MOST)
		model_cancel(r, oldest);
	int i = 0;
	while (r->m.open[i].exists)
		i++;
	int block = model_find(&r->m, e->space.v, e->old_address.v);
	r->m.open[i] = (struct model_open){.exists = true,
					   .space = e->space.v,
					   .thread = e->thread,
					   .old_address = e->old_address.v,
					   .order = ++r->m.opens,
					   .block = block};
	if (block >= 0)
		r->m.blocks[block].in_table = false;
	return i;
}

static inline void model_end(struct model_run *r, const struct event *e)
{
	int open = model_find_open(&r->m, e);
	if (open < 0)
		open = model_begin(r, e);
	if (e->kind == EVENT_RESIZE_END && e->address.v == 0) {
		model_cancel(r, open);
		return;
	}
	if (e->kind == EVENT_RESIZE_END)
		model_place(r, e);
	if (r->m.open[open].block >= 0)
		model_release(r, r->m.open[open].block, e->time_ns);
	else
		model_unknown(r, e->space.v);
	r->m.open[open].exists = false;
	if (e->kind == EVENT_RESIZE_END)
		model_create(r, e);
}

/* What is in use becomes the peak. */
static inline void model_reset_peak(struct model_run *r, uint64_t now)
{
	struct total_counters *t = &r->m.totals;
	t->peak_bytes = t->current_bytes;
	t->peak_blocks = t->current_blocks;
	t->peak_at_ns = now;
	for (int s = 0; s < MODEL_SITES; s++) {
		r->m.sites[s].peak_bytes = r->m.sites[s].current_bytes;
		r->m.sites[s].peak_blocks = r->m.sites[s].current_blocks;
	}
}

/* Every current figure from scratch; the breakdown is copied whenever the sum is a new highest. */
static inline void model_recompute(struct model_run *r, uint64_t now)
{
	struct total_counters *t = &r->m.totals;
	t->current_bytes = t->current_blocks = 0;
	for (int s = 0; s < MODEL_SITES; s++)
		r->m.sites[s].current_bytes = r->m.sites[s].current_blocks = 0;
	for (int i = 0; i < MODEL_BLOCKS; i++) {
		const struct model_block *b = &r->m.blocks[i];
		if (!b->exists)
			continue;
		r->m.sites[b->site].current_bytes += b->size;
		r->m.sites[b->site].current_blocks++;
		t->current_bytes += b->size;
		t->current_blocks++;
	}
	if (t->current_bytes > t->peak_bytes)
		model_reset_peak(r, now);
}

static inline void model_record(struct model_run *r, const struct event *e)
{
	int i;
	r->m.totals.events += e->kind != EVENT_RESIZE_BEGIN;
	switch (e->kind) {
	case EVENT_CREATE:
		model_place(r, e);
		model_create(r, e);
		break;
	case EVENT_RELEASE:
		i = model_find(&r->m, e->space.v, e->address.v);
		if (e->address.v == 0)
			r->m.totals.null_releases++;
		else if (i >= 0)
			model_release(r, i, e->time_ns);
		else
			model_unknown(r, e->space.v);
		break;
	case EVENT_RESIZE_BEGIN:
		model_begin(r, e);
		break;
	case EVENT_RESIZE_END:
	case EVENT_RESIZE_RELEASED:
		if (e->kind == EVENT_RESIZE_END && e->address.v == 0)
			r->m.sites[e->site.v].failed_calls++;
		model_end(r, e);
		break;
	case EVENT_FAILED:
		r->m.sites[e->site.v].failed_calls++;
		break;
	}
	model_recompute(r, e->time_ns);
}

static inline void model_space_end(struct model_run *r, uint32_t space)
{
	for (int i = 0; i < MODEL_BLOCKS; i++) {
		struct model_block *b = &r->m.blocks[i];
		if (b->exists && b->space == space) {
			r->m.sites[b->site].ended_bytes += b->size;
			r->m.sites[b->site].ended_blocks++;
			b->exists = false;
		}
		if (r->m.open[i].exists && r->m.open[i].space == space)
			r->m.open[i].exists = false;
	}
	r->m.inherits[space] = false;
	model_recompute(r, 0);
}

static inline void model_thread_end(struct model_run *r, uint32_t space, uint32_t thread)
{
	int count, open;
	while ((open = model_oldest_open(&r->m, space, thread, &count)) >= 0)
		model_cancel(r, open);
	for (int i = 0; i < MODEL_BLOCKS; i++)
		if (r->m.blocks[i].space == space && r->m.blocks[i].thread == thread)
			r->m.blocks[i].creator_gone = true;
	model_recompute(r, 0);
}

/* The sums that the model does not keep as it goes. */
static inline struct total_counters model_totals(const struct model_run *r)
{
	struct total_counters t = r->m.totals;
	for (int s = 0; s < MODEL_SITES; s++) {
		t.total_bytes += r->m.sites[s].total_bytes;
		t.total_blocks += r->m.sites[s].total_blocks;
		t.released_bytes += r->m.sites[s].released_bytes;
		t.released_blocks += r->m.sites[s].released_blocks;
		t.ended_bytes += r->m.sites[s].ended_bytes;
		t.ended_blocks += r->m.sites[s].ended_blocks;
		t.temporary_blocks += r->m.sites[s].temporary_blocks;
		t.failed_calls += r->m.sites[s].failed_calls;
	}
	return t;
}

#endif
