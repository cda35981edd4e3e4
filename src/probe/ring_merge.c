/* SPDX-License-Identifier: MIT */
#include "probe/ring_merge.h"

#include <x86intrin.h>

enum {
	LOOK_RECORDS = 4096,			/* between two looks at the clock */
	CAUGHT_UP_WORDS = AGENT_RING_WORDS / 8, /* of a take */
	INDEX_MASK = RING_ORDER_MAX - 1,
	STAMP_BITS = 64 - RING_ORDER_BITS,
};

static struct error *give(struct ring_merge *merge, struct ring_context *context,
			  struct ring_reader *reader)
{
	const struct ring_record *record = ring_reader_front(reader);
	const struct event *event = &record->event;
	const struct rings_sink *sink = &context->sink;
	struct error *err = NULL;
	if (record->kind == RING_RESIZE_CANCELLED)
		sink->cancelled(sink->context, event->space, event->thread, event->old_address);
	else
		err = sink->event(sink->context, event, record->kind == RING_RELEASE_INNER);
	merge->records++;
	ring_reader_pop(reader);
	return err;
}

/*
 * Rings that fill up are relieved: their threads would wait. That serves for bursts. Where there is
 * more than backlogs hold, a program is faster than we are all the time: it will have to wait, and
 * copying would only make us slower, until we have caught up. Inner rings are small.
 */
static void relieve(struct ring_merge *merge)
{
	if (merge->sealed)
		return;
	merge->overtaken |= !merge->pool->free;
	for (uint32_t i = 0; !merge->overtaken && i < merge->count; i++)
		if (merge->readers[i]->capacity == AGENT_RING_WORDS &&
		    ring_reader_relieve(merge->readers[i]))
			__atomic_fetch_add(merge->beat, 1, __ATOMIC_RELAXED); /* it takes a while */
}

/*
 * A long take must not look like a dead tracer: agents give up when `tail` stands still. One that
 * waits behind a ring whose records are all later than the others' is given a little room.
 */
static struct error *breathe(struct ring_merge *merge, struct ring_context *context)
{
	if (merge->records - merge->looked < LOOK_RECORDS)
		return NULL;
	merge->looked = merge->records;
	relieve(merge);
	uint64_t now = __rdtsc();
	if (now - merge->breathed < merge->breath_ticks)
		return NULL;
	merge->breathed = now;
	__atomic_fetch_add(merge->beat, 1, __ATOMIC_RELAXED);
	if (context->sink.breathe)
		context->sink.breathe(context->sink.context);
	for (uint32_t i = 0; i < merge->count; i++) {
		struct ring_reader *reader = merge->readers[i];
		if (!__atomic_load_n(&reader->ring->waiting, __ATOMIC_RELAXED))
			continue;
		if (reader->count < RING_PENDING_MAX) {
			struct error *err = ring_reader_fill(reader, context, reader->count + 1);
			if (err)
				return err;
		}
		ring_reader_release(reader);
	}
	return NULL;
}

/* Makes sure that a record is pending if there is one; *ret: whether. */
static inline struct error *prepare(struct ring_merge *merge, struct ring_context *context,
				    struct ring_reader *reader, bool *ret)
{
	struct error *err = NULL;
	if (reader->count == 0) {
		err = breathe(merge, context);
		if (!err)
			err = ring_reader_fill(reader, context, RINGS_AHEAD);
	}
	*ret = reader->count > 0;
	return err;
}

/*
 * Whether a record is out of step with what was given out about its address. The end of a refused
 * resize is not asked: it only brings back what its begin took.
 */
static bool is_out_of_step(const struct ring_record *record, const struct ring_context *context)
{
	const struct event *event = &record->event;
	target_addr address =
		record->kind == RING_RESIZE_BEGIN ? event->old_address : event->address;
	if (!record->suspect || !address.v)
		return false;
	const struct rings_sink *sink = &context->sink;
	return sink->is_live(sink->context, event->space, address) == (record->effect > 0);
}

/*
 * Whether the first pending record of a reader with an effect on the address of `record` has the
 * opposite effect and is stamped up to *limit, which then becomes its stamp.
 */
static bool find_opposite(const struct ring_reader *reader, const struct ring_record *record,
			  uint64_t *limit)
{
	target_addr address = ring_record_address(record);
	uint64_t stamp = 0;
	for (uint32_t i = 0; i < reader->count; i++) {
		const struct ring_record *other = &reader->items[reader->first + i];
		stamp = other->stamp > stamp ? other->stamp : stamp;
		if (stamp > *limit)
			return false;
		if (other->effect == 0 || ring_record_address(other).v != address.v ||
		    other->event.space.v != record->event.space.v)
			continue;
		if (other->effect == record->effect)
			return false;
		*limit = stamp;
		return true;
	}
	return false;
}

/* Looks in the other rings for what must come before the front record; *ret is its stamp. */
static struct error *find_cause(struct ring_merge *merge, struct ring_context *context,
				struct ring_reader *self, uint64_t *ret, bool *found_ret)
{
	const struct ring_record *record = ring_reader_front(self);
	*ret = record->stamp + merge->skew_ticks;
	*found_ret = false;
	for (uint32_t i = 0; i < merge->count; i++) {
		struct ring_reader *reader = merge->readers[i];
		if (reader == self)
			continue;
		struct error *err = ring_reader_fill(reader, context, RING_PENDING_MAX);
		if (err)
			return err;
		*found_ret |= find_opposite(reader, record, ret);
	}
	return NULL;
}

static bool stamps_are_trusted(struct ring_merge *merge)
{
	/* What was long ago counts less: a program's first minutes under an attach are special. */
	if (merge->checked >> 20) {
		merge->checked /= 2;
		merge->unexplained /= 2;
	}
	return merge->unexplained * RING_TRUST > merge->checked;
}

/* Puts the front record off if its stamp is wrong; *ret: whether. */
static struct error *put_right(struct ring_merge *merge, struct ring_context *context,
			       struct ring_reader *reader, bool *ret)
{
	struct ring_record *record = ring_reader_front(reader);
	*ret = false;
	merge->checked++;
	if (record->delayed || !is_out_of_step(record, context))
		return NULL;
	uint64_t cause;
	bool found;
	struct error *err = find_cause(merge, context, reader, &cause, &found);
	if (err)
		return err;
	if (!found) {
		merge->unexplained++;
	} else if (!stamps_are_trusted(merge)) {
		record->stamp = cause + 1;
		record->delayed = true;
		merge->reordered++;
		*ret = true;
	}
	return NULL;
}

static uint64_t key_of(const struct ring_merge *merge, const struct ring_reader *reader,
		       uint32_t index)
{
	if (reader->count == 0)
		return RING_ORDER_NONE;
	uint64_t stamp = reader->items[reader->first].stamp;
	if (stamp > merge->cut)
		return RING_ORDER_NONE;
	uint64_t since = stamp > merge->base ? stamp - merge->base : 0;
	return since << RING_ORDER_BITS | index;
}

/*
 * Gives out the first record of a reader and those after it that are stamped up to `limit`. No
 * other ring has anything that is stamped before `others`.
 */
static struct error *run_one(struct ring_merge *merge, struct ring_context *context,
			     struct ring_reader *reader, uint64_t limit, uint64_t others)
{
	bool more, wrong = false;
	struct error *err;
	do {
		const struct ring_record *record = ring_reader_front(reader);
		if (record->stamp && record->stamp + merge->skew_ticks >= others) {
			err = put_right(merge, context, reader, &wrong);
			if (err || wrong)
				return err;
		}
		err = give(merge, context, reader);
		if (err)
			return err;
		err = prepare(merge, context, reader, &more);
		if (err)
			return err;
	} while (more && ring_reader_front(reader)->stamp <= limit);
	return NULL;
}

static uint64_t stamp_of(const struct ring_merge *merge, uint64_t key)
{
	return key == RING_ORDER_NONE ? UINT64_MAX : merge->base + (key >> RING_ORDER_BITS);
}

static struct error *begin_merge(struct ring_merge *merge, struct ring_context *context)
{
	ring_order_begin(&merge->order, merge->count);
	for (uint32_t i = 0; i < merge->count; i++) {
		bool more;
		struct error *err = prepare(merge, context, merge->readers[i], &more);
		if (err)
			return err;
		ring_order_set(&merge->order, i, key_of(merge, merge->readers[i], i));
	}
	return NULL;
}

static struct error *run_merged(struct ring_merge *merge, struct ring_context *context)
{
	struct error *err = begin_merge(merge, context);
	uint32_t last = UINT32_MAX;
	uint64_t key;
	while (!err && (key = ring_order_first(&merge->order)) != RING_ORDER_NONE) {
		uint32_t index = (uint32_t)key & INDEX_MASK;
		struct ring_reader *reader = merge->readers[index];
		uint64_t others = 0, limit = 0;
		/* The second is worth looking for where a ring goes on and on. */
		if (index == last) {
			others = stamp_of(merge, ring_order_second(&merge->order, index));
			limit = others < merge->cut ? others : merge->cut;
		}
		last = index;
		err = run_one(merge, context, reader, limit, others);
		ring_order_set(&merge->order, index, key_of(merge, reader, index));
	}
	return err;
}

/* One ring has all there is: nothing to compare. */
static struct error *run_alone(struct ring_merge *merge, struct ring_context *context)
{
	struct ring_reader *reader = merge->readers[0];
	bool more;
	struct error *err = prepare(merge, context, reader, &more);
	if (err || !more || ring_reader_front(reader)->stamp > merge->cut)
		return err;
	return run_one(merge, context, reader, merge->cut, UINT64_MAX);
}

struct error *ring_merge_run(struct ring_merge *merge, struct ring_context *context)
{
	/* The range of keys, 2^(STAMP_BITS - 1) ticks, is a month of what waited. */
	uint64_t range = UINT64_C(1) << (STAMP_BITS - 1);
	struct error *err = NULL;
	merge->base = context->latest > range ? context->latest - range : 0;
	if (merge->count == 1)
		err = run_alone(merge, context);
	else if (merge->count)
		err = run_merged(merge, context);
	if (context->taken_words < CAUGHT_UP_WORDS)
		merge->overtaken = false;
	return err;
}
