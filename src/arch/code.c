/* SPDX-License-Identifier: MIT */
#include "arch/code.h"

#include <string.h>

#include "arch/instruction.h"
#include "base/cleanup.h"

struct error *code_length(const struct code_reader *reader, target_addr address, size_t *length_ret)
{
	struct instruction instruction;
	struct error *err = instruction_read(reader, address, &instruction);
	if (err)
		return err;
	*length_ret = instruction.decoded.length;
	return NULL;
}

bool code_encode_jump(target_addr from, target_addr to, uint8_t bytes[CODE_JUMP_BYTES])
{
	int64_t distance = (int64_t)(to.v - target_addr_add(from, CODE_JUMP_BYTES).v);
	int32_t displacement = (int32_t)distance;
	if (displacement != distance)
		return false;
	bytes[0] = 0xe9;
	memcpy(bytes + 1, &displacement, sizeof displacement);
	return true;
}

bool code_is_nop(const struct code_reader *reader, target_addr address)
{
	struct instruction instruction;
	_cleanup_error_ struct error *err = instruction_read(reader, address, &instruction);
	return !err && instruction.decoded.mnemonic == ZYDIS_MNEMONIC_NOP;
}
