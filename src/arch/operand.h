/* SPDX-License-Identifier: MIT */
/*
 * Arguments of static probes, as sys/sdt.h has the assembler write them: "8@%rdi", "-4@$5",
 * "8@-16(%rbp)", "8@name(%rip)". Their value over the registers that ptrace gives.
 *
 * Owns: the syntax (AT&T's operands, with the size before an '@', negative for signed values). Does
 * not: read memory or look up symbols; it says where. Pure; any thread. The text is untrusted.
 */
#ifndef ARCH_OPERAND_H
#define ARCH_OPERAND_H

#include <sys/user.h>

#include "base/error.h"
#include "base/types.h"

enum operand_kind { OPERAND_CONSTANT, OPERAND_REGISTER, OPERAND_MEMORY };

enum { OPERAND_NO_REGISTER = -1 };

/*
 * Invariants: size_bytes is 1, 2, 4 or 8; symbol_length > 0 only of OPERAND_MEMORY, whose base and
 * index are OPERAND_NO_REGISTER then; base >= 0 of OPERAND_REGISTER; scale is 1, 2, 4 or 8.
 */
struct operand {
	enum operand_kind kind;
	unsigned size_bytes;
	bool is_signed;
	bool is_second_byte; /* OPERAND_REGISTER: ah, bh, ch, dh */
	int64_t number;	     /* the constant, or the displacement */
	int base, index;     /* numbers of registers as instructions encode them */
	unsigned scale;
	const char *symbol; /* relative to the instruction pointer: part of the text */
	size_t symbol_length;
};

/*
 * Reads the first argument of a probe's list, which spaces end; the text must outlive *ret.
 * ERROR_NOT_FOUND: there is none. ERROR_UNSUPPORTED: it is none of these forms (vector registers,
 * segments, symbols as constants).
 */
struct error *operand_parse(const char *text, struct operand *ret);

/* Where an OPERAND_MEMORY lies. symbol: the address of its symbol, if it has one. */
target_addr operand_address(const struct operand *operand, const struct user_regs_struct *registers,
			    target_addr symbol);

/* The value of a constant or register, extended to 64 bits. */
uint64_t operand_value(const struct operand *operand, const struct user_regs_struct *registers);

/* What size_bytes of memory, read into the low bytes of raw, mean: extended to 64 bits. */
uint64_t operand_extend(const struct operand *operand, uint64_t raw);

#endif
