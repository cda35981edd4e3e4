/* SPDX-License-Identifier: MIT */
/*
 * Moments between two steps of installing and uninstalling, at which a test has us killed to see
 * that the target can go on alone.
 *
 * In a program built with TRACEALLOC_KILLPOINTS the one whose number stands in the environment
 * variable TRACEALLOC_KILLPOINT is deadly, when it is reached first; in any other none does
 * anything. Does not: belong to what users get. Called by: session and probe, from the tracer
 * thread.
 */
#ifndef BASE_KILLPOINT_H
#define BASE_KILLPOINT_H

/* In the order in which an attach to a process that has no agent yet comes by. */
enum killpoint {
	/* settle: the agent is made through a borrowed thread */
	KILLPOINT_BORROWED = 1,
	KILLPOINT_PRIVATE_MAPPED,
	KILLPOINT_PRIVATE_WIPED_ON_FORK,
	KILLPOINT_CODE_MAPPED,
	KILLPOINT_CODE_FILLED,
	KILLPOINT_MEMFD_MADE,
	KILLPOINT_SHARED_SHAPED,
	KILLPOINT_SHARED_MAPPED,
	KILLPOINT_MEMFD_CLOSED,
	KILLPOINT_SETTLED,
	KILLPOINT_RETURNED,
	KILLPOINT_RESUMED,
	/* arm */
	KILLPOINT_PUBLISHED,
	KILLPOINT_PRIVATE_WRITTEN,
	KILLPOINT_ARMED,
	/* prepare */
	KILLPOINT_STUB_WRITTEN,
	KILLPOINT_STUB_COUNTED,
	KILLPOINT_PREPARED,
	/* write */
	KILLPOINT_PAUSED,
	KILLPOINT_LOOKED,
	KILLPOINT_JUMP_WRITTEN,
	KILLPOINT_JUMPS_WRITTEN,
	KILLPOINT_INSTALLED,
	/* uninstall */
	KILLPOINT_PAUSED_AGAIN,
	KILLPOINT_JUMP_REMOVED,
	KILLPOINT_JUMPS_REMOVED,
	KILLPOINT_DISARMED,
	KILLPOINT_RESUMED_AGAIN,
	KILLPOINT_RETIRED,
	KILLPOINT_DRAINED,
	KILLPOINT_RELEASED,
	KILLPOINT_TAKEN,
	KILLPOINT_EMPTIED,
	KILLPOINTS_END
};

#ifdef TRACEALLOC_KILLPOINTS

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static inline void killpoint(enum killpoint point)
{
	const char *deadly = getenv("TRACEALLOC_KILLPOINT");
	if (deadly && atoi(deadly) == (int)point)
		kill(getpid(), SIGKILL);
}

#else

static inline void killpoint(enum killpoint point)
{
	(void)point;
}

#endif

#endif
