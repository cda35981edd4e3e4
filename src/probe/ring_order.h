/* SPDX-License-Identifier: MIT */
/*
 * Which of many rings has the smallest key: a tournament in an array.
 *
 * Owns: the keys. Pure, knows no rings. A change costs one pass from a leaf to the root without a
 * branch that depends on keys.
 *
 * Invariant: for 0 < i < leaves, keys[i] == min(keys[2i], keys[2i + 1]); leaves is a power of two;
 * leaf i stands at keys[leaves + i]. Keys are distinct, but for RING_ORDER_NONE.
 */
#ifndef PROBE_RING_ORDER_H
#define PROBE_RING_ORDER_H

#include <stdint.h>

#include "agent/abi.h"

#define RING_ORDER_NONE UINT64_MAX /* a leaf that takes no part */

enum {
	RING_ORDER_MAX = 2048, /* leaves, a power of two */
	RING_ORDER_BITS = 11,
};
_Static_assert(AGENT_AREAS *AGENT_LEVELS <= RING_ORDER_MAX, "a leaf for every ring");

struct ring_order {
	uint32_t leaves;
	uint64_t keys[2 * RING_ORDER_MAX];
};

/* Begins with `count` (1 .. RING_ORDER_MAX) leaves without a key. */
void ring_order_begin(struct ring_order *order, uint32_t count);

/* The smallest key; RING_ORDER_NONE if there is none. */
static inline uint64_t ring_order_first(const struct ring_order *order)
{
	return order->keys[1];
}

void ring_order_set(struct ring_order *order, uint32_t leaf, uint64_t key);

/* The smallest key of all leaves but this one, whose key is the smallest. */
uint64_t ring_order_second(const struct ring_order *order, uint32_t leaf);

#endif
