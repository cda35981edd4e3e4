/* SPDX-License-Identifier: MIT */
/*
 * Classes of times: of lifetimes, for a session's histogram, and of ages.
 *
 * Borders of lifetimes are 1, 2 and 5 times each power of ten, in nanoseconds. Those of ages are
 * the same and what people say beside them: 30 s, 1 min, 5 min, 10 min, 30 min, 1 h, 6 h, 12 h, 1
 * day, 7 days.
 *
 * Pure. May be used by: everyone, from any thread.
 */
#ifndef BASE_TIME_CLASS_H
#define BASE_TIME_CLASS_H

#include <stdbool.h>
#include <stdint.h>

/* Times from low_ns on, below high_ns; UINT64_MAX: without an end. */
struct time_range {
	uint64_t low_ns;
	uint64_t high_ns;
};

enum { LIFETIME_BORDERS = 58, LIFETIME_CLASS_COUNT = LIFETIME_BORDERS + 1, AGE_CLASS_COUNT = 69 };

extern const uint64_t lifetime_borders_ns[LIFETIME_BORDERS];
extern const uint8_t lifetime_first_class[65]; /* of the times of a bit width */

/* Between a power of two and the next there is at most one border. */
static inline uint32_t lifetime_class_of(uint64_t lifetime_ns)
{
	uint32_t class = lifetime_first_class[lifetime_ns ? 64 - __builtin_clzll(lifetime_ns) : 0];
	return class + (lifetime_ns >= lifetime_borders_ns[class]);
}

struct time_range lifetime_class_range(uint32_t class);

uint32_t age_class_of(uint64_t age_ns);
struct time_range age_class_range(uint32_t class);

/*
 * Whether a range is the union of classes of ages. Where it is not, *below_ret and *above_ret are
 * the borders nearest to the one at fault.
 */
bool age_class_divides(struct time_range range, uint64_t *below_ns_ret, uint64_t *above_ns_ret);

#endif
