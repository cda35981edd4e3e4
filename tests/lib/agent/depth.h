/* SPDX-License-Identifier: MIT */
/* How much stack a call takes, by painting it first. */
#ifndef TESTS_LIB_AGENT_DEPTH_H
#define TESTS_LIB_AGENT_DEPTH_H

#include <stdint.h>

enum { DEPTH_PAINTED_BYTES = 16384 };

/*
 * Calls function, with frame_pointer in rbp, and returns how many bytes below its return address
 * were written to.
 */
uint64_t depth_of_call(void *function, uint64_t first, uint64_t second, uint64_t frame_pointer);

/*
 * Calls function on another stack: `top`, aligned to 16, is what the call takes off from, so that
 * its return address stands 8 bytes below.
 */
uint64_t depth_call_on(void *top, void *function, uint64_t first, uint64_t second);

#endif
