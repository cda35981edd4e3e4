/* SPDX-License-Identifier: MIT */
#include "arch/effects.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	/* psABI figure 3.4: rax rcx rdx rsi rdi r8-r11. */
	CALLER_SAVED = 0x0fc7,
	/* rax rcx r11 */
	SYSTEM_CALL_WRITES = 0x0803,
};

static int register_number(ZydisRegister name)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return ZydisRegisterGetId(whole);
}

static struct error *unsupported(const struct instruction *instruction, const char *why)
{
	return error_new(ERROR_UNSUPPORTED, "the instruction at 0x%" PRIx64 " %s",
			 instruction->address.v, why);
}

static bool is_register(const ZydisDecodedOperand *operand, ZydisRegister name)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && operand->reg.value == name;
}

/* How rsp changes: push and pop of whole words, and adding a constant. */
static struct error *read_stack_effect(const struct instruction *instruction, struct effects *ret)
{
	const ZydisDecodedOperand *operands = instruction->operands;
	switch (instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
		if (instruction->decoded.operand_width != 64 ||
		    is_register(&operands[0], ZYDIS_REGISTER_RSP))
			break;
		ret->depth_change = instruction->decoded.mnemonic == ZYDIS_MNEMONIC_PUSH ? 8 : -8;
		return NULL;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_ADD:
		if (!is_register(&operands[0], ZYDIS_REGISTER_RSP) ||
		    operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
		    llabs(operands[1].imm.value.s) > EFFECTS_DEPTH_MAX_BYTES)
			break;
		ret->depth_change = (int32_t)operands[1].imm.value.s;
		if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_ADD)
			ret->depth_change = -ret->depth_change;
		return NULL;
	default:
		break;
	}
	return unsupported(instruction, "moves the stack pointer in a way that is not followed");
}

static void read_copy(const struct instruction *instruction, struct effects *ret)
{
	const ZydisDecodedOperand *operands = instruction->operands;
	ret->copy_from = ret->copy_to = -1;
	if (instruction->decoded.mnemonic != ZYDIS_MNEMONIC_MOV ||
	    operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER || operands[0].size != 64)
		return;
	int to = register_number(operands[0].reg.value);
	int from = register_number(operands[1].reg.value);
	if (to < 0 || from < 0)
		return;
	ret->copy_to = (int8_t)to;
	ret->copy_from = (int8_t)from;
}

/* int3 is among them since the program goes on behind it once a handler has seen it. */
static bool hands_over(const struct instruction *instruction)
{
	switch (instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_ENCLU:
	case ZYDIS_MNEMONIC_VMCALL:
	case ZYDIS_MNEMONIC_VMMCALL:
		return true;
	default:
		return false;
	}
}

/*
 * The register that an operand changes, -1 if none. The index registers of scas, cmps, ins and outs
 * are no operands to Zydis: what addresses the memory of a string instruction moves along with it.
 */
static int written_register(const struct instruction *instruction,
			    const ZydisDecodedOperand *operand)
{
	ZydisInstructionCategory category = instruction->decoded.meta.category;
	if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    (category == ZYDIS_CATEGORY_STRINGOP || category == ZYDIS_CATEGORY_IOSTRINGOP))
		return register_number(operand->mem.base);
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			       operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE
		       ? register_number(operand->reg.value)
		       : -1;
}

/* With REX.B, f3 90 is no pause but xchg %eax, %r8d: Zydis and processors disagree. */
static bool is_misread(const struct instruction *instruction)
{
	return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_PAUSE &&
	       instruction->decoded.raw.rex.B;
}

struct error *effects_read(const struct instruction *instruction, struct effects *ret)
{
	*ret = (struct effects){0};
	read_copy(instruction, ret);
	if (hands_over(instruction))
		return unsupported(instruction, "hands over to what is not known");
	if (is_misread(instruction))
		return unsupported(instruction, "is read in different ways");
	if (instruction->flow == FLOW_CALL || instruction->flow == FLOW_CALL_COMPUTED) {
		ret->writes = CALLER_SAVED;
		return NULL;
	}
	for (size_t i = 0; i < instruction->decoded.operand_count; i++) {
		int number = written_register(instruction, &instruction->operands[i]);
		if (number >= 0)
			ret->writes |= (uint16_t)(1u << number);
	}
	if (instruction->decoded.mnemonic == ZYDIS_MNEMONIC_SYSCALL)
		ret->writes |= SYSTEM_CALL_WRITES;
	if (instruction->flow != FLOW_RETURN && ret->writes & 1u << EFFECTS_RSP)
		return read_stack_effect(instruction, ret);
	return NULL;
}
