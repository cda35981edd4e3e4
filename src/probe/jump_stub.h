/* SPDX-License-Identifier: MIT */
/*
 * The stub of one probed function (agent/abi.h, struct agent_stub), as bytes. Private to src/probe.
 */
#ifndef PROBE_JUMP_STUB_H
#define PROBE_JUMP_STUB_H

#include "agent/abi.h"
#include "arch/window.h"
#include "probe/probe.h"

/*
 * Builds the stub that stands at `address` in an agent whose code is at `code`, or in one of its
 * outposts (at `outpost`, else 0). Errors as window_relocate.
 */
struct error *jump_stub_build(const struct code_reader *reader, const struct probe_request *request,
			      const struct window *window, target_addr code, target_addr outpost,
			      target_addr address, struct agent_stub *ret);

#endif
