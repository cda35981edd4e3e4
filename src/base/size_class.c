/* SPDX-License-Identifier: MIT */
#include "base/size_class.h"

enum { EXACT_POWER = 8, STEPS = 8, STEP_POWER = 3 };

/*
 * Above 256, with 2^power < size <= 2^(power+1): step counts the eighths below it, and of the two
 * classes of a step the second is the eighth at its end.
 */
uint32_t size_class_of(uint64_t size_bytes)
{
	if (size_bytes <= SIZE_CLASS_EXACT)
		return (uint32_t)size_bytes;
	uint32_t power = size_power_of(size_bytes) - 1;
	uint64_t eighth = UINT64_C(1) << (power - STEP_POWER);
	uint64_t step = ((size_bytes - 1) >> (power - STEP_POWER)) - STEPS;
	bool at_end = (size_bytes & (eighth - 1)) == 0;
	return SIZE_CLASS_EXACT + 1 +
	       (uint32_t)(((power - EXACT_POWER) * STEPS + step) * 2 + at_end);
}

struct size_range size_class_range(uint32_t class)
{
	if (class <= SIZE_CLASS_EXACT)
		return (struct size_range){class, class};
	uint32_t above = class - SIZE_CLASS_EXACT - 1;
	uint32_t power = EXACT_POWER + above / (2 * STEPS), step = above / 2 % STEPS;
	uint64_t eighth = UINT64_C(1) << (power - STEP_POWER);
	uint64_t before = (STEPS + step) * eighth, end = before + eighth;
	if (above % 2)
		return (struct size_range){end, end};
	return (struct size_range){before + 1, end - 1}; /* the last end is 2^64 */
}

/* The sizes around one that is within a class that holds others as well. */
static void neighbours(uint64_t size_bytes, uint64_t *below_ret, uint64_t *above_ret)
{
	struct size_range range = size_class_range(size_class_of(size_bytes));
	*below_ret = range.low_bytes - 1;
	*above_ret = range.high_bytes == UINT64_MAX ? UINT64_MAX : range.high_bytes + 1;
}

bool size_class_divides(struct size_range range, uint64_t *below_ret, uint64_t *above_ret)
{
	struct size_range first = size_class_range(size_class_of(range.low_bytes));
	struct size_range last = size_class_range(size_class_of(range.high_bytes));
	bool begins = first.low_bytes == range.low_bytes,
	     ends = last.high_bytes == range.high_bytes;
	if (!begins || !ends)
		neighbours(begins ? range.high_bytes : range.low_bytes, below_ret, above_ret);
	return begins && ends;
}

struct size_range size_power_range(uint32_t power)
{
	if (power == 0)
		return (struct size_range){0, 1};
	uint64_t end = power == 64 ? 0 : UINT64_C(1) << power;
	return (struct size_range){(UINT64_C(1) << (power - 1)) + 1,
				   power == 64 ? UINT64_MAX : end};
}
