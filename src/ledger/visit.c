/* SPDX-License-Identifier: MIT */
/* All live blocks, one after the other. */
#include "ledger/state.h"

struct visitor {
	struct error *(*visit)(void *context, const struct ledger_live *block);
	void *context;
};

static struct error *visit_one(const struct visitor *visitor, const struct space *space,
			       const struct live_block *block)
{
	struct ledger_live live = {
		.space = space->id,
		.site = {block->site},
		.address = {block->address},
		.size_bytes = block->size_bytes,
		.born_ns = block->born_ns,
	};
	return visitor->visit(visitor->context, &live);
}

static struct error *visit_open(const struct visitor *visitor, const struct space *space)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&space->threads.by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		for (size_t i = 0; i < thread->open_count; i++) {
			const struct live_block *block = &thread->open[i].block;
			struct error *err =
				block->address ? visit_one(visitor, space, block) : NULL;
			if (err)
				return err;
		}
	}
	return NULL;
}

static struct error *visit_space(const struct visitor *visitor, const struct space *space)
{
	size_t cursor = 0;
	struct live_block block;
	while (live_table_next(&space->blocks, &cursor, &block)) {
		struct error *err = visit_one(visitor, space, &block);
		if (err)
			return err;
	}
	return visit_open(visitor, space);
}

struct error *ledger_visit_live(const struct ledger *ledger,
				struct error *(*visit)(void *context,
						       const struct ledger_live *block),
				void *context)
{
	const struct visitor visitor = {visit, context};
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&ledger->spaces, &cursor))) {
		struct error *err = visit_space(&visitor, entry->value);
		if (err)
			return err;
	}
	return NULL;
}

struct copy {
	struct ledger_aged *items;
	size_t count, capacity;
};

static bool copy_one(struct copy *copy, const struct live_block *block)
{
	if (copy->count == copy->capacity)
		return false;
	copy->items[copy->count++] =
		(struct ledger_aged){block->size_bytes, block->born_ns, {block->site}};
	return true;
}

/* Blocks in the middle of a resize are in no table. */
static bool copy_open(struct copy *copy, const struct space *space)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&space->threads.by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		for (size_t i = 0; i < thread->open_count; i++)
			if (thread->open[i].block.address &&
			    !copy_one(copy, &thread->open[i].block))
				return false;
	}
	return true;
}

static bool copy_space(struct copy *copy, const struct space *space)
{
	size_t cursor = 0, in_rest = 0;
	const struct packed_block *packed;
	const struct live_block *apart;
	while ((packed = live_store_next(&space->blocks.store, &cursor))) {
		struct live_block block = live_block_unpack(packed);
		if (!copy_one(copy, &block))
			return false;
	}
	while ((apart = live_rest_next(&space->blocks.rest, &in_rest)))
		if (!copy_one(copy, apart))
			return false;
	return copy_open(copy, space);
}

bool ledger_copy_ages(const struct ledger *ledger, struct ledger_aged *ages, size_t capacity,
		      size_t *count_ret)
{
	struct copy copy = {.items = ages, .capacity = capacity};
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&ledger->spaces, &cursor)))
		if (!copy_space(&copy, entry->value))
			return false;
	*count_ret = copy.count;
	return true;
}

static bool is_resizing(const struct space *space)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&space->threads.by_tid, &cursor)))
		if (((const struct ledger_thread *)entry->value)->open_count)
			return true;
	return false;
}

struct error *ledger_visit_space(const struct ledger *ledger, space_id space,
				 struct error *(*visit)(void *context,
							const struct ledger_live *block),
				 void *context, bool *resizing_ret)
{
	const struct visitor visitor = {visit, context};
	const struct space *found = map_get(&ledger->spaces, space.v);
	*resizing_ret = found && is_resizing(found);
	return found ? visit_space(&visitor, found) : NULL;
}

bool ledger_has_inherited(const struct ledger *ledger, space_id space)
{
	const struct space *found = map_get(&ledger->spaces, space.v);
	return found && found->inherits;
}
