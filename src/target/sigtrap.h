/* SPDX-License-Identifier: MIT */
/*
 * Keeps the target's SIGTRAP mask and disposition as they were.
 *
 * When an int3 is hit while SIGTRAP is blocked or ignored, the kernel (force_sig_info_to_task)
 * sets its handler to the default and unblocks it, before the tracer sees anything, and never
 * undoes that. So what they were must be known before: it is read at attach and exec, inherited by
 * clone and fork, and followed through the calls that change it (sigaction, pthread_sigmask: probes
 * on them tell sigtrap_note_*). After a hit sigtrap_repair puts back what was lost.
 *
 * Limit: a mask changed by a raw system call is not seen. Then the repair notices that the mask is
 * not the one it knows and believes the other signals: if all of them are blocked, SIGTRAP was,
 * too.
 */
#ifndef TARGET_SIGTRAP_H
#define TARGET_SIGTRAP_H

#include "target/target.h"

/* Reads the disposition from /proc (a process just attached to or after exec). */
void sigtrap_learn_process(struct target_process *process);

/* Reads the mask from /proc. */
void sigtrap_learn_thread(struct target_thread *thread);

/* A forked process has its parent's disposition. */
void sigtrap_inherit(struct target_process *process, const struct target_process *parent);

/*
 * If a process just attached to handles SIGTRAP, and a thread of it blocks SIGTRAP: reads how it
 * does, by a system call made in one of its threads, which is stopped for it. Must come before the
 * first int3; in all other cases the first hit will do. A process that does not let us is left as
 * it is.
 */
struct error *sigtrap_learn_action(struct target *target, struct target_process *process);

/* The thread is about to call pthread_sigmask(how, set): set is a target address, may be 0. */
void sigtrap_note_mask(struct target_thread *thread, uint64_t how, target_addr set);

/* The thread is about to call sigaction(SIGTRAP, action): a struct sigaction of libc. */
void sigtrap_note_action(struct target_thread *thread, target_addr action);

/*
 * After an int3 of ours was hit by a stopped thread: puts back what it destroyed. A SIGTRAP of the
 * target's own that was pending took the place of the int3's: it is made pending again.
 */
struct error *sigtrap_repair(struct target *target, struct target_thread *thread);

#endif
