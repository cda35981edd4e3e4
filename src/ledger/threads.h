/* SPDX-License-Identifier: MIT */
/*
 * The threads of one address space: the block each created last, and the resizes it has begun.
 *
 * Owns: the thread records. Does not: own blocks in the table or count anything.
 * Called by: the other files of this folder, from the ledger's thread.
 *
 * Equations:
 *     slots[t->slot] == t for every thread t with a slot, all other slots are NULL
 *     free_count = number of NULL slots below slot_count
 *     open_count <= THREAD_OPEN_RESIZES for every thread
 */
#ifndef LEDGER_THREADS_H
#define LEDGER_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/map.h"
#include "ledger/live_table.h"

enum {
	/*
	 * A thread has more than one open resize only where signal handlers interrupt one another,
	 * and those that never end would otherwise pile up.
	 */
	THREAD_OPEN_RESIZES = 16,
	/* Slot of a thread beyond the first 65535 of a space: its blocks never count as temporary.
	 */
	THREAD_NO_SLOT = UINT16_MAX,
	THREAD_RECENT = 16,
};

/* A resize between its begin and its end. */
struct open_resize {
	uint64_t old_address;
	struct live_block block; /* out of the table meanwhile; address 0: it was never seen */
	uint64_t serial;	 /* of its creation if it was its thread's last, else 0 */
};

struct ledger_thread {
	uint32_t tid;
	uint16_t slot;
	uint64_t last_address; /* the block it created last, 0: none, released or being resized */
	uint64_t last_serial;  /* of that creation, 0: none or released */
	struct open_resize *open;
	size_t open_count;
	size_t open_capacity;
};

struct threads {
	struct map by_tid;
	struct ledger_thread *recent[THREAD_RECENT]; /* by the low bits of their tid; may be NULL */
	struct ledger_thread **slots;
	size_t slot_count;
	size_t slot_capacity;
	uint16_t *free_slots;
	size_t free_count;
	size_t free_capacity;
	uint64_t serial; /* creations so far */
};

void threads_init(struct threads *threads);
void threads_deinit(struct threads *threads);

/* The thread's record if it was asked for lately, else NULL: no more than a look. */
static inline struct ledger_thread *threads_recent(const struct threads *threads, uint32_t tid)
{
	struct ledger_thread *thread = threads->recent[tid % THREAD_RECENT];
	return thread && thread->tid == tid ? thread : NULL;
}

/* The thread's record, or NULL if it was never seen. */
struct ledger_thread *threads_find(struct threads *threads, uint32_t tid);

/* The thread's record, made where there is none. Errors: no memory. */
struct error *threads_get(struct threads *threads, uint32_t tid, struct ledger_thread **ret);

/* Forgets the thread, its open resizes included. */
void threads_remove(struct threads *threads, struct ledger_thread *thread);

/* The thread created the block at address. */
static inline void threads_created(struct threads *threads, struct ledger_thread *thread,
				   uint64_t address)
{
	thread->last_address = address;
	thread->last_serial = ++threads->serial;
}

/* The thread that has this slot, or NULL. */
static inline struct ledger_thread *threads_of_slot(const struct threads *threads, uint16_t slot)
{
	return slot < threads->slot_count ? threads->slots[slot] : NULL;
}

/* What the thread created last is gone. */
static inline void thread_forget_last(struct ledger_thread *thread)
{
	thread->last_address = 0;
	thread->last_serial = 0;
}

/*
 * A block created by the thread of this slot is released: true if that thread has created nothing
 * since, which it then forgets.
 */
static inline bool threads_forget_last(struct threads *threads, uint16_t slot, uint64_t address)
{
	struct ledger_thread *thread = threads_of_slot(threads, slot);
	if (!thread || thread->last_address != address)
		return false;
	thread_forget_last(thread);
	return true;
}

/*
 * A block created by the thread of this slot leaves the table for a resize: the serial of its
 * creation if that thread has created nothing since, else 0. Until threads_resume_last its address
 * says nothing, for another block may be given it.
 */
uint64_t threads_suspend_last(struct threads *threads, uint16_t slot, uint64_t address);

/* The resize failed: the block stands at address again. */
void threads_resume_last(struct threads *threads, uint16_t slot, uint64_t serial, uint64_t address);

/* The resize succeeded: as threads_forget_last, by the serial the suspension gave. */
bool threads_forget_serial(struct threads *threads, uint16_t slot, uint64_t serial);

/* Makes room for one more open resize (open_count is below the limit). Errors: no memory. */
struct error *thread_reserve_open(struct ledger_thread *thread);

/* The thread's latest open resize of old_address, or NULL. */
struct open_resize *thread_find_open(struct ledger_thread *thread, uint64_t old_address);

/* Ends an open resize, keeping the order of the others. */
void thread_close(struct ledger_thread *thread, struct open_resize *open);

uint64_t threads_memory_bytes(const struct threads *threads);

/* Verifies the equations above. For tests. */
struct error *threads_check(const struct threads *threads);

#endif
