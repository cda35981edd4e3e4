/* SPDX-License-Identifier: MIT */
/*
 * Calls with every register set to what the test says, and what is in them at the function's entry
 * and after it has returned.
 */
#ifndef TESTS_LIB_AGENT_POISON_H
#define TESTS_LIB_AGENT_POISON_H

#include <stdint.h>

enum {
	POISON_GENERAL = 15,	    /* rax rbx rcx rdx rsi rdi rbp r8..r15 */
	POISON_FLAGS_MASK = 0x8d5,  /* CF PF AF ZF SF OF */
	POISON_VECTOR_BYTES = 8192, /* of an xsave area; no processor has more today */
};

/* The general registers in the order above, and rflags. */
struct poison {
	uint64_t general[POISON_GENERAL];
	uint64_t flags;
};

/*
 * poison_spy notes in poison_seen what it finds at its entry, where its return address stands in
 * poison_seen_sp, and returns with the registers of poison_result (rbx, rbp, r12..r15 as it found
 * them).
 */
extern struct poison poison_seen;
extern uint64_t poison_seen_sp;
extern struct poison poison_result;
void poison_spy(void);

/*
 * Calls function with `in` in its registers; *ret: what they hold afterwards. Returns where the
 * return address of that call stood.
 */
uint64_t poison_call(void *function, const struct poison *in, struct poison *ret);

/*
 * Calls function with rdi = first, rsi = second, and vector and x87 registers full of what
 * `values` (16 * 32 bytes) says; before and after: their state as xsave tells it, aligned to 64.
 */
void poison_vectors(void *function, uint64_t first, uint64_t second, const void *values,
		    void *before, void *after);

#endif
