/* SPDX-License-Identifier: MIT */
/*
 * What one instruction does to the general registers and to the stack pointer. Private to arch.
 *
 * Owns: the meaning of an instruction for registers. Does not: follow control (survival.c does).
 * Pure; any thread.
 */
#ifndef ARCH_EFFECTS_H
#define ARCH_EFFECTS_H

#include "arch/instruction.h"

enum {
	EFFECTS_RAX = 0,
	EFFECTS_RSP = 4,
	EFFECTS_REGISTERS = 16,
	EFFECTS_DEPTH_MAX_BYTES = 1 << 20,
};

/*
 * Registers are numbered as they are encoded: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15.
 * Invariant: copy_from and copy_to are both registers or both -1;
 * |depth_change| <= EFFECTS_DEPTH_MAX_BYTES.
 */
struct effects {
	uint16_t writes;	   /* registers that may change, in whole or in part */
	int8_t copy_from, copy_to; /* mov between whole registers, else -1 */
	int32_t depth_change;	   /* bytes the stack grows by */
};

/*
 * Calls are those of psABI 3.2.1: the callee keeps rbx, rbp, rsp and r12 to r15. System calls are
 * the kernel's (psABI A.2.1): they change rax, rcx and r11, and come back here.
 *
 * Errors: ERROR_UNSUPPORTED where rsp changes otherwise than by push, pop and a constant, for
 * instructions that hand over to a debugger, a hypervisor or an enclave, and for encodings the
 * decoder takes for another instruction than processors do. ERROR_NO_MEMORY.
 */
struct error *effects_read(const struct instruction *instruction, struct effects *ret);

#endif
