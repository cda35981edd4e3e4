/* SPDX-License-Identifier: MIT */
/*
 * How long a function's argument can be read: a data-flow analysis over its code.
 *
 * A probe at a function's entry exists only to read its arguments. Compilers keep an argument in a
 * register for as long as they need it, often until the epilogue: where that can be proved, one
 * probe at the exit reads argument and result together, and where a path overwrites the argument
 * earlier, a probe on the overwriting instruction reads it just before.
 *
 * Owns: the proof. Pure functions on bytes, as code.h; hostile code is refused, never trusted.
 */
#ifndef ARCH_SURVIVAL_H
#define ARCH_SURVIVAL_H

#include <sys/user.h>

#include "arch/code.h"

/*
 * Where several LOST points are passed, as in a loop, the first tells the argument: what a later
 * one or an exit reads is then meaningless.
 */
enum survival_kind {
	SURVIVAL_EXIT, /* rax is the result; the argument is readable unless LOST was passed */
	SURVIVAL_LOST, /* overwrites the last copy: readable before it, unless LOST was passed */
};

/* Probing the instruction at address, before it runs, sees: */
struct survival_point {
	enum survival_kind kind;
	target_addr address;
	target_addr returns_at;	 /* EXIT: the `ret` that follows in a straight line */
	bool readable;		 /* false: every path to here has passed a LOST point */
	uint8_t register_number; /* which register holds the argument, if readable */
	uint32_t depth_bytes;	 /* rsp + this: where the return address stands */
};

/*
 * Invariant: every path from the entry to a `ret` passes exactly one EXIT point, its last stop.
 * EXIT points stand before LOST points; addresses are distinct; there is at least one EXIT point.
 */
struct survival {
	struct survival_point *points;
	size_t count, capacity;
};

/*
 * Finds the points of the function at entry for its integer argument (1 to 6, psABI 3.2.3). What is
 * proved holds for every execution from the entry, if calls keep what psABI 3.2.1 says, system
 * calls are the kernel's and come back to the same stack, and no signal handler changes registers.
 *
 * Errors: ERROR_UNSUPPORTED with the reason where nothing can be proved: the code leaves its
 * function part, or does not fill it but for padding (an exception's landing pad is entered by no
 * jump), overlaps, calls into itself, never returns or is longer than 4096 instructions; moves rsp
 * in a way that is not a constant; or merges paths that hold the argument in different places.
 * ERROR_NO_MEMORY. *ret is written on success alone.
 */
struct error *survival_find(const struct code_reader *reader, target_addr entry, unsigned argument,
			    struct survival *ret);
void survival_deinit(struct survival *survival);

/* The value of a register by its number in a survival_point. */
uint64_t survival_register(const struct user_regs_struct *registers, uint8_t register_number);

#define _cleanup_survival_ __attribute__((__cleanup__(survival_deinit)))

#endif
