/* SPDX-License-Identifier: MIT */
/*
 * One decoded instruction, and where control goes after it. Private to arch; the only header with
 * Zydis in it.
 *
 * Owns: the meaning of an instruction for control flow. Does not: follow it (exits.c) or move it
 * (relocate.c). Pure; any thread.
 */
#ifndef ARCH_INSTRUCTION_H
#define ARCH_INSTRUCTION_H

#include <Zydis/Zydis.h>

#include "arch/code.h"
#include "base/error.h"
#include "base/types.h"

enum instruction_flow {
	FLOW_NEXT,	    /* goes on at the next address */
	FLOW_JUMP,	    /* goes to `target` */
	FLOW_BRANCH,	    /* goes to `target` or on: jcc, loop, jrcxz, xbegin */
	FLOW_JUMP_SLOT,	    /* goes where the word at `target` points: jmp *slot(%rip) */
	FLOW_JUMP_COMPUTED, /* goes to a place only the running program knows */
	FLOW_CALL,	    /* calls `target` */
	FLOW_CALL_COMPUTED, /* calls a place only the running program knows */
	FLOW_RETURN,	    /* near ret, with or without an immediate */
	FLOW_TRAP,	    /* ud0-2, hlt, int3: a path that is not meant to run ends here */
	FLOW_FOREIGN,	    /* leaves by a way that is not followed: far transfer, iret, sysret */
};

/*
 * Invariant: bytes[0, decoded.length) are the instruction; target is meaningful for FLOW_JUMP,
 * FLOW_BRANCH, FLOW_JUMP_SLOT and FLOW_CALL.
 */
struct instruction {
	target_addr address;
	target_addr next; /* address + decoded.length */
	uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	enum instruction_flow flow;
	target_addr target;
};

/*
 * Decodes the instruction at address. Errors: ERROR_FAULT where its first byte cannot be read,
 * ERROR_BAD_INPUT where the bytes are no instruction (or one that its memory cuts off).
 */
struct error *instruction_read(const struct code_reader *reader, target_addr address,
			       struct instruction *ret);

/* The memory operand that is addressed relative to the instruction pointer, or NULL. */
const ZydisDecodedOperand *instruction_relative_operand(const struct instruction *instruction);

#endif
