/* SPDX-License-Identifier: MIT */
#include "ledger/threads.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

void threads_init(struct threads *threads)
{
	*threads = (struct threads){0};
}

static void thread_free(struct ledger_thread *thread)
{
	free(thread->open);
	free(thread);
}

void threads_deinit(struct threads *threads)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&threads->by_tid, &cursor)))
		thread_free(entry->value);
	map_deinit(&threads->by_tid);
	free(threads->slots);
	free(threads->free_slots);
	*threads = (struct threads){0};
}

struct ledger_thread *threads_find(struct threads *threads, uint32_t tid)
{
	struct ledger_thread *thread = threads_recent(threads, tid);
	if (thread)
		return thread;
	thread = map_get(&threads->by_tid, tid);
	if (thread)
		threads->recent[tid % THREAD_RECENT] = thread;
	return thread;
}

/* Room for one more slot, and for giving every slot back, so that removal cannot fail. */
static bool reserve_slot(struct threads *threads)
{
	if (threads->free_count || threads->slot_count == THREAD_NO_SLOT)
		return true;
	size_t need = threads->slot_count + 1;
	return array_reserve(&threads->slots, &threads->slot_capacity, need,
			     sizeof *threads->slots) &&
	       array_reserve(&threads->free_slots, &threads->free_capacity, need,
			     sizeof *threads->free_slots);
}

static void occupy_slot(struct threads *threads, struct ledger_thread *thread)
{
	thread->slot = THREAD_NO_SLOT;
	if (threads->free_count)
		thread->slot = threads->free_slots[--threads->free_count];
	else if (threads->slot_count < THREAD_NO_SLOT)
		thread->slot = (uint16_t)threads->slot_count++;
	if (thread->slot != THREAD_NO_SLOT)
		threads->slots[thread->slot] = thread;
}

struct error *threads_get(struct threads *threads, uint32_t tid, struct ledger_thread **ret)
{
	*ret = threads_find(threads, tid);
	if (*ret)
		return NULL;
	_cleanup_free_ struct ledger_thread *thread = calloc(1, sizeof *thread);
	if (!thread || !reserve_slot(threads) || !map_put(&threads->by_tid, tid, thread))
		return error_no_memory();
	thread->tid = tid;
	occupy_slot(threads, thread);
	threads->recent[tid % THREAD_RECENT] = thread;
	*ret = take_ptr(thread);
	return NULL;
}

void threads_remove(struct threads *threads, struct ledger_thread *thread)
{
	map_remove(&threads->by_tid, thread->tid);
	if (thread->slot != THREAD_NO_SLOT) {
		threads->slots[thread->slot] = NULL;
		threads->free_slots[threads->free_count++] = thread->slot;
	}
	if (threads->recent[thread->tid % THREAD_RECENT] == thread)
		threads->recent[thread->tid % THREAD_RECENT] = NULL;
	thread_free(thread);
}

bool threads_forget_serial(struct threads *threads, uint16_t slot, uint64_t serial)
{
	struct ledger_thread *thread = threads_of_slot(threads, slot);
	if (!thread || serial == 0 || thread->last_serial != serial)
		return false;
	thread_forget_last(thread);
	return true;
}

uint64_t threads_suspend_last(struct threads *threads, uint16_t slot, uint64_t address)
{
	struct ledger_thread *thread = threads_of_slot(threads, slot);
	if (!thread || thread->last_address != address)
		return 0;
	thread->last_address = 0;
	return thread->last_serial;
}

void threads_resume_last(struct threads *threads, uint16_t slot, uint64_t serial, uint64_t address)
{
	struct ledger_thread *thread = threads_of_slot(threads, slot);
	if (thread && serial && thread->last_serial == serial)
		thread->last_address = address;
}

struct error *thread_reserve_open(struct ledger_thread *thread)
{
	if (!array_reserve(&thread->open, &thread->open_capacity, thread->open_count + 1,
			   sizeof *thread->open))
		return error_no_memory();
	return NULL;
}

struct open_resize *thread_find_open(struct ledger_thread *thread, uint64_t old_address)
{
	for (size_t i = thread->open_count; i-- > 0;)
		if (thread->open[i].old_address == old_address)
			return &thread->open[i];
	return NULL;
}

void thread_close(struct ledger_thread *thread, struct open_resize *open)
{
	size_t after = thread->open_count - (size_t)(open - thread->open) - 1;
	memmove(open, open + 1, after * sizeof *open);
	thread->open_count--;
}

uint64_t threads_memory_bytes(const struct threads *threads)
{
	uint64_t bytes = threads->by_tid.capacity * sizeof *threads->by_tid.entries +
			 threads->slot_capacity * sizeof *threads->slots +
			 threads->free_capacity * sizeof *threads->free_slots;
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&threads->by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		bytes += sizeof *thread + thread->open_capacity * sizeof *thread->open;
	}
	return bytes;
}

struct error *threads_check(const struct threads *threads)
{
	size_t with_slot = 0, cursor = 0;
	struct map_entry *entry;
	while ((entry = map_next(&threads->by_tid, &cursor))) {
		const struct ledger_thread *thread = entry->value;
		if (thread->open_count > THREAD_OPEN_RESIZES)
			return error_new(ERROR_BAD_INPUT, "threads: %u has %zu open resizes",
					 thread->tid, thread->open_count);
		if (thread->slot == THREAD_NO_SLOT)
			continue;
		with_slot++;
		if (threads_of_slot(threads, thread->slot) != thread)
			return error_new(ERROR_BAD_INPUT, "threads: slot %u is not %u's",
					 thread->slot, thread->tid);
	}
	if (with_slot + threads->free_count != threads->slot_count)
		return error_new(ERROR_BAD_INPUT, "threads: %zu slots, %zu used, %zu free",
				 threads->slot_count, with_slot, threads->free_count);
	return NULL;
}
