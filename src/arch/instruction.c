/* SPDX-License-Identifier: MIT */
#include "arch/instruction.h"

#include <inttypes.h>

/* Code may end anywhere before an unmapped page, so less than a whole longest instruction will do.
 */
static size_t read_some(const struct code_reader *reader, target_addr address, uint8_t *bytes)
{
	size_t count = CODE_INSTRUCTION_MAX_BYTES;
	while (count > 0 && !reader->read(reader->context, address, bytes, count))
		count--;
	return count;
}

const ZydisDecodedOperand *instruction_relative_operand(const struct instruction *instruction)
{
	for (size_t i = 0; i < instruction->decoded.operand_count; i++) {
		const ZydisDecodedOperand *operand = &instruction->operands[i];
		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (operand->mem.base == ZYDIS_REGISTER_RIP ||
		    operand->mem.base == ZYDIS_REGISTER_EIP)
			return operand;
	}
	return NULL;
}

/* The target of a jump or call with an immediate; false where it takes a register or memory. */
static bool direct_target(const struct instruction *instruction, target_addr *ret)
{
	const ZydisDecodedOperand *operand = &instruction->operands[0];
	if (instruction->decoded.operand_count_visible == 0 ||
	    operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !operand->imm.is_relative)
		return false;
	*ret = target_addr_add(instruction->next, operand->imm.value.s);
	return true;
}

static enum instruction_flow jump_flow(struct instruction *instruction)
{
	if (direct_target(instruction, &instruction->target))
		return FLOW_JUMP;
	const ZydisDecodedOperand *operand = instruction_relative_operand(instruction);
	if (!operand || operand->mem.base != ZYDIS_REGISTER_RIP ||
	    operand->mem.segment == ZYDIS_REGISTER_FS || operand->mem.segment == ZYDIS_REGISTER_GS)
		return FLOW_JUMP_COMPUTED;
	instruction->target = target_addr_add(instruction->next, operand->mem.disp.value);
	return FLOW_JUMP_SLOT;
}

/*
 * With an operand-size prefix and without REX.W, Intel ignores the prefix of a near branch and AMD
 * cuts the instruction pointer to 16 bits (AMD64 manual volume 3, section 1.2.2, and Intel's volume
 * 2, the pages of JMP and CALL): where control goes depends on the machine.
 */
static bool is_ambiguous_branch(const struct instruction *instruction)
{
	return (instruction->decoded.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) &&
	       !instruction->decoded.raw.rex.W;
}

static enum instruction_flow near_flow(struct instruction *instruction)
{
	switch (instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_RET:
		return FLOW_RETURN;
	case ZYDIS_MNEMONIC_JMP:
		return jump_flow(instruction);
	case ZYDIS_MNEMONIC_CALL:
		return direct_target(instruction, &instruction->target) ? FLOW_CALL
									: FLOW_CALL_COMPUTED;
	default:
		return direct_target(instruction, &instruction->target) ? FLOW_BRANCH : FLOW_NEXT;
	}
}

static enum instruction_flow flow_of(struct instruction *instruction)
{
	switch (instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
	case ZYDIS_MNEMONIC_INT3:
		return FLOW_TRAP;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_UIRET:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_RSM:
		return FLOW_FOREIGN;
	default:
		break;
	}
	if (instruction->decoded.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return FLOW_FOREIGN;
	enum instruction_flow flow = near_flow(instruction);
	return flow != FLOW_NEXT && is_ambiguous_branch(instruction) ? FLOW_FOREIGN : flow;
}

struct error *instruction_read(const struct code_reader *reader, target_addr address,
			       struct instruction *ret)
{
	*ret = (struct instruction){.address = address};
	size_t count = read_some(reader, address, ret->bytes);
	if (count == 0)
		return error_new(ERROR_FAULT, "the code at 0x%" PRIx64 " cannot be read",
				 address.v);
	ZydisDecoder decoder;
	ZyanStatus status =
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (ZYAN_SUCCESS(status))
		status = ZydisDecoderDecodeFull(&decoder, ret->bytes, count, &ret->decoded,
						ret->operands);
	if (!ZYAN_SUCCESS(status))
		return error_new(ERROR_BAD_INPUT, "no instruction decodes at 0x%" PRIx64,
				 address.v);
	ret->next = target_addr_add(address, ret->decoded.length);
	ret->flow = flow_of(ret);
	return NULL;
}
