/* SPDX-License-Identifier: MIT */
#include "base/time_class.h"

#define POWER(n)   n, 2 * (n), 5 * (n)
#define SECONDS(n) (UINT64_C(n) * 1000000000)

const uint64_t lifetime_borders_ns[LIFETIME_BORDERS] = {
	POWER(UINT64_C(1)),
	POWER(UINT64_C(10)),
	POWER(UINT64_C(100)),
	POWER(UINT64_C(1000)),
	POWER(UINT64_C(10000)),
	POWER(UINT64_C(100000)),
	POWER(UINT64_C(1000000)),
	POWER(UINT64_C(10000000)),
	POWER(UINT64_C(100000000)),
	POWER(UINT64_C(1000000000)),
	POWER(UINT64_C(10000000000)),
	POWER(UINT64_C(100000000000)),
	POWER(UINT64_C(1000000000000)),
	POWER(UINT64_C(10000000000000)),
	POWER(UINT64_C(100000000000000)),
	POWER(UINT64_C(1000000000000000)),
	POWER(UINT64_C(10000000000000000)),
	POWER(UINT64_C(100000000000000000)),
	POWER(UINT64_C(1000000000000000000)),
	UINT64_C(10000000000000000000),
};

/* The number of borders that are not above the smallest number of that many bits. */
const uint8_t lifetime_first_class[65] = {
	0,  1,	2,  2,	3,  4,	5,  6,	7,  8,	9,  10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	20, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 38,
	39, 40, 41, 42, 43, 44, 45, 46, 47, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 56, 57,
};

/* In ascending order. */
static const uint64_t more_age_borders_ns[] = {
	SECONDS(30),   SECONDS(60),    SECONDS(300),   SECONDS(600),   SECONDS(1800),
	SECONDS(3600), SECONDS(21600), SECONDS(43200), SECONDS(86400), SECONDS(604800),
};
enum { MORE_AGE_BORDERS = sizeof more_age_borders_ns / sizeof *more_age_borders_ns };
_Static_assert(AGE_CLASS_COUNT == LIFETIME_CLASS_COUNT + MORE_AGE_BORDERS, "no border is both");

struct time_range lifetime_class_range(uint32_t class)
{
	return (struct time_range){class ? lifetime_borders_ns[class - 1] : 0,
				   class < LIFETIME_BORDERS ? lifetime_borders_ns[class]
							    : UINT64_MAX};
}

static uint32_t more_borders_up_to(uint64_t age_ns)
{
	uint32_t count = 0;
	while (count < MORE_AGE_BORDERS && more_age_borders_ns[count] <= age_ns)
		count++;
	return count;
}

uint32_t age_class_of(uint64_t age_ns)
{
	return lifetime_class_of(age_ns) + more_borders_up_to(age_ns);
}

/* The range of the class of an age: the nearest borders of either kind. */
static struct time_range range_of(uint64_t age_ns)
{
	struct time_range range = lifetime_class_range(lifetime_class_of(age_ns));
	uint32_t more = more_borders_up_to(age_ns);
	if (more && more_age_borders_ns[more - 1] > range.low_ns)
		range.low_ns = more_age_borders_ns[more - 1];
	if (more < MORE_AGE_BORDERS && more_age_borders_ns[more] < range.high_ns)
		range.high_ns = more_age_borders_ns[more];
	return range;
}

struct time_range age_class_range(uint32_t class)
{
	struct time_range range = range_of(0);
	while (age_class_of(range.low_ns) < class)
		range = range_of(range.high_ns);
	return range;
}

bool age_class_divides(struct time_range range, uint64_t *below_ns_ret, uint64_t *above_ns_ret)
{
	struct time_range first = range_of(range.low_ns), last = range_of(range.high_ns);
	bool begins = first.low_ns == range.low_ns;
	bool ends = range.high_ns == UINT64_MAX || last.low_ns == range.high_ns;
	*below_ns_ret = begins ? last.low_ns : first.low_ns;
	*above_ns_ret = begins ? last.high_ns : first.high_ns;
	return begins && ends;
}
