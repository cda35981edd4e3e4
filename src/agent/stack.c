/* SPDX-License-Identifier: MIT */
#include "agent/stack.h"

enum {
	PAGE_BYTES = 4096,
	WORD_BYTES = 8,
	TRIES = 3,
};
#define USER_END (UINT64_C(1) << 47) /* Linux, x86-64: mm.rst */

/*
 * Sets what may be read directly of the stack that sp is on, and says where it ends. Of a stack
 * that the tracer has not told yet nothing is known to be there but the page that the processor's
 * own rsp is in: the rest is read through the kernel, which fails where we would fault. The tracer
 * is told to look it up.
 */
static uint64_t admit(struct agent_scratch *scratch, uint64_t sp, uint64_t surely_bytes)
{
	uint64_t low;
	uint64_t bytes = thread_stack_bytes(scratch->thread, sp, &low);
	scratch->direct_low = sp;
	scratch->direct_high = sp + (bytes ? bytes : surely_bytes);
	if (bytes)
		return scratch->direct_high;
	if (scratch->thread->unknown_sp == 0)
		__atomic_store_n(&scratch->thread->unknown_sp, sp, __ATOMIC_RELEASE);
	return USER_END;
}

static bool read_word(void *context, uint64_t address, uint64_t *ret)
{
	const struct agent_scratch *scratch = context;
	if (address < scratch->direct_low ||
	    address - scratch->direct_low + WORD_BYTES > scratch->direct_high - scratch->direct_low)
		return system_read_word(address, ret);
	*ret = *(const uint64_t *)address;
	return true;
}

/* The stack that a signal interrupted, where its handler runs on one of its own. */
static bool other_stack(void *context, uint64_t sp, uint64_t *low_ret, uint64_t *high_ret)
{
	*low_ret = sp;
	*high_ret = admit(context, sp, 0);
	return sp < USER_END;
}

static __attribute__((noinline)) void prepare(struct agent_scratch *scratch,
					      struct unwind_cache *cache)
{
	const struct agent_modules *modules = stack_modules();
	size_t list = scratch->generation / 2 % AGENT_MODULE_LISTS;
	size_t count = modules->lists[list].count;
	scratch->space.modules = modules->lists[list].items;
	scratch->space.count = count < AGENT_MODULES ? count : AGENT_MODULES;
	scratch->memory.read = read_word;
	scratch->memory.context = scratch;
	scratch->memory.low = scratch->registers.sp;
	scratch->memory.high = admit(scratch, scratch->registers.sp,
				     PAGE_BYTES - scratch->registers.sp % PAGE_BYTES);
	scratch->memory.other_stack = other_stack;
	scratch->memory.rules = cache ? &cache->rules : NULL;
	scratch->memory.reads = &scratch->reads;
}

/* The depth that the tracer has set; the return address alone is always told. */
static size_t capacity(void)
{
	uint32_t depth = thread_shared()->depth;
	return depth < AGENT_DEPTH_MAX ? depth : AGENT_DEPTH_MAX;
}

static void check(struct agent_scratch *scratch)
{
	if (scratch->stop == UNWIND_STOP_LOST)
		scratch->thread->failed_walks++;
	if (scratch->count == 0) {
		scratch->frames[0] = *(const uint64_t *)scratch->registers.sp;
		scratch->count = 1;
	}
}

static void bring_up_to_date(struct unwind_cache *cache, uint64_t generation)
{
	if (cache->generation == generation)
		return;
	/* Zeroes are an empty cache: one that was never used need not be touched. */
	if (cache->generation != 0) {
		cache->generation = STACK_OUTDATED;
		unwind_cache_clear(cache);
	}
	cache->generation = generation;
}

/* The cache of the level, if it has one that knows of these modules; NULL if not. */
static __attribute__((noinline)) struct unwind_cache *current_cache(struct agent_scratch *scratch)
{
	if (scratch->level != 0 || scratch->generation % 2 != 0)
		return NULL;
	struct unwind_cache *cache = thread_cache(scratch->thread);
	bring_up_to_date(cache, scratch->generation);
	return cache;
}

static __attribute__((noinline)) uint32_t remember(struct agent_scratch *scratch)
{
	if (!scratch->memory.rules || scratch->memory.high == USER_END)
		return RING_STACK_PASSING;
	int32_t entry = unwind_cache_store(thread_cache(scratch->thread), scratch->registers,
					   &scratch->reads);
	return entry == UNWIND_CACHE_NONE ? RING_STACK_PASSING : (uint32_t)entry;
}

uint32_t stack_walk(struct agent_scratch *scratch)
{
	for (scratch->tries = 0; scratch->tries < TRIES; scratch->tries++) {
		scratch->generation =
			__atomic_load_n(&stack_modules()->generation, __ATOMIC_ACQUIRE);
		/* While the tracer writes the other list, this one is right for all but new code.
		 */
		prepare(scratch, current_cache(scratch));
		scratch->stop = unwind_walk(&scratch->space, &scratch->memory, scratch->registers,
					    scratch->frames, capacity(), &scratch->count);
		check(scratch);
		if (__atomic_load_n(&stack_modules()->generation, __ATOMIC_ACQUIRE) ==
		    scratch->generation)
			return remember(scratch);
	}
	return RING_STACK_PASSING;
}
