/* SPDX-License-Identifier: MIT */
/*
 * The words in a ring: what the agent says and the tracer reads.
 *
 * Owns: the encoding. Pure functions on numbers; includes nothing with code behind it.
 *
 * A record is one word and what its kind says follows. Word 0: kind in bits 63-60, `extra` in bits
 * 59-48, an address (user addresses have 47 bits) or number in bits 47-0.
 *
 * Order: for one address, a record is committed (head moved) before the next call that concerns it
 * can begin: a release before its function runs, a creation before its caller has the address. Time
 * stamps are rdtsc, taken before the commit, for a creation after its function has returned. A
 * record without a stamp was made while one ring was in use (agent_shared.many was 0 where the
 * stamp would have been taken): nothing in another ring comes before it.
 */
#ifndef AGENT_RING_H
#define AGENT_RING_H

#include <stdint.h>

#include "unwind/cache.h"

enum ring_kind {
	RING_NONE = 0,	  /* never written: a zero word is an error */
	RING_CREATE = 1,  /* address; word 1: size and stack */
	RING_RELEASE = 2, /* address, at the function's entry; 0: free(NULL) */
	RING_RELEASE_INNER =
		3, /* the same, called from the allocator's own module; word 1: size 0 and stack */
	RING_RESIZE_BEGIN = 4, /* old address (not 0), at the entry */
	RING_RESIZE_END = 5, /* old address (not 0); word 1: new address, 0: refused; word 2: size,
				stack */
	RING_RESIZE_RELEASED = 6,  /* old address: a resize to 0 that gave nothing back */
	RING_RESIZE_CANCELLED = 7, /* old address: a resize that was left and will not end */
	RING_FAILED = 8,	   /* word 1: size and stack. A creation was refused */
	RING_TIME = 9,	 /* extra and number: the low 60 bits of the time stamp counter, for the
			    next record that is not a definition */
	RING_STACK = 10, /* extra: number of frames n; number: ring_stack_head; then n words: return
			    addresses, innermost first. Defines a stack of this ring from here on */
	RING_WIDE = 11,	 /* number: bits 87-40 of the size in the next record */
};

enum {
	RING_SIZE_BITS = 40,
	RING_STACK_BITS = 24,
	RING_RECORD_MAX_WORDS = 4, /* but RING_STACK: 1 + frames */
	RING_STAMP_EVERY = 64,	   /* without `many`, one record in so many has a time */
	RING_STACKS = UNWIND_CACHE_ENTRIES + 1,
	RING_STACK_PASSING = UNWIND_CACHE_ENTRIES, /* a stack that is not remembered: defined anew
						      before each use */
};

/* How complete a defined stack is: enum unwind_stop. */
static inline uint64_t ring_stack_head(uint32_t stack, unsigned stop)
{
	return (uint64_t)stop << RING_STACK_BITS | stack;
}

static inline uint64_t ring_word(enum ring_kind kind, uint64_t extra, uint64_t number)
{
	return (uint64_t)kind << 60 | (extra & 0xfff) << 48 | (number & 0xffffffffffffull);
}

static inline uint64_t ring_size_word(uint64_t size_bytes, uint32_t stack)
{
	return (size_bytes & ((1ull << RING_SIZE_BITS) - 1)) | (uint64_t)stack << RING_SIZE_BITS;
}

static inline uint64_t ring_time_word(uint64_t stamp)
{
	return (uint64_t)RING_TIME << 60 | (stamp & 0x0fffffffffffffffull);
}

static inline enum ring_kind ring_kind_of(uint64_t word)
{
	return (enum ring_kind)(word >> 60);
}

static inline uint32_t ring_extra_of(uint64_t word)
{
	return (uint32_t)(word >> 48) & 0xfff;
}

static inline uint64_t ring_number_of(uint64_t word)
{
	return word & 0xffffffffffffull;
}

static inline uint64_t ring_time_of(uint64_t word)
{
	return word & 0x0fffffffffffffffull;
}

static inline uint64_t ring_size_of(uint64_t word)
{
	return word & ((1ull << RING_SIZE_BITS) - 1);
}

static inline uint32_t ring_stack_of(uint64_t word)
{
	return (uint32_t)(word >> RING_SIZE_BITS);
}

#endif
