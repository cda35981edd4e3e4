/* SPDX-License-Identifier: MIT */
/*
 * The stack of a call: known by the cache of its thread, or walked afresh.
 *
 * Owns: agent_thread.scratch and the cache's generation. Private to src/agent, freestanding. Called
 * for one level of one thread by one activation at a time (record.h); level 0 alone has a cache.
 */
#ifndef AGENT_STACK_H
#define AGENT_STACK_H

#include "agent/ring.h"
#include "agent/thread.h"

/* A cache generation that the tracer never has, for its generations at rest are even. */
#define STACK_OUTDATED UINT64_MAX

static inline const struct agent_modules *stack_modules(void)
{
	return (const struct agent_modules *)agent_private.modules;
}

/* Makes the next look-up forget everything: what the cache holds may not be what readers know. */
static inline void stack_outdate(struct agent_thread *thread)
{
	thread_cache(thread)->generation = STACK_OUTDATED;
}

/*
 * The number of the stack that begins at registers.sp (the return address), on level 0;
 * UNWIND_CACHE_NONE if it must be walked.
 *
 * The generation is looked at before alone: a module that is on this stack cannot be unloaded, and
 * code of a new one cannot run before the tracer has changed the generation (AGENT_LINKER).
 */
static inline __attribute__((always_inline)) int32_t stack_find(const struct agent_thread *thread,
								const struct unwind_cache *cache,
								struct unwind_registers registers)
{
	uint64_t low;
	uint64_t bytes = thread_stack_bytes(thread, registers.sp, &low);
	if (__builtin_expect(bytes == 0 || cache->generation !=
						   __atomic_load_n(&stack_modules()->generation,
								   __ATOMIC_ACQUIRE),
			     0))
		return UNWIND_CACHE_NONE;
	return unwind_cache_find(cache, registers, (const void *)registers.sp, bytes);
}

/*
 * Walks the stack that begins at scratch->registers; frames, count (never 0) and stop in scratch
 * tell it. Returns its number, in the cache if it can be remembered; RING_STACK_PASSING if not.
 */
uint32_t stack_walk(struct agent_scratch *scratch);

#endif
