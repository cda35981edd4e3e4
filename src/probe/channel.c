/* SPDX-License-Identifier: MIT */
#include "probe/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"

static void *at(const struct channel *channel, uint64_t offset)
{
	return (uint8_t *)channel->shared + offset;
}

static struct error *shape(int fd)
{
	/* By us, not by the target: a limit of its own on file sizes would send it SIGXFSZ. */
	if (ftruncate(fd, (off_t)AGENT_SHARED_BYTES) < 0)
		return error_system(errno, "cannot size the memory shared with the target");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_system(errno, "cannot seal the memory shared with the target");
	return NULL;
}

struct error *channel_open(int fd, uint32_t depth, struct channel **ret)
{
	struct error *err = shape(fd);
	if (err)
		return err;
	_cleanup_free_ struct channel *channel = calloc(1, sizeof *channel);
	if (!channel)
		return error_no_memory();
	void *mapping = mmap(NULL, AGENT_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return error_system(errno, "cannot map the memory shared with the target");
	madvise(mapping, AGENT_SHARED_BYTES, MADV_DONTDUMP);
	channel->shared = mapping;
	channel->shared->magic = AGENT_MAGIC;
	channel->shared->version = AGENT_ABI_VERSION;
	channel->shared->depth = depth < AGENT_DEPTH_MAX ? depth : AGENT_DEPTH_MAX;
	channel->next = AGENT_SHARED_TABLES;
	*ret = take_ptr(channel);
	return NULL;
}

void channel_destroy(struct channel *channel)
{
	if (!channel)
		return;
	munmap(channel->shared, AGENT_SHARED_BYTES);
	map_deinit(&channel->tables);
	free(channel->free_lists);
	free(channel);
}

/* *ret is 0 where there is no room left. */
static uint64_t reserve(struct channel *channel, uint64_t count_bytes)
{
	uint64_t start = (channel->next + 63) & ~63ul;
	if (start > AGENT_SHARED_AREAS || AGENT_SHARED_AREAS - start < count_bytes)
		return 0;
	channel->next = start + count_bytes;
	return start;
}

struct error *channel_add_process(struct channel *channel, target_addr *ret)
{
	uint64_t offset = channel->free_list_count ? channel->free_lists[--channel->free_list_count]
						   : reserve(channel, sizeof(struct agent_modules));
	if (!offset)
		return error_new(ERROR_UNSUPPORTED, "no room for one more process's modules");
	channel->users++;
	*ret = target_addr_add(channel->address, (int64_t)offset);
	return NULL;
}

void channel_remove_process(struct channel *channel, target_addr list)
{
	channel->users--;
	/* Without memory its room is only not used again. */
	if (array_reserve(&channel->free_lists, &channel->free_list_capacity,
			  channel->free_list_count + 1, sizeof *channel->free_lists))
		channel->free_lists[channel->free_list_count++] = list.v - channel->address.v;
}

/* Where the target finds a copy of the table's rows, 0 if there is no room. */
static struct error *copy_rows(struct channel *channel, const struct unwind_table *table,
			       uint64_t *ret)
{
	uint64_t key = (uint64_t)(uintptr_t)table->rows;
	uint64_t offset = (uint64_t)(uintptr_t)map_get(&channel->tables, key);
	if (!offset && table->count) {
		offset = reserve(channel, (uint64_t)table->count * sizeof *table->rows);
		if (!offset)
			return *ret = 0, NULL;
		memcpy(at(channel, offset), table->rows, table->count * sizeof *table->rows);
		if (!map_put(&channel->tables, key, (void *)(uintptr_t)offset))
			return error_no_memory();
	}
	*ret = offset ? channel->address.v + offset : 0;
	return NULL;
}

struct error *channel_publish(struct channel *channel, target_addr list,
			      const struct unwind_module *modules, size_t count)
{
	struct agent_modules *to = at(channel, list.v - channel->address.v);
	uint64_t generation = __atomic_load_n(&to->generation, __ATOMIC_RELAXED) & ~1ul;
	size_t next = (generation / 2 + 1) % AGENT_MODULE_LISTS;
	if (count > AGENT_MODULES)
		count = AGENT_MODULES;
	/* A walk that still uses this list, two generations old, must find itself outdated. */
	__atomic_store_n(&to->generation, generation + 1, __ATOMIC_RELEASE);
	to->lists[next].count = 0;
	for (size_t i = 0; i < count; i++) {
		struct unwind_module module = modules[i];
		uint64_t rows;
		struct error *err = copy_rows(channel, &module.table, &rows);
		if (err) {
			__atomic_store_n(&to->generation, generation, __ATOMIC_RELEASE);
			return err;
		}
		module.table.rows = (const struct unwind_row *)(uintptr_t)rows;
		module.table.count = rows ? module.table.count : 0;
		to->lists[next].items[i] = module;
	}
	to->lists[next].count = count;
	__atomic_store_n(&to->generation, generation + 2, __ATOMIC_RELEASE);
	return NULL;
}

uint32_t channel_linker_asked(const struct channel *channel)
{
	return __atomic_load_n(&channel->shared->linker_asked, __ATOMIC_ACQUIRE);
}

bool channel_linker_asks(const struct channel *channel)
{
	return channel_linker_asked(channel) !=
	       __atomic_load_n(&channel->shared->linker_served, __ATOMIC_RELAXED);
}

void channel_wait(struct channel *channel, uint64_t timeout_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
				   .tv_nsec = (long)(timeout_ns % 1000000000u)};
	syscall(SYS_futex, &channel->shared->linker_asked, FUTEX_WAIT,
		__atomic_load_n(&channel->shared->linker_served, __ATOMIC_RELAXED), &timeout, NULL,
		0);
}

void channel_wake(struct channel *channel)
{
	syscall(SYS_futex, &channel->shared->linker_asked, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void channel_show_life(struct channel *channel)
{
	__atomic_fetch_add(&channel->shared->beat, 1, __ATOMIC_RELAXED);
}

void channel_linker_serve(struct channel *channel, uint32_t asked)
{
	__atomic_store_n(&channel->shared->linker_served, asked, __ATOMIC_RELEASE);
	syscall(SYS_futex, &channel->shared->linker_served, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool channel_is_busy(const struct channel *channel)
{
	for (size_t i = 0; i < AGENT_AREAS; i++) {
		const struct agent_thread *thread =
			at(channel, AGENT_SHARED_AREAS + i * AGENT_AREA_STRIDE);
		if (!__atomic_load_n(&channel->shared->area_state[i], __ATOMIC_ACQUIRE))
			continue;
		for (size_t level = 0; level < AGENT_LEVELS; level++)
			if (__atomic_load_n(&thread->rings[level].busy_sp, __ATOMIC_ACQUIRE))
				return true;
	}
	return false;
}

void channel_empty(struct channel *channel)
{
	enum { CONTROL_BYTES = 4096 };
	/* Through the mapping, for the descriptor has long been closed. */
	if (madvise(at(channel, CONTROL_BYTES), AGENT_SHARED_BYTES - CONTROL_BYTES, MADV_REMOVE) ==
	    0)
		__atomic_store_n(&channel->shared->vacated, 1, __ATOMIC_RELEASE);
}

bool channel_has_call(const struct channel *channel, space_id space, uint32_t thread, uint64_t low,
		      uint64_t high)
{
	const uint8_t *base = (const uint8_t *)channel->shared + AGENT_SHARED_AREAS;
	for (uint64_t i = 0; i < AGENT_AREAS; i++) {
		if (!__atomic_load_n(&channel->shared->area_state[i], __ATOMIC_ACQUIRE))
			continue;
		const struct agent_thread *area =
			(const struct agent_thread *)(const void *)(base + i * AGENT_AREA_STRIDE);
		if (__atomic_load_n(&area->tid, __ATOMIC_ACQUIRE) != thread ||
		    __atomic_load_n(&area->space, __ATOMIC_RELAXED) != space.v)
			continue;
		uint64_t outer = __atomic_load_n(&area->outer_sp, __ATOMIC_RELAXED);
		if (outer >= low && outer < high)
			return true;
	}
	return false;
}
