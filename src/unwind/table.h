/* SPDX-License-Identifier: MIT */
/*
 * The compact unwind table: where is the caller's frame, for every pc of an image.
 *
 * Compiled once from `.eh_frame` by image/cfi.c, looked up by the tracer's unwinder and by the
 * agent inside a target. Freestanding: includes only headers without code behind them, calls
 * nothing, and touches no memory but what it is given. May be used from any thread.
 *
 * A row holds from its pc up to the next row's pc. On x86-64 the return address always stands at
 * CFA-8 (psABI 3.2.2), so a rule says only how to find the CFA and the caller's rbp.
 *
 * Invariant: rows[i].pc < rows[i+1].pc for all i; a gap between functions is a row of kind NONE.
 */
#ifndef UNWIND_TABLE_H
#define UNWIND_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum unwind_kind {
	UNWIND_NONE = 0,     /* nothing is known here */
	UNWIND_SP = 1,	     /* CFA = rsp + offset */
	UNWIND_BP = 2,	     /* CFA = rbp + offset */
	UNWIND_BP_DEREF = 3, /* CFA = *(rbp + offset): a realigned stack */
	UNWIND_PLT = 4,	     /* CFA = rsp + 8 + ((pc & 15) >= offset ? 8 : 0): a lazy PLT entry */
	UNWIND_SIGNAL = 5,   /* a signal frame: registers stand in the ucontext at rsp */
	UNWIND_END = 6,	     /* outermost frame: the return address is undefined */
	UNWIND_UNSUPPORTED = 7, /* a rule this format cannot say */
};

enum unwind_bp {
	UNWIND_BP_SAME = 0,	   /* the caller's rbp is still in rbp */
	UNWIND_BP_SAVED = 1,	   /* the caller's rbp is at CFA + bp_offset */
	UNWIND_BP_LOST = 2,	   /* it cannot be found */
	UNWIND_BP_SAVED_AT_BP = 3, /* at *(rbp + bp_offset): frames with a realigned stack */
};

/* 8 bytes a row: the rule packed by unwind_rule_pack. */
struct unwind_row {
	uint32_t pc; /* offset from the table's base */
	uint32_t rule;
};

struct unwind_table {
	uint64_t base; /* image address of offset 0 */
	const struct unwind_row *rows;
	uint32_t count;
};

struct unwind_rule {
	enum unwind_kind kind;
	enum unwind_bp bp;
	int32_t cfa_offset; /* bytes; of kind PLT: where in an entry the push has been done */
	int32_t bp_offset;  /* bytes */
};

/*
 * Packs a rule into 32 bits (the layout stands in table.c, and nowhere else).
 * False if a field does not fit or is not a multiple of its unit: the caller stores UNSUPPORTED.
 */
bool unwind_rule_pack(const struct unwind_rule *rule, uint32_t *ret);
struct unwind_rule unwind_rule_unpack(uint32_t packed);

/*
 * The rule at offset (image address - base); kind NONE outside of the table. Binary search. The
 * second gives it packed; kind NONE is 0.
 */
struct unwind_rule unwind_table_find(const struct unwind_table *table, uint64_t offset);
uint32_t unwind_table_find_packed(const struct unwind_table *table, uint64_t offset);

#endif
