/* SPDX-License-Identifier: MIT */
/*
 * The agent's flat image, as the tracer writes it into targets: position-independent code with a
 * struct agent_header (agent/abi.h) at its start. Constant; any thread.
 */
#ifndef AGENT_IMAGE_H
#define AGENT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t agent_image[];
extern const size_t agent_image_bytes; /* at most AGENT_IMAGE_MAX_BYTES */

#endif
