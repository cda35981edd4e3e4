/* SPDX-License-Identifier: MIT */
#include "arch/code.h"

#include <inttypes.h>
#include <string.h>

#include "arch/instruction.h"

enum {
	PUSH_LITERAL_BYTES = 6, /* push qword [rip + disp32] */
	MODRM_RM = 0x07,
	MODRM_REG = 0x38,
	MODRM_REG_JUMP = 4 << 3, /* ff /4 is jmp, ff /2 is call */
	MODRM_MOD_DISP32 = 0x80,
	WORD_BYTES = 8,
	FAR_JUMP_BYTES = 6 + WORD_BYTES, /* jmp qword [rip], and the address behind it */
};

/* One copy being written; `slot` is where it will run. */
struct copy {
	const struct instruction *instruction;
	target_addr slot;
	struct code_slot *out;
	bool far; /* jumps may go through an address behind them */
	bool out_of_reach;
};

static target_addr here(const struct copy *copy)
{
	return target_addr_add(copy->slot, (int64_t)copy->out->count);
}

/*
 * The longest copies are a computed call (push 6 + 15 + literal 8 = 29) and a loop (15 + two jumps
 * of 14 = 43): CODE_SLOT_MAX_BYTES holds any of them.
 */
static void put(struct copy *copy, const void *bytes, size_t count)
{
	memcpy(copy->out->bytes + copy->out->count, bytes, count);
	copy->out->count += count;
}

static void put_displacement(struct copy *copy, target_addr from, target_addr to, uint8_t *at)
{
	int64_t distance = (int64_t)(to.v - from.v);
	int32_t displacement = (int32_t)distance;
	if (displacement != distance)
		copy->out_of_reach = true;
	memcpy(at, &displacement, sizeof displacement);
}

/* How long the jump is that leads to `to` from `ahead` bytes further on. */
static uint8_t jump_bytes(const struct copy *copy, size_t ahead, target_addr to)
{
	uint8_t bytes[CODE_JUMP_BYTES];
	target_addr from = target_addr_add(here(copy), (int64_t)ahead);
	return code_encode_jump(from, to, bytes) || !copy->far ? CODE_JUMP_BYTES : FAR_JUMP_BYTES;
}

static void put_jump(struct copy *copy, target_addr to)
{
	uint8_t bytes[FAR_JUMP_BYTES] = {0};
	size_t count = jump_bytes(copy, 0, to);
	if (count == FAR_JUMP_BYTES) {
		memcpy(bytes, "\xff\x25", 2);
		memcpy(bytes + count - WORD_BYTES, &to.v, WORD_BYTES);
	} else if (!code_encode_jump(here(copy), to, bytes)) {
		copy->out_of_reach = true;
	}
	put(copy, bytes, count);
}

/* The original bytes, with a rip-relative operand made to mean the same address from here. */
static void put_original(struct copy *copy)
{
	const struct instruction *instruction = copy->instruction;
	size_t length = instruction->decoded.length;
	uint8_t bytes[CODE_INSTRUCTION_MAX_BYTES];
	memcpy(bytes, instruction->bytes, length);
	const ZydisDecodedOperand *operand = instruction_relative_operand(instruction);
	if (operand) {
		target_addr meant = target_addr_add(instruction->next, operand->mem.disp.value);
		put_displacement(copy, target_addr_add(here(copy), (int64_t)length), meant,
				 bytes + instruction->decoded.raw.disp.offset);
	}
	put(copy, bytes, length);
}

static void put_jump_back(struct copy *copy)
{
	copy->out->finished_offset = copy->out->count;
	put_jump(copy, copy->instruction->next);
}

static void put_taken_jump(struct copy *copy)
{
	copy->out->taken_offset = copy->out->count;
	copy->out->taken = copy->instruction->target;
	put_jump(copy, copy->instruction->target);
}

/* A branch within the slot, over the jump back. */
static void put_branch_over(struct copy *copy, uint8_t opcode)
{
	target_addr next = copy->instruction->next;
	uint8_t bytes[2] = {opcode, jump_bytes(copy, sizeof bytes, next)};
	put(copy, bytes, sizeof bytes);
	put_jump_back(copy);
	put_taken_jump(copy);
}

static void put_conditional_jump(struct copy *copy)
{
	const struct instruction *instruction = copy->instruction;
	if (jump_bytes(copy, 0, instruction->target) == FAR_JUMP_BYTES) {
		put_branch_over(copy, 0x70 | (instruction->decoded.opcode & 0x0f));
		return;
	}
	/* The condition is the low half of the opcode in both forms, 7x and 0f 8x. */
	uint8_t bytes[6] = {0x0f, (uint8_t)(0x80 | (instruction->decoded.opcode & 0x0f))};
	put_displacement(copy, target_addr_add(here(copy), sizeof bytes), instruction->target,
			 bytes + 2);
	put(copy, bytes, sizeof bytes);
	put_jump_back(copy);
}

/* loop, loope, loopne and jrcxz exist with an 8-bit displacement only: they branch within the slot.
 */
static void put_short_branch(struct copy *copy)
{
	const struct instruction *instruction = copy->instruction;
	put(copy, instruction->bytes, instruction->decoded.length);
	copy->out->bytes[copy->out->count - 1] = jump_bytes(copy, 0, instruction->next);
	put_jump_back(copy);
	put_taken_jump(copy);
}

static void put_branch(struct copy *copy)
{
	switch (copy->instruction->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
	case ZYDIS_MNEMONIC_JRCXZ:
		put_short_branch(copy);
		break;
	default:
		put_conditional_jump(copy);
		break;
	}
}

/*
 * A call must leave the original return address on the stack: code in the target (unwinders,
 * the sites of exceptions) looks at it. Pushing it from a literal behind the copy is one
 * instruction that changes neither flags nor registers, and there is nothing between it and the
 * jump that could lose state.
 */
static void put_push_return(struct copy *copy, size_t ahead)
{
	uint8_t push[PUSH_LITERAL_BYTES] = {0xff, 0x35};
	int32_t displacement = (int32_t)ahead;
	memcpy(push + 2, &displacement, sizeof displacement);
	put(copy, push, sizeof push);
}

static void put_return_literal(struct copy *copy)
{
	put(copy, &copy->instruction->next.v, WORD_BYTES);
}

static void put_call(struct copy *copy)
{
	put_push_return(copy, jump_bytes(copy, PUSH_LITERAL_BYTES, copy->instruction->target));
	put_taken_jump(copy);
	put_return_literal(copy);
}

/*
 * The jump that does a computed call's second half. `ff /2` becomes `ff /4` with the same operand;
 * one addressed from rsp gets 8 added, since the return address has been pushed by then.
 */
static struct instruction jump_of_call(const struct instruction *call)
{
	struct instruction jump = *call;
	size_t modrm = call->decoded.raw.modrm.offset;
	jump.bytes[modrm] = (uint8_t)((call->bytes[modrm] & ~MODRM_REG) | MODRM_REG_JUMP);
	const ZydisDecodedOperand *operand = &call->operands[0];
	if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || operand->mem.base != ZYDIS_REGISTER_RSP)
		return jump;
	int32_t displacement = (int32_t)(operand->mem.disp.value + WORD_BYTES);
	jump.bytes[modrm] = MODRM_MOD_DISP32 | MODRM_REG_JUMP | (call->bytes[modrm] & MODRM_RM);
	memcpy(jump.bytes + modrm + 2, &displacement, sizeof displacement);
	jump.decoded.length = (ZyanU8)(modrm + 2 + sizeof displacement);
	return jump;
}

static void put_computed_call(struct copy *copy)
{
	struct instruction jump = jump_of_call(copy->instruction);
	put_push_return(copy, jump.decoded.length);
	struct copy second = *copy;
	second.instruction = &jump;
	put_original(&second);
	copy->out_of_reach = second.out_of_reach;
	put_return_literal(copy);
}

/* Why a computed call's operand would not mean the same after the push; NULL if it does. */
static const char *why_call_stays(const struct instruction *call)
{
	const ZydisDecodedOperand *operand = &call->operands[0];
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER)
		return operand->reg.value == ZYDIS_REGISTER_RSP ? "calls the stack pointer" : NULL;
	if (operand->mem.base == ZYDIS_REGISTER_ESP)
		return "addresses the stack with 32 bits";
	if (operand->mem.base != ZYDIS_REGISTER_RSP)
		return NULL;
	ZyanI64 displacement = operand->mem.disp.value;
	if (displacement > -2 * WORD_BYTES && displacement < 0)
		return "calls through the word it overwrites";
	if (displacement > INT32_MAX - WORD_BYTES)
		return "addresses too far above the stack pointer";
	/* The rewritten operand is ModRM, SIB and 32 bits. */
	if (call->decoded.raw.modrm.offset + 2 + sizeof(int32_t) > CODE_INSTRUCTION_MAX_BYTES)
		return "has too many prefixes";
	return NULL;
}

/* Why an instruction that is no branch cannot run elsewhere; NULL if it can. */
static const char *why_plain_stays(const struct instruction *instruction)
{
	const ZydisDecodedInstruction *decoded = &instruction->decoded;
	if (decoded->meta.category == ZYDIS_CATEGORY_INTERRUPT)
		return "raises an interrupt";
	if (decoded->meta.category == ZYDIS_CATEGORY_SYSCALL)
		return "is a system call, which shows its address in a register";
	if (decoded->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED)
		return "is privileged";
	if (decoded->meta.isa_ext == ZYDIS_ISA_EXT_X87)
		return "leaves its address in the x87 unit";
	/*
	 * A program that sets the trap flag would see a step end on the jump back. pushf is
	 * harmless: nobody here sets the trap flag, so it pushes what it would push in its place.
	 */
	if (decoded->mnemonic == ZYDIS_MNEMONIC_POPF || decoded->mnemonic == ZYDIS_MNEMONIC_POPFD ||
	    decoded->mnemonic == ZYDIS_MNEMONIC_POPFQ)
		return "may set the trap flag";
	for (size_t i = 0; i < decoded->operand_count; i++) {
		const ZydisDecodedOperand *operand = &instruction->operands[i];
		if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		if (operand->reg.value == ZYDIS_REGISTER_RIP)
			return "uses the instruction pointer";
		if (operand->reg.value == ZYDIS_REGISTER_SS &&
		    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			return "holds off interrupts for the next instruction";
	}
	return NULL;
}

static const char *why_it_stays(const struct instruction *instruction)
{
	const ZydisDecodedOperand *operand = instruction_relative_operand(instruction);
	if (operand && operand->mem.base == ZYDIS_REGISTER_EIP)
		return "addresses memory relative to eip";
	switch (instruction->flow) {
	case FLOW_FOREIGN:
		return "leaves in a way that is not followed";
	case FLOW_TRAP:
		return "is there to trap";
	case FLOW_BRANCH:
		return instruction->decoded.mnemonic == ZYDIS_MNEMONIC_XBEGIN
			       ? "begins a transaction"
			       : NULL;
	case FLOW_CALL_COMPUTED:
		return why_call_stays(instruction);
	case FLOW_NEXT:
		return why_plain_stays(instruction);
	default:
		return NULL;
	}
}

static void put_instruction(struct copy *copy)
{
	switch (copy->instruction->flow) {
	case FLOW_JUMP:
		put_jump(copy, copy->instruction->target);
		break;
	case FLOW_BRANCH:
		put_branch(copy);
		break;
	case FLOW_CALL:
		put_call(copy);
		break;
	case FLOW_CALL_COMPUTED:
		put_computed_call(copy);
		break;
	case FLOW_NEXT:
		put_original(copy);
		put_jump_back(copy);
		break;
	default:
		put_original(copy);
		break;
	}
}

static struct error *relocate(const struct code_reader *reader, target_addr site, target_addr slot,
			      bool far, struct code_slot *ret)
{
	struct instruction instruction;
	struct error *err = instruction_read(reader, site, &instruction);
	if (err)
		return err;
	const char *reason = why_it_stays(&instruction);
	if (reason)
		return error_new(ERROR_UNSUPPORTED,
				 "the instruction at 0x%" PRIx64 " cannot be moved: it %s", site.v,
				 reason);
	struct code_slot out = {.length = instruction.decoded.length};
	struct copy copy = {.instruction = &instruction, .slot = slot, .out = &out, .far = far};
	put_instruction(&copy);
	if (copy.out_of_reach)
		return error_new(ERROR_UNSUPPORTED,
				 "the instruction at 0x%" PRIx64 " cannot be moved to 0x%" PRIx64
				 ": what it refers to is out of reach from there",
				 site.v, slot.v);
	*ret = out;
	return NULL;
}

struct error *code_relocate(const struct code_reader *reader, target_addr site, target_addr slot,
			    struct code_slot *ret)
{
	return relocate(reader, site, slot, false, ret);
}

struct error *code_relocate_far(const struct code_reader *reader, target_addr site,
				target_addr slot, struct code_slot *ret)
{
	return relocate(reader, site, slot, true, ret);
}

bool code_slot_resume(const struct code_slot *slot, size_t offset, target_addr site,
		      target_addr *ret)
{
	if (offset == 0)
		*ret = site;
	else if (offset == slot->finished_offset)
		*ret = target_addr_add(site, (int64_t)slot->length);
	else if (offset == slot->taken_offset)
		*ret = slot->taken;
	else
		return false;
	return true;
}
