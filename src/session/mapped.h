/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: memory that the target maps for itself (--mmap), reported apart.
 *
 * Owns: what a call of mmap(2), munmap(2), mremap(2), brk(2) or sbrk(2) means for the session's
 * mappings (ledger/mappings.h). Such calls are rare and take the kernel's time anyway, so they are
 * seen by breakpoints whatever the engine; inside an allocator's call they are a part of that: of
 * one by breakpoints the calls under way tell (probe/calls.h), of one by jumps the agent. Tracer
 * thread, under the lock of tap.h.
 */
#ifndef SESSION_MAPPED_H
#define SESSION_MAPPED_H

#include "probe/probe.h"

struct session;
struct session_thread;

/* A hit whose outcome is one of a mapping. Errors: no memory. */
struct error *mapped_record(struct session *session, struct target_thread *thread,
			    struct session_thread *state, const struct probe_hit *hit);

#endif
