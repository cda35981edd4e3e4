/* SPDX-License-Identifier: MIT */
/* All live blocks of a space, for whoever looks at their memory. */
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "ledger/state.h"

struct list {
	struct ledger_live *items;
	size_t count, capacity;
};

static struct error *add(struct list *list, const struct live_block *block)
{
	if (!array_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items))
		return error_no_memory();
	list->items[list->count++] = (struct ledger_live){.address = {block->address},
							  .size_bytes = block->size_bytes,
							  .site = {block->site}};
	return NULL;
}

static struct error *add_open(struct list *list, const struct space *space, bool *some_ret)
{
	size_t cursor = 0;
	struct map_entry *entry;
	struct error *err = NULL;
	while (!err && (entry = map_next(&space->threads.by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		for (size_t i = 0; !err && i < thread->open_count; i++) {
			*some_ret = true;
			if (thread->open[i].block.address)
				err = add(list, &thread->open[i].block);
		}
	}
	return err;
}

struct error *ledger_live_blocks(const struct ledger *ledger, space_id space,
				 struct ledger_live **ret, size_t *count_ret, bool *resizing_ret)
{
	const struct space *found = map_get(&ledger->spaces, space.v);
	struct list list = {0};
	struct live_block block;
	size_t cursor = 0;
	struct error *err = NULL;
	*resizing_ret = false;
	while (found && !err && live_table_next(&found->blocks, &cursor, &block))
		err = add(&list, &block);
	if (found && !err)
		err = add_open(&list, found, resizing_ret);
	_cleanup_free_ struct ledger_live *items = list.items;
	if (err)
		return err;
	*ret = take_ptr(items);
	*count_ret = list.count;
	return NULL;
}

bool ledger_has_inherited(const struct ledger *ledger, space_id space)
{
	const struct space *found = map_get(&ledger->spaces, space.v);
	return found && found->inherits;
}
