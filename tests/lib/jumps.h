/* SPDX-License-Identifier: MIT */
/*
 * What the jump engine puts into a target, seen from outside: through /proc/PID/maps and
 * /proc/PID/mem, by the layout of agent/abi.h.
 *
 * Called by: tests, from their one thread. Failures end the test (ck_abort_msg).
 */
#ifndef LIB_JUMPS_H
#define LIB_JUMPS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/process.h"

/*
 * Memory that a target has because of us: pieces of shared memory and of code, each with its bytes
 * of address space.
 */
struct jumps_memory {
	size_t shared_count, code_count;
	uint64_t shared_bytes, code_bytes;
};

struct jumps_memory jumps_memory_of(pid_t pid);

/* What of the shared memory is in use. */
uint64_t jumps_resident_bytes(pid_t pid);

/* The bytes of address space that all of its mappings have. */
uint64_t jumps_mapped_bytes(pid_t pid);

/*
 * Waits until the agent of a starting `attach` records and its jumps are written: there is an
 * armed agent that is not `armed_before` (jumps_armed), code differs from its file, and nobody is
 * at work on it.
 */
void jumps_until_recording(const struct process *attach, pid_t pid, uint64_t armed_before);

/*
 * The same for whatever probes, in a target of which no thread runs: code differs from its file,
 * and tracealloc is asleep.
 */
void jumps_until_probed(const struct process *attach, pid_t pid);

/* The armed agent, by the inode of its shared memory; 0: none is armed. */
uint64_t jumps_armed(pid_t pid);

#endif
