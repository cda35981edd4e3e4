/* SPDX-License-Identifier: MIT */
/*
 * The stack cache as a part of what is compiled here, so that a look-up is no call: it is most of
 * what an event costs, and the stack that a call of it takes is the target's.
 *
 * Owns: nothing. Included by call.c alone, whose object file is the one that has the cache in the
 * agent's image. Private to src/agent, freestanding.
 */
#ifndef AGENT_CACHE_INLINE_H
#define AGENT_CACHE_INLINE_H

#include "unwind/cache.h"

/* Both compilers are asked for the same in the way each of them listens to: see leave_creation. */
__attribute__((always_inline)) int32_t unwind_cache_find(const struct unwind_cache *cache,
							 struct unwind_registers registers,
							 const void *stack, uint64_t bytes);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wattributes"
#include "unwind/cache.c"
#pragma GCC diagnostic pop

#endif
