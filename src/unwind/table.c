/* SPDX-License-Identifier: MIT */
#include "unwind/table.h"

#include <stddef.h>

/*
 * The layout of a packed rule, from bit 0:
 *	kind 3 | bp 2 | cfa_offset 19, signed | bp_offset 8, signed
 * Both offsets are in words of 8 bytes, but for kind PLT, whose cfa_offset is in bytes.
 * cfa_offset reaches +-2 MiB, bp_offset +-1 KiB (rbp is saved among the first pushes).
 */
enum {
	KIND_BITS = 3,
	BP_BITS = 2,
	CFA_BITS = 19,
	BP_OFFSET_BITS = 8,
	WORD_BYTES = 8,
};
_Static_assert(KIND_BITS + BP_BITS + CFA_BITS + BP_OFFSET_BITS == 32, "a rule is 32 bits");

static bool pack_field(int32_t value, int32_t unit, unsigned bits, uint32_t *ret)
{
	int32_t limit = INT32_C(1) << (bits - 1);
	if (value % unit != 0 || value / unit < -limit || value / unit >= limit)
		return false;
	*ret = (uint32_t)(value / unit) & ((UINT32_C(1) << bits) - 1);
	return true;
}

static int32_t unpack_field(uint32_t field, int32_t unit, unsigned bits)
{
	uint32_t sign = UINT32_C(1) << (bits - 1);
	uint32_t value = field & ((UINT32_C(1) << bits) - 1);
	return ((int32_t)(value ^ sign) - (int32_t)sign) * unit;
}

static int32_t cfa_unit(enum unwind_kind kind)
{
	return kind == UNWIND_PLT ? 1 : WORD_BYTES;
}

bool unwind_rule_pack(const struct unwind_rule *rule, uint32_t *ret)
{
	uint32_t cfa, bp;
	if (!pack_field(rule->cfa_offset, cfa_unit(rule->kind), CFA_BITS, &cfa) ||
	    !pack_field(rule->bp_offset, WORD_BYTES, BP_OFFSET_BITS, &bp))
		return false;
	*ret = (uint32_t)rule->kind | (uint32_t)rule->bp << KIND_BITS |
	       cfa << (KIND_BITS + BP_BITS) | bp << (KIND_BITS + BP_BITS + CFA_BITS);
	return true;
}

struct unwind_rule unwind_rule_unpack(uint32_t packed)
{
	enum unwind_kind kind = (enum unwind_kind)(packed & ((1U << KIND_BITS) - 1));
	return (struct unwind_rule){
		.kind = kind,
		.bp = (enum unwind_bp)(packed >> KIND_BITS & ((1U << BP_BITS) - 1)),
		.cfa_offset =
			unpack_field(packed >> (KIND_BITS + BP_BITS), cfa_unit(kind), CFA_BITS),
		.bp_offset = unpack_field(packed >> (KIND_BITS + BP_BITS + CFA_BITS), WORD_BYTES,
					  BP_OFFSET_BITS),
	};
}

uint32_t unwind_table_find_packed(const struct unwind_table *table, uint64_t offset)
{
	/*
	 * rows[low - 1].pc <= offset < rows[high].pc, where those rows exist. With a search without
	 * branches a frame was measured at 120 cycles instead of 80: the same pcs are looked up
	 * again and again, and what is predicted need not wait for the rows.
	 */
	uint32_t low = 0;
	uint32_t high = table->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (table->rows[middle].pc <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 0 : table->rows[low - 1].rule;
}

struct unwind_rule unwind_table_find(const struct unwind_table *table, uint64_t offset)
{
	return unwind_rule_unpack(unwind_table_find_packed(table, offset));
}
