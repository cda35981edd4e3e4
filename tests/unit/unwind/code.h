/* SPDX-License-Identifier: MIT */
/*
 * Code for stacks that are written by hand: two modules, and one array as the stack.
 *
 * The code of the first module is cut into functions of 0x100 bytes, one for each kind of rule; the
 * second has no table.
 */
#ifndef TESTS_UNIT_UNWIND_CODE_H
#define TESTS_UNIT_UNWIND_CODE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/walk.h"

enum {
	STACK_WORDS = 512,
	FRAMES_MAX = 64,
};

#define STACK_LOW  UINT64_C(0x7ffd00000000)
#define STACK_HIGH (STACK_LOW + STACK_WORDS * 8)
#define BIAS	   UINT64_C(0x555500000000)
#define CODE	   (BIAS + 0x1000)
#define OTHER_CODE UINT64_C(0x7f0000001000)

/* The functions of the first module, by their number. */
enum function {
	BY_SP,	     /* CFA = rsp + 24, rbp untouched */
	BY_BP,	     /* CFA = rbp + 16, rbp saved below the return address */
	BY_DEREF,    /* CFA = *(rbp - 8), rbp saved at rbp */
	BY_PLT,	     /* from 11 bytes on one word more */
	SIGNAL,	     /* a signal frame */
	OUTERMOST,   /* its return address is undefined */
	UNKNOWN,     /* a gap */
	UNSUPPORTED, /* a rule that cannot be said */
	LOSES_BP,    /* CFA = rsp + 16, rbp lost */
	SAVES_BP,    /* CFA = rsp + 32, rbp at CFA - 16 */
	AT_BP,	     /* CFA = rsp + 24, rbp saved at rbp + 8 */
	SHRINKS,     /* CFA = rsp - 8: what no compiler writes */
	FUNCTIONS
};

static const struct unwind_rule rules[FUNCTIONS] = {
	[BY_SP] = {UNWIND_SP, UNWIND_BP_SAME, 24, 0},
	[BY_BP] = {UNWIND_BP, UNWIND_BP_SAVED, 16, -16},
	[BY_DEREF] = {UNWIND_BP_DEREF, UNWIND_BP_SAVED_AT_BP, -8, 0},
	[BY_PLT] = {UNWIND_PLT, UNWIND_BP_SAME, 11, 0},
	[SIGNAL] = {UNWIND_SIGNAL, UNWIND_BP_SAME, 0, 0},
	[OUTERMOST] = {UNWIND_END, UNWIND_BP_SAME, 0, 0},
	[UNKNOWN] = {UNWIND_NONE, UNWIND_BP_SAME, 0, 0},
	[UNSUPPORTED] = {UNWIND_UNSUPPORTED, UNWIND_BP_SAME, 0, 0},
	[LOSES_BP] = {UNWIND_SP, UNWIND_BP_LOST, 16, 0},
	[SAVES_BP] = {UNWIND_SP, UNWIND_BP_SAVED, 32, -16},
	[AT_BP] = {UNWIND_SP, UNWIND_BP_SAVED_AT_BP, 24, 8},
	[SHRINKS] = {UNWIND_SP, UNWIND_BP_SAME, -8, 0},
};

struct fixture {
	struct unwind_row rows[FUNCTIONS + 1];
	struct unwind_module modules[2];
	struct unwind_space space;
	struct unwind_memory memory;
	uint64_t stack[STACK_WORDS];
	uint64_t unreadable; /* the address of a word that cannot be read, 0: none */
	size_t reads;
	uint64_t frames[FRAMES_MAX];
	size_t count;
};

static bool read_stack(void *context, uint64_t address, uint64_t *ret)
{
	struct fixture *fixture = context;
	if (address < STACK_LOW || address > STACK_HIGH - 8 || address % 8 != 0)
		ck_abort_msg("read outside of the stack: %#lx", address);
	fixture->reads++;
	if (address == fixture->unreadable)
		return false;
	*ret = fixture->stack[(address - STACK_LOW) / 8];
	return true;
}

static void setup(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	for (uint32_t i = 0; i < FUNCTIONS; i++) {
		fixture->rows[i].pc = i * 0x100;
		ck_assert(unwind_rule_pack(&rules[i], &fixture->rows[i].rule));
	}
	fixture->rows[FUNCTIONS].pc = FUNCTIONS * 0x100;
	fixture->modules[0] = (struct unwind_module){
		.start = CODE,
		.end = CODE + FUNCTIONS * 0x100,
		.bias = BIAS,
		.table = {.base = 0x1000, .rows = fixture->rows, .count = FUNCTIONS + 1},
	};
	fixture->modules[1] =
		(struct unwind_module){.start = OTHER_CODE, .end = OTHER_CODE + 0x1000};
	fixture->space = (struct unwind_space){fixture->modules, 2};
	fixture->memory = (struct unwind_memory){
		.read = read_stack, .context = fixture, .low = STACK_LOW, .high = STACK_HIGH};
}

/* The address of stack word i. */
static uint64_t slot(size_t i)
{
	return STACK_LOW + 8 * i;
}

/* A return address into a function. */
static uint64_t in(enum function function)
{
	return CODE + (uint64_t)function * 0x100 + 0x42;
}

#endif
