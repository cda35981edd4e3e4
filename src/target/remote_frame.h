/* SPDX-License-Identifier: MIT */
/*
 * Private to remote: the signal frame that gives a borrowed thread its state back without us.
 *
 * Owns: its contents, and where on the thread's stack it lies. Does not: write it.
 *
 * From the frame upwards: the address of the restorer, which a `ret` goes to; what rt_sigreturn(2)
 * then finds at the stack pointer: the kernel's struct ucontext and the XSAVE area it points to;
 * room for arguments of calls (above the frame, so that a handler that runs meanwhile cannot
 * overwrite it); the thread's red zone (psABI 3.2.2).
 */
#ifndef TARGET_REMOTE_FRAME_H
#define TARGET_REMOTE_FRAME_H

#include "target/proc.h"
#include "target/target.h"

/* Invariants: start + count == the lower end of the red zone, below it; scratch is a multiple
 * of 16. */
struct remote_frame {
	target_addr start;
	uint8_t *bytes;
	size_t count;
	target_addr scratch;
};

/*
 * Builds the frame for thread, in a ptrace-stop: rt_sigreturn will load `registers`, `mask` and the
 * x87, SSE, AVX... state that the thread has now. Errors: ERROR_UNSUPPORTED if it does not stand on
 * a stack that is known to be its own, or has no room on it; ERROR_GONE.
 */
struct error *remote_frame_build(const struct target_thread *thread, const struct proc_maps *maps,
				 const struct user_regs_struct *registers, uint64_t mask,
				 target_addr restorer, struct remote_frame *ret);

void remote_frame_deinit(struct remote_frame *frame);

#define _cleanup_remote_frame_ __attribute__((__cleanup__(remote_frame_deinit)))

#endif
