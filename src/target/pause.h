/* SPDX-License-Identifier: MIT */
/*
 * Private to src/target: what keeps the time short in which threads of the target stand still.
 *
 * Who was asleep in a call when a pause began is looked at again in it. That his file in /proc is
 * open by then (call_fd) makes it three times as fast; it is closed at the end of the pause. Half
 * of the files that we may have open serve for that, and those for whom there is none take longer.
 *
 * Nor may the tracer have to wait for a processor, or a thread that it has just let go keep it from
 * the next one. Root only (SCHED_FIFO, sched(7));
 * others stay as they are.
 */
#ifndef TARGET_PAUSE_H
#define TARGET_PAUSE_H

#include "target/target.h"

/*
 * The calling thread, the tracer's, before all others, until pause_run_as_before. A thread that it
 * creates meanwhile inherits that if it is not told otherwise (pthread_attr_setinheritsched(3)).
 */
void pause_run_ahead(struct target *target);
void pause_run_as_before(struct target *target);

/* The thread is no longer one of the target's. */
void pause_forget(struct target *target, struct target_thread *thread);

#endif
