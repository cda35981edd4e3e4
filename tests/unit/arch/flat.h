/* SPDX-License-Identifier: MIT */
/*
 * Code in a flat array, for the tests of arch: a code_reader over bytes that the test wrote down.
 */
#ifndef TESTS_UNIT_ARCH_FLAT_H
#define TESTS_UNIT_ARCH_FLAT_H

#include <string.h>

#include "arch/code.h"

/*
 * bytes[0, count) stand at base. bounds, if its end is not 0, is the one function part known; slot,
 * if its address is not 0, the one pointer known.
 */
struct flat {
	uint64_t base;
	const uint8_t *bytes;
	size_t count;
	uint64_t bounds_start, bounds_end;
	uint64_t slot, slot_value;
};

static inline bool flat_read(void *context, target_addr address, void *bytes, size_t count)
{
	const struct flat *flat = context;
	uint64_t offset = address.v - flat->base;
	if (address.v < flat->base || offset > flat->count || count > flat->count - offset)
		return false;
	memcpy(bytes, flat->bytes + offset, count);
	return true;
}

static inline bool flat_bounds(void *context, target_addr address, target_addr *start,
			       target_addr *end)
{
	const struct flat *flat = context;
	if (address.v < flat->bounds_start || address.v >= flat->bounds_end)
		return false;
	start->v = flat->bounds_start;
	end->v = flat->bounds_end;
	return true;
}

static inline bool flat_pointer(void *context, target_addr slot, target_addr *ret)
{
	const struct flat *flat = context;
	if (flat->slot == 0 || slot.v != flat->slot)
		return false;
	ret->v = flat->slot_value;
	return true;
}

static inline struct code_reader flat_reader(struct flat *flat)
{
	return (struct code_reader){flat_read, flat_bounds, flat_pointer, flat};
}

#endif
