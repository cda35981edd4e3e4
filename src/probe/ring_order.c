/* SPDX-License-Identifier: MIT */
#include "probe/ring_order.h"

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void ring_order_begin(struct ring_order *order, uint32_t count)
{
	order->leaves = 2; /* so that the root is no leaf */
	while (order->leaves < count)
		order->leaves *= 2;
	for (uint32_t i = 1; i < 2 * order->leaves; i++)
		order->keys[i] = RING_ORDER_NONE;
}

void ring_order_set(struct ring_order *order, uint32_t leaf, uint64_t key)
{
	uint32_t i = order->leaves + leaf;
	order->keys[i] = key;
	for (; i > 1; i /= 2) {
		key = smaller(key, order->keys[i ^ 1]);
		order->keys[i / 2] = key;
	}
}

uint64_t ring_order_second(const struct ring_order *order, uint32_t leaf)
{
	uint64_t second = RING_ORDER_NONE;
	for (uint32_t i = order->leaves + leaf; i > 1; i /= 2)
		second = smaller(second, order->keys[i ^ 1]);
	return second;
}
