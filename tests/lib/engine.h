/* SPDX-License-Identifier: MIT */
/*
 * The ways in which calls are seen: whatever a test says of counts and lines is said of each.
 *
 * Called by: tests, from their one thread; a loop test takes its index from here.
 */
#ifndef LIB_ENGINE_H
#define LIB_ENGINE_H

enum { ENGINE_JUMP, ENGINE_BREAKPOINT, ENGINES };

/* As --engine wants it, and as reports call it. */
static inline const char *engine_name(int engine)
{
	return engine == ENGINE_JUMP ? "jump" : "breakpoint";
}

#endif
