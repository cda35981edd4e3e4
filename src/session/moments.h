/* SPDX-License-Identifier: MIT */
/*
 * Private to src/session: what is done when the target comes to a place that is watched, a function
 * of --reset-peak-at or --snapshot-at, or a static probe.
 *
 * Owns: nothing. Tracer thread, with the lock of tap.h.
 */
#ifndef SESSION_MOMENTS_H
#define SESSION_MOMENTS_H

#include "session/private.h"

/* hit: of kind PROBE_HIT_WATCH, in a stopped thread. What agents have seen before comes first. */
struct error *moments_act(struct session *session, const struct target_thread *thread,
			  const struct probe_hit *hit);

#endif
