/* SPDX-License-Identifier: MIT */
#include "base/array.h"

#include <stdlib.h>
#include <string.h>

bool array_reserve(void *items_pointer, size_t *capacity, size_t need, size_t item_bytes)
{
	if (need <= *capacity)
		return true;
	size_t wanted = *capacity + *capacity / 2;
	if (wanted < 8)
		wanted = 8;
	if (wanted < need)
		wanted = need;
	size_t bytes;
	if (__builtin_mul_overflow(wanted, item_bytes, &bytes))
		return false;
	void *items;
	memcpy(&items, items_pointer, sizeof items);
	items = realloc(items, bytes);
	if (!items)
		return false;
	memcpy(items_pointer, &items, sizeof items);
	*capacity = wanted;
	return true;
}
