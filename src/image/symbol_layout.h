/* SPDX-License-Identifier: MIT */
/*
 * Which function an address belongs to, where functions overlap, nest or share their start.
 *
 * An address belongs to the function with the largest start that reaches it. Of several with one
 * start those of known size come first, then exported ones, then the plainest name: fewest leading
 * underscores, then shortest. A function of unknown size reaches to the next start.
 * Called by: symbols.c.
 */
#ifndef IMAGE_SYMBOL_LAYOUT_H
#define IMAGE_SYMBOL_LAYOUT_H

#include "image/image.h"

/* The addresses [start, end) belong to the symbol of that index. */
struct symbol_range {
	uint64_t start;
	uint64_t end;
	uint32_t symbol;
};

/* ranges[i].start < ranges[i].end <= ranges[i + 1].start */
struct symbol_layout {
	struct symbol_range *ranges;
	size_t count;
};

/*
 * Lays out the count symbols of `all` whose indices stand in `functions` (which is reordered). Each
 * must start in an executable segment of the image and end in it too.
 */
struct error *symbol_layout_init(struct symbol_layout *layout, const struct image *image,
				 struct image_symbol *all, uint32_t *functions, size_t count);
void symbol_layout_deinit(struct symbol_layout *layout);

/* The index of the symbol that holds address; false if none does. */
bool symbol_layout_find(const struct symbol_layout *layout, image_addr address, uint32_t *ret);

#endif
