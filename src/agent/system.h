/* SPDX-License-Identifier: MIT */
/*
 * What the agent has of the world it runs in: its own data, the processor, and three system calls.
 *
 * Owns: nothing. Private to src/agent, freestanding. Any thread, any signal handler.
 */
#ifndef AGENT_SYSTEM_H
#define AGENT_SYSTEM_H

#include "agent/abi.h"

/* Lies AGENT_CODE_BYTES behind the image's start, so it is reached relative to rip (entry.c). */
extern struct agent_private agent_private __attribute__((visibility("hidden")));

static inline uint64_t system_thread_pointer(void)
{
	uint64_t value;
	__asm__ volatile("rdfsbase %0" : "=r"(value));
	return value;
}

static inline uint64_t system_ticks(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* System calls; the result is a negative errno for failure (syscall(2), psABI A.2.1). */
int64_t system_gettid(void);

/*
 * Waits while *word is `expected`, for at most `milliseconds`. True if the whole time has passed;
 * false when woken, by a signal's handler perhaps, or not put to sleep.
 */
bool system_futex_wait(const void *word, uint32_t expected, uint32_t milliseconds);
void system_futex_wake_all(const void *word);

/* Reads a word of our own memory wherever it may be; false if nothing is mapped there. */
bool system_read_word(uint64_t address, uint64_t *ret);

#endif
