/* SPDX-License-Identifier: MIT */
/*
 * The calling convention of x86-64 over the registers that ptrace gives (psABI 3.2.3): integer
 * arguments in rdi rsi rdx rcx r8 r9, the result in rax. Pure; any thread.
 */
#ifndef ARCH_REGISTERS_H
#define ARCH_REGISTERS_H

#include <stdint.h>
#include <sys/user.h>

/* The index-th integer argument, counted from 1 to 6, at a function's first instruction. */
static inline uint64_t registers_argument(const struct user_regs_struct *registers, unsigned index)
{
	switch (index) {
	case 1:
		return registers->rdi;
	case 2:
		return registers->rsi;
	case 3:
		return registers->rdx;
	case 4:
		return registers->rcx;
	case 5:
		return registers->r8;
	default:
		return registers->r9;
	}
}

#endif
