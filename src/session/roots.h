/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what of a process's memory may hold pointers, and whose they are.
 *
 * Owns: the list of pieces. Does not: read whole pieces (leaks.c does) or judge blocks.
 * Tracer thread, with all threads of the space stopped.
 *
 * Roots are the registers of all threads; their stacks from 128 bytes below the stack pointer on;
 * every writable private mapping, and shared ones that are no files: so globals, thread-local
 * variables and memory from mmap(2). Not the heap itself, where it holds nothing but blocks that
 * are known; nor the state of glibc's allocator, whose lists point into blocks; nor the stacks of
 * threads that have ended, which glibc keeps; nor the agent's memory.
 */
#ifndef SESSION_ROOTS_H
#define SESSION_ROOTS_H

#include "ledger/reach.h"
#include "session/space.h"
#include "target/proc.h"

/* Words in known blocks are those blocks'; others are roots, or mean nothing. */
struct roots_piece {
	uint64_t start, end; /* multiples of 8 */
	bool others_are_roots;
};

struct roots {
	struct roots_piece *items; /* sorted, without overlaps */
	size_t count, capacity;
	pid_t tid; /* of a thread that has the memory: that of a process may have ended first */
	size_t moving_threads; /* that could not be stopped: their registers are not known */
};

/*
 * Lists the pieces of a space and gives the registers of its threads to `reach`. all_blocks_known:
 * the ledger has seen every block that lives in the heap. Errors: no memory, ERROR_GONE.
 */
struct error *roots_collect(struct target *target, struct session_space *space, struct reach *reach,
			    bool all_blocks_known, struct roots *ret);
void roots_deinit(struct roots *roots);

#define _cleanup_roots_ __attribute__((__cleanup__(roots_deinit)))

#endif
