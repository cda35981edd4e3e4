/* SPDX-License-Identifier: MIT */
/*
 * Classes of sizes: the fine ones in which single blocks are told apart where that is kept, and the
 * powers of two of a session's histogram.
 *
 * Fine classes: each size up to 256 is one; above, each eighth of a power of two (288, 320, ...,
 * 512, 576, ...) is one, and the sizes between two of those together are one. So the sizes people
 * ask for are borders, from below and from above.
 *
 * Pure. May be used by: everyone, from any thread.
 */
#ifndef BASE_SIZE_CLASS_H
#define BASE_SIZE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

/* Sizes from low_bytes to high_bytes, both included. */
struct size_range {
	uint64_t low_bytes;
	uint64_t high_bytes;
};

enum {
	SIZE_CLASS_EXACT = 256,
	SIZE_CLASS_COUNT = SIZE_CLASS_EXACT + 1 + 56 * 16,
	SIZE_POWER_COUNT = 65,
};

/* The fine class of a size, below SIZE_CLASS_COUNT; larger sizes never have a smaller class. */
uint32_t size_class_of(uint64_t size_bytes);

/* The sizes of a fine class (below SIZE_CLASS_COUNT). */
struct size_range size_class_range(uint32_t class);

/*
 * Whether a range is the union of fine classes. Where it is not, *below_ret and *above_ret are the
 * sizes nearest to the border at fault that are classes of their own.
 */
bool size_class_divides(struct size_range range, uint64_t *below_ret, uint64_t *above_ret);

/*
 * The power of a size: p stands for 2^(p-1) + 1 to 2^p; 0 for 0 and 1. Each is a union of fine
 * classes.
 */
static inline uint32_t size_power_of(uint64_t size_bytes)
{
	return size_bytes <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(size_bytes - 1);
}

struct size_range size_power_range(uint32_t power);

#endif
