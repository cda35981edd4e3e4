/* SPDX-License-Identifier: MIT */
#include "ledger/live_store.h"

enum {
	BYTES_SMALLEST = 3072, /* a multiple of a packed block's size and of the alignment */
	PART = 16,	       /* of a large store that is added to it */
};

void live_store_init(struct live_store *store)
{
	*store = (struct live_store){.free = LIVE_STORE_NONE};
}

void live_store_deinit(struct live_store *store)
{
	live_memory_free(&store->memory);
	live_store_init(store);
}

/* From a huge page on, whole ones, and no more of them than a little: they are all there at once.
 */
static size_t next_bytes(size_t bytes)
{
	const size_t page = LIVE_MEMORY_HUGE_PAGE_BYTES;
	if (bytes == 0)
		return BYTES_SMALLEST;
	if (bytes < page)
		return bytes * 2 < page ? bytes * 2 : page;
	size_t part = bytes / PART / page * page;
	return bytes + (part > page ? part : page);
}

struct error *live_store_grow(struct live_store *store)
{
	size_t bytes = next_bytes(store->memory.bytes);
	if (bytes / sizeof *store->blocks >= LIVE_STORE_NONE)
		return error_no_memory();
	struct error *err = live_memory_grow(&store->memory, bytes);
	store->blocks = store->memory.start;
	return err;
}

size_t live_store_count(const struct live_store *store)
{
	size_t free_count = 0;
	for (uint32_t id = store->free; id != LIVE_STORE_NONE && free_count <= store->used;
	     id = (uint32_t)store->blocks[id].where)
		free_count++;
	return store->used - free_count;
}
