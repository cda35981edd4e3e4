/* SPDX-License-Identifier: MIT */
/*
 * The verified stack cache: stacks that were unwound before, recognized by comparing words.
 *
 * The result of a walk depends on the first rsp, on the words that struct unwind_reads tells, on
 * rbp and the upper bound where it says so, on the modules and on the capacity. So where all of
 * these are what they were, the walk need not be made again. A user compares the modules (see
 * `generation`) and keeps to one capacity; the rest is compared here, whole and every time.
 *
 * Owns: the entries and their comparison. Freestanding, as table.h; used by the agent on its own
 * stack, and by the tracer. One thread, no signal handler, uses a cache at a time. Must be cleared
 * when modules change. It believes its own memory: a target that scribbles over its agent's cache
 * gets wrong stacks or a fault of its own.
 */
#ifndef UNWIND_CACHE_H
#define UNWIND_CACHE_H

#include "unwind/walk.h"

enum {
	UNWIND_CACHE_WAYS = 3,
	UNWIND_CACHE_SETS = 4096, /* a power of two */
	UNWIND_CACHE_ENTRIES = UNWIND_CACHE_WAYS * UNWIND_CACHE_SETS,
	UNWIND_CACHE_UNITS = 384 << 10, /* room for words, in units of 4 bytes: 1.5 MiB */
	UNWIND_CACHE_NONE = -1,
};

/*
 * Where an entry's words are, and whose they are: a stamp is the place of the first unit plus one,
 * in bits 0-18, and how often the room had been filled before, above. What was written later has a
 * higher stamp. An entry is live if stamp > unwind_cache.oldest; 0 never is.
 */
struct unwind_cache_way {
	uint64_t sp;
	uint32_t stamp;
	uint32_t check; /* another part of the hash that found the set */
};

/*
 * Where many stacks have the same sp and return address (all calls of a wrapper around malloc),
 * they are told apart by one word more, at sp + 8 * offset, whose hash leads to another set.
 */
struct unwind_cache_split {
	uint64_t hash; /* of the stacks it is for */
	uint32_t offset;
	uint32_t stamp; /* as if it were an entry; live as one */
};

/* A cache line. */
struct unwind_cache_set {
	struct unwind_cache_way ways[UNWIND_CACHE_WAYS];
	struct unwind_cache_split split;
};
_Static_assert(sizeof(struct unwind_cache_set) == 64, "a set is a cache line");

/*
 * Entries are written one behind the other into `units`, each in one piece, over the oldest ones.
 * Invariants: used <= UNWIND_CACHE_UNITS; entries begin below `used` if they were written in this
 * lap, at or above it if in the one before. All zeroes is an empty cache.
 */
struct unwind_cache {
	uint64_t generation; /* whatever its user wants to compare before it looks */
	uint32_t oldest;
	uint32_t used; /* units of this lap */
	uint32_t lap;
	uint32_t pad[11];
	struct unwind_cache_set sets[UNWIND_CACHE_SETS];
	uint32_t units[UNWIND_CACHE_UNITS];
	struct unwind_rules rules; /* for the walks of its user: see unwind_memory */
};

/*
 * The entry (0 .. UNWIND_CACHE_ENTRIES - 1) of the stack that begins at registers.sp (where a
 * return address stands) with registers.bp; UNWIND_CACHE_NONE if it is not known. stack: where the
 * word at registers.sp can be read, aligned to 8 bytes. bytes: how many from there may be read at
 * most, which is unwind_memory.high - sp: an entry whose walk met that bound is known by it.
 */
int32_t unwind_cache_find(const struct unwind_cache *cache, struct unwind_registers registers,
			  const void *stack, uint64_t bytes);

/*
 * Remembers the stack of a walk that began at registers and used what `reads` has. Returns its
 * entry, in place of an older one; UNWIND_CACHE_NONE, with nothing changed, if it cannot be
 * remembered: reads is incomplete or empty, a word lies 32 GiB up, rbp was looked at but unknown.
 */
int32_t unwind_cache_store(struct unwind_cache *cache, struct unwind_registers registers,
			   const struct unwind_reads *reads);

/* Forgets everything, rules too, touching as little memory as it can; `generation` stays. */
void unwind_cache_clear(struct unwind_cache *cache);

#endif
