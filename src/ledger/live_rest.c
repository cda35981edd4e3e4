/* SPDX-License-Identifier: MIT */
#include "ledger/live_rest.h"

#include <stdlib.h>

#include "base/cleanup.h"

void live_rest_deinit(struct live_rest *rest)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&rest->by_hash, &cursor)))
		free(entry->value);
	map_deinit(&rest->by_hash);
}

struct error *live_rest_put(struct live_rest *rest, uint64_t hash, const struct live_block *block)
{
	_cleanup_free_ struct live_block *copy = malloc(sizeof *copy);
	if (!copy || !map_put(&rest->by_hash, hash, copy))
		return error_no_memory();
	*take_ptr(copy) = *block;
	return NULL;
}

void live_rest_remove(struct live_rest *rest, uint64_t hash)
{
	free(map_remove(&rest->by_hash, hash));
}

const struct live_block *live_rest_next(const struct live_rest *rest, size_t *cursor)
{
	struct map_entry *entry = map_next(&rest->by_hash, cursor);
	return entry ? entry->value : NULL;
}

uint64_t live_rest_memory_bytes(const struct live_rest *rest)
{
	return rest->by_hash.capacity * sizeof *rest->by_hash.entries +
	       rest->by_hash.count * sizeof(struct live_block);
}
