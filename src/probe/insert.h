/* SPDX-License-Identifier: MIT */
/*
 * Private to src/probe: where the breakpoints of a function go. insert.c plans and places them;
 * breakpoint.c acts on their hits and takes them out.
 */
#ifndef PROBE_INSERT_H
#define PROBE_INSERT_H

#include "probe/set.h"

/* Places the breakpoints of a request (probe_operations.insert). */
struct error *insert_function(struct probe_set *set, const struct probe_request *request);

/*
 * A call that was entered, its return address at stack, ends where its caller goes on: places a
 * breakpoint there. Where that cannot be, the call cannot be counted, but the target is none the
 * worse. ERROR_NO_MEMORY alone.
 */
struct error *insert_return_site(struct probe_set *set, uint64_t stack);

#endif
