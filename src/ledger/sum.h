/* SPDX-License-Identifier: MIT */
/*
 * Sums that stop at their end instead of wrapping: a forged size must not make a figure small.
 *
 * Called by: the other files of this folder.
 */
#ifndef LEDGER_SUM_H
#define LEDGER_SUM_H

#include <stdint.h>

/* Adds value to *sum; stays at UINT64_MAX when there is no room. */
static inline void sum_add(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

/* Takes value from *sum; stays at 0 (reached only after the sum had stopped at its end). */
static inline void sum_subtract(uint64_t *sum, uint64_t value)
{
	*sum = *sum < value ? 0 : *sum - value;
}

#endif
