/* SPDX-License-Identifier: MIT */
/*
 * Growing plain arrays: the one place with the arithmetic of it.
 *
 * The caller keeps `items`, `count` and `capacity` in its own struct; nothing else is hidden.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes room for at least `need` items of `item_bytes` each; `*items` may move. Growth is by half,
 * so appending is O(1) amortized. Returns false without memory (or when the size would overflow),
 * leaving everything as it was.
 */
bool array_reserve(void *items_pointer, size_t *capacity, size_t need, size_t item_bytes);

#endif
