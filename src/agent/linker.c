/* SPDX-License-Identifier: MIT */
#include "agent/linker.h"

#include "agent/thread.h"

/*
 * Unwind tables of a large library take their time, so a tracer that shows that it lives is waited
 * for longer, though not without limit.
 */
enum { WAIT_MS = 10, WAITS_MAX = 4 * AGENT_LIVING_PATIENCE_MS / WAIT_MS };

static bool is_served(uint32_t served, uint32_t asked)
{
	return (int32_t)(served - asked) >= 0;
}

static void wait_for_service(const struct agent_shared *shared, uint32_t asked)
{
	uint32_t waited_ms = 0, silent_ms = 0;
	uint32_t beat = __atomic_load_n(&shared->beat, __ATOMIC_RELAXED);
	/* The number of waits is limited, too: handlers may cut all of them short. */
	for (int i = 0; i < WAITS_MAX && waited_ms < AGENT_LIVING_PATIENCE_MS; i++) {
		uint32_t served = __atomic_load_n(&shared->linker_served, __ATOMIC_ACQUIRE);
		if (is_served(served, asked) || agent_private.state != AGENT_ON ||
		    silent_ms >= AGENT_PATIENCE_MS)
			return;
		if (!system_futex_wait(&shared->linker_served, served, WAIT_MS))
			continue;
		uint32_t now = __atomic_load_n(&shared->beat, __ATOMIC_RELAXED);
		waited_ms += WAIT_MS;
		silent_ms = now == beat ? silent_ms + WAIT_MS : 0;
		beat = now;
	}
}

bool linker_ask(void)
{
	struct agent_shared *shared = thread_shared();
	if (agent_private.state != AGENT_ON)
		return false;
	__atomic_store_n(&shared->linker_space, agent_private.space, __ATOMIC_RELAXED);
	uint32_t asked = __atomic_add_fetch(&shared->linker_asked, 1, __ATOMIC_ACQ_REL);
	system_futex_wake_all(&shared->linker_asked);
	wait_for_service(shared, asked);
	return false;
}
